//! Recipes that no attempt refers to any more.

use rusqlite::params;
use watchfire_domain::id::AttemptId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::can_go;

use super::Run;
use crate::fault::FaultResult;
use crate::row::Columns;
use crate::writer::Tx;

impl Run {
    /// Those of deleted applications at once: nobody can see what they were for.
    pub(super) fn recipes_of_deleted_applications(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM recipe WHERE (endpoint, number) IN (SELECT r.endpoint, r.number \
             FROM application a INDEXED BY application_deleted \
             CROSS JOIN endpoint e ON e.app = a.key CROSS JOIN recipe r ON r.endpoint = e.key \
             WHERE a.deleted_at IS NOT NULL LIMIT ?1)";
        self.used(tx.execute(sql, [self.limit()])?);
        Ok(())
    }

    /// Those that were not used for a while, if all attempts of their time are gone. The others are
    /// looked at again later.
    pub(super) fn old_recipes(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let now = self.order.now;
        let most = self.left.min(limit::RECIPES_PER_RUN_MAX);
        let due = due(tx, now, most)?;
        self.more |= !due.is_empty() && due.len() == most;
        for recipe in due {
            let place = [recipe.endpoint, recipe.number];
            if recipe.can_go {
                let sql = "DELETE FROM recipe WHERE endpoint = ?1 AND number = ?2";
                self.used(tx.execute(sql, place)?);
            } else {
                let sql = "UPDATE recipe SET look_at = ?3 WHERE endpoint = ?1 AND number = ?2";
                let again = (now + limit::RECIPE_LOOKED_AT).unix_micros();
                tx.execute(sql, params![place[0], place[1], again])?;
            }
        }
        Ok(())
    }
}

/// A recipe that is to be looked at.
struct Due {
    endpoint: i64,
    number: i64,
    can_go: bool,
}

fn due(tx: &Tx<'_>, now: Timestamp, most: usize) -> FaultResult<Vec<Due>> {
    let sql = "SELECT r.endpoint, r.number, r.used_at, \
         (SELECT a.id FROM attempt a WHERE a.endpoint = r.endpoint ORDER BY a.id LIMIT 1) \
         FROM recipe r WHERE r.look_at <= ?1 ORDER BY r.look_at LIMIT ?2";
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query(params![
        now.unix_micros(),
        i64::try_from(most).unwrap_or(i64::MAX)
    ])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row, "recipe");
        let (endpoint, number) = (columns.get("endpoint")?, columns.get("number")?);
        let used_at = columns.timestamp("used_at")?;
        let oldest = columns.ksuid_if("oldest")?.map(AttemptId::from_ksuid);
        due.push(Due {
            endpoint,
            number,
            can_go: can_go(used_at, oldest),
        });
    }
    Ok(due)
}
