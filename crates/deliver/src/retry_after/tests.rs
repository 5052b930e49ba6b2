use proptest::prelude::*;

use super::*;

const DAY: u64 = 24 * 3_600;

fn now() -> Timestamp {
    Timestamp::parse("2026-02-20T10:30:00Z").expect("valid")
}

fn check(value: &str, expected_seconds: Option<u64>) {
    let wait = parse_retry_after(value, now());
    assert_eq!(wait, expected_seconds.map(Duration::from_secs), "{value:?}");
}

#[test]
fn seconds_are_read_and_bounded() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
    //# A delay-seconds value is a non-negative decimal integer, representing time in seconds.
    check("0", Some(0));
    check("120", Some(120));
    check(" 120\t", Some(120));
    check("00120", Some(120));
    check("86399", Some(DAY - 1));
    check("86400", Some(DAY));
    check("86401", Some(DAY));
    check("18446744073709551615", Some(DAY));
    check("18446744073709551616", Some(DAY));
    check(&"9".repeat(10_000), Some(DAY));
}

#[test]
fn what_is_no_number_and_no_date_asks_for_nothing() {
    for value in [
        "",
        " ",
        "-1",
        "-120",
        "+5",
        "1.5",
        "NaN",
        "inf",
        "Infinity",
        "1e3",
        "0x10",
        "1 2",
        "soon",
        "120s",
        "１２０",
        "\u{0}",
        "GMT",
        ",",
        ", ",
        "Fri, ",
        "null",
    ] {
        check(value, None);
    }
}

#[test]
fn all_three_date_formats_are_read() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    //# A recipient that parses a timestamp value in an HTTP field MUST accept all three HTTP-date
    //# formats.
    check("Fri, 20 Feb 2026 10:32:00 GMT", Some(120));
    check("Friday, 20-Feb-26 10:32:00 GMT", Some(120));
    check("Fri Feb 20 10:32:00 2026", Some(120));
    check("Sun, 01 Mar 2026 00:00:00 GMT", Some(DAY));
    check("Sun Mar  1 00:00:00 2026", Some(DAY));
}

#[test]
fn dates_in_the_past_ask_for_no_wait() {
    check("Fri, 20 Feb 2026 10:30:00 GMT", Some(0));
    check("Fri, 20 Feb 2026 10:29:59 GMT", Some(0));
    check("Sun, 06 Nov 1994 08:49:37 GMT", Some(0));
    check("Sunday, 06-Nov-94 08:49:37 GMT", Some(0));
    check("Sun Nov  6 08:49:37 1994", Some(0));
}

#[test]
fn far_dates_are_bounded() {
    check("Fri, 31 Dec 9999 23:59:59 GMT", Some(DAY));
    check("Friday, 20-Feb-76 10:30:00 GMT", Some(DAY));
}

#[test]
fn two_digit_years_more_than_fifty_years_ahead_are_in_the_past() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    //# MUST interpret a timestamp that appears to be more than 50 years in the future as
    //# representing the most recent year in the past that had the same last two digits.
    assert_eq!(full_year(76, now()), Some(2076));
    assert_eq!(full_year(77, now()), Some(1977));
    assert_eq!(full_year(26, now()), Some(2026));
}

#[test]
fn broken_dates_ask_for_nothing() {
    for value in [
        "Fri, 20 Feb 2026 10:32:00",
        "Fri, 20 Feb 2026 10:32:00 CET",
        "Fri, 20 Feb 2026 10:32:00 GMT extra",
        "Fri Feb 20 10:32:00 2026 GMT",
        "Fri, 30 Feb 2026 10:32:00 GMT",
        "Fri, 20 feb 2026 10:32:00 GMT",
        "Fri, 20 Feb 2026 24:00:00 GMT",
        "Fri, 20 Feb 2026 10:60:00 GMT",
        "Fri, 20 Feb 2026 10:32:61 GMT",
        "Fri, 20 Feb 2026 10:32 GMT",
        "Fri, 20 Feb -226 10:32:00 GMT",
        "Fri, 020 Feb 2026 10:32:00 GMT",
        "2026-02-20T10:32:00Z",
    ] {
        check(value, None);
    }
}

#[test]
fn a_leap_second_is_read() {
    check("Fri, 20 Feb 2026 10:30:60 GMT", Some(59));
}

proptest! {
    #[test]
    fn no_text_panics_or_exceeds_the_bound(value in ".*", seconds in any::<i64>()) {
        let wait = parse_retry_after(&value, Timestamp::from_unix_seconds(seconds));
        prop_assert!(wait.is_none_or(|wait| wait <= limit::RETRY_AFTER_MAX));
    }

    #[test]
    fn no_almost_date_panics_or_exceeds_the_bound(
        value in "(Fri|Friday)?,? [0-9]{0,5}[ -](Feb|Dec|xyz)[ -][0-9]{0,5} [0-9:]{0,9}( GMT)?",
        seconds in any::<i64>(),
    ) {
        let wait = parse_retry_after(&value, Timestamp::from_unix_seconds(seconds));
        prop_assert!(wait.is_none_or(|wait| wait <= limit::RETRY_AFTER_MAX));
    }

    #[test]
    fn seconds_within_the_bound_are_taken_as_they_are(seconds in 0..=DAY) {
        let wait = parse_retry_after(&seconds.to_string(), now());
        prop_assert_eq!(wait, Some(Duration::from_secs(seconds)));
    }
}
