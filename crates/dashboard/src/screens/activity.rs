//! A stretch of time, application by application: where a bar of the overview's chart leads.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::{activity, applications};
use watchfire_store::{
    ActivityCounts, ApplicationFilter, Order, Owner, Range, Step, StoredApplication,
};

use super::deliveries::moment;
use crate::access::{Operator, View};
use crate::failure::{Answer, Failure};
use crate::params::Fields;
use crate::ui::block::{self, flush_panel, grouped, share};
use crate::ui::control::{self, Weight};
use crate::ui::table::{Row, column, number, table};
use crate::ui::{Icon, Page, Section, time};

/// Stretches up to this long are counted by the minute, as long as minutes are kept.
const FINE: Duration = Duration::from_hours(2);
/// The longest stretch.
const LONGEST: Duration = Duration::from_hours(31 * 24);

pub(crate) async fn page(operator: Operator, query: Fields) -> Answer {
    let Operator { view, org } = &operator;
    let (since, until) = stretch(&query, view.now);
    let range = Range::from_start(Order::Descending, limit::DASHBOARD_PAGE_ITEMS);
    let known =
        applications::list(view.engine(), org, &ApplicationFilter::default(), range).await?;
    let mut busy = Vec::new();
    for stored in known.iter().cloned() {
        let counts = counts(view, &stored, (since, until)).await?;
        if counts.accepted + settled(&counts) > 0 {
            busy.push((stored, counts));
        }
    }
    // What failed most needs a look first.
    busy.sort_by_key(|(_, counts)| std::cmp::Reverse((failed(counts), counts.accepted)));
    let body = html! {
        p.muted { "From " (time::absolute(since)) " until " (time::absolute(until)) "." }
        @if busy.is_empty() { (nothing()) } @else {
            (flush_panel("Applications", &html! {}, &listed(&busy, (since, until))))
        }
        @if known.len() >= limit::DASHBOARD_PAGE_ITEMS {
            p.hint { "Of the " (known.len()) " newest applications." }
        }
    };
    Ok(Page::new(Section::Overview, "What happened", body)
        .crumb("Overview", "/dashboard")
        .show(view))
}

/// The stretch an address names, bounded; the last hour unless it names one.
fn stretch(query: &Fields, now: Timestamp) -> (Timestamp, Timestamp) {
    let at = |name| query.filled(name).and_then(moment);
    let until = at("until")
        .unwrap_or(now)
        .min(now + Duration::from_hours(1));
    let since = at("since").unwrap_or(until - Duration::from_hours(1));
    (since.clamp(until - LONGEST, until), until)
}

async fn counts(
    view: &View,
    stored: &StoredApplication,
    (since, until): (Timestamp, Timestamp),
) -> Result<ActivityCounts, Failure> {
    let is_recent = view.now.since(since) < limit::ACTIVITY_MINUTES;
    let step = if is_recent && until.since(since) <= FINE {
        Step::Minute
    } else {
        Step::Hour
    };
    let owner = Owner::Application(stored.key);
    let chart = activity::chart(view.engine(), &owner, (since, until), step).await?;
    Ok(chart.total)
}

fn failed(counts: &ActivityCounts) -> u64 {
    counts.exhausted + counts.skipped
}

fn settled(counts: &ActivityCounts) -> u64 {
    counts.delivered + failed(counts)
}

fn nothing() -> Markup {
    let body = html! {
        p { "No event was accepted and no delivery ended in this time." }
        (control::link(Weight::Plain, Some(Icon::ArrowLeft), "Overview", "/dashboard"))
    };
    block::empty(Icon::Clock, "Nothing happened", &body)
}

fn listed(
    busy: &[(StoredApplication, ActivityCounts)],
    (since, until): (Timestamp, Timestamp),
) -> Markup {
    let columns = [
        column("Application"),
        number("Accepted"),
        number("Delivered"),
        number("Failed"),
        number("Success"),
    ];
    let row = |(stored, counts): &(StoredApplication, ActivityCounts)| {
        let app = &stored.application;
        let list =
            |more: &str| format!("/dashboard/apps/{}/deliveries?until={until}{more}", app.id);
        Row {
            href: Some(list(&format!("&since={since}"))),
            cells: vec![
                html! { strong.clip { (app.settings.name) } },
                html! { (grouped(counts.accepted)) },
                html! { (grouped(counts.delivered)) },
                html! {
                    @match failed(counts) {
                        0 => { "0" }
                        // What failed then may have been accepted long before.
                        some => { a.bad href=(list("&status=failed")) { (grouped(some)) } }
                    }
                },
                html! { (share(counts.delivered, settled(counts))) },
            ],
        }
    };
    let rows: Vec<_> = busy.iter().map(row).collect();
    table("Applications", &columns, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_bounded_and_never_runs_backwards() {
        let at = |text: &str| Timestamp::parse(text).expect("valid");
        let now = at("2026-11-21T15:30:00Z");
        let read = |query: &str| stretch(&Fields::read(query.as_bytes()).expect("few"), now);
        let hour = (at("2026-11-21T14:30:00Z"), now);
        for query in ["", "since=soon", "until=2026-11-21T15:30:00Z"] {
            assert_eq!(read(query), hour, "{query}");
        }
        let backwards = read("since=2026-11-21T12:00:00Z&until=2026-11-21T11:00:00Z");
        assert_eq!(backwards.0, backwards.1);
        assert_eq!(read("since=1970-01-01T00:00:00Z").0, now - LONGEST);
        assert!(read("until=2099-01-01T00:00:00Z").1 <= now + Duration::from_hours(1));
    }
}
