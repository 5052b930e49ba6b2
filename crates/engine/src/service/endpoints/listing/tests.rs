//! What is asked for, and where pages begin.

use watchfire_domain::endpoint::Identity;
use watchfire_domain::health::{DisableCause, Health};
use watchfire_domain::id::Ksuid;
use watchfire_store::{AppKey, Endpoint};

use super::*;

fn id(n: u8) -> EndpointId {
    let mut bytes = [0; 20];
    bytes[19] = n;
    EndpointId::from_ksuid(Ksuid::from_bytes(bytes))
}

fn endpoint(n: u8, settings: &str) -> StoredEndpoint {
    StoredEndpoint {
        key: EndpointKey(n.into()),
        app: AppKey(1),
        revision: 1,
        health_revision: 0,
        endpoint: Endpoint {
            identity: Identity {
                id: id(n),
                uid: None,
                created_at: Timestamp::EPOCH,
                updated_at: Timestamp::EPOCH,
            },
            settings: serde_json::from_str(settings).expect("settings"),
            sealed: Vec::new(),
        },
        health: Health::default(),
    }
}

fn disabled(n: u8) -> StoredEndpoint {
    StoredEndpoint {
        health: Health::Disabled {
            since: Timestamp::EPOCH,
            cause: DisableCause::Gone,
            trouble: None,
            note: None,
        },
        ..endpoint(n, r#"{"url":"https://gone.example/"}"#)
    }
}

fn wanted(query: &EndpointQuery, stored: &StoredEndpoint) -> bool {
    query.wants(stored)
}

#[test]
fn all_that_is_said_must_hold() {
    let stored = endpoint(
        7,
        r#"{"url":"https://SIEM.example/in","description":"Blue team","owner":"ann",
            "subscription":{"eventTypes":["threat.*"]}}"#,
    );
    let some = |text: &str| Some(text.to_owned());
    let query = |change: fn(&mut EndpointQuery)| {
        let mut query = EndpointQuery::default();
        change(&mut query);
        query
    };
    assert!(query(|_| {}).is_plain());
    for (query, expected) in [
        (query(|_| {}), true),
        (query(|q| q.owner = Some("ann".to_owned())), true),
        (query(|q| q.owner = Some("bob".to_owned())), false),
        (query(|q| q.search = Some("siem".to_owned())), true),
        (query(|q| q.search = Some("BLUE".to_owned())), true),
        (query(|q| q.search = Some("red".to_owned())), false),
        (
            query(|q| q.event_type = Some("threat.made".to_owned())),
            true,
        ),
        (
            query(|q| q.event_type = Some("ticket.made".to_owned())),
            false,
        ),
        (query(|q| q.state = Some(Condition::Active)), true),
        (query(|q| q.state = Some(Condition::Disabled)), false),
    ] {
        assert_eq!(wanted(&query, &stored), expected, "{query:?}");
    }
    let by_id = EndpointQuery {
        search: some(&id(7).to_string()),
        ..EndpointQuery::default()
    };
    assert!(wanted(&by_id, &stored));
}

#[test]
fn an_owners_switch_counts_before_health() {
    let mut off = disabled(1);
    assert_eq!(Condition::of(&off), Condition::Disabled);
    off.endpoint.settings.disabled = true;
    assert_eq!(Condition::of(&off), Condition::SwitchedOff);
    for condition in Condition::ALL {
        assert_eq!(Condition::named(condition.name()), Some(condition));
    }
}

fn sorted(sort: Sort, all: Vec<StoredEndpoint>) -> Vec<(Key, StoredEndpoint)> {
    let none = BTreeMap::new();
    let mut sorted: Vec<_> = all
        .into_iter()
        .map(|stored| (key_of(sort, &stored, &none), stored))
        .collect();
    sorted.sort_by(by_key);
    sorted
}

fn ids(found: &[StoredEndpoint]) -> Vec<EndpointId> {
    let ids = found.iter().map(|stored| stored.endpoint.identity.id);
    ids.collect()
}

fn page(after: Option<EndpointId>, before: Option<EndpointId>, order: Order) -> Range<EndpointId> {
    Range {
        after,
        before,
        order,
        limit: 2,
    }
}

#[test]
fn a_list_by_name_is_read_page_by_page_in_both_directions() {
    let named = |n, name: &str| {
        let settings = format!(r#"{{"url":"https://x.example/","description":"{name}"}}"#);
        endpoint(n, &settings)
    };
    let all = || {
        sorted(
            Sort::Name,
            vec![named(1, "c"), named(2, "A"), named(3, "b")],
        )
    };
    let read = |range| stretch(all(), &range).map(|found| ids(&found));
    let up = Order::Ascending;
    assert_eq!(read(page(None, None, up)).expect("there"), [id(2), id(3)]);
    assert_eq!(read(page(Some(id(3)), None, up)).expect("there"), [id(1)]);
    let down = Order::Descending;
    assert_eq!(read(page(None, None, down)).expect("there"), [id(1), id(3)]);
    assert_eq!(read(page(None, Some(id(3)), down)).expect("there"), [id(2)]);
    let lost = read(page(Some(id(9)), None, up));
    assert!(matches!(lost, Err(Error::Invalid(_))), "{lost:?}");
}

#[test]
fn the_worst_stand_at_one_end() {
    let fine = endpoint(2, r#"{"url":"https://x.example/"}"#);
    let all = sorted(Sort::Failing, vec![disabled(1), fine]);
    let worst = stretch(all, &page(None, None, Order::Descending)).expect("there");
    assert_eq!(ids(&worst), [id(1), id(2)]);
}
