//! Reads the dates of headers and of JSON as seconds since 1970, UTC.

/// The first day that the service could mean, and the last: beyond them a date is a mistake.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=9999;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads the date of a header, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// - Source: RFC 9110, 5.6.7; the two obsolete forms are not read.
pub fn from_header(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let year = parts.next()?.parse().ok()?;
    let second = seconds_of_day(parts.next()?)?;
    if parts.next()? != "GMT" {
        return None;
    }
    Some(days(year, i64::try_from(month).ok()? + 1, day)? * 86_400 + second)
}

/// Reads a date of JSON, such as `2027-12-31T23:59:59.5Z`, `2027-12-31T23:59:59+02:00` or `2027-12-31`, which means its
/// first second.
///
/// - Source: RFC 3339, 5.6.
pub fn from_json(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let days = days(parts.next()??, parts.next()??, parts.next()??)?;
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let clock = clock.split_once('.').map_or(clock, |(clock, _)| clock);
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            sign * seconds_of_day(&format!("{}:00", &zone[1..]))?
        }
    };
    Some(days * 86_400 + seconds_of_day(clock)? - offset)
}

/// `08:49:37` as seconds.
fn seconds_of_day(clock: &str) -> Option<i64> {
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    // 60 is a leap second.
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    is_time.then_some(hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !YEARS.contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last of its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds_since_1970() {
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
    fn the_date_of_a_header_has_one_form() {
        let rows = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(from_header(text), expected, "{text}");
        }
    }
}
