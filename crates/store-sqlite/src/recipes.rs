//! Rows of `recipe`.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use watchfire_domain::attempt::RecipeNumber;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, EndpointKey, Recipe, Recipes, StoreResult};

use crate::fault::{Fault, FaultResult};
use crate::open::Sqlite;
use crate::writer::{Rows, Tx};

#[async_trait]
impl Recipes for Sqlite {
    async fn use_recipe(
        &self,
        endpoint: EndpointKey,
        recipe: &Recipe,
        now: Timestamp,
    ) -> StoreResult<RecipeNumber> {
        let recipe = recipe.clone();
        let work = move |tx: &mut Tx<'_>| use_recipe(tx, endpoint, &recipe, now);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn recipe(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        number: RecipeNumber,
    ) -> StoreResult<Option<String>> {
        self.readers
            .run(move |connection| text(connection, (app, endpoint), number))
            .await
    }
}

fn use_recipe(
    tx: &Tx<'_>,
    endpoint: EndpointKey,
    recipe: &Recipe,
    now: Timestamp,
) -> FaultResult<RecipeNumber> {
    let sql = "INSERT INTO recipe (endpoint, number, digest, text, used_at, look_at) \
         SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5 FROM recipe WHERE endpoint = ?1 \
         ON CONFLICT (endpoint, digest) DO UPDATE SET \
         used_at = max(used_at, excluded.used_at), look_at = max(look_at, excluded.look_at) \
         RETURNING number";
    let row = params![
        endpoint.0,
        recipe.digest,
        recipe.text,
        now.unix_micros(),
        (now + limit::RECIPE_LOOKED_AT).unix_micros(),
    ];
    Ok(RecipeNumber(
        tx.prepare(sql)?.query_row(row, |row| row.get(0))?,
    ))
}

fn text(
    connection: &Connection,
    (app, endpoint): (AppKey, EndpointKey),
    number: RecipeNumber,
) -> FaultResult<Option<String>> {
    let sql = "SELECT r.text FROM endpoint e CROSS JOIN recipe r ON r.endpoint = e.key \
         WHERE e.key = ?1 AND e.app = ?2 AND r.number = ?3";
    let found = connection
        .prepare_cached(sql)?
        .query_row(params![endpoint.0, app.0, number.0], |row| row.get(0))
        .optional()?;
    Ok(found)
}
