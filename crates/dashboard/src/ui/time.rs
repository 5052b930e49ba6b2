//! Times as people say them.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::time::Timestamp;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `3 min ago` or `in 3 min`; the absolute time is in its title. The script keeps it true.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) title=(absolute(at)) data-relative { (spoken(at, now)) }
    }
}

/// Both: `21 Nov 2026, 15:30:12 UTC` and how long ago that was.
pub(crate) fn both(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        span.nowrap { (absolute(at)) }
        " "
        span.muted.nowrap { "(" (relative(at, now)) ")" }
    }
}

/// A countdown to a moment; the script counts.
pub(crate) fn countdown(at: Timestamp, now: Timestamp) -> Markup {
    let left = if at <= now {
        "now".to_owned()
    } else {
        format!("in {}", long(at.since(now)))
    };
    html! {
        time.number datetime=(at) title=(absolute(at)) data-countdown { (left) }
    }
}

/// `21 Nov 2026, 15:30:12 UTC`.
pub(crate) fn absolute(at: Timestamp) -> String {
    let text = at.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{}, {} UTC", day(date), &time[..8.min(time.len())])
}

/// `21 Nov, 15:00`, for axes and buckets.
pub(crate) fn hour(at: Timestamp) -> String {
    let text = at.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    let day = day(date);
    let short = day
        .rsplit_once(' ')
        .map_or(day.as_str(), |(short, _)| short);
    format!("{short}, {}", &time[..5.min(time.len())])
}

/// `15:00`.
pub(crate) fn clock(at: Timestamp) -> String {
    at.to_string().get(11..16).unwrap_or_default().to_owned()
}

fn day(date: &str) -> String {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.checked_sub(1)?));
    let day = day.unwrap_or_default().trim_start_matches('0');
    format!(
        "{day} {} {}",
        month.unwrap_or(&""),
        year.unwrap_or_default()
    )
}

/// As the script says it too.
fn spoken(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        return format!("in {}", rough(at.since(now)));
    }
    let ago = now.since(at);
    if ago < Duration::from_secs(5) {
        "just now".to_owned()
    } else {
        format!("{} ago", rough(ago))
    }
}

/// One unit: `42 s`, `3 min`, `5 h`, `2 d`.
pub(crate) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Two units: `1 h 20 min`.
pub(crate) fn long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(size, _)| seconds >= *size) else {
        return format!("{} ms", duration.as_millis());
    };
    let (size, unit) = units[first];
    let whole = format!("{} {unit}", seconds / size);
    match units.get(first + 1) {
        Some((smaller, unit)) if !(seconds % size / smaller).eq(&0) => {
            format!("{whole} {} {unit}", seconds % size / smaller)
        }
        _ => whole,
    }
}

/// How long something took: `0.8 ms`, `240 ms`, `1.24 s`.
pub(crate) fn took(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..10_000 => format!("{:.1} ms", duration.as_secs_f64() * 1_000.0),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_a_few_words() {
        let now = Timestamp::parse("2026-11-21T15:30:12.5Z").expect("valid");
        assert_eq!(absolute(now), "21 Nov 2026, 15:30:12 UTC");
        assert_eq!(hour(now), "21 Nov, 15:30");
        assert_eq!(clock(now), "15:30");
        let ago = |seconds| spoken(now - Duration::from_secs(seconds), now);
        assert_eq!(ago(0), "just now");
        assert_eq!(ago(42), "42 s ago");
        assert_eq!(ago(3_599), "59 min ago");
        assert_eq!(ago(90_000), "25 h ago");
        assert_eq!(ago(400_000), "4 d ago");
        assert_eq!(spoken(now + Duration::from_secs(61), now), "in 1 min");
        assert_eq!(long(Duration::from_mins(80)), "1 h 20 min");
        assert_eq!(long(Duration::from_hours(1)), "1 h");
        assert_eq!(long(Duration::from_millis(20)), "20 ms");
        assert_eq!(took(Duration::from_micros(800)), "0.8 ms");
        assert_eq!(took(Duration::from_millis(240)), "240 ms");
        assert_eq!(took(Duration::from_millis(1_240)), "1.24 s");
    }
}
