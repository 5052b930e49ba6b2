//! Removes contents that must not be kept any longer.

use rusqlite::params;
use watchfire_domain::id::AttemptId;
use watchfire_domain::message::Details;
use watchfire_store::{AppKey, Seq};

use crate::fault::FaultResult;
use crate::message;
use crate::writer::Tx;

pub(super) fn payloads(tx: &mut Tx<'_>, app: AppKey, seqs: &[Seq]) -> FaultResult<()> {
    seqs.iter()
        .try_for_each(|seq| match message::at(tx.connection(), *seq)? {
            Some(stored) if stored.app == app => remove_payload(tx, *seq, &stored.message.details),
            Some(_) | None => Ok(()),
        })
}

/// Removes the payload and what else holds parts of it: the body sent in its place, and the
/// schema's faults, which quote it.
pub(crate) fn remove_payload(tx: &mut Tx<'_>, seq: Seq, details: &Details) -> FaultResult<()> {
    let kept = Details {
        raw_body: None,
        schema_faults: Vec::new(),
        ..details.clone()
    };
    let sql = "UPDATE message SET payload = NULL, expire_payload_at = NULL, details = ?2 \
         WHERE seq = ?1";
    tx.execute(sql, params![seq.0, message::details_text(&kept)?])?;
    tx.scrub_log();
    Ok(())
}

pub(super) fn response(tx: &mut Tx<'_>, app: AppKey, seq: Seq, id: AttemptId) -> FaultResult<bool> {
    let sql = "UPDATE attempt SET response_headers = NULL, response_truncated = NULL, \
         response_body = NULL WHERE seq = ?1 AND id = ?2 \
         AND EXISTS (SELECT 1 FROM message WHERE seq = ?1 AND app = ?3)";
    let changed = tx.execute(sql, params![seq.0, id.ksuid().as_bytes(), app.0])?;
    tx.scrub_log();
    Ok(changed > 0)
}
