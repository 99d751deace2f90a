//! Times as people write and read them: always with their zone.
//!
//! Invariant: a time without a zone is never guessed at. Times are milliseconds since the epoch, as in Kafka's records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_MS: i64 = 86_400_000;

/// Now, in milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Reads `2026-11-23T13:30:00+01:00`, with seconds, their fraction and the `T` optional, but never without the zone.
/// `None` if the text is not meant as a time at all; an error says what is missing.
pub(crate) fn parse(text: &str) -> Option<Result<i64, String>> {
    if let Some((days_back, rest)) = named_day(text) {
        return Some(parse_on_day(text, rest, days_back, now_ms()));
    }
    let digits = |n: usize| {
        text.get(..n)
            .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    (digits(4).is_some() && text.as_bytes().get(4) == Some(&b'-')).then(|| parse_date_time(text))
}

/// Whether the text is meant as a time, though it may lack something.
pub(crate) fn is_meant(text: &str) -> bool {
    parse(text).is_some()
}

/// `today` and `yesterday`, how many days that is back, and what follows.
fn named_day(text: &str) -> Option<(i64, &str)> {
    let (day, rest) = text.split_once(' ').unwrap_or((text, ""));
    match day {
        "today" => Some((0, rest.trim())),
        "yesterday" => Some((1, rest.trim())),
        _ => None,
    }
}

/// `14:00+01:00` on a day that is counted from now, in that zone.
fn parse_on_day(text: &str, rest: &str, days_back: i64, now_ms: i64) -> Result<i64, String> {
    let no_zone = || {
        format!(
            "{text:?} lacks its time zone; write it as \"yesterday 14:00+01:00\", or with Z for UTC"
        )
    };
    let zone_at = rest.find(['Z', 'z', '+', '-']).ok_or_else(no_zone)?;
    let (clock, zone) = rest.split_at(zone_at);
    let read = parse_clock(clock.trim_end()).zip(parse_zone(zone));
    let (clock_ms, zone_ms) =
        read.ok_or_else(|| format!("{text:?} is not a time; write it as \"yesterday 14:00Z\""))?;
    let today = (now_ms + zone_ms).div_euclid(DAY_MS);
    Ok((today - days_back) * DAY_MS + clock_ms - zone_ms)
}

fn parse_date_time(text: &str) -> Result<i64, String> {
    let wrong = || {
        format!(
            "{text:?} is not a time; write it as 2026-11-23T13:30:00+01:00 or 2026-11-23T12:30Z"
        )
    };
    let (date, rest) = text
        .split_once(['T', 't', ' '])
        .ok_or_else(|| no_zone(text))?;
    let mut parts = date.split('-').map(str::parse::<i64>);
    let (Some(Ok(year)), Some(Ok(month @ 1..=12)), Some(Ok(day)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    if day < 1 || day > days_in_month(year, month) {
        return Err(format!("{date} is not a day of the calendar"));
    }
    let rest = rest.trim_start();
    let zone_at = rest
        .find(['Z', 'z', '+', '-'])
        .ok_or_else(|| no_zone(text))?;
    let (clock, zone) = rest.split_at(zone_at);
    let clock_ms = parse_clock(clock.trim_end()).ok_or_else(wrong)?;
    let zone_ms = parse_zone(zone).ok_or_else(wrong)?;
    Ok(days_from_epoch(year, month, day) * DAY_MS + clock_ms - zone_ms)
}

fn no_zone(text: &str) -> String {
    format!("{text:?} lacks its time zone; write it as 2026-11-23T13:30+01:00, or with Z for UTC")
}

/// `13:30`, `13:30:05`, `13:30:05.250`.
fn parse_clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let mut two = |most: i64| -> Option<i64> {
        let part = parts.next()?;
        part.parse()
            .ok()
            .filter(|n| part.len() == 2 && (0..=most).contains(n))
    };
    let (hour, minute) = (two(23)?, two(59)?);
    let mut ms = (hour * 60 + minute) * 60_000;
    if let Some(seconds) = parts.next() {
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
        let whole: i64 = whole
            .parse()
            .ok()
            .filter(|n| whole.len() == 2 && (0..=59).contains(n))?;
        if fraction.is_empty()
            || fraction.len() > 9
            || !fraction.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
        ms += whole * 1000 + digits.parse::<i64>().ok()?;
    }
    parts.next().is_none().then_some(ms)
}

/// `Z`, `+01:00`, `+0100`, `+01`.
fn parse_zone(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text[1..].replace(':', "");
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    let (hours, minutes) = match digits.len() {
        2 if all_digits => (digits.parse::<i64>().ok()?, 0),
        4 if all_digits => (digits[..2].parse().ok()?, digits[2..].parse::<i64>().ok()?),
        _ => return None,
    };
    (hours <= 18 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// Reads `90s`, `15m`, `2h`, `3d`, also together as `1h30m`, and the same in words (`2hours`), in milliseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(unit_len);
        let factor = match unit {
            "ms" => 1,
            "s" | "sec" | "second" | "seconds" => 1000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => DAY_MS,
            "w" | "week" | "weeks" => 7 * DAY_MS,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(factor)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// The time in UTC, to the millisecond: `2026-11-23T12:30:00.412Z`.
pub(crate) fn format(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = date_from_days(days);
    let (seconds, millis) = (in_day / 1000, in_day % 1000);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Years begin in March here, so that the leap day is last.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn today_and_yesterday_are_days_of_the_zone_that_is_named() {
        // 2026-11-23T23:30Z is the 24th in Prague.
        let now_ms = parse("2026-11-23T23:30Z").unwrap().unwrap();
        let read = |rest: &str, back| parse_on_day("", rest, back, now_ms).map(format);
        assert_eq!(read("14:00Z", 1), Ok("2026-11-22T14:00:00.000Z".to_owned()));
        assert_eq!(
            read("14:00+01:00", 1),
            Ok("2026-11-23T13:00:00.000Z".to_owned())
        );
        assert_eq!(
            read("00:15+01:00", 0),
            Ok("2026-11-23T23:15:00.000Z".to_owned())
        );
        assert!(read("14:00", 1).unwrap_err().contains("zone"));
        assert!(read("25:00Z", 1).is_err());
    }

    #[test]
    fn a_time_is_read_in_its_own_zone() {
        let utc = 1_795_437_000_000;
        for text in [
            "2026-11-23T12:30Z",
            "2026-11-23T12:30:00z",
            "2026-11-23 13:30 +01:00",
            "2026-11-23T13:30:00.000+0100",
            "2026-11-23T07:00-05:30",
        ] {
            assert_eq!(parse(text), Some(Ok(utc)), "{text}");
        }
        assert_eq!(format(utc), "2026-11-23T12:30:00.000Z");
    }

    #[test]
    fn a_time_without_a_zone_is_refused_not_guessed() {
        for text in ["2026-11-23T13:30", "2026-11-23", "2026-11-23 13:30:00"] {
            let error = parse(text).unwrap().unwrap_err();
            assert!(error.contains("time zone"), "{error}");
        }
    }

    #[test]
    fn what_is_not_in_the_calendar_is_refused() {
        for text in [
            "2026-02-29T00:00Z",
            "2026-13-01T00:00Z",
            "2026-11-23T24:00Z",
            "2026-11-23T1:00Z",
        ] {
            assert!(parse(text).unwrap().is_err(), "{text}");
        }
        assert_eq!(parse("earliest"), None);
        assert_eq!(parse("1234567"), None);
    }

    #[test]
    fn every_day_goes_there_and_back() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = date_from_days(days);
            assert_eq!(days_from_epoch(year, month, day), days);
        }
        assert_eq!(format(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(format(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn spans_are_read() {
        assert_eq!(parse_duration("1h30m"), Some(5_400_000));
        assert_eq!(parse_duration("90s"), Some(90_000));
        assert_eq!(parse_duration("3d"), Some(3 * DAY_MS));
        assert_eq!(parse_duration("1minute"), Some(60_000));
        assert_eq!(parse_duration("2hours30minutes"), Some(9_000_000));
        assert_eq!(parse_duration("2w"), parse_duration("14days"));
        assert_eq!(parse_duration("2moons"), None);
        assert_eq!(parse_duration("h"), None);
        assert_eq!(parse_duration("5"), None);
    }
}
