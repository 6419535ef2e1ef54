//! The tool `calc`: exact arithmetic.
//!
//! Fractions of two 128-bit numbers; what does not fit is an error, never a rounded answer that looks exact. Pure.

use std::iter::Peekable;
use std::str::Chars;

/// The longest expression, in characters.
const MAX_CHARS: usize = 1000;
/// How deep parentheses and signs may nest.
const MAX_DEPTH: u32 = 64;
/// The largest exponent; beyond it nothing but 0, 1 and -1 has a power that fits.
const MAX_EXPONENT: i128 = 127;
/// Decimal places of a result with an infinite expansion.
const ROUNDED_DIGITS: usize = 20;

const TOO_LARGE: &str = "a number is too large for exact arithmetic";
const BY_ZERO: &str = "division by zero";

/// A fraction in lowest terms; the denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    numerator: i128,
    denominator: i128,
}

/// The value of an expression, for people and models: `4`, `0.5`, `≈ 0.33333333333333333333 (exactly 1/3)`.
///
/// - In: numbers with a point, `+ - * / ^`, parentheses.
/// - Errors: one sentence that says what was expected where.
pub fn calculate(expression: &str) -> Result<String, String> {
    Ok(Number::parse(expression)?.shown())
}

impl Number {
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: 1,
    };

    /// The value of an expression.
    pub fn parse(expression: &str) -> Result<Self, String> {
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

    fn of(numerator: i128, denominator: i128) -> Result<Self, String> {
        if denominator == 0 {
            return Err(BY_ZERO.to_owned());
        }
        let divisor = common_divisor(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).map_err(|_| TOO_LARGE)?;
        let sign = if denominator < 0 { -1 } else { 1 };
        let part = |number: i128| (number / divisor).checked_mul(sign).ok_or(TOO_LARGE);
        Ok(Self {
            numerator: part(numerator)?,
            denominator: part(denominator)?,
        })
    }

    pub fn plus(self, other: Self) -> Result<Self, String> {
        let product = |one: i128, two: i128| one.checked_mul(two).ok_or(TOO_LARGE);
        let left = product(self.numerator, other.denominator)?;
        let right = product(other.numerator, self.denominator)?;
        let numerator = left.checked_add(right).ok_or(TOO_LARGE)?;
        Self::of(numerator, product(self.denominator, other.denominator)?)
    }

    fn negated(self) -> Result<Self, String> {
        Self::of(self.numerator.checked_neg().ok_or(TOO_LARGE)?, self.denominator)
    }

    fn times(self, other: Self) -> Result<Self, String> {
        // Cancel common factors first, so that intermediate products fit whenever the result does.
        let one = Self::of(self.numerator, other.denominator)?;
        let two = Self::of(other.numerator, self.denominator)?;
        let product = |one: i128, two: i128| one.checked_mul(two).ok_or(TOO_LARGE);
        Self::of(
            product(one.numerator, two.numerator)?,
            product(one.denominator, two.denominator)?,
        )
    }

    fn inverse(self) -> Result<Self, String> {
        Self::of(self.denominator, self.numerator)
    }

    fn to_the(self, exponent: Self) -> Result<Self, String> {
        if exponent.denominator != 1 {
            return Err(format!(
                "expected a whole number as the exponent, found {}",
                exponent.shown()
            ));
        }
        let is_unit = self.denominator == 1 && (-1..=1).contains(&self.numerator);
        let base = if exponent.numerator < 0 { self.inverse()? } else { self };
        let mut times = exponent.numerator.unsigned_abs();
        if is_unit && times > 2 {
            // An even power drops the sign, an odd one keeps it.
            times = 2 - times % 2;
        }
        if times > MAX_EXPONENT.unsigned_abs() {
            return Err(TOO_LARGE.to_owned());
        }
        let one = Self {
            numerator: 1,
            denominator: 1,
        };
        (0..times).try_fold(one, |product, _| product.times(base))
    }

    /// The decimal form, if it is finite.
    pub fn shown(self) -> String {
        let Self { numerator, denominator } = self;
        let mut rest = denominator;
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
            return decimal(self, digits);
        }
        format!(
            "≈ {} (exactly {numerator}/{denominator})",
            decimal(self, ROUNDED_DIGITS)
        )
    }
}

/// The decimal form with this many decimal places; the rest is cut off.
fn decimal(number: Number, digits: usize) -> String {
    let denominator = number.denominator.unsigned_abs();
    let magnitude = number.numerator.unsigned_abs();
    let mut text = format!(
        "{}{}",
        if number.numerator < 0 { "-" } else { "" },
        magnitude / denominator
    );
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

fn common_divisor(mut one: u128, mut other: u128) -> u128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one.max(1)
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
            value = value.plus(if operator == '+' { other } else { other.negated()? })?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Number, String> {
        let mut value = self.signed()?;
        while let Some(operator) = self.take(&['*', '/', '×', '·', '÷']) {
            let other = self.signed()?;
            let divides = matches!(operator, '/' | '÷');
            value = value.times(if divides { other.inverse()? } else { other })?;
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
            Some(_) => self.signed().and_then(Number::negated),
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
            Some(_) => base.to_the(self.signed()?),
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
            _ => Number::of(numerator, denominator),
        }
    }
}

#[cfg(test)]
mod tests;
