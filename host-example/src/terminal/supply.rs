//! How much can still be spent, as a shape, a word and a colour.

use anstyle::Style;
use plugin_api::{Account, CreditStatus};

use super::page::Page;
use super::streams::{BAD, DOUBTFUL, FAINT, GOOD};

/// More US dollars than this are enough; less than `LITTLE_USD` is nearly gone.
const ENOUGH_USD: f64 = 5.0;
const LITTLE_USD: f64 = 1.0;

/// How much the key can still spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    Enough,
    Low,
    NearlyGone,
    Unknown,
}

impl Supply {
    /// The stable word; for people, a shape and what it means; its colour.
    fn parts(self) -> (&'static str, &'static str, Style) {
        match self {
            Self::Enough => ("enough", "● enough: more than $5", GOOD),
            Self::Low => ("low", "▲ low: $1 to $5", DOUBTFUL),
            Self::NearlyGone => ("nearly_gone", "■ nearly gone: less than $1", BAD),
            Self::Unknown => ("unknown", "○ unknown: no limit or balance reported", FAINT),
        }
    }

    pub fn word(self) -> &'static str {
        self.parts().0
    }

    pub fn shown(self) -> &'static str {
        self.parts().1
    }

    /// The table with its shape and word in colour, where there are colours.
    pub fn coloured(self, table: &str, page: Page) -> String {
        let (_, shown, style) = self.parts();
        let shown = page.text(shown);
        table.replacen(&*shown, &page.styled(style, &shown), 1)
    }
}

impl From<CreditStatus> for Supply {
    fn from(status: CreditStatus) -> Self {
        match status {
            CreditStatus::Green => Self::Enough,
            CreditStatus::Yellow => Self::Low,
            CreditStatus::Red => Self::NearlyGone,
            CreditStatus::Unknown => Self::Unknown,
        }
    }
}

impl From<&Account> for Supply {
    /// The key's limit and the account's balance both end it.
    fn from(account: &Account) -> Self {
        let amounts = [&account.remaining_usd, &account.balance_usd];
        let known = amounts
            .into_iter()
            .filter_map(|amount| amount.as_deref()?.parse::<f64>().ok())
            .filter(|amount| amount.is_finite());
        match known.min_by(f64::total_cmp) {
            None => Supply::Unknown,
            Some(left) if left > ENOUGH_USD => Supply::Enough,
            Some(left) if left >= LITTLE_USD => Supply::Low,
            Some(_) => Supply::NearlyGone,
        }
    }
}

/// An amount of US dollars for people: cents, rounded towards zero; an amount below a cent keeps six digits, or all
/// if those are zero.
pub fn dollars(amount: &str) -> String {
    let (sign, unsigned) = amount.strip_prefix('-').map_or(("", amount), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_decimal = [whole, fraction].concat().bytes().all(|byte| byte.is_ascii_digit());
    let cents: String = fraction.chars().chain("00".chars()).take(2).collect();
    if !is_decimal || whole.trim_start_matches('0').is_empty() && cents == "00" && !fraction.is_empty() {
        // Sums of binary fractions have noise behind the sixth digit.
        let rounded = format!("{:.6}", unsigned.parse::<f64>().unwrap_or_default());
        let rounded = rounded.trim_end_matches('0');
        let is_noisy = is_decimal && fraction.len() > 6 && rounded != "0.";
        return format!("{sign}${}", if is_noisy { rounded } else { unsigned });
    }
    format!("{sign}${whole}.{cents}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_dollars_and_cents() {
        for (amount, shown) in [
            ("12.5", "$12.50"),
            ("7", "$7.00"),
            ("24.837219", "$24.83"),
            ("-0.259", "-$0.25"),
            ("0.0041", "$0.0041"),
            ("0", "$0.00"),
            ("1e-7", "$1e-7"),
            ("0.0022719999999999997", "$0.002272"),
            ("0.00000001", "$0.00000001"),
            ("much", "$much"),
        ] {
            assert_eq!(dollars(amount), shown);
        }
    }

    #[test]
    fn the_smaller_of_limit_and_balance_says_how_much_is_left() {
        let of = |remaining: Option<&str>, balance: Option<&str>| {
            Supply::from(&Account {
                remaining_usd: remaining.map(str::to_owned),
                balance_usd: balance.map(str::to_owned),
                ..Account::default()
            })
        };
        for (remaining, balance, expected) in [
            (None, None, Supply::Unknown),
            (Some("much"), Some("NaN"), Supply::Unknown),
            (Some("5.01"), None, Supply::Enough),
            (Some("5"), None, Supply::Low),
            (Some("1.00"), Some("25"), Supply::Low),
            (Some("9.5"), Some("0.99"), Supply::NearlyGone),
            (Some("-0.2"), None, Supply::NearlyGone),
        ] {
            assert_eq!(of(remaining, balance), expected, "{remaining:?} {balance:?}");
        }
    }
}
