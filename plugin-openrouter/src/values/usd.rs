//! US dollars, exactly.
//!
//! A [`Usd`] is a whole number of pico-dollars (10⁻¹² US dollars), so that prices per token keep all their digits
//! and sums are never rounded. Arithmetic saturates at the largest amount. Pure.

use std::fmt;

/// Decimal places that an amount keeps.
const PLACES: i32 = 12;

const PICO_PER_DOLLAR: u128 = 10_u128.pow(12);

/// An amount of US dollars, 0 or more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd(u128);

impl Usd {
    pub const ZERO: Self = Self(0);

    /// Reads a decimal number such as `0.00003` or `3e-5`; `None` for anything else, including negative amounts.
    /// Rounds up to a whole pico-dollar.
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

    /// The sum, saturating.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, but never less than 0.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The amount multiplied by `count`, saturating.
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(u128::from(count)))
    }

    /// How many times `price` fits into this amount; `None` if the price is 0.
    pub fn holds(self, price: Self) -> Option<u64> {
        let count = self.0.checked_div(price.0)?;
        Some(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Rounds up to three digits for display, or to whole cents if that is finer.
    pub fn rounded_up(self) -> Self {
        let unit = self.display_unit();
        Self(self.0.div_ceil(unit).saturating_mul(unit))
    }

    /// Rounds down to three digits for display, or to whole cents if that is finer.
    pub fn rounded_down(self) -> Self {
        let unit = self.display_unit();
        Self(self.0 / unit * unit)
    }

    fn display_unit(self) -> u128 {
        let cent = PICO_PER_DOLLAR / 100;
        let n_digits = self.0.checked_ilog10().map_or(1, |power| power + 1);
        10_u128.pow(n_digits.saturating_sub(3)).min(cent)
    }
}

impl fmt::Display for Usd {
    /// The exact amount as a decimal number, without an exponent or trailing zeros.
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

/// A JSON number, or a string that contains one, as a decimal without an exponent; `None` for anything else.
pub fn decimal(json: &str) -> Option<String> {
    let number = json.trim_matches('"');
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    // The limit keeps a hostile exponent from producing megabytes of zeros.
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

/// A decimal as dollars and whole cents, rounded towards zero; amounts below a cent keep all their digits.
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

/// `minuend - subtrahend`, exactly; `None` if one is not a decimal or has too many digits.
pub fn difference(minuend: &str, subtrahend: &str) -> Option<String> {
    let places = n_places(minuend).max(n_places(subtrahend));
    let difference = units(minuend, places)?.checked_sub(units(subtrahend, places)?)?;
    decimal(&format!("{difference}e-{places}"))
}

/// The number of decimal places of a decimal.
pub fn n_places(amount: &str) -> usize {
    amount.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

/// `amount` in units of the last of `places` decimal places: `1.5` with two places is 150.
pub fn units(amount: &str, places: usize) -> Option<i128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{fraction:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests;
