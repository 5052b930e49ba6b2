//! How requests to endpoints were made, kept for as long as attempts refer to it.
//!
//! # Problem
//!
//! What an attempt sent must be shown as it was, also after the endpoint was changed or deleted and
//! after its contract has changed. Headers and bodies of each request would be many times what a
//! delivery writes otherwise.
//!
//! # Idea
//!
//! Thousands of requests are made by one [`Recipe`], so an attempt keeps its number. The caller
//! tells the store before it uses one, and again from time to time while it does.
//!
//! # Limits
//!
//! A recipe goes once no attempt can refer to it: [`can_go`]. Its digest tells one from another, so
//! an endpoint that is changed and changed back has two, however often.

use async_trait::async_trait;
use watchfire_domain::attempt::RecipeNumber;
use watchfire_domain::id::AttemptId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::keys::{AppKey, EndpointKey};

/// How requests to endpoints were made.
#[async_trait]
pub trait Recipes: Send + Sync {
    /// Stores a recipe, if the endpoint has none like it, and notes that it is used at `now`. Its
    /// number stays the same as long as it is told of within [`limit::RECIPE_TOLD`].
    async fn use_recipe(
        &self,
        endpoint: EndpointKey,
        recipe: &Recipe,
        now: Timestamp,
    ) -> StoreResult<RecipeNumber>;

    /// The text of a recipe; also of an endpoint that was deleted.
    async fn recipe(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        number: RecipeNumber,
    ) -> StoreResult<Option<String>>;
}

/// What shapes requests besides the message, the time and secrets, in words of the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The SHA-256 of the text.
    pub digest: [u8; 32],
    pub text: String,
}

/// Whether nothing refers to a recipe that was used last at `used_at`, where `oldest` is the oldest
/// attempt of its endpoint.
pub fn can_go(used_at: Timestamp, oldest: Option<AttemptId>) -> bool {
    let last = used_at + limit::RECIPE_GRACE;
    oldest.is_none_or(|oldest| oldest.ksuid().created_at() > last)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use watchfire_domain::id::Ksuid;

    use super::*;

    #[test]
    fn a_recipe_goes_when_the_oldest_attempt_is_too_young_for_it() {
        let used_at = Timestamp::from_unix_seconds(1_800_000_000);
        let check = |after_it: Duration, expect| {
            let oldest = AttemptId::from_ksuid(Ksuid::first_at(used_at + after_it));
            assert_eq!(can_go(used_at, Some(oldest)), expect, "{after_it:?}");
        };
        check(Duration::ZERO, false);
        check(limit::RECIPE_GRACE / 2, false);
        check(limit::RECIPE_GRACE, false);
        check(limit::RECIPE_GRACE + Duration::from_secs(1), true);
        assert!(can_go(used_at, None));
    }

    #[test]
    fn what_is_in_use_is_told_of_before_it_is_looked_at() {
        assert!(limit::RECIPE_TOLD * 2 < limit::RECIPE_GRACE);
        assert!(limit::RECIPE_GRACE < limit::RECIPE_LOOKED_AT);
    }
}
