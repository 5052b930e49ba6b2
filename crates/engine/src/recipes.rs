//! By which recipe requests are made: the store is told before one is used, and again from time to
//! time while it is, so that what an attempt sent can be shown as it was.
//!
//! What is known to be stored is remembered here, so an attempt pays a look into a map. Whoever
//! finds nothing, or something old, tells the store; others of the same endpoint wait for that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use watchfire_domain::attempt::RecipeNumber;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{EndpointKey, Recipe, Store, StoreResult};

pub(crate) struct RecipeBook {
    store: Arc<dyn Store>,
    known: Mutex<HashMap<EndpointKey, Arc<Known>>>,
}

/// A recipe that the store was, or is being, told of.
struct Known {
    digest: [u8; 32],
    told_at: Timestamp,
    number: OnceCell<RecipeNumber>,
}

impl Known {
    fn is_still(&self, recipe: &Recipe, told_for: Duration, now: Timestamp) -> bool {
        self.digest == recipe.digest && now < self.told_at + told_for
    }
}

/// How long a word about an endpoint's recipe holds. It differs between endpoints, so that those
/// that began together, say after a restart, do not all wait for the store together again.
fn told_for(endpoint: EndpointKey) -> Duration {
    let place = u32::from(endpoint.0.to_le_bytes()[0]);
    limit::RECIPE_TOLD / 512 * (512 - place)
}

impl RecipeBook {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    /// The number under which a recipe is stored.
    pub(crate) async fn number(
        &self,
        endpoint: EndpointKey,
        recipe: &Recipe,
        now: Timestamp,
    ) -> StoreResult<RecipeNumber> {
        let known = self.known(endpoint, recipe, now);
        let tell = || self.store.use_recipe(endpoint, recipe, now);
        known.number.get_or_try_init(tell).await.copied()
    }

    fn known(&self, endpoint: EndpointKey, recipe: &Recipe, now: Timestamp) -> Arc<Known> {
        let mut known = self.known.lock();
        if let Some(known) = known.get(&endpoint)
            && known.is_still(recipe, told_for(endpoint), now)
        {
            return Arc::clone(known);
        }
        make_room(&mut known);
        let new = Arc::new(Known {
            digest: recipe.digest,
            told_at: now,
            number: OnceCell::new(),
        });
        known.insert(endpoint, Arc::clone(&new));
        new
    }
}

/// Forgets some endpoint when the map is full: its order is as good as chance.
fn make_room(known: &mut HashMap<EndpointKey, Arc<Known>>) {
    if known.len() < limit::KNOWN_RECIPES_MAX {
        return;
    }
    if let Some(victim) = known.keys().next().copied() {
        known.remove(&victim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_told_of_at_different_times_and_often_enough() {
        let (first, last) = (told_for(EndpointKey(0)), told_for(EndpointKey(255)));
        assert_eq!(first, limit::RECIPE_TOLD);
        assert!(
            last > limit::RECIPE_TOLD / 2 && last < limit::RECIPE_TOLD,
            "{last:?}"
        );
        assert_eq!(told_for(EndpointKey(256)), first);
    }
}
