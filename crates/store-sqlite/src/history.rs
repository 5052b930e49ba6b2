//! Lists for people. Each walks one index in order and stops when the page is full, or after
//! [`watchfire_domain::limit::LIST_SCAN_ROWS_MAX`] rows that a filter left out.

pub(crate) mod attempted;
pub(crate) mod attempts;
mod deliveries;
mod expunge;
pub(crate) mod last_attempt;
pub(crate) mod messages;

use async_trait::async_trait;
use watchfire_domain::id::{AttemptId, MessageId};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, AttemptFilter, AttemptedMessage, DeliveryView, EndpointCounts, EndpointKey, History,
    MessageFilter, MessageRef, Range, Seq, StoreResult, StoredAttempt, StoredMessage,
};

use crate::fault::Fault;
use crate::open::Sqlite;
use crate::writer::{Rows, Tx};

pub(crate) use deliveries::owed_to;
pub(crate) use expunge::remove_payload;

#[async_trait]
impl History for Sqlite {
    async fn message(
        &self,
        app: AppKey,
        reference: &MessageRef,
    ) -> StoreResult<Option<StoredMessage>> {
        let reference = reference.clone();
        self.readers
            .run(move |connection| messages::find(connection, app, &reference))
            .await
    }

    async fn messages_at(&self, app: AppKey, seqs: Vec<Seq>) -> StoreResult<Vec<StoredMessage>> {
        self.readers
            .run(move |connection| messages::at(connection, app, &seqs))
            .await
    }

    async fn messages(
        &self,
        app: AppKey,
        filter: &MessageFilter,
        range: Range<MessageId>,
    ) -> StoreResult<Vec<StoredMessage>> {
        let filter = filter.clone();
        self.readers
            .run(move |connection| messages::list(connection, app, &filter, &range))
            .await
    }

    async fn attempts_of_endpoint(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        filter: &AttemptFilter,
        range: Range<AttemptId>,
    ) -> StoreResult<Vec<StoredAttempt>> {
        let filter = filter.clone();
        self.readers
            .run(move |connection| {
                attempts::of_endpoint(connection, (app, endpoint), &filter, &range)
            })
            .await
    }

    async fn attempts_of_message(
        &self,
        app: AppKey,
        seq: Seq,
        filter: &AttemptFilter,
        range: Range<AttemptId>,
    ) -> StoreResult<Vec<StoredAttempt>> {
        let filter = filter.clone();
        self.readers
            .run(move |connection| attempts::of_message(connection, (app, seq), &filter, &range))
            .await
    }

    async fn attempt(
        &self,
        app: AppKey,
        seq: Seq,
        id: AttemptId,
    ) -> StoreResult<Option<StoredAttempt>> {
        self.readers
            .run(move |connection| attempts::find(connection, app, seq, id))
            .await
    }

    async fn deliveries_of(&self, app: AppKey, seq: Seq) -> StoreResult<Vec<DeliveryView>> {
        self.readers
            .run(move |connection| deliveries::of_message(connection, app, seq))
            .await
    }

    async fn attempted_messages(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        filter: &AttemptFilter,
        range: Range<MessageId>,
    ) -> StoreResult<Vec<AttemptedMessage>> {
        let filter = filter.clone();
        self.readers
            .run(move |connection| attempted::list(connection, (app, endpoint), &filter, &range))
            .await
    }

    async fn expunge_payloads(&self, app: AppKey, seqs: Vec<Seq>) -> StoreResult<()> {
        let work = move |tx: &mut Tx<'_>| expunge::payloads(tx, app, &seqs);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn expunge_response(&self, app: AppKey, seq: Seq, id: AttemptId) -> StoreResult<bool> {
        let work = move |tx: &mut Tx<'_>| expunge::response(tx, app, seq, id);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn endpoint_counts(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        since: Timestamp,
        until: Timestamp,
    ) -> StoreResult<EndpointCounts> {
        self.readers
            .run(move |connection| deliveries::counts(connection, (app, endpoint), (since, until)))
            .await
    }
}
