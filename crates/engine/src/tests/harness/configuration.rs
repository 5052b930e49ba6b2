//! Applications and endpoints.

use watchfire_domain::endpoint::{Identity, Secrets, Settings};
use watchfire_domain::filter::Subscription;
use watchfire_domain::health::Health;
use watchfire_domain::id::{ApplicationId, EndpointId, OrganizationId};
use watchfire_domain::secret::SigningKey;
use watchfire_store::{
    AppKey, Application, ApplicationRef, ApplicationSettings, Change, Endpoint, EndpointKey,
    EndpointRef,
};

use super::Harness;

impl Harness {
    pub(crate) async fn application(&self) -> AppKey {
        self.application_of("standard").await
    }

    /// One that follows a contract.
    pub(crate) async fn application_of(&self, contract: &str) -> AppKey {
        let application = Application {
            id: ApplicationId::new(self.now(), &self.samples.entropy),
            uid: None,
            created_at: self.now(),
            updated_at: self.now(),
            settings: ApplicationSettings {
                name: "test".to_owned(),
                contract: Some(contract.to_owned()),
                ..ApplicationSettings::default()
            },
        };
        let reference = ApplicationRef::Id(application.id);
        let org: OrganizationId = "org_test".parse().expect("valid");
        let create = Change::CreateApplication {
            org: org.clone(),
            application,
        };
        self.engine.apply(vec![create]).await.expect("created");
        let stored = self
            .store
            .application(&org, &reference)
            .await
            .expect("read");
        stored.expect("it was created").key
    }

    pub(crate) async fn endpoint(&self, app: AppKey, path: &str, types: &[&str]) -> EndpointKey {
        let types = types.iter().map(ToString::to_string).collect();
        self.create_endpoint(app, path, types, None).await
    }

    pub(crate) async fn throttled_endpoint(
        &self,
        app: AppKey,
        path: &str,
        rate: u32,
    ) -> EndpointKey {
        self.create_endpoint(app, path, Vec::new(), Some(rate))
            .await
    }

    async fn create_endpoint(
        &self,
        app: AppKey,
        path: &str,
        event_types: Vec<String>,
        throttle_rate: Option<u32>,
    ) -> EndpointKey {
        let snapshot = self.snapshot(app).await;
        let id = EndpointId::new(self.now(), &self.samples.entropy);
        let mut settings = self
            .samples
            .settings(&format!("https://example.com/{path}"));
        settings.subscription = Subscription {
            event_types,
            channels: Vec::new(),
        };
        settings.throttle_rate = throttle_rate;
        let secrets = Secrets::with_key(SigningKey::generate(&self.samples.entropy));
        let endpoint = Endpoint {
            identity: Identity {
                id,
                uid: None,
                created_at: self.now(),
                updated_at: self.now(),
            },
            settings,
            sealed: self
                .engine
                .vault()
                .seal(id, &secrets, &self.samples.entropy),
        };
        let create = Change::CreateEndpoint {
            application: snapshot.stored.application.id,
            endpoint,
        };
        self.engine.apply(vec![create]).await.expect("created");
        let stored = self
            .store
            .endpoint(app, &EndpointRef::Id(id))
            .await
            .expect("read");
        stored.expect("it was created").key
    }

    /// Limits the application to so many requests a second.
    pub(crate) async fn throttle_application(&self, app: AppKey, rate: u32) {
        let stored = self.store.application_by_key(app).await.expect("read");
        let stored = stored.expect("there");
        let mut application = stored.application;
        application.settings.throttle_rate = Some(rate);
        let update = Change::UpdateApplication {
            key: app,
            revision: stored.revision,
            application,
        };
        self.engine.apply(vec![update]).await.expect("updated");
    }

    pub(crate) async fn activate(&self, endpoint: EndpointKey) {
        let change = Change::SetHealth {
            key: endpoint,
            health: Health::default(),
            revision: None,
        };
        self.engine.apply(vec![change]).await.expect("applied");
    }

    pub(crate) async fn switch_off(&self, app: AppKey, endpoint: EndpointKey) {
        self.change(app, endpoint, |settings| settings.disabled = true)
            .await;
    }

    pub(crate) async fn change(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        change: impl FnOnce(&mut Settings),
    ) {
        let endpoints = self.store.endpoints_of(app).await.expect("read");
        let stored = endpoints
            .into_iter()
            .find(|stored| stored.key == endpoint)
            .expect("it exists");
        let mut changed = stored.endpoint;
        change(&mut changed.settings);
        let change = Change::UpdateEndpoint {
            key: endpoint,
            revision: stored.revision,
            endpoint: changed,
        };
        self.engine.apply(vec![change]).await.expect("applied");
    }
}
