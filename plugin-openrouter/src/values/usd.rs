//! US dollars, exactly.
//!
//! Amounts are whole numbers of pico-dollars (10⁻¹² US dollars): a price per token keeps all of its digits, and no sum is
//! ever rounded. What is too large to be held stays at the greatest amount there is. Pure.

use std::fmt;

/// Decimal places that are kept.
const PLACES: i32 = 12;

const PICO_PER_DOLLAR: u128 = 10_u128.pow(12);

/// An amount of US dollars, 0 or more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd(u128);

impl Usd {
    pub const ZERO: Self = Self(0);

    /// Reads a decimal number such as `0.00003` or `3e-5`; `None` for anything else, and for what is less than nothing.
    /// What is finer than a pico-dollar is rounded up.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut place = PLACES
            .checked_add(i32::from(exponent))?
            .checked_add(i32::try_from(whole.len()).ok()?)?;
        let mut amount: u128 = 0;
        let mut is_finer = false;
        let mut n_digits = 0_usize;
        for digit in whole.bytes().chain(fraction.bytes()) {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
            n_digits += 1;
            place -= 1;
            match u32::try_from(place) {
                _ if digit == 0 => {}
                Ok(place) => {
                    let value = 10_u128.saturating_pow(place).saturating_mul(u128::from(digit));
                    amount = amount.saturating_add(value);
                }
                Err(_) => is_finer = true,
            }
        }
        (n_digits > 0).then(|| Self(amount.saturating_add(u128::from(is_finer))))
    }

    /// The sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left of this amount, which is never less than nothing.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This amount so many times.
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(u128::from(count)))
    }

    /// How often `price` fits into this amount; `None` if it costs nothing.
    pub fn holds(self, price: Self) -> Option<u64> {
        let count = self.0.checked_div(price.0)?;
        Some(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// The amount for people, no less than it is: three digits, and always whole cents.
    pub fn rounded_up(self) -> Self {
        let unit = self.unit_for_people();
        Self(self.0.div_ceil(unit).saturating_mul(unit))
    }

    /// The amount for people, no more than it is: three digits, and always whole cents.
    pub fn rounded_down(self) -> Self {
        let unit = self.unit_for_people();
        Self(self.0 / unit * unit)
    }

    fn unit_for_people(self) -> u128 {
        let cent = PICO_PER_DOLLAR / 100;
        let n_digits = self.0.checked_ilog10().map_or(1, |power| power + 1);
        10_u128.pow(n_digits.saturating_sub(3)).min(cent)
    }
}

impl fmt::Display for Usd {
    /// The exact amount as a decimal number, without an exponent or zeros at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / PICO_PER_DOLLAR, self.0 % PICO_PER_DOLLAR);
        write!(f, "{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        let fraction = format!("{fraction:012}");
        write!(f, ".{}", fraction.trim_end_matches('0'))
    }
}

/// A JSON number, or a text that holds one, as a decimal without an exponent; `None` for anything else.
pub fn decimal(json: &str) -> Option<String> {
    let number = json.trim_matches('"');
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    // The limit keeps a hostile exponent from making megabytes of zeros.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) || exponent.unsigned_abs() > 40 {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), String::new()),
        Ok(point) => (digits[..point].to_owned(), digits[point..].to_owned()),
        Err(_) => (
            String::new(),
            format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        ),
    };
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// A decimal as dollars and whole cents, never more than it is; what is below a cent is shown as it stands.
pub fn dollars(amount: &str) -> String {
    let (sign, unsigned) = amount.strip_prefix('-').map_or(("", amount), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let cents: String = fraction.chars().chain("00".chars()).take(2).collect();
    if whole == "0" && cents == "00" && !fraction.is_empty() {
        return format!("{sign}${unsigned}");
    }
    format!("{sign}${whole}.{cents}")
}

/// Whether `usd` is more than `other`.
pub fn is_more(usd: &str, other: &str) -> bool {
    difference(other, usd).is_some_and(|difference| difference.starts_with('-'))
}

/// `minuend` less `subtrahend`, to the last digit; `None` for what is not a decimal, or has more digits than fit.
pub fn difference(minuend: &str, subtrahend: &str) -> Option<String> {
    let places = n_places(minuend).max(n_places(subtrahend));
    let difference = units(minuend, places)?.checked_sub(units(subtrahend, places)?)?;
    decimal(&format!("{difference}e-{places}"))
}

pub fn n_places(amount: &str) -> usize {
    amount.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

/// `amount` in units of its last of `places` decimal places.
pub fn units(amount: &str, places: usize) -> Option<i128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{fraction:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        Usd::parse(text).expect("an amount")
    }

    #[test]
    fn what_is_read_is_printed_to_the_last_digit() {
        let rows = [
            ("0", "0"),
            ("0.0", "0"),
            ("1", "1"),
            ("12.50", "12.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0.00000015", "0.00000015"),
            ("0.000000000001", "0.000000000001"),
            ("1.5e-7", "0.00000015"),
            ("3E-5", "0.00003"),
            ("25e+2", "2500"),
            ("007", "7"),
            ("18446744073709551616", "18446744073709551616"),
        ];
        for (written, printed) in rows {
            assert_eq!(usd(written).to_string(), printed, "{written}");
        }
    }

    #[test]
    fn what_is_finer_than_a_pico_dollar_is_rounded_up() {
        for text in [
            "0.0000000000000001",
            "1e-300",
            "0.000000000000999999999999999999999999999999999",
        ] {
            assert_eq!(usd(text).to_string(), "0.000000000001", "{text}");
        }
        assert_eq!(usd("0.1000000000000").to_string(), "0.1");
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in [
            "", "-1", "-0.5", "+1", ".", "e5", "1e", "1e99999", "free", "1.2.3", " 1", "1 ", "NaN", "1_0", "٣",
        ] {
            assert_eq!(Usd::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_sum_wraps_around() {
        let most = usd("1e300");
        assert_eq!(most.plus(usd("1")), most);
        assert_eq!(most.times(u64::MAX), most);
        assert_eq!(most.rounded_down().minus(most), Usd::ZERO);
        assert_eq!(usd("1").minus(usd("2")), Usd::ZERO);
        assert_eq!(usd("0.00003").times(1_000_000), usd("30"));
        assert_eq!(most.holds(usd("1e-12")), Some(u64::MAX));
    }

    #[test]
    fn a_price_of_nothing_fits_without_limit() {
        assert_eq!(usd("1").holds(Usd::ZERO), None);
        assert_eq!(usd("1").holds(usd("0.3")), Some(3));
        assert_eq!(Usd::ZERO.holds(usd("0.3")), Some(0));
    }

    #[test]
    fn people_read_three_digits_or_whole_cents() {
        let rows = [
            ("0", "0", "0"),
            ("0.96", "0.96", "0.96"),
            ("0.9601", "0.961", "0.96"),
            ("0.001234567", "0.00124", "0.00123"),
            ("0.000000000001", "0.000000000001", "0.000000000001"),
            ("1.239", "1.24", "1.23"),
            ("123.4567", "123.46", "123.45"),
            ("12345.6789", "12345.68", "12345.67"),
        ];
        for (exact, up, down) in rows {
            let exact = usd(exact);
            assert_eq!(
                (
                    exact.rounded_up().to_string().as_str(),
                    exact.rounded_down().to_string().as_str()
                ),
                (up, down)
            );
        }
    }

    #[test]
    fn a_bill_is_kept_to_the_last_digit() {
        let rows = [
            ("0", "0"),
            ("0.0", "0"),
            ("0.00014", "0.00014"),
            ("1.4e-4", "0.00014"),
            ("1.5E-05", "0.000015"),
            ("12", "12"),
            ("1.20", "1.2"),
            ("3e2", "300"),
            ("1.234e1", "12.34"),
            ("0.1234567890123456789", "0.1234567890123456789"),
            ("-0.5", "-0.5"),
            ("\"0.25\"", "0.25"),
        ];
        for (json, text) in rows {
            assert_eq!(decimal(json).as_deref(), Some(text), "{json}");
        }
        for nonsense in ["null", "\"\"", "{}", "1e999999999", "1e-2147483648", "\"free\"", "true"] {
            assert_eq!(decimal(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn amounts_are_shown_in_whole_cents_and_never_rounded_up() {
        let rows = [
            ("0", "$0.00"),
            ("12", "$12.00"),
            ("0.5", "$0.50"),
            ("24.99986", "$24.99"),
            ("0.00014", "$0.00014"),
            ("-2.5", "-$2.50"),
        ];
        for (amount, expected) in rows {
            assert_eq!(dollars(amount), expected);
        }
    }

    #[test]
    fn differences_are_exact() {
        let rows = [
            ("100.5", "25.75", Some("74.75")),
            ("0.3", "0.1", Some("0.2")),
            ("25", "0.00014", Some("24.99986")),
            ("5", "5.0", Some("0")),
            ("1", "3.5", Some("-2.5")),
            ("-0.5", "0.25", Some("-0.75")),
            ("-0.5", "-0.75", Some("0.25")),
            ("1", "free", None),
            ("1", "0.0000000000000000000000000000000000000000001", None),
        ];
        for (minuend, subtrahend, expected) in rows {
            assert_eq!(
                difference(minuend, subtrahend).as_deref(),
                expected,
                "{minuend} - {subtrahend}"
            );
        }
    }
}
