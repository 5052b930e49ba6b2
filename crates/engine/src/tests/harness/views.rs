//! What became of it.

use std::sync::Arc;

use watchfire_domain::attempt::Attempt;
use watchfire_domain::health::Health;
use watchfire_store::{AppKey, AttemptFilter, DeliveryStatus, EndpointKey, Order, Range, Seq};

use super::Harness;
use crate::Snapshot;

impl Harness {
    /// An application as the engine knows it.
    pub(crate) async fn snapshot(&self, app: AppKey) -> Arc<Snapshot> {
        let found = self.engine.application_by_key(app).await.expect("read");
        found.expect("there")
    }

    /// Attempts of an endpoint, the oldest first.
    pub(crate) async fn attempts(&self, endpoint: EndpointKey) -> Vec<Attempt> {
        let app = AppKey(1);
        let range = Range::from_start(Order::Ascending, 250);
        let filter = AttemptFilter::default();
        let stored = self
            .store
            .attempts_of_endpoint(app, endpoint, &filter, range)
            .await;
        let mut attempts: Vec<_> = stored
            .expect("read")
            .into_iter()
            .map(|stored| stored.attempt)
            .collect();
        attempts.sort_by_key(|attempt| attempt.attempted_at);
        attempts
    }

    pub(crate) async fn status(
        &self,
        app: AppKey,
        seq: Seq,
        endpoint: EndpointKey,
    ) -> DeliveryStatus {
        let views = self.store.deliveries_of(app, seq).await.expect("read");
        let view = views.into_iter().find(|view| view.endpoint == endpoint);
        view.expect("the endpoint matched").status
    }

    pub(crate) async fn health(&self, app: AppKey, endpoint: EndpointKey) -> Health {
        let endpoints = self.store.endpoints_of(app).await.expect("read");
        let stored = endpoints.into_iter().find(|stored| stored.key == endpoint);
        stored.expect("it exists").health
    }
}
