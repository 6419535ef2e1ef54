//! Prints the measurements: a row for each way, a column for each load, medians in the cells.

use std::collections::BTreeMap;
use std::fs;

use super::measure::load_average;

/// The names of the rows that are compared.
pub const PARSED: &str = "(b) reqwest, parsed here";
pub const APART: &str = "(d) second runtime";
pub const PLUGIN: &str = "(c) through the plugin";

pub enum Cell {
    Measured {
        median: f64,
        /// The distance between the quartiles, as a share of the median.
        spread: f64,
    },
    /// Does not apply to this row.
    Empty,
    NotRun(String),
}

impl Cell {
    pub fn from_costs(mut costs: Vec<f64>) -> Self {
        if costs.is_empty() {
            return Self::Empty;
        }
        costs.sort_by(f64::total_cmp);
        let at = |share: f64| costs[((costs.len() - 1) as f64 * share).round() as usize];
        Self::Measured {
            median: at(0.5),
            spread: (at(0.75) - at(0.25)) / at(0.5),
        }
    }

    /// Median and spread.
    fn measured(&self) -> Option<(f64, f64)> {
        match self {
            Self::Measured { median, spread } => Some((*median, *spread)),
            Self::Empty | Self::NotRun(_) => None,
        }
    }
}

struct Column {
    heading: [String; 4],
    cells: Vec<Cell>,
}

pub struct Table {
    rows: Vec<&'static str>,
    rounds: usize,
    load_at_start: String,
    columns: Vec<Column>,
}

impl Table {
    pub fn new(rows: Vec<&'static str>, rounds: usize) -> Self {
        Self {
            rows,
            rounds,
            load_at_start: load_average(),
            columns: Vec::new(),
        }
    }

    pub fn add(&mut self, heading: [String; 4], cells: Vec<Cell>) {
        self.columns.push(Column { heading, cells });
    }

    pub fn print(&self) {
        println!(
            "CPU time (user + system) and resident memory of the client's process; medians of {} interleaved rounds.",
            self.rounds
        );
        println!(
            "{}; load average {} before, {} after.",
            machine(),
            self.load_at_start,
            load_average()
        );
        println!();
        for line in 0..4 {
            let texts = self.columns.iter().map(|column| column.heading[line].clone());
            print_line("", texts);
        }
        for (n, name) in self.rows.iter().enumerate() {
            print_line(name, self.columns.iter().map(|column| text_from(&column.cells[n])));
        }
        println!();
        for (name, below) in [("(c) / (b)", PARSED), ("(c) / (d)", APART)] {
            let ratio = |column: &Column| Some(self.median(column, PLUGIN)? / self.median(column, below)?);
            let texts = self.columns.iter().map(|column| or_dash(ratio(column)));
            print_line(name, texts);
        }
        // The spread of the middle half of the rounds, in the worst row. Smaller differences between rows mean nothing.
        let worst = |column: &Column| {
            column
                .cells
                .iter()
                .filter_map(|cell| Some(cell.measured()?.1))
                .reduce(f64::max)
        };
        let texts = self
            .columns
            .iter()
            .map(|column| worst(column).map_or("—".to_owned(), |spread| format!("{:.0} %", spread * 100.0)));
        print_line("widest spread (quartiles)", texts);
        for (n, name) in self.rows.iter().enumerate() {
            let mut loads_by_reason = BTreeMap::<&str, Vec<String>>::new();
            for column in &self.columns {
                if let Cell::NotRun(reason) = &column.cells[n] {
                    let [kind, writes, how_many, _] = &column.heading;
                    let load = format!("{kind} {writes} {how_many}").replace("  ", " ");
                    loads_by_reason.entry(reason).or_default().push(load);
                }
            }
            for (reason, loads) in loads_by_reason {
                println!("not run: {name}: {reason} ({})", loads.join("; "));
            }
        }
    }

    fn median(&self, column: &Column, row: &str) -> Option<f64> {
        let n = self.rows.iter().position(|name| *name == row)?;
        Some(column.cells[n].measured()?.0)
    }
}

fn print_line(name: &str, texts: impl Iterator<Item = String>) {
    let texts: String = texts.map(|text| format!(" {text:>12}")).collect();
    println!("{}", format!("{name:<26}{texts}").trim_end());
}

fn text_from(cell: &Cell) -> String {
    match cell {
        Cell::NotRun(_) => "not run".to_owned(),
        cell => or_dash(cell.measured().map(|(median, _)| median)),
    }
}

fn or_dash(number: Option<f64>) -> String {
    number.map_or("—".to_owned(), |number| format!("{number:.2}"))
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names: Vec<&str> = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, name)| name)
        .collect();
    format!("{} x {}", names.len(), names.first().unwrap_or(&"unknown CPU"))
}
