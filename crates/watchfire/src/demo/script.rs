//! What the demo sets up, and the events it posts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_engine::Engine;
use watchfire_engine::service::Edit;
use watchfire_engine::service::applications::{self, ApplicationInput};
use watchfire_engine::service::endpoints::{self, EndpointInput};
use watchfire_engine::service::messages::{self, MessageInput};
use watchfire_store::ApplicationRef;

use crate::server::Server;
use crate::terminal;

/// Time between two events, so that a person can follow.
const PAUSE: Duration = Duration::from_millis(400);
/// Contracts that are ours and not a product's.
const OURS: [&str; 2] = ["standard", "envelope"];

/// The receivers of the first application: path and behavior.
const RECEIVERS: [(&str, &str); 4] = [
    ("healthy", "answers at once"),
    ("fails-twice", "answers 503 twice, then recovers"),
    ("hangs", "never answers"),
    ("refuses", "answers 403: its owner revoked the key"),
];

/// Events posted to the first application: type and payload.
const EVENTS: [(&str, &str); 3] = [
    (
        "threat.created",
        r#"{"id":"thr_8121","risk":"critical","title":"Remote code execution in a public service","host":"web-17.example.com","cve":"CVE-2026-22874"}"#,
    ),
    (
        "login.suspicious",
        r#"{"id":"lgn_5512","user":"jane","ip":"203.0.113.7","reason":"two places too far apart"}"#,
    ),
    (
        "threat.closed",
        r#"{"id":"thr_8121","state":"remediated","by":"alex"}"#,
    ),
];

/// What was set up.
#[derive(Clone)]
pub(super) struct Script {
    organization: OrganizationId,
    first: ApplicationId,
    products: Arc<Vec<Product>>,
    token: String,
}

struct Product {
    application: ApplicationId,
    title: String,
    events: Vec<(String, String)>,
}

/// Creates the demo's applications and endpoints.
pub(super) async fn prepare(server: &Server, receivers: SocketAddr) -> Result<Script> {
    let organization: OrganizationId = watchfire_api::DEFAULT_ORGANIZATION.parse()?;
    let engine = &server.engine;
    let first = application(engine, &organization, "Demo", None).await?;
    for (path, about) in RECEIVERS {
        let url = format!("http://{receivers}/{path}");
        endpoint(engine, &organization, first, url, about).await?;
    }
    let mut products = Vec::new();
    for contract in engine
        .contracts()
        .iter()
        .filter(|contract| !OURS.contains(&contract.name()))
    {
        let title = contract.manifest().title.clone();
        let id = application(engine, &organization, &title, Some(contract.name())).await?;
        let url = format!("http://{receivers}/products/{}", contract.name());
        endpoint(
            engine,
            &organization,
            id,
            url,
            "as the product's customers receive it",
        )
        .await?;
        let events = contract.event_types().take(EVENTS.len());
        let events = events
            .map(|event| (event.name.clone(), event.sample.clone()))
            .collect();
        products.push(Product {
            application: id,
            title,
            events,
        });
    }
    Ok(Script {
        token: crate::token::for_organization(&server.jwt_secret, None)?,
        organization,
        first,
        products: Arc::new(products),
    })
}

async fn application(
    engine: &Engine,
    organization: &OrganizationId,
    name: &str,
    contract: Option<&str>,
) -> Result<ApplicationId> {
    let input = ApplicationInput {
        name: name.to_owned(),
        contract: contract.map_or(Edit::Keep, |name| Edit::Set(name.to_owned())),
        ..ApplicationInput::default()
    };
    Ok(applications::create(engine, organization, input, None)
        .await?
        .id)
}

async fn endpoint(
    engine: &Engine,
    organization: &OrganizationId,
    application: ApplicationId,
    url: String,
    description: &str,
) -> Result<()> {
    let snapshot =
        applications::find(engine, organization, &ApplicationRef::Id(application)).await?;
    let input = EndpointInput {
        url,
        description: description.to_owned(),
        ..EndpointInput::default()
    };
    endpoints::create(engine, &snapshot, input, None).await?;
    Ok(())
}

impl Script {
    pub(super) fn introduce(&self) {
        terminal::line("Watchfire is running. One application has four endpoints:");
        for (path, about) in RECEIVERS {
            terminal::line(format!("  /{path:<12} {about}"));
        }
        let titles: Vec<_> = self
            .products
            .iter()
            .map(|product| product.title.as_str())
            .collect();
        if !titles.is_empty() {
            terminal::line(format!(
                "Further applications speak the webhooks of {}.",
                titles.join(", ")
            ));
        }
        terminal::line("");
    }

    /// Posts every event.
    pub(super) async fn play(&self, engine: &Engine) -> Result<()> {
        for (event_type, payload) in EVENTS {
            self.post(engine, self.first, event_type, payload).await?;
        }
        for product in self.products.iter() {
            for (event_type, payload) in &product.events {
                self.post(engine, product.application, event_type, payload)
                    .await?;
            }
        }
        Ok(())
    }

    async fn post(
        &self,
        engine: &Engine,
        application: ApplicationId,
        event_type: &str,
        payload: &str,
    ) -> Result<()> {
        let reference = ApplicationRef::Id(application);
        let snapshot = applications::find(engine, &self.organization, &reference).await?;
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        messages::create(
            engine,
            &snapshot,
            MessageInput::new(event_type.parse()?, payload),
            None,
        )
        .await?;
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Says where to look and how to send the next event.
    pub(super) fn invite(&self, server: SocketAddr, link: &str) {
        let (token, app) = (&self.token, self.first);
        terminal::line(format!(
            "\nLook at all of it in the dashboard (this link signs in once):\n\n  {link}\n\n\
             The API is at http://{server}/api/v1/. Send the next event from another terminal:\n\n\
             curl http://{server}/api/v1/app/{app}/msg \\\n  \
               -H 'Authorization: Bearer {token}' \\\n  \
               -H 'Content-Type: application/json' \\\n  \
               -d '{{\"eventType\":\"threat.created\",\"payload\":{{\"id\":\"thr_1\",\"risk\":\"high\"}}}}'\n\n\
             Ctrl-C ends the demo.\n"
        ));
    }
}
