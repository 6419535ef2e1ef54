//! Percentiles of a round, medians and spreads over rounds, and their tables.

use std::time::Duration;

/// Latencies of one round of one gateway.
#[derive(Default, Clone)]
pub struct Latencies {
    micros: Vec<u64>,
}

impl Latencies {
    pub fn add(&mut self, latency: Duration) {
        self.micros.push(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn extend(&mut self, other: Self) {
        self.micros.extend(other.micros);
    }

    pub fn len(&self) -> usize {
        self.micros.len()
    }

    /// In milliseconds; `None` without latencies. `share` is 0.5 for the median.
    pub fn percentile_ms(&mut self, share: f64) -> Option<f64> {
        self.micros.sort_unstable();
        let rank = (self.micros.len() as f64 * share).ceil() as usize;
        let micros = self.micros.get(rank.max(1) - 1)?;
        Some(*micros as f64 / 1000.0)
    }
}

/// The median of some values, with the smallest and the largest.
#[derive(Clone, Copy)]
pub struct Spread {
    pub median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(values[half - 1], values[half]),
            _ => values[half],
        };
        Some(Self { median, least, most })
    }
}

/// `1.23`: about three significant digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The median alone.
pub fn middle(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| short(spread.median))
}

/// The median, with the smallest and largest value.
pub fn wide(spread: Option<Spread>) -> String {
    let text = |spread: Spread| {
        format!(
            "{} ({} … {})",
            short(spread.median),
            short(spread.least),
            short(spread.most)
        )
    };
    spread.map_or_else(|| "–".to_owned(), text)
}

/// Prints a Markdown table.
pub fn print_table(heading: &str, columns: &[String], rows: &[Vec<String>]) {
    println!("\n### {heading}\n\n| {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len() - 1));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let mut latencies = Latencies::default();
        for millis in 1..=100 {
            latencies.add(Duration::from_millis(millis));
        }
        assert_eq!(latencies.percentile_ms(0.5), Some(50.0));
        assert_eq!(latencies.percentile_ms(0.99), Some(99.0));
        assert_eq!(Latencies::default().percentile_ms(0.5), None);
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (2.5, 1.0, 4.0));
        assert!(Spread::of([]).is_none());
    }
}
