//! Deliveries by what is known about them, and all about one record.

mod deliveries;
mod record;
pub(crate) mod walk;

use async_trait::async_trait;
use watchfire_store::{
    AppKey, DeliveryFilter, DeliveryPage, EndpointKey, FoundDeliveries, Range, RecordHead, Search,
    Seq, StoreResult, StoredMessage,
};

use crate::open::Sqlite;

#[async_trait]
impl Search for Sqlite {
    async fn deliveries(
        &self,
        app: AppKey,
        filter: &DeliveryFilter,
        page: DeliveryPage,
    ) -> StoreResult<FoundDeliveries> {
        let filter = filter.clone();
        self.readers
            .run(move |connection| deliveries::find(connection, app, &filter, page))
            .await
    }

    async fn messages_of_record(
        &self,
        app: AppKey,
        record_key: &str,
        range: Range<Seq>,
    ) -> StoreResult<Vec<StoredMessage>> {
        let record_key = record_key.to_owned();
        self.readers
            .run(move |connection| record::messages(connection, app, &record_key, &range))
            .await
    }

    async fn record_heads(
        &self,
        app: AppKey,
        record: i64,
        endpoints: Vec<EndpointKey>,
    ) -> StoreResult<Vec<RecordHead>> {
        self.readers
            .run(move |connection| record::heads(connection, app, record, endpoints))
            .await
    }
}
