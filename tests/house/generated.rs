//! Reference pages that are made from the code. `make docs` writes them anew.

use std::fmt::Write as _;
use std::time::Duration;

use watchfire_domain::limit::{TABLE, Value};

use crate::repository::root;

mod contracts;
mod health;

/// Compares a page with what the code says, or writes it if `WATCHFIRE_UPDATE_DOCS` is set.
fn expect_fresh(path: &str, expected: &str) {
    let page = root().join(path);
    if std::env::var_os("WATCHFIRE_UPDATE_DOCS").is_some() {
        std::fs::write(&page, expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is out of date.\n\nTo mend: run `make docs` and commit the page."
    );
}

/// A number with commas between groups of three digits.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the largest unit that gives a whole number.
fn bytes(count: usize) -> String {
    match count {
        _ if count > 0 && count.is_multiple_of(1024 * 1024) => {
            format!("{} MiB", count / (1024 * 1024))
        }
        _ if count > 0 && count.is_multiple_of(1024) => format!("{} KiB", count / 1024),
        _ => format!("{count} bytes"),
    }
}

/// In the largest unit that gives a whole number.
fn span(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let units: [(u128, &str); 4] = [
        (86_400_000, "days"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1_000, "s"),
    ];
    let whole =
        |(unit, _): &&(u128, &str)| milliseconds > *unit && milliseconds.is_multiple_of(*unit);
    match units.iter().find(whole) {
        Some((unit, name)) => format!("{} {name}", milliseconds / unit),
        None => format!("{} ms", grouped(milliseconds)),
    }
}

fn written(value: Value) -> String {
    match value {
        Value::Bytes(count) => bytes(count),
        Value::Characters(count) => format!("{} characters", grouped(count as u128)),
        Value::Count(count) => grouped(count as u128),
        Value::Time(time) => span(time),
    }
}

fn limits_page() -> String {
    let mut page = String::from(
        "# Limits\n\n\
         Every queue, body, list and wait has a limit.\n\
         They are declared in `crates/domain/src/limit.rs`; this page is generated from there.\n\n\
         | limit | value | what it bounds, and why |\n\
         |---|---|---|\n",
    );
    for limit in TABLE {
        let value = written(limit.value);
        let reason = limit.reason.trim().replace('|', "\\|");
        writeln!(page, "| `{}` | {value} | {reason} |", limit.name).expect("a string grows");
    }
    page
}

#[test]
fn the_page_of_limits_is_fresh() {
    expect_fresh("docs/reference/limits.md", &limits_page());
}

#[test]
fn values_are_written_for_people() {
    assert_eq!(written(Value::Bytes(1024 * 1024)), "1 MiB");
    assert_eq!(written(Value::Bytes(75)), "75 bytes");
    assert_eq!(written(Value::Count(4_096)), "4,096");
    assert_eq!(written(Value::Time(Duration::from_mins(5))), "5 min");
    assert_eq!(written(Value::Time(Duration::from_secs(15))), "15 s");
    assert_eq!(
        written(Value::Time(Duration::from_millis(1_500))),
        "1,500 ms"
    );
}
