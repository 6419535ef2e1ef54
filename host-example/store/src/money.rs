//! Amounts in whole nano-dollars, so that sums are exact. Pure.

use serde::{Serialize, Serializer};
use std::fmt;

/// Nano-dollars: a billion of them is a dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub i64);

const DIGITS: usize = 9;

/// The most that a call may have cost: sums of many must stay below 63 bits.
const MAX: i64 = 1_000_000 * 1_000_000_000;

impl Nanos {
    /// The amount of a decimal number such as `0.0041` or `4.1e-3`, rounded to the nearest nano-dollar.
    ///
    /// - Out: `None` if it is none, or negative, or larger than a million dollars, which no call costs.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || digits.len() > 100 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        // Where the nano-dollars end in the digits.
        let end = i32::try_from(whole.len() + DIGITS).ok()?.checked_add(exponent)?;
        let Ok(end) = usize::try_from(end) else {
            return Some(Self(0));
        };
        let digit = |place: usize| digits.as_bytes().get(place).map_or(0, |digit| i64::from(digit - b'0'));
        let significant = digits.len() - digits.trim_start_matches('0').len();
        if significant == digits.len() {
            return Some(Self(0));
        }
        let mut amount = 0_i64;
        for place in significant..end.max(significant) {
            amount = amount.checked_mul(10)?.checked_add(digit(place))?;
        }
        let amount = amount.checked_add(i64::from(digit(end) >= 5))?;
        (amount <= MAX).then_some(Self(amount))
    }
}

/// As a decimal number without trailing zeros: `0.0041`.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        let (whole, fraction) = (amount / 1_000_000_000, amount % 1_000_000_000);
        let fraction = format!("{fraction:09}");
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            fraction => write!(f, "{sign}{whole}.{fraction}"),
        }
    }
}

/// As a decimal string, like the costs of answers.
impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_read_as_they_were_written() {
        for (text, nanos, shown) in [
            ("0", 0, "0"),
            ("0.0041", 4_100_000, "0.0041"),
            ("4.1e-3", 4_100_000, "0.0041"),
            ("12", 12_000_000_000, "12"),
            ("1.5E2", 150_000_000_000, "150"),
            ("0.0000000014", 1, "0.000000001"),
            ("0.0000000015", 2, "0.000000002"),
            ("0.00000000049", 0, "0"),
            ("1e-30", 0, "0"),
            ("0e30", 0, "0"),
            ("999999.000000001", 999_999_000_000_001, "999999.000000001"),
        ] {
            assert_eq!(Nanos::parse(text), Some(Nanos(nanos)), "{text}");
            assert_eq!(Nanos(nanos).to_string(), shown);
        }
        for bad in [
            "",
            ".",
            "-1",
            "+1",
            "1,5",
            "NaN",
            "inf",
            "1e",
            "1e99",
            "9999999999",
            "0x1",
            "1.2.3",
        ] {
            assert_eq!(Nanos::parse(bad), None, "{bad}");
        }
    }
}
