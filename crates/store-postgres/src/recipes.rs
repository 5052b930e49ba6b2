//! Rows of `recipe`.

use async_trait::async_trait;
use watchfire_domain::attempt::RecipeNumber;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, EndpointKey, Recipe, Recipes, StoreResult};

use crate::fault::{Fault, FaultResult};
use crate::open::Postgres;
use crate::parameter::params;
use crate::row::Columns;
use crate::session::{Mode, Tx, in_transaction};

#[async_trait]
impl Recipes for Postgres {
    async fn use_recipe(
        &self,
        endpoint: EndpointKey,
        recipe: &Recipe,
        now: Timestamp,
    ) -> StoreResult<RecipeNumber> {
        let work = in_transaction!(
            self.ledger, Mode::Write, tx => use_recipe(&tx, endpoint, recipe, now)
        );
        Ok(work.await?)
    }

    async fn recipe(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        number: RecipeNumber,
    ) -> StoreResult<Option<String>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => text(&tx, (app, endpoint), number)
        );
        Ok(work.await?)
    }
}

async fn use_recipe(
    tx: &Tx,
    endpoint: EndpointKey,
    recipe: &Recipe,
    now: Timestamp,
) -> FaultResult<RecipeNumber> {
    if let Some(number) = note_use(tx, endpoint, recipe, now).await? {
        return Ok(number);
    }
    // Numbers of an endpoint are drawn by one after the other.
    let sql = "SELECT key FROM endpoint WHERE key = $1 FOR NO KEY UPDATE";
    tx.query(sql, params![endpoint.0]).await?;
    if let Some(number) = note_use(tx, endpoint, recipe, now).await? {
        return Ok(number);
    }
    let sql = "INSERT INTO recipe (endpoint, number, digest, text, used_at, look_at) \
         SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM recipe WHERE endpoint = $1 \
         RETURNING number";
    let digest = recipe.digest.as_slice();
    let look_at = (now + limit::RECIPE_LOOKED_AT).unix_micros();
    let row = params![endpoint.0, digest, recipe.text, now.unix_micros(), look_at];
    let inserted = tx.first(sql, row).await?.ok_or(Fault::Late)?;
    Ok(RecipeNumber(
        Columns::of(&inserted, "recipe").get("number")?,
    ))
}

/// The number of a recipe that is there.
async fn note_use(
    tx: &Tx,
    endpoint: EndpointKey,
    recipe: &Recipe,
    now: Timestamp,
) -> FaultResult<Option<RecipeNumber>> {
    let sql = "UPDATE recipe SET used_at = greatest(used_at, $3), \
         look_at = greatest(look_at, $4) WHERE endpoint = $1 AND digest = $2 RETURNING number";
    let digest = recipe.digest.as_slice();
    let look_at = (now + limit::RECIPE_LOOKED_AT).unix_micros();
    let row = params![endpoint.0, digest, now.unix_micros(), look_at];
    let noted = tx.first(sql, row).await?;
    let number = noted.map(|row| Columns::of(&row, "recipe").get("number"));
    Ok(number.transpose()?.map(RecipeNumber))
}

async fn text(
    tx: &Tx,
    (app, endpoint): (AppKey, EndpointKey),
    number: RecipeNumber,
) -> FaultResult<Option<String>> {
    let sql = "SELECT r.text FROM endpoint e JOIN recipe r ON r.endpoint = e.key \
         WHERE e.key = $1 AND e.app = $2 AND r.number = $3";
    let found = tx.first(sql, params![endpoint.0, app.0, number.0]).await?;
    found
        .map(|row| Columns::of(&row, "recipe").get("text"))
        .transpose()
}
