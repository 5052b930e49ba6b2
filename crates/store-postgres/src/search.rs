//! Deliveries by what is known about them, and all about one record.

mod deliveries;
mod record;
mod walk;

use async_trait::async_trait;
use watchfire_store::{
    AppKey, DeliveryFilter, DeliveryPage, EndpointKey, FoundDeliveries, Range, RecordHead, Search,
    Seq, StoreResult, StoredMessage,
};

use crate::open::Postgres;
use crate::session::{Mode, in_transaction};

#[async_trait]
impl Search for Postgres {
    async fn deliveries(
        &self,
        app: AppKey,
        filter: &DeliveryFilter,
        page: DeliveryPage,
    ) -> StoreResult<FoundDeliveries> {
        let work = in_transaction!(self.people, Mode::Read, tx => deliveries::find(&tx, app, filter, page));
        Ok(work.await?)
    }

    async fn messages_of_record(
        &self,
        app: AppKey,
        record_key: &str,
        range: Range<Seq>,
    ) -> StoreResult<Vec<StoredMessage>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => record::messages(&tx, app, record_key, &range)
        );
        Ok(work.await?)
    }

    async fn record_heads(
        &self,
        app: AppKey,
        record: i64,
        endpoints: Vec<EndpointKey>,
    ) -> StoreResult<Vec<RecordHead>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => record::heads(&tx, app, record, &endpoints)
        );
        Ok(work.await?)
    }
}
