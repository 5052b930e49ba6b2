//! Recipes that no attempt refers to any more.

use watchfire_domain::id::AttemptId;
use watchfire_domain::limit;
use watchfire_store::can_go;

use super::Run;
use crate::fault::FaultResult;
use crate::parameter::params;
use crate::row::{Columns, at_most};
use crate::session::Tx;

impl Run {
    /// Those of deleted applications at once: nobody can see what they were for.
    pub(super) async fn recipes_of_deleted_applications(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "DELETE FROM recipe WHERE (endpoint, number) IN (\
             SELECT r.endpoint, r.number FROM application a \
             JOIN endpoint e ON e.app = a.key JOIN recipe r ON r.endpoint = e.key \
             WHERE a.deleted_at <= $1 AND a.deleted_at IS NOT NULL LIMIT $2)";
        self.delete(tx, sql, self.order.now.unix_micros()).await
    }

    /// Those that were not used for a while, if all attempts of their time are gone. The others are
    /// looked at again later.
    pub(super) async fn old_recipes(&mut self, tx: &Tx) -> FaultResult<()> {
        if self.left == 0 {
            return Ok(());
        }
        let sql = "SELECT r.endpoint, r.number, r.used_at, \
             (SELECT a.id FROM attempt a WHERE a.endpoint = r.endpoint ORDER BY a.id LIMIT 1) \
             AS oldest FROM recipe r WHERE r.look_at <= $1 ORDER BY r.look_at LIMIT $2";
        let now = self.order.now.unix_micros();
        let most = self.left.min(limit::RECIPES_PER_RUN_MAX);
        let rows = tx.query(sql, params![now, at_most(most)]).await?;
        self.more |= rows.len() == most;
        let (mut gone, mut kept) = (Places::default(), Places::default());
        for row in &rows {
            let mut columns = Columns::of(row, "recipe");
            let place = (columns.get("endpoint")?, columns.get("number")?);
            let used_at = columns.timestamp("used_at")?;
            let oldest = columns.ksuid_if("oldest")?.map(AttemptId::from_ksuid);
            let these = if can_go(used_at, oldest) {
                &mut gone
            } else {
                &mut kept
            };
            these.push(place);
        }
        // One that was used in the meantime is looked at later.
        let sql = "DELETE FROM recipe WHERE (endpoint, number) IN (\
             SELECT * FROM unnest($2, $3)) AND look_at <= $1";
        let rows = params![now, gone.endpoints, gone.numbers];
        self.used(tx.execute(sql, rows).await?);
        let sql = "UPDATE recipe SET look_at = $4 WHERE (endpoint, number) IN (\
             SELECT * FROM unnest($2, $3)) AND look_at <= $1";
        let again = (self.order.now + limit::RECIPE_LOOKED_AT).unix_micros();
        let rows = params![now, kept.endpoints, kept.numbers, again];
        tx.execute(sql, rows).await?;
        Ok(())
    }
}

/// Keys of recipes, column by column.
#[derive(Default)]
struct Places {
    endpoints: Vec<i64>,
    numbers: Vec<i64>,
}

impl Places {
    fn push(&mut self, (endpoint, number): (i64, i64)) {
        self.endpoints.push(endpoint);
        self.numbers.push(number);
    }
}
