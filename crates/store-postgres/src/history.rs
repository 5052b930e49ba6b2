//! Lists for people. Each walks one index in order and stops when the page is full, or after
//! [`watchfire_domain::limit::LIST_SCAN_ROWS_MAX`] rows that a filter left out.

mod attempted;
mod attempts;
mod deliveries;
mod expunge;
mod messages;
mod walk;

use async_trait::async_trait;
use watchfire_domain::id::{AttemptId, MessageId};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, AttemptFilter, AttemptedMessage, DeliveryView, EndpointCounts, EndpointKey, History,
    MessageFilter, MessageRef, Range, Seq, StoreResult, StoredAttempt, StoredMessage,
};

use crate::open::Postgres;
use crate::session::{Mode, in_transaction};

pub(crate) use deliveries::{last_settlements, owed_of, owed_to};
pub(crate) use expunge::remove_payloads;

#[async_trait]
impl History for Postgres {
    async fn message(
        &self,
        app: AppKey,
        reference: &MessageRef,
    ) -> StoreResult<Option<StoredMessage>> {
        let work =
            in_transaction!(self.people, Mode::Read, tx => messages::find(&tx, app, reference));
        Ok(work.await?)
    }

    async fn messages_at(&self, app: AppKey, seqs: Vec<Seq>) -> StoreResult<Vec<StoredMessage>> {
        let work = in_transaction!(self.people, Mode::Read, tx => messages::at(&tx, app, &seqs));
        Ok(work.await?)
    }

    async fn messages(
        &self,
        app: AppKey,
        filter: &MessageFilter,
        range: Range<MessageId>,
    ) -> StoreResult<Vec<StoredMessage>> {
        let work = in_transaction!(self.people, Mode::Read, tx => messages::list(&tx, app, filter, &range));
        Ok(work.await?)
    }

    async fn attempts_of_endpoint(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        filter: &AttemptFilter,
        range: Range<AttemptId>,
    ) -> StoreResult<Vec<StoredAttempt>> {
        let of = attempts::Of::Endpoint(endpoint);
        let work = in_transaction!(
            self.people, Mode::Read, tx => attempts::list(&tx, (app, of), filter, &range)
        );
        Ok(work.await?)
    }

    async fn attempts_of_message(
        &self,
        app: AppKey,
        seq: Seq,
        filter: &AttemptFilter,
        range: Range<AttemptId>,
    ) -> StoreResult<Vec<StoredAttempt>> {
        let of = attempts::Of::Message(seq);
        let work = in_transaction!(
            self.people, Mode::Read, tx => attempts::list(&tx, (app, of), filter, &range)
        );
        Ok(work.await?)
    }

    async fn attempt(
        &self,
        app: AppKey,
        seq: Seq,
        id: AttemptId,
    ) -> StoreResult<Option<StoredAttempt>> {
        let work =
            in_transaction!(self.people, Mode::Read, tx => attempts::find(&tx, app, seq, id));
        Ok(work.await?)
    }

    async fn deliveries_of(&self, app: AppKey, seq: Seq) -> StoreResult<Vec<DeliveryView>> {
        let work =
            in_transaction!(self.people, Mode::Read, tx => deliveries::of_message(&tx, app, seq));
        Ok(work.await?)
    }

    async fn attempted_messages(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        filter: &AttemptFilter,
        range: Range<MessageId>,
    ) -> StoreResult<Vec<AttemptedMessage>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => attempted::list(&tx, (app, endpoint), filter, &range)
        );
        Ok(work.await?)
    }

    async fn expunge_payloads(&self, app: AppKey, seqs: Vec<Seq>) -> StoreResult<()> {
        let work =
            in_transaction!(self.people, Mode::Write, tx => expunge::payloads(&tx, app, &seqs));
        Ok(work.await?)
    }

    async fn expunge_response(&self, app: AppKey, seq: Seq, id: AttemptId) -> StoreResult<bool> {
        let work =
            in_transaction!(self.people, Mode::Write, tx => expunge::response(&tx, app, seq, id));
        Ok(work.await?)
    }

    async fn endpoint_counts(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        since: Timestamp,
        until: Timestamp,
    ) -> StoreResult<EndpointCounts> {
        let span = (since, until);
        let work = in_transaction!(
            self.people, Mode::Read, tx => deliveries::counts(&tx, (app, endpoint), span)
        );
        Ok(work.await?)
    }
}
