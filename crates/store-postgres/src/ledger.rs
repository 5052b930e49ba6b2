//! Messages, attempts and what is owed: the hot path.

mod append;
mod claim;
mod due;
mod owing;
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

use crate::nodes;
use crate::open::Postgres;
use crate::session::{Mode, in_transaction};

pub(crate) use append::{Places, remember, remembered};
pub(crate) use tally::{Writer, write_tally};
pub(crate) use unfinished::subtract;

#[async_trait]
impl Ledger for Postgres {
    async fn append(&self, life: &Life, batch: Vec<NewMessage>) -> StoreResult<Vec<Appended>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        Ok(append::append(self, life, &batch).await?)
    }

    async fn record(
        &self,
        life: &Life,
        now: Timestamp,
        batch: Vec<Write>,
    ) -> StoreResult<Vec<Recorded>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let work =
            in_transaction!(self.ledger, Mode::Write, tx => record::record(&tx, life, now, &batch));
        Ok(work.await?)
    }

    async fn claim(&self, claim: Claim) -> StoreResult<ClaimedBatch> {
        Ok(claim::claim(self, &claim).await?)
    }

    async fn endpoints_owing(
        &self,
        shards: ShardSet,
        after: Option<EndpointKey>,
        limit: usize,
    ) -> StoreResult<Vec<EndpointDue>> {
        let work =
            in_transaction!(self.ledger, Mode::Read, tx => due::owing(&tx, shards, after, limit));
        Ok(work.await?)
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
            let work = in_transaction!(
                self.ledger, Mode::Write, tx => due::hasten(&tx, life, endpoint, (seq, now))
            );
            if work.await? < limit::COMMIT_ROWS_MAX {
                return Ok(());
            }
        }
    }

    async fn move_checkpoint(&self, life: &Life, seq: Seq) -> StoreResult<()> {
        let work =
            in_transaction!(self.ledger, Mode::Write, tx => nodes::move_checkpoint(&tx, life, seq));
        Ok(work.await?)
    }

    async fn checkpoint(&self, life: &Life) -> StoreResult<Seq> {
        let work = in_transaction!(self.ledger, Mode::Read, tx => nodes::checkpoint(&tx, life));
        Ok(work.await?)
    }

    async fn unfinished(
        &self,
        life: &Life,
        after: Seq,
        limit: usize,
    ) -> StoreResult<(Vec<Unfinished>, Option<Seq>)> {
        let work = in_transaction!(
            self.ledger, Mode::Read, tx => unfinished::unfinished(&tx, life, after, limit)
        );
        Ok(work.await?)
    }

    async fn remembered(&self, key: [u8; 32], now: Timestamp) -> StoreResult<Option<Remembered>> {
        let work = in_transaction!(self.people, Mode::Read, tx => remembered(&tx, &key, now));
        Ok(work.await?)
    }
}
