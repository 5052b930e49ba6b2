//! Removes contents that must not be kept any longer.

use watchfire_domain::id::AttemptId;
use watchfire_domain::message::Details;
use watchfire_store::{AppKey, Seq, StoredMessage};

use crate::fault::FaultResult;
use crate::message::{self, Content, at_places, bytes_of};
use crate::parameter::params;
use crate::session::Tx;

pub(super) async fn payloads(tx: &Tx, app: AppKey, seqs: &[Seq]) -> FaultResult<()> {
    let found = at_places(tx, seqs, Content::LeftOut).await?;
    let own = found.into_values().filter(|stored| stored.app == app);
    let mut own: Vec<_> = own.collect();
    own.sort_unstable_by_key(|stored| stored.seq);
    remove_payloads(tx, &own).await
}

/// Removes payloads and what else holds parts of them: the body sent in its place, and the
/// schema's faults, which quote it.
pub(crate) async fn remove_payloads(tx: &Tx, messages: &[StoredMessage]) -> FaultResult<()> {
    let mut seqs = Vec::with_capacity(messages.len());
    let mut details = Vec::with_capacity(messages.len());
    for stored in messages {
        let kept = Details {
            raw_body: None,
            schema_faults: Vec::new(),
            ..stored.message.details.clone()
        };
        seqs.push(stored.seq.0);
        details.push(message::details_text(&kept)?);
    }
    if seqs.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE message m SET payload = NULL, expire_payload_at = NULL, \
         details = new.details FROM unnest($1, $2) AS new (seq, details) \
         WHERE m.seq = new.seq AND m.seq = ANY($1)";
    tx.execute(sql, params![seqs, details]).await?;
    Ok(())
}

pub(super) async fn response(tx: &Tx, app: AppKey, seq: Seq, id: AttemptId) -> FaultResult<bool> {
    let sql = "UPDATE attempt SET response_headers = NULL, response_truncated = NULL, \
         response_body = NULL WHERE seq = $1 AND id = $2 \
         AND EXISTS (SELECT 1 FROM message WHERE seq = $1 AND app = $3)";
    let parameters = params![seq.0, bytes_of(id.ksuid()), app.0];
    Ok(tx.execute(sql, parameters).await? > 0)
}
