//! Mail: counted with its cause, claimed once, one mail for a storm.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::id::{EndpointId, Ksuid, NoticeId};
use watchfire_domain::mail::Address;
use watchfire_domain::notice::NoticeKind;

use super::world::{World, at, live};
use crate::{
    Change, DueMail, InboxPlace, MailClaim, MailEnd, MailResult, NewNotice, Store, StoreError,
    Write,
};

/// A notice to be mailed two seconds later.
fn notice(world: &World, kind: NoticeKind, seconds: u64) -> NewNotice {
    NewNotice {
        id: NoticeId::new(at(seconds), world.chance.as_ref()),
        org: world.org.clone(),
        at: at(seconds),
        kind,
        data: format!(r#"{{"n":{seconds}}}"#),
        webhook: false,
        inbox: Some(InboxPlace {
            application: world.app_id,
            endpoint: world.endpoints[0],
            endpoint_id: EndpointId::from_ksuid(Ksuid::MIN),
            mail_at: Some(at(seconds + 2)),
        }),
    }
}

async fn tell(world: &World, kind: NoticeKind, seconds: u64) -> NewNotice {
    let notice = notice(world, kind, seconds);
    let change = Change::Tell(notice.clone());
    world.store.apply(vec![change]).await.expect("apply");
    notice
}

fn due_by(world: &World, seconds: u64) -> MailClaim {
    MailClaim {
        life: world.life.clone(),
        now: at(seconds),
        lease_until: at(seconds + 60),
        limit: 10,
    }
}

async fn claim(world: &World, seconds: u64) -> Vec<DueMail> {
    let claimed = world.store.claim_mail(due_by(world, seconds)).await;
    claimed.expect("claimed")
}

async fn end(world: &World, mail: &DueMail, result: MailResult) {
    let end = MailEnd {
        endpoint: mail.endpoint,
        kind: mail.kind,
        token: mail.token,
        count: mail.count,
        last_at: mail.last_at,
        result,
    };
    world.store.end_mail(vec![end]).await.expect("ended");
}

fn told(seconds: u64) -> MailResult {
    MailResult::Told {
        rest_until: at(seconds),
    }
}

const EXHAUSTED: NoticeKind = NoticeKind::AttemptExhausted;

pub async fn a_mail_is_counted_with_its_attempt(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seq = world.accept(world.message()).await;
    let new = notice(&world, EXHAUSTED, 1);
    let mut record = world.fresh(world.endpoints[0], seq, world.exhausted());
    record.notices = vec![new.clone()];
    let write = Write::Attempt(Arc::new(record));
    for _ in 0..2 {
        world.record(at(1), vec![write.clone()]).await;
    }
    assert!(
        claim(&world, 2).await.is_empty(),
        "it gathers until its time"
    );
    assert_eq!(world.store.next_mail_at().await.expect("read"), Some(at(3)));
    let due = claim(&world, 3).await;
    assert_eq!(due.len(), 1);
    let mail = &due[0];
    assert_eq!(
        (mail.id, &mail.org, mail.kind),
        (new.id, &new.org, EXHAUSTED)
    );
    assert_eq!(
        (mail.endpoint, mail.application),
        (world.endpoints[0], world.app_id)
    );
    assert_eq!(
        (mail.count, mail.tries),
        (1, 1),
        "a repeated attempt counts once"
    );
    assert_eq!((mail.first_at, mail.last_at), (at(1), at(1)));
    assert_eq!(mail.data, new.data);
    assert!(mail.left.is_empty());
}

pub async fn what_is_not_to_be_mailed_is_not_counted(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut quiet = notice(&world, EXHAUSTED, 1);
    quiet.inbox.as_mut().expect("a place").mail_at = None;
    let change = Change::Tell(quiet);
    world.store.apply(vec![change]).await.expect("apply");
    assert_eq!(world.store.next_mail_at().await.expect("read"), None);
    assert!(claim(&world, 1_000).await.is_empty());
}

pub async fn a_storm_is_one_mail_and_the_rest_another(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    for seconds in 1..=50 {
        tell(&world, EXHAUSTED, seconds).await;
    }
    let due = claim(&world, 60).await;
    assert_eq!((due.len(), due[0].count), (1, 50));
    assert_eq!((due[0].first_at, due[0].last_at), (at(1), at(50)));
    // While it is sent, more comes.
    let late = tell(&world, EXHAUSTED, 61).await;
    tell(&world, NoticeKind::EndpointDisabled, 62).await;
    end(&world, &due[0], told(960)).await;
    let other = claim(&world, 64).await;
    let kinds: Vec<_> = other.iter().map(|mail| mail.kind).collect();
    assert_eq!(
        kinds,
        [NoticeKind::EndpointDisabled],
        "the storm's kind rests"
    );
    assert!(claim(&world, 100).await.is_empty());
    let rest = claim(&world, 960).await;
    let rest = rest
        .iter()
        .find(|mail| mail.kind == EXHAUSTED)
        .expect("due");
    assert_eq!((rest.count, rest.id, rest.tries), (1, late.id, 1));
}

pub async fn after_its_rest_a_kind_begins_anew(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    tell(&world, EXHAUSTED, 1).await;
    let due = claim(&world, 3).await;
    end(&world, &due[0], told(900)).await;
    assert_eq!(world.store.next_mail_at().await.expect("read"), None);
    tell(&world, EXHAUSTED, 10).await;
    assert_eq!(
        world.store.next_mail_at().await.expect("read"),
        Some(at(900))
    );
    let due = claim(&world, 900).await;
    assert_eq!((due[0].count, due[0].first_at), (1, at(10)));
    end(&world, &due[0], told(1_800)).await;
    assert!(claim(&world, 2_000).await.is_empty());
    tell(&world, EXHAUSTED, 2_001).await;
    assert_eq!(
        claim(&world, 2_003).await.len(),
        1,
        "nothing rests any more"
    );
}

pub async fn a_mail_is_leased_once_and_again_when_the_lease_ends(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    tell(&world, EXHAUSTED, 1).await;
    let first = claim(&world, 3).await;
    assert!(claim(&world, 4).await.is_empty());
    let second = claim(&world, 63).await;
    assert_eq!((second.len(), second[0].id), (1, first[0].id));
    assert_eq!(second[0].tries, 2);
    // The first sender comes late: its word counts no more.
    end(&world, &first[0], told(10_000)).await;
    end(&world, &second[0], MailResult::Failed { due_at: at(70) }).await;
    assert!(claim(&world, 69).await.is_empty());
    let third = claim(&world, 70).await;
    assert_eq!((third[0].count, third[0].tries), (1, 3));
}

pub async fn a_claim_ends_with_the_life_that_made_it(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    tell(&world, EXHAUSTED, 1).await;
    let first = claim(&world, 3).await;
    let again = World {
        life: live(&world.store, "one", Duration::ZERO).await,
        ..world.clone()
    };
    let late = world.store.claim_mail(due_by(&world, 4)).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    let second = claim(&again, 4).await;
    assert_eq!((second.len(), second[0].tries), (1, 2), "at once");
    // It is taken for dead, and its word counts no more once another has claimed.
    let two = World {
        life: live(&world.store, "two", Duration::from_hours(1)).await,
        ..world.clone()
    };
    let dead = two.store.undertake(&two.life, at(5)).await.expect("look");
    let dead = dead.expect("one has died");
    let third = claim(&two, 5).await;
    assert_eq!((third.len(), third[0].tries), (1, 3));
    end(&again, &second[0], told(900)).await;
    end(&world, &first[0], told(900)).await;
    two.store.bury(&dead).await.expect("bury it");
    assert!(claim(&two, 6).await.is_empty(), "the living keep theirs");
    end(&two, &third[0], told(900)).await;
    assert_eq!(two.store.next_mail_at().await.expect("read"), None);
}

pub async fn a_life_that_leaves_gives_back_what_it_claimed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    tell(&world, EXHAUSTED, 1).await;
    tell(&world, NoticeKind::EndpointDisabled, 2).await;
    let due = claim(&world, 4).await;
    let later = MailResult::Failed { due_at: at(30) };
    end(&world, &due[0], later).await;
    world.store.leave(&world.life).await.expect("it leaves");
    let two = World {
        life: live(&world.store, "two", Duration::from_hours(1)).await,
        ..world.clone()
    };
    let rest = claim(&two, 5).await;
    assert_eq!(rest.len(), 1, "what failed waits for its time");
    assert_eq!(rest[0].kind, due[1].kind);
    assert_eq!(claim(&two, 30).await.len(), 1);
}

pub async fn those_who_were_not_told_are_told_later(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    tell(&world, EXHAUSTED, 1).await;
    tell(&world, EXHAUSTED, 2).await;
    let left: Vec<Address> = vec![
        "a@example.com".parse().expect("valid"),
        "b@x".parse().expect("valid"),
    ];
    let due = claim(&world, 4).await;
    let partly = |due_at| MailResult::Partly {
        left: left.clone(),
        due_at,
    };
    end(&world, &due[0], partly(at(10))).await;
    tell(&world, EXHAUSTED, 5).await;
    let due = claim(&world, 10).await;
    assert_eq!((due[0].count, &due[0].left), (3, &left));
    end(&world, &due[0], partly(at(20))).await;
    let due = claim(&world, 20).await;
    end(&world, &due[0], told(900)).await;
    let rest = claim(&world, 900).await;
    assert_eq!(rest[0].count, 1, "the third notice was not for all");
    assert!(rest[0].left.is_empty());
}

pub async fn a_claim_is_bounded_and_takes_the_longest_due(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let kinds = [
        NoticeKind::EndpointDisabled,
        NoticeKind::EndpointSuspended,
        NoticeKind::EndpointRecovered,
    ];
    for (seconds, kind) in (1..).zip(kinds) {
        tell(&world, kind, seconds).await;
    }
    let claim = |limit| MailClaim {
        life: world.life.clone(),
        now: at(100),
        lease_until: at(100) + Duration::from_mins(1),
        limit,
    };
    let two = world.store.claim_mail(claim(2)).await.expect("claimed");
    let two: Vec<_> = two.iter().map(|mail| mail.kind).collect();
    assert_eq!(two, kinds[..2]);
    let rest = world.store.claim_mail(claim(2)).await.expect("claimed");
    assert_eq!(rest.len(), 1);
}
