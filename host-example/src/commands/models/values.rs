//! Numbers as people type them on the command line. Pure.

/// A number of tokens: `200000`, `200k`, `1M`, `1.5M`.
pub fn tokens(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number of tokens, such as 32000, 200k or 1M".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = match lower.strip_suffix(['k', 'm']) {
        Some(digits) if lower.ends_with('k') => (digits, 1e3),
        Some(digits) => (digits, 1e6),
        None => (lower.as_str(), 1.0),
    };
    let is_number = digits.starts_with(|letter: char| letter.is_ascii_digit())
        && digits.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    let number: f64 = digits.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    let count = (number * unit).round();
    if count > 1e15 {
        return Err(wrong());
    }
    Ok(count as u64)
}

/// A price: `3`, `0.15`, `$2`.
pub fn usd(text: &str) -> Result<f64, String> {
    let text = text.trim();
    text.strip_prefix('$')
        .unwrap_or(text)
        .parse()
        .ok()
        .filter(|price: &f64| price.is_finite() && *price >= 0.0)
        .ok_or_else(|| "expected US dollars per million tokens, such as 3 or 0.15".to_owned())
}
