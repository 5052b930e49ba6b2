//! How requests were made, for as long as attempts refer to it.

use std::sync::Arc;

use watchfire_domain::attempt::{Attempt, RecipeNumber, Sent, Settlement};
use watchfire_domain::id::AttemptId;
use watchfire_domain::limit;
use watchfire_domain::outcome::Outcome;
use watchfire_domain::time::Timestamp;

use super::prune::{DAY, order, prune};
use super::world::{World, at, settled};
use crate::{Change, EndpointKey, Recipe, Store};

/// Some recipe; equal digests for equal texts.
fn recipe(text: &str) -> Recipe {
    let mut digest = [0; 32];
    digest[..text.len()].copy_from_slice(text.as_bytes());
    Recipe {
        digest,
        text: text.to_owned(),
    }
}

async fn used(world: &World, text: &str, now: Timestamp) -> RecipeNumber {
    let told = world
        .store
        .use_recipe(world.endpoints[0], &recipe(text), now)
        .await;
    told.expect("tell of it")
}

async fn text(world: &World, number: RecipeNumber) -> Option<String> {
    let found = world
        .store
        .recipe(world.app, world.endpoints[0], number)
        .await;
    found.expect("read it")
}

/// A delivery on a day, by a recipe.
async fn delivered(world: &World, day: u64, recipe: RecipeNumber) {
    let accepted = world.message_with(|message| message.accepted_at = at(day * DAY));
    let seq = world.accept(accepted).await;
    let attempt = Attempt {
        id: AttemptId::new(at(day * DAY), &*world.chance),
        attempted_at: at(day * DAY),
        sent: Some(Sent {
            recipe,
            signature: "v1,c2lnbmVk".to_owned(),
        }),
        ..world.attempt(
            Outcome::Accepted { status: 200 },
            settled(Settlement::Delivered),
        )
    };
    let record = world.fresh(world.endpoints[0], seq, attempt);
    world.record_attempt(at(day * DAY), record).await;
}

pub async fn a_recipe_has_one_number_with_each_endpoint(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let first = used(&world, "first", at(0)).await;
    let second = used(&world, "second", at(0)).await;
    assert_eq!((first, second), (RecipeNumber(1), RecipeNumber(2)));
    assert_eq!(used(&world, "first", at(1)).await, first);
    assert_eq!(text(&world, first).await.as_deref(), Some("first"));
    assert_eq!(text(&world, second).await.as_deref(), Some("second"));
    assert_eq!(text(&world, RecipeNumber(3)).await, None);
    let other = world.endpoints[1];
    let second = recipe("second");
    let told = world.store.use_recipe(other, &second, at(0)).await;
    assert_eq!(told.expect("tell of it"), RecipeNumber(1));
    let found = world.store.recipe(world.app, other, RecipeNumber(1));
    assert_eq!(found.await.expect("read it").as_deref(), Some("second"));
}

pub async fn a_recipe_of_another_application_is_not_found(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let number = used(&world, "mine", at(0)).await;
    let other = world.another_application(1).await;
    let found = other.store.recipe(other.app, world.endpoints[0], number);
    assert_eq!(found.await.expect("read it"), None);
}

pub async fn recipes_told_of_at_once_have_numbers_of_their_own(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let texts = ["a", "b", "a", "c", "b", "d", "a", "c"];
    let told = texts.map(|text| {
        let world = world.clone();
        tokio::spawn(async move { (text, used(&world, text, at(0)).await) })
    });
    for one in told {
        let (written, number) = one.await.expect("it ends");
        assert_eq!(text(&world, number).await.as_deref(), Some(written));
        assert!((1..=4).contains(&number.0), "{number:?}");
    }
}

pub async fn a_recipe_goes_with_the_last_attempt_of_its_time(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let (old, new) = (
        used(&world, "old", at(0)).await,
        used(&world, "new", at(5 * DAY)).await,
    );
    delivered(&world, 0, old).await;
    delivered(&world, 5, new).await;
    prune(&world, order(9)).await;
    assert!(text(&world, old).await.is_some(), "its attempt is kept");
    // The message of the first day goes; a while later it is seen that its recipe can go.
    let look = limit::RECIPE_LOOKED_AT.as_secs() / DAY;
    prune(&world, order(12)).await;
    prune(&world, order(12 + look)).await;
    assert_eq!(text(&world, old).await, None);
    assert_eq!(text(&world, new).await, None, "its message is gone as well");
    assert_eq!(used(&world, "new", at(30 * DAY)).await, RecipeNumber(1));
}

pub async fn a_recipe_in_use_stays(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let number = used(&world, "idle", at(0)).await;
    let look = limit::RECIPE_LOOKED_AT.as_secs() / DAY;
    assert_eq!(used(&world, "idle", at(look * DAY)).await, number);
    // A late word of an earlier use takes nothing back.
    assert_eq!(used(&world, "idle", at(DAY)).await, number);
    prune(&world, order(2 * look - 1)).await;
    assert!(text(&world, number).await.is_some());
    prune(&world, order(2 * look)).await;
    assert_eq!(text(&world, number).await, None);
}

pub async fn a_recipe_outlives_its_endpoint_while_an_attempt_is_left(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let number = used(&world, "old", at(0)).await;
    delivered(&world, 0, number).await;
    delete(&world, world.endpoints[0]).await;
    prune(&world, order(9)).await;
    assert_eq!(text(&world, number).await.as_deref(), Some("old"));
    prune(&world, order(12)).await;
    assert_eq!(text(&world, number).await, None);
}

async fn delete(world: &World, key: EndpointKey) {
    let change = Change::DeleteEndpoint { key, now: at(1) };
    world.store.apply(vec![change]).await.expect("delete it");
}

pub async fn a_deleted_applications_recipes_go_at_once(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    let number = used(&world, "mine", at(0)).await;
    let theirs = used(&other, "theirs", at(0)).await;
    let key = world.app;
    let change = Change::DeleteApplication { key, now: at(1) };
    world.store.apply(vec![change]).await.expect("delete it");
    assert!(prune(&world, order(1)).await >= 1);
    assert_eq!(text(&world, number).await, None);
    assert_eq!(text(&other, theirs).await.as_deref(), Some("theirs"));
}
