//! An application of a test, and what a test asks about it.

use serde_json::{Value, json};

use super::Api;

/// An application, reached through one server's API.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) api: Api,
    pub(crate) id: String,
}

impl Application {
    pub(crate) async fn create(api: &Api) -> Self {
        let made = api.post("/app", &json!({ "name": "Test" })).await;
        Self {
            api: api.clone(),
            id: text(&made.expect(201)["id"]),
        }
    }

    /// One with a contract, and whatever else is set.
    pub(crate) async fn create_with(api: &Api, settings: &Value) -> Self {
        let made = api.post("/app", settings).await;
        Self {
            api: api.clone(),
            id: text(&made.expect(201)["id"]),
        }
    }

    /// The same application at a server that was started again.
    pub(crate) fn at(&self, api: &Api) -> Self {
        Self {
            api: api.clone(),
            id: self.id.clone(),
        }
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/app/{}{rest}", self.id)
    }

    /// Creates an endpoint with a URL and nothing unusual, and returns its id.
    pub(crate) async fn endpoint(&self, url: &str) -> String {
        self.endpoint_with(&json!({ "url": url })).await
    }

    pub(crate) async fn endpoint_with(&self, settings: &Value) -> String {
        let made = self.api.post(&self.path("/endpoint"), settings).await;
        text(&made.expect(201)["id"])
    }

    /// Posts an event with this payload, and returns the message's id.
    pub(crate) async fn send(&self, payload: &Value) -> String {
        let event = json!({ "eventType": "threat.created", "payload": payload });
        text(&self.send_event(&event).await["id"])
    }

    pub(crate) async fn send_event(&self, event: &Value) -> Value {
        self.api.post(&self.path("/msg"), event).await.expect(202)
    }

    /// Posts a payload as it is written, and returns the message's id.
    pub(crate) async fn send_text(&self, event_type: &str, payload: &str) -> String {
        let body = format!("{{\"eventType\":\"{event_type}\",\"payload\":{payload}}}");
        // Without its content: no tree holds every number a payload may have.
        let path = self.path("/msg?with_content=false");
        let answer = self.api.post_text(&path, body).await;
        text(&answer.expect(202)["id"])
    }

    /// What is answered of an endpoint.
    pub(crate) async fn endpoint_now(&self, endpoint: &str) -> Value {
        let path = self.path(&format!("/endpoint/{endpoint}"));
        self.api.get(&path).await.expect(200)
    }

    /// Every attempt at an endpoint, newest first.
    pub(crate) async fn attempts_at(&self, endpoint: &str) -> Vec<Value> {
        let path = format!("/attempt/endpoint/{endpoint}?with_content=false");
        self.api.all(&self.path(&path)).await
    }

    /// Every attempt to deliver a message, newest first.
    pub(crate) async fn attempts_of(&self, message: &str) -> Vec<Value> {
        self.api
            .all(&self.path(&format!("/attempt/msg/{message}")))
            .await
    }

    /// The endpoints a message goes to, each with where its delivery stands.
    pub(crate) async fn destinations_of(&self, message: &str) -> Vec<Value> {
        self.api
            .all(&self.path(&format!("/msg/{message}/endpoint")))
            .await
    }

    /// Counts of an endpoint's deliveries.
    pub(crate) async fn stats_of(&self, endpoint: &str) -> Value {
        let path = self.path(&format!("/endpoint/{endpoint}/stats"));
        self.api.get(&path).await.expect(200)
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
