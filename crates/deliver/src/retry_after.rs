//! `Retry-After`, as hostile text.

use std::time::Duration;

use time::{Date, Month, PrimitiveDateTime, Time};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;

/// How long a receiver asks us to wait: at most [`limit::RETRY_AFTER_MAX`], zero for a date in
/// the past, `None` for anything the grammar does not know (negative numbers, fractions, words).
///
//= https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
//# The Retry-After field value can be either an HTTP-date or a number of seconds to delay after
//# receiving the response.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    let wait = match delay_seconds(value) {
        Some(wait) => wait,
        None => http_date(value, now)?.since(now),
    };
    Some(wait.min(limit::RETRY_AFTER_MAX))
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
//# A delay-seconds value is a non-negative decimal integer, representing time in seconds.
fn delay_seconds(value: &str) -> Option<Duration> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Only an overflow is left to fail, and that is a long time.
    Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)))
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//# A recipient that parses a timestamp value in an HTTP field MUST accept all three HTTP-date
//# formats.
fn http_date(value: &str, now: Timestamp) -> Option<Timestamp> {
    let (weekday, rest) = value.split_once(' ')?;
    let mut words = rest.split_ascii_whitespace();
    let mut word = || words.next();
    let (year, month, day, clock) = match weekday.strip_suffix(',') {
        Some(_) if rest.contains('-') => {
            let mut date = word()?.split('-');
            let (day, month, year) = (date.next()?, date.next()?, date.next()?);
            (full_year(number(year, 2)?, now)?, month, day, word()?)
        }
        Some(_) => {
            let (day, month, year) = (word()?, word()?, word()?);
            (number(year, 4)?, month, day, word()?)
        }
        None => {
            let (month, day, clock) = (word()?, word()?, word()?);
            (number(word()?, 4)?, month, day, clock)
        }
    };
    let zone = word();
    let is_utc = if weekday.ends_with(',') {
        zone == Some("GMT")
    } else {
        zone.is_none()
    };
    if !is_utc || word().is_some() {
        return None;
    }
    let day = u8::try_from(number(day, 2)?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month_named(month)?, day).ok()?;
    let at = PrimitiveDateTime::new(date, time_of_day(clock)?).assume_utc();
    Some(Timestamp::from_unix_seconds(at.unix_timestamp()))
}

/// Decimal digits, at most `digits_max` of them.
fn number(text: &str, digits_max: usize) -> Option<u16> {
    let is_number = text.len() <= digits_max && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn month_named(name: &str) -> Option<Month> {
    Some(match name {
        "Jan" => Month::January,
        "Feb" => Month::February,
        "Mar" => Month::March,
        "Apr" => Month::April,
        "May" => Month::May,
        "Jun" => Month::June,
        "Jul" => Month::July,
        "Aug" => Month::August,
        "Sep" => Month::September,
        "Oct" => Month::October,
        "Nov" => Month::November,
        "Dec" => Month::December,
        _ => return None,
    })
}

/// A leap second becomes the second before it.
fn time_of_day(clock: &str) -> Option<Time> {
    let mut parts = clock.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || second > 60 {
        return None;
    }
    let byte = |part: u16| u8::try_from(part).ok();
    Time::from_hms(byte(hour)?, byte(minute)?, byte(second.min(59))?).ok()
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//# Recipients of a timestamp value in rfc850-date format, which uses a two-digit year, MUST
//# interpret a timestamp that appears to be more than 50 years in the future as representing the
//# most recent year in the past that had the same last two digits.
fn full_year(two_digits: u16, now: Timestamp) -> Option<u16> {
    let now = time::OffsetDateTime::from_unix_timestamp(now.unix_seconds()).ok()?;
    let this_year = u16::try_from(now.year()).ok()?;
    let year = this_year - this_year % 100 + two_digits;
    Some(if year > this_year + 50 {
        year.checked_sub(100)?
    } else {
        year
    })
}

#[cfg(test)]
mod tests;
