//! Times as the service sends them and as people read them. Pure.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Whole milliseconds.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration for people: `0.4 s`, or whole seconds rounded up from `10 s`.
pub fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    format!("{} s", duration.as_secs_f64().ceil())
}

/// Seconds since 1970; 0 for an earlier time.
pub fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The UTC date of a time, such as `2026-11-20`.
pub fn date(time: SystemTime) -> String {
    utc(time).strftime("%Y-%m-%d").to_string()
}

/// A time as RFC 3339 in UTC, to the second.
pub fn rfc_3339(time: SystemTime) -> String {
    utc(time).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Treats times before 1970 as 1970.
fn utc(time: SystemTime) -> Timestamp {
    Timestamp::from_second(unix_seconds(time)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Reads a date header such as `Sun, 06 Nov 1994 08:49:37 GMT` as seconds since 1970.
pub fn from_header(text: &str) -> Option<i64> {
    httpdate::parse_http_date(text).ok().map(unix_seconds)
}

/// Reads an RFC 3339 time such as `2027-12-31T23:59:59.5Z`, or the first second of a date such as `2027-12-31`,
/// as seconds since 1970 UTC.
pub fn from_json(text: &str) -> Option<i64> {
    let time = match text.len() {
        // The length check keeps out times without a zone, which would parse as a date too.
        10 => text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
        _ => text.parse::<Timestamp>().ok()?,
    };
    Some(time.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_dates_are_read_as_seconds_since_1970() {
        let rows = [
            ("1970-01-01", Some(0)),
            ("1994-11-06T08:49:37Z", Some(784_111_777)),
            ("2000-02-29T00:00:00Z", Some(951_782_400)),
            ("2027-12-31T23:59:59Z", Some(1_830_297_599)),
            ("2027-12-31t23:59:59.999z", Some(1_830_297_599)),
            ("2028-01-01T01:59:59+02:00", Some(1_830_297_599)),
            ("2027-12-31T18:59:59-05:00", Some(1_830_297_599)),
            ("2027-12-31 23:59:59Z", Some(1_830_297_599)),
            ("2027-12-31T23:59:59", None),
            ("2027-13-01", None),
            ("2027-12", None),
            ("27-12-31", None),
            ("2027-12-31T24:00:00Z", None),
            ("2027-12-31T23:59:59+é", None),
            ("999999999999999999-01-01", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(from_json(text), expected, "{text}");
        }
    }

    #[test]
    fn a_date_header_is_read_in_all_three_formats() {
        let rows = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(from_header(text), expected, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        let rows = [
            (0, "1970-01-01T00:00:00Z"),
            (68_255_999, "1972-02-29T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (1_795_195_805, "2026-11-20T17:30:05Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in rows {
            assert_eq!(rfc_3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        assert_eq!(
            rfc_3339(SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00Z"
        );
    }
}
