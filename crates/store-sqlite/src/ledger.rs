//! Messages, attempts and what is owed: the hot path.

mod append;
mod claim;
mod record;
mod tally;
mod unfinished;

use async_trait::async_trait;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Appended, Claim, ClaimedBatch, EndpointDue, EndpointKey, Ledger, Life, NewMessage,
    Recorded, Remembered, Seq, ShardSet, StoreResult, Unfinished, Write,
};

use crate::fault::Fault;
use crate::nodes;
use crate::open::Sqlite;
use crate::writer::{Rows, Tx};

pub(crate) use append::{remember, remembered};
pub(crate) use tally::write_tally;
pub(crate) use unfinished::is_finished;

#[async_trait]
impl Ledger for Sqlite {
    async fn append(&self, life: &Life, batch: Vec<NewMessage>) -> StoreResult<Vec<Appended>> {
        let life = life.clone();
        let rows = Rows(batch.len());
        let work = move |tx: &mut Tx<'_>| append::append(tx, &life, &batch);
        Ok(self.writer.run::<_, Fault, _>(rows, work).await?)
    }

    async fn record(
        &self,
        life: &Life,
        now: Timestamp,
        batch: Vec<Write>,
    ) -> StoreResult<Vec<Recorded>> {
        let life = life.clone();
        let rows = Rows(batch.len());
        let work = move |tx: &mut Tx<'_>| record::record(tx, &life, now, &batch);
        Ok(self.writer.run::<_, Fault, _>(rows, work).await?)
    }

    async fn claim(&self, claim: Claim) -> StoreResult<ClaimedBatch> {
        let rows = Rows(claim.wanted.iter().map(|wanted| wanted.limit).sum());
        let work = move |tx: &mut Tx<'_>| claim::claim(tx, &claim);
        Ok(self.writer.run::<_, Fault, _>(rows, work).await?)
    }

    async fn endpoints_owing(
        &self,
        shards: ShardSet,
        after: Option<EndpointKey>,
        limit: usize,
    ) -> StoreResult<Vec<EndpointDue>> {
        self.readers
            .run(move |connection| claim::endpoints_owing(connection, shards, after, limit))
            .await
    }

    async fn hasten(
        &self,
        life: &Life,
        endpoint: (AppKey, EndpointKey),
        seq: Option<Seq>,
        now: Timestamp,
    ) -> StoreResult<()> {
        // A backlog may be large: the commits in between let others through.
        loop {
            let rows = Rows(limit::COMMIT_ROWS_MAX);
            let life = life.clone();
            let work = move |tx: &mut Tx<'_>| claim::hasten(tx, &life, endpoint, (seq, now));
            if self.writer.run::<_, Fault, _>(rows, work).await? < limit::COMMIT_ROWS_MAX {
                return Ok(());
            }
        }
    }

    async fn move_checkpoint(&self, life: &Life, seq: Seq) -> StoreResult<()> {
        let life = life.clone();
        let work = move |tx: &mut Tx<'_>| nodes::move_checkpoint(tx, &life, seq);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn checkpoint(&self, life: &Life) -> StoreResult<Seq> {
        let life = life.clone();
        self.readers
            .run(move |connection| nodes::checkpoint(connection, &life))
            .await
    }

    async fn unfinished(
        &self,
        life: &Life,
        after: Seq,
        limit: usize,
    ) -> StoreResult<(Vec<Unfinished>, Option<Seq>)> {
        let life = life.clone();
        self.readers
            .run(move |connection| unfinished::unfinished(connection, &life, after, limit))
            .await
    }

    async fn remembered(&self, key: [u8; 32], now: Timestamp) -> StoreResult<Option<Remembered>> {
        self.readers
            .run(move |connection| remembered(connection, &key, now))
            .await
    }
}
