//! A product, its server, and a receiver that plays one of its customers.

use std::collections::HashMap;

use serde_json::{Value, json};
use watchfire_testkit::{Receiver, Reply, Request, Script};

use super::bodies::{self, Body};
use crate::harness::{Application, Certificate, Server, Setup, TlsFront};

/// A server with one application of a product, and its customer's receiver behind both kinds of
/// connection.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) app: Application,
    pub(super) receiver: Receiver,
    https: TlsFront,
    /// Its folder goes with it.
    _setup: Setup,
}

impl Scene {
    /// The receiver answers as the product's sample does.
    pub(super) async fn of(product: &str, config: &str, reply: Reply) -> Self {
        Self::following(product, config, Script::always(reply)).await
    }

    pub(super) async fn following(product: &str, config: &str, script: Script) -> Self {
        let setup = Setup::new();
        let certificate = Certificate::in_folder(setup.folder());
        let receiver = Receiver::start(script).await;
        let https = TlsFront::before(&receiver, &certificate).await;
        let authority = certificate.certificate.display().to_string();
        let setup = setup.config(config).flag("--extra-ca-file", &authority);
        let server = setup.start().await;
        let settings = json!({ "name": "Customer", "contract": product });
        Self {
            app: Application::create_with(server.api(), &settings).await,
            server,
            receiver,
            https,
            _setup: setup,
        }
    }

    pub(super) fn https_url(&self) -> String {
        self.https.url("/hook")
    }

    pub(super) fn http_url(&self) -> String {
        self.receiver.url("/hook")
    }

    /// Creates an endpoint; what the settings leave out is the URL.
    pub(super) async fn endpoint(&self, url: &str, more: Value) -> String {
        let mut settings = more;
        settings["url"] = json!(url);
        self.app.endpoint_with(&settings).await
    }

    /// Whether an endpoint with these settings is refused, and with which fields.
    pub(super) async fn refused_fields(&self, settings: &Value) -> Vec<String> {
        let path = self.app.path("/endpoint");
        let refused = self.server.api().post(&path, settings).await.expect(422);
        let faults = refused["detail"].as_array().expect("a list of faults");
        let field = |fault: &Value| fault["loc"][1].as_str().expect("a field").to_owned();
        faults.iter().map(field).collect()
    }

    /// Posts every body of the product, and checks what the receiver got: each once, exactly the
    /// bytes `wire` makes of what was posted, as the method and with the event's name where
    /// `check` looks for it.
    pub(super) async fn send_all(
        &self,
        product: &str,
        wire: impl Fn(&Body) -> String,
        check: impl Fn(&Body, &Request),
    ) {
        let before = self.receiver.requests().len();
        let mut posted = HashMap::new();
        for body in bodies::of(product) {
            let id = self.app.send_text(&body.event_type, &body.payload).await;
            posted.insert(id, body);
        }
        assert!(posted.len() > 15, "only {} bodies", posted.len());
        let arrived = |requests: &[Request]| requests.len() >= before + posted.len();
        let requests = self.receiver.wait_for("all bodies", arrived).await;
        for request in &requests[before..] {
            let id = request.header("webhook-id").expect("signed").to_owned();
            let body = posted.remove(&id);
            let body = body.unwrap_or_else(|| panic!("{id} came twice, or was not posted"));
            let came = std::str::from_utf8(&request.body).expect("text");
            assert_eq!(came, wire(&body), "{}", body.origin);
            assert_eq!(request.header("content-type"), Some("application/json"));
            check(&body, request);
        }
        assert!(posted.is_empty());
    }

    /// The faults of the schema that were noted on a message.
    pub(super) async fn faults_of(&self, event_type: &str, payload: &str) -> Value {
        let id = self.app.send_text(event_type, payload).await;
        let path = self.app.path(&format!("/msg/{id}"));
        let message = self.server.api().get(&path).await.expect(200);
        message["schemaFaults"].clone()
    }
}

/// What the receiver sends back where only the status counts.
pub(super) fn ok() -> Reply {
    Reply::status(200)
}

/// A server that accepts nothing its schemas find wrong: then bodies of the right shape have to
/// pass.
pub(super) const STRICT: &str = "validation = \"strict\"\n";
