//! Messages of an application.

use tokio_postgres::Row;
use watchfire_domain::id::MessageId;
use watchfire_store::selection::About;
use watchfire_store::{AppKey, MessageFilter, MessageRef, Range, Seq, StoredMessage};

use super::walk::Walk;
use crate::configuration::Page;
use crate::fault::FaultResult;
use crate::message::{self, COLUMNS, Content, bytes_of};
use crate::parameter::params;
use crate::session::Tx;

pub(super) async fn find(
    tx: &Tx,
    app: AppKey,
    reference: &MessageRef,
) -> FaultResult<Option<StoredMessage>> {
    let row = match reference {
        MessageRef::Id(id) => {
            let sql = format!("SELECT {COLUMNS} FROM message WHERE app = $1 AND id = $2");
            tx.first(&sql, params![app.0, bytes_of(id.ksuid())]).await?
        }
        MessageRef::EventId(event_id) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM message WHERE app = $1 AND seq = \
                 (SELECT seq FROM event_id WHERE app = $1 AND event_id = $2)"
            );
            tx.first(&sql, params![app.0, event_id.as_str()]).await?
        }
    };
    let mut found = Vec::from_iter(row.as_ref().map(message::read).transpose()?);
    message::fill(tx, &mut found, Content::Kept).await?;
    Ok(found.pop())
}

pub(super) async fn at(tx: &Tx, app: AppKey, seqs: &[Seq]) -> FaultResult<Vec<StoredMessage>> {
    let seqs: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    let sql = format!("SELECT {COLUMNS} FROM message WHERE app = $1 AND seq = ANY ($2)");
    let rows = tx.query(&sql, params![app.0, seqs]).await?;
    rows.iter().map(message::read).collect()
}

pub(super) async fn list(
    tx: &Tx,
    app: AppKey,
    filter: &MessageFilter,
    range: &Range<MessageId>,
) -> FaultResult<Vec<StoredMessage>> {
    let about = About::from(filter);
    let mut walk = Walk::new(range);
    let mut messages = Vec::new();
    while let Some(stretch) = walk.next(messages.len()) {
        let rows = stretch_of(tx, app, &stretch).await?;
        let read: FaultResult<Vec<_>> = rows.iter().map(message::read).collect();
        let read = read?;
        let last = read.last().map(|stored| stored.message.id);
        let more = walk.looked(read.len(), last);
        messages.extend(read.into_iter().filter(|stored| about.wants(stored)));
        if !more {
            break;
        }
    }
    messages.truncate(range.limit);
    let content = Content::left_out_if(filter.without_payload);
    message::fill(tx, &mut messages, content).await?;
    Ok(messages)
}

async fn stretch_of(tx: &Tx, app: AppKey, range: &Range<MessageId>) -> FaultResult<Vec<Row>> {
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let sql = format!(
        "SELECT {COLUMNS} FROM message WHERE app = $1{}",
        page.sql("id", 1)
    );
    tx.query(&sql, &page.parameters(params![app.0])).await
}
