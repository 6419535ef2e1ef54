//! The tool `calc`: exact arithmetic.
//!
//! Fractions of two 128-bit numbers; what does not fit is an error, never a rounded answer that looks exact. Pure.

use std::iter::Peekable;
use std::str::Chars;

use num_rational::Ratio;
use num_traits::{CheckedAdd, CheckedDiv, CheckedMul, CheckedSub, One, Zero, checked_pow};

/// The longest expression, in characters.
const MAX_CHARS: usize = 1000;
/// How deep parentheses and signs may nest.
const MAX_DEPTH: u32 = 64;
/// Decimal places of a result with an infinite expansion.
const ROUNDED_DIGITS: usize = 20;

const TOO_LARGE: &str = "a number is too large for exact arithmetic";
const BY_ZERO: &str = "division by zero";

/// A fraction in lowest terms; the denominator is positive, and the numerator is never the smallest number, which has
/// no opposite.
type Number = Ratio<i128>;

/// The value of an expression, for people and models: `4`, `0.5`, `≈ 0.33333333333333333333 (exactly 1/3)`.
///
/// - In: numbers with a point, `+ - * / ^`, parentheses.
/// - Errors: one sentence that says what was expected where.
pub fn calculate(expression: &str) -> Result<String, String> {
    Ok(shown(value_of(expression)?))
}

/// The sum of decimal numbers; `None` if one of them is none.
pub fn sum<'a>(numbers: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut values = numbers.into_iter().map(value_of);
    let sum = values.try_fold(Number::zero(), |sum, value| checked(sum.checked_add(&value?)));
    sum.map(shown).ok()
}

/// Whether a decimal number is at least as large as another; `None` if one of them is none.
pub fn is_at_least(number: &str, other: &str) -> Option<bool> {
    Some(value_of(number).ok()? >= value_of(other).ok()?)
}

fn value_of(expression: &str) -> Result<Number, String> {
    if expression.chars().count() > MAX_CHARS {
        return Err(format!("expected at most {MAX_CHARS} characters"));
    }
    let mut reader = Reader {
        letters: expression.chars().peekable(),
        depth: 0,
    };
    let value = reader.sum()?;
    match reader.next_letter() {
        None => Ok(value),
        Some(letter) => Err(format!("expected an operator or the end, found `{letter}`")),
    }
}

fn checked(result: Option<Number>) -> Result<Number, String> {
    let result = result.filter(|number| *number.numer() != i128::MIN);
    result.ok_or_else(|| TOO_LARGE.to_owned())
}

fn quotient(one: Number, other: Number) -> Result<Number, String> {
    if other.is_zero() {
        return Err(BY_ZERO.to_owned());
    }
    checked(one.checked_div(&other))
}

fn power(base: Number, exponent: Number) -> Result<Number, String> {
    if !exponent.is_integer() {
        let found = shown(exponent);
        return Err(format!("expected a whole number as the exponent, found {found}"));
    }
    let base = if exponent < Number::zero() {
        quotient(Number::one(), base)?
    } else {
        base
    };
    let times = usize::try_from(exponent.numer().unsigned_abs()).map_err(|_| TOO_LARGE)?;
    checked(checked_pow(base, times))
}

/// The decimal form, if it is finite.
fn shown(number: Number) -> String {
    let mut rest = *number.denom();
    let mut digits = 0;
    for factor in [2, 5] {
        let mut count = 0;
        while rest % factor == 0 {
            rest /= factor;
            count += 1;
        }
        digits = count.max(digits);
    }
    if rest == 1 {
        return decimal(number, digits);
    }
    format!("≈ {} (exactly {number})", decimal(number, ROUNDED_DIGITS))
}

/// The decimal form with this many decimal places; the rest is cut off.
fn decimal(number: Number, digits: usize) -> String {
    let denominator = number.denom().unsigned_abs();
    let magnitude = number.numer().unsigned_abs();
    let sign = if *number.numer() < 0 { "-" } else { "" };
    let mut text = format!("{sign}{}", magnitude / denominator);
    let mut rest = magnitude % denominator;
    if digits > 0 {
        text.push('.');
    }
    for _ in 0..digits {
        let (digit, left) = next_digit(rest, denominator);
        text.push(char::from(b'0' + digit));
        rest = left;
    }
    text
}

/// The next digit of a long division, and what is left. By additions, because ten times the rest may not fit.
fn next_digit(rest: u128, denominator: u128) -> (u8, u128) {
    let (mut digit, mut left) = (0, 0_u128);
    for _ in 0..10 {
        // Both are below the denominator, which is at most 2^127: their sum fits.
        left += rest;
        if left >= denominator {
            left -= denominator;
            digit += 1;
        }
    }
    (digit, left)
}

struct Reader<'a> {
    letters: Peekable<Chars<'a>>,
    depth: u32,
}

impl Reader<'_> {
    /// Peeks at the next letter that is not blank.
    fn next_letter(&mut self) -> Option<char> {
        while self.letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        self.letters.peek().copied()
    }

    /// Takes the next letter if it is one of these.
    fn take(&mut self, wanted: &[char]) -> Option<char> {
        self.next_letter()?;
        self.letters.next_if(|letter| wanted.contains(letter))
    }

    fn sum(&mut self) -> Result<Number, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.take(&['+', '-', '−', '–']) {
            let other = self.product()?;
            value = checked(match operator {
                '+' => value.checked_add(&other),
                _ => value.checked_sub(&other),
            })?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Number, String> {
        let mut value = self.signed()?;
        while let Some(operator) = self.take(&['*', '/', '×', '·', '÷']) {
            let other = self.signed()?;
            value = match operator {
                '/' | '÷' => quotient(value, other)?,
                _ => checked(value.checked_mul(&other))?,
            };
        }
        Ok(value)
    }

    /// A sign binds less than a power: `-2^2` is -4.
    fn signed(&mut self) -> Result<Number, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("expected at most {MAX_DEPTH} nested parentheses and signs"));
        }
        let value = match self.take(&['-', '−', '–', '+']) {
            Some('+') => self.signed(),
            Some(_) => self.signed().map(|value| -value),
            None => self.power(),
        };
        self.depth -= 1;
        value
    }

    fn power(&mut self) -> Result<Number, String> {
        let base = match self.take(&['(']) {
            Some(_) => {
                let value = self.sum()?;
                if self.take(&[')']).is_none() {
                    return Err("expected `)`, found the end or something else".to_owned());
                }
                value
            }
            None => self.number()?,
        };
        match self.take(&['^']) {
            // From the right: 2^3^2 is 2^9.
            Some(_) => power(base, self.signed()?),
            None => Ok(base),
        }
    }

    fn number(&mut self) -> Result<Number, String> {
        let found = self.next_letter();
        let (mut numerator, mut denominator) = (0_i128, 1_i128);
        let (mut n_digits, mut has_point) = (0, false);
        while let Some(letter) = self
            .letters
            .next_if(|letter| letter.is_ascii_digit() || (*letter == '.' && !has_point))
        {
            let Some(digit) = letter.to_digit(10) else {
                has_point = true;
                continue;
            };
            n_digits += 1;
            numerator = numerator
                .checked_mul(10)
                .and_then(|number| number.checked_add(digit.into()))
                .ok_or(TOO_LARGE)?;
            if has_point {
                denominator = denominator.checked_mul(10).ok_or(TOO_LARGE)?;
            }
        }
        match (n_digits, found) {
            (0, None) => Err("expected a number, found the end".to_owned()),
            (0, Some(letter)) => Err(format!("expected a number, found `{letter}`")),
            _ => Ok(Number::new(numerator, denominator)),
        }
    }
}

#[cfg(test)]
mod tests;
