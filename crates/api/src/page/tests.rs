//! Where a page begins and ends. Walking lists is tested from outside, in `tests/api/paging.rs`.

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn at(day: u32) -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000) + DAY * day
}

fn id_at(day: u32) -> MessageId {
    MessageId::first_at(at(day))
}

fn page(iterator: Option<String>, after: Option<u32>, before: Option<u32>) -> Page<MessageId> {
    let query = PageQuery {
        limit: None,
        iterator,
    };
    let window = WindowQuery {
        before: before.map(at),
        after: after.map(at),
    };
    Page::by_time(&query, &window, at(1_000)).expect("valid")
}

/// Days of the bounds, to within the hour a list may look ahead.
fn check(page: &Page<MessageId>, order: Order, after: u32, before: u32) {
    let day = |id: Option<MessageId>| id.map(|id| id.created_at().since(at(0)));
    let near = |found: Option<Duration>, expect: u32| {
        let found = found.expect("a list by time has both bounds");
        found.abs_diff(DAY * expect) <= AHEAD
    };
    let range = page.range();
    assert_eq!(range.order, order);
    assert!(near(day(range.after), after), "after {:?}", range.after);
    assert!(near(day(range.before), before), "before {:?}", range.before);
}

#[test]
fn a_list_by_time_looks_back_from_now() {
    check(&page(None, None, None), Order::Descending, 910, 1_000);
}

#[test]
fn a_bound_or_an_iterator_moves_the_window() {
    check(&page(None, None, Some(500)), Order::Descending, 410, 500);
    check(&page(None, Some(500), None), Order::Ascending, 500, 590);
    check(
        &page(None, Some(480), Some(500)),
        Order::Descending,
        480,
        500,
    );
    let on = |day| Some(id_at(day).to_string());
    check(&page(on(300), None, None), Order::Descending, 210, 300);
    let back = |day| Some(format!("-{}", id_at(day)));
    check(&page(back(300), None, None), Order::Ascending, 300, 390);
    check(&page(back(990), None, None), Order::Ascending, 990, 1_000);
}

#[test]
fn the_narrower_of_iterator_and_bound_counts() {
    let on = |day| Some(id_at(day).to_string());
    check(&page(on(300), None, Some(280)), Order::Descending, 190, 280);
    check(&page(on(300), Some(290), None), Order::Descending, 290, 300);
    let back = |day| Some(format!("-{}", id_at(day)));
    check(
        &page(back(300), None, Some(310)),
        Order::Ascending,
        300,
        310,
    );
    check(
        &page(back(300), Some(305), None),
        Order::Ascending,
        305,
        395,
    );
}

#[test]
fn the_spellings_of_event_types_are_known() {
    for name in [
        "event_types",
        "event_types[]",
        "event_types[0]",
        "event_types[12]",
    ] {
        assert!(names_event_types(name), "{name}");
    }
    for name in [
        "event_type",
        "event_typesx",
        "event_types[x]",
        "event_types[",
        "event_types]",
    ] {
        assert!(!names_event_types(name), "{name}");
    }
}
