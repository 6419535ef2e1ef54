//! Moments, days and durations for people and logs.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A duration for people: `820 ms`, `2.8 s`.
pub fn seconds(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// Milliseconds since `begun`.
pub fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// How long ago something was fetched: `fresh`, `12 min old`.
pub fn age(age_ms: u64) -> String {
    let seconds = age_ms / 1000;
    match seconds {
        0..5 => "fresh".to_owned(),
        5..120 => format!("{seconds} s old"),
        120..7200 => format!("{} min old", seconds / 60),
        7200..172_800 => format!("{} h old", seconds / 3600),
        _ => format!("{} days old", seconds / 86_400),
    }
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |since| since.as_secs())
}

/// The day of a moment in seconds since 1970, as `2026-08-22`.
pub fn day(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    moment.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d").to_string()
}

/// A moment as `2026-08-22T09:30:00Z`.
pub fn rfc_3339(moment: SystemTime) -> String {
    format!("{:.0}", timestamp(moment))
}

/// A moment as `2026-08-22T09:30:00.123Z`.
pub fn rfc_3339_ms(moment: SystemTime) -> String {
    format!("{:.3}", timestamp(moment))
}

fn timestamp(moment: SystemTime) -> Timestamp {
    Timestamp::try_from(moment).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_right_across_leap_years() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_000, "2000-02-28T23:59:59.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z"),
            (1_795_207_197_123, "2026-11-20T20:39:57.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let moment = UNIX_EPOCH + Duration::from_millis(ms);
            assert_eq!(rfc_3339_ms(moment), text);
            assert_eq!(rfc_3339(moment), format!("{}Z", &text[..19]));
        }
    }

    #[test]
    fn ages_are_short() {
        for (age_ms, shown) in [
            (900, "fresh"),
            (30_000, "30 s old"),
            (720_000, "12 min old"),
            (10_800_000, "3 h old"),
        ] {
            assert_eq!(age(age_ms), shown);
        }
    }
}
