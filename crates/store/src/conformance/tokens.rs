//! Signed tokens that are void.

use std::sync::Arc;

use watchfire_domain::id::ApplicationId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;

use super::changes::changed_by;
use super::configuration::conflict;
use super::world::{World, at, name};
use crate::{
    Change, Changed, Conflict, PruneOrder, Retention, Retentions, Store, TokenMark, TokenSet,
    TokenVoid,
};

/// A token of the organization itself, made at a second.
fn token(world: &World, issued: u64) -> TokenMark {
    TokenMark {
        hash: [1; 32],
        org: world.org.clone(),
        application: None,
        session: None,
        issued_at: at(issued),
    }
}

/// A token of an application and a session of it.
fn token_of(world: &World, application: ApplicationId, session: &str, issued: u64) -> TokenMark {
    TokenMark {
        hash: [2; 32],
        application: Some(application),
        session: Some(session.to_owned()),
        ..token(world, issued)
    }
}

/// All of a set made at or before a second are void at once.
fn void(world: &World, set: TokenSet, second: u64) -> TokenVoid {
    TokenVoid {
        org: world.org.clone(),
        sets: vec![set],
        issued_until: at(second),
        void_from: at(second),
        said_at: at(second),
        forget_at: None,
    }
}

fn session(application: ApplicationId, session: impl Into<String>) -> TokenSet {
    TokenSet::Session {
        application,
        session: session.into(),
    }
}

async fn make_void(world: &World, void: TokenVoid) {
    let change = Change::VoidTokens(Box::new(void));
    world.store.apply(vec![change]).await.expect("apply it");
}

async fn void_from(world: &World, token: &TokenMark) -> Option<Timestamp> {
    world.store.token_void_from(token).await.expect("read it")
}

pub async fn a_token_is_void_in_every_set_it_is_in(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let other: ApplicationId = name("app_000000000000000000000000001");
    let tokens = [
        token(&world, 0),
        TokenMark {
            session: None,
            ..token_of(&world, world.app_id, "", 0)
        },
        token_of(&world, world.app_id, "a", 0),
        token_of(&world, world.app_id, "b", 0),
        token_of(&world, other, "a", 0),
    ];
    let which = async || {
        let mut void = Vec::<usize>::new();
        for (index, token) in tokens.iter().enumerate() {
            if void_from(&world, token).await.is_some() {
                void.push(index);
            }
        }
        void
    };
    assert_eq!(which().await, [0; 0]);
    let stranger = TokenVoid {
        org: name("org_two"),
        ..void(&world, TokenSet::Organization, 9)
    };
    make_void(&world, stranger).await;
    assert_eq!(which().await, [0; 0], "another organization's");
    for (set, expect) in [
        (TokenSet::One([1; 32]), vec![0]),
        (session(world.app_id, "a"), vec![0, 2]),
        (TokenSet::Application(world.app_id), vec![0, 1, 2, 3]),
        (TokenSet::Organization, vec![0, 1, 2, 3, 4]),
    ] {
        make_void(&world, void(&world, set, 1)).await;
        assert_eq!(which().await, expect);
    }
}

pub async fn tokens_made_later_stay_valid(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    make_void(&world, void(&world, TokenSet::Organization, 5)).await;
    let issued = |issued_at| TokenMark {
        issued_at,
        ..token(&world, 0)
    };
    let micro = std::time::Duration::from_micros(1);
    for (issued_at, expect) in [
        (Timestamp::MIN, Some(at(5))),
        (at(5), Some(at(5))),
        (at(5) + micro, None),
    ] {
        assert_eq!(void_from(&world, &issued(issued_at)).await, expect);
    }
}

pub async fn a_set_can_be_void_from_a_later_time_on(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let app = TokenSet::Application(world.app_id);
    let later = |issued, from| TokenVoid {
        void_from: at(from),
        ..void(&world, app.clone(), issued)
    };
    make_void(&world, later(5, 50)).await;
    let check = async |issued, expect: Option<u64>| {
        let token = token_of(&world, world.app_id, "a", issued);
        assert_eq!(void_from(&world, &token).await, expect.map(at), "{issued}");
    };
    check(5, Some(50)).await;
    check(6, None).await;
    // A later one that takes effect later still leaves the first as it is.
    make_void(&world, later(6, 60)).await;
    check(5, Some(50)).await;
    check(6, Some(60)).await;
    make_void(&world, later(7, 7)).await;
    check(5, Some(7)).await;
    check(6, Some(7)).await;
    // What says less than what is known changes nothing.
    make_void(&world, later(6, 70)).await;
    check(6, Some(7)).await;
}

pub async fn what_is_implied_makes_room(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let full = TokenVoid {
        sets: (1..limit::TOKEN_VOIDS_PER_ORGANIZATION_MAX)
            .map(|n| session(world.app_id, n.to_string()))
            .collect(),
        ..void(&world, TokenSet::Organization, 1)
    };
    make_void(&world, full).await;
    // The same set over and over takes one place.
    for second in 2..5 {
        make_void(&world, void(&world, TokenSet::One([1; 32]), second)).await;
    }
    make_void(&world, void(&world, TokenSet::Organization, 5)).await;
    for n in 0..3 {
        make_void(&world, void(&world, TokenSet::One([n; 32]), 6)).await;
    }
    let old = token_of(&world, world.app_id, "7", 1);
    assert_eq!(void_from(&world, &old).await, Some(at(5)));
}

pub async fn an_organization_has_a_limited_number_of_void_sets(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let sets = |from, to| TokenVoid {
        sets: (from..to)
            .map(|n: usize| session(world.app_id, n.to_string()))
            .collect(),
        ..void(&world, TokenSet::Organization, 1)
    };
    let most = limit::TOKEN_VOIDS_PER_ORGANIZATION_MAX;
    make_void(&world, sets(0, most)).await;
    let one_more = Change::VoidTokens(Box::new(sets(most, most + 1)));
    assert_eq!(
        conflict(&world, vec![one_more]).await,
        Conflict::TokenVoidLimit
    );
    let last = token_of(&world, world.app_id, &most.to_string(), 1);
    assert_eq!(void_from(&world, &last).await, None);
    let other = TokenVoid {
        org: name("org_two"),
        ..void(&world, TokenSet::One([1; 32]), 1)
    };
    make_void(&world, other).await;
    make_void(&world, void(&world, TokenSet::Organization, 2)).await;
    assert_eq!(void_from(&world, &last).await, Some(at(2)));
}

pub async fn a_deleted_application_leaves_no_void_tokens(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let all = TokenVoid {
        sets: vec![
            TokenSet::Application(world.app_id),
            session(world.app_id, "a"),
            TokenSet::One([1; 32]),
        ],
        ..void(&world, TokenSet::Organization, 1)
    };
    make_void(&world, all).await;
    let delete = Change::DeleteApplication {
        key: world.app,
        now: at(1),
    };
    world.store.apply(vec![delete]).await.expect("apply");
    let gone = token_of(&world, world.app_id, "a", 0);
    assert_eq!(void_from(&world, &gone).await, None);
    assert_eq!(void_from(&world, &token(&world, 0)).await, Some(at(1)));
}

pub async fn void_tokens_are_forgotten_when_none_would_be_valid(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let short = TokenVoid {
        forget_at: Some(at(10)),
        ..void(&world, TokenSet::One([1; 32]), 1)
    };
    make_void(&world, short).await;
    make_void(&world, void(&world, TokenSet::One([2; 32]), 1)).await;
    let lasting = TokenMark {
        hash: [2; 32],
        ..token(&world, 0)
    };
    for (now, expect) in [(9, Some(at(1))), (10, None)] {
        let order = PruneOrder {
            now: at(now),
            retentions: Arc::new(Retentions::for_all(Retention {
                payloads: limit::RETRY_DELAY_MAX,
                messages: limit::RETRY_DELAY_MAX,
            })),
            rows_max: 1_000,
        };
        world.store.prune(order).await.expect("prune");
        assert_eq!(void_from(&world, &token(&world, 0)).await, expect);
        assert_eq!(void_from(&world, &lasting).await, Some(at(1)));
    }
}

pub async fn void_tokens_are_logged(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let void = void(&world, TokenSet::Organization, 1);
    let changed = changed_by(&world, Change::VoidTokens(Box::new(void))).await;
    assert_eq!(changed, [Changed::Tokens]);
}
