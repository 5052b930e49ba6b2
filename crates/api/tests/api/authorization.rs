//! Who may do what: every route of the document, asked by those who may not.

use axum::http::StatusCode;

use super::harness::{SECRET, Server};

/// A body that every route can read.
pub(crate) const BODY: &str = r#"{"name":"x","url":"https://example.com/","eventType":"x","payload":{},
    "description":"x","headers":{},"scopes":["replay"],
    "since":"2026-02-20T10:00:00Z","until":"2026-02-20T10:00:00Z",
    "createdBefore":"2026-02-20T10:00:00Z","ids":["x"],"spec":{"webhooks":{}}}"#;

/// Routes that need no token. The list may only shrink.
pub(crate) const OPEN: &[&str] = &["GET /health", "GET /health/ping"];

/// Routes that another organization may ask, because they speak of its own objects only, or of the
/// servers themselves. The list may only shrink.
pub(crate) const PER_ORGANIZATION: &[&str] = &[
    "GET /app",
    "POST /app",
    "PUT /app/{app_id}",
    "GET /audit",
    "GET /auth/key",
    "POST /auth/key",
    "GET /contract",
    "GET /contract/{contract_name}",
    "GET /event-type",
    "GET /node",
    "GET /notice",
    "GET /operational-webhook/endpoint",
    "POST /event-type",
    "POST /operational-webhook/endpoint",
    "PUT /operational-webhook/endpoint/{endpoint_id}",
    "GET /background-task",
    "PUT /event-type/{event_type_name}",
    "POST /admin/redrive-dlq",
    "POST /environment/export",
    "POST /environment/import",
    "POST /event-type/import/openapi",
    "POST /stats/usage/app",
    "PUT /stats/usage/event-types",
    "POST /auth/expire-all",
    "POST /auth/logout",
];

/// Routes that a token for another application of the organization may ask, because they speak of
/// its own objects only. The list may only shrink.
pub(crate) const PER_APPLICATION: &[&str] = &["GET /background-task"];

/// Routes that speak of the token that asks, which no key is.
pub(crate) const OF_TOKENS: &[&str] = &["POST /auth/logout"];

/// Routes that a token for another application of the organization may ask. The list may only
/// shrink.
pub(crate) const READ_BY_ALL: &[&str] = &[
    "GET /contract",
    "GET /contract/{contract_name}",
    "GET /event-type",
    "GET /event-type/{event_type_name}",
];

/// Routes that may end the token that asks.
const ENDING: &[&str] = &["POST /auth/expire-all", "POST /auth/logout"];

/// All routes of the document, such as `GET /app/{app_id}`; last those that may end the token that
/// asks.
pub(crate) fn routes() -> Vec<String> {
    let document: serde_json::Value =
        serde_json::from_str(&watchfire_api::document()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, item): (&String, &serde_json::Value)| {
        let path = path
            .strip_prefix("/api/v1")
            .expect("under the API")
            .to_owned();
        let methods: Vec<_> = item.as_object().expect("an item").keys().cloned().collect();
        methods
            .into_iter()
            .map(move |method| format!("{} {path}", method.to_uppercase()))
    };
    let mut routes: Vec<_> = paths.iter().flat_map(of).collect();
    routes.sort_by_key(|route| ENDING.contains(&route.as_str()));
    routes
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) app: String,
    endpoint: String,
    /// An endpoint of operational webhooks.
    operational: String,
    message: String,
    attempt: String,
    pub(crate) key: (String, String),
    task: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = Server::start().await;
        let app = server.application(r#"{"name":"victim"}"#).await;
        let endpoint = server
            .endpoint(&app, r#"{"url":"https://example.com/"}"#)
            .await;
        let message = server
            .message(&app, r#"{"eventType":"x","payload":{}}"#)
            .await;
        server.until_attempted(&app, &message, 1).await;
        server
            .ask("POST /event-type", r#"{"name":"victims","description":""}"#)
            .await;
        let body = r#"{"url":"https://example.com/"}"#;
        let operational = server.ask("POST /operational-webhook/endpoint", body).await;
        let list = server
            .ask(&format!("GET /app/{app}/attempt/msg/{message}"), "")
            .await;
        let recover = server
            .ask(
                &format!("POST /app/{app}/endpoint/{endpoint}/recover"),
                r#"{"since":"2026-02-20T10:00:00Z"}"#,
            )
            .await;
        // Nothing is to change by itself from now on.
        let task = format!("GET /background-task/{}", recover.text("/id"));
        server
            .until(&task, |task| task["status"] == "finished")
            .await;
        Self {
            task: recover.text("/id"),
            attempt: list.text("/data/0/id"),
            key: server
                .key(&format!(
                    r#"{{"name":"k","scopes":["admin"],"applicationId":"{app}"}}"#
                ))
                .await,
            server,
            app,
            endpoint,
            operational: operational.text("/id"),
            message,
        }
    }

    pub(crate) fn line(&self, route: &str) -> String {
        let endpoint = if route.contains("/operational-webhook/") {
            &self.operational
        } else {
            &self.endpoint
        };
        route
            .replace("{app_id}", &self.app)
            .replace("{endpoint_id}", endpoint)
            .replace("{msg_id}", &self.message)
            .replace("{attempt_id}", &self.attempt)
            .replace("{key_id}", &self.key.0)
            .replace("{task_id}", &self.task)
            .replace("{event_type_name}", "victims")
            .replace("{contract_name}", "dfend")
    }

    /// Asks every route, and answers those whose status is not among the expected.
    pub(crate) async fn unexpected(&self, expect: &[StatusCode]) -> Vec<String> {
        let mut unexpected = Vec::new();
        for route in routes() {
            let answer = self.server.ask(&self.line(&route), BODY).await;
            if !expect.contains(&answer.status) {
                unexpected.push(route);
            }
        }
        unexpected
    }
}

pub(crate) fn sorted(routes: &[&str]) -> Vec<String> {
    let mut routes: Vec<_> = routes.iter().map(ToString::to_string).collect();
    routes.sort();
    routes
}

/// Asks every route with `token`; only the exceptions answer otherwise than expected, and
/// whatever was there before is there afterwards.
async fn check(mut world: World, token: String, expect: &[StatusCode], exceptions: &[&str]) {
    world.server.speak_as(token);
    let mut unexpected = world.unexpected(expect).await;
    unexpected.sort();
    assert_eq!(unexpected, sorted(exceptions));
    let owner = world
        .server
        .organization_token(watchfire_api::DEFAULT_ORGANIZATION);
    world.server.speak_as(owner);
    for route in routes().iter().filter(|route| route.starts_with("GET")) {
        let answer = world.server.ask(&world.line(route), "").await;
        assert!(
            answer.status.is_success(),
            "{route} is still there: {answer:?}"
        );
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_answered() {
    let world = World::new().await;
    for route in routes() {
        let mut request = world.server.request(&world.line(&route), BODY);
        request.headers_mut().remove("authorization");
        let answer = world.server.send(request).await;
        let open = OPEN.contains(&route.as_str());
        assert_eq!(answer.status == StatusCode::UNAUTHORIZED, !open, "{route}");
    }
}

#[tokio::test]
async fn with_a_wrong_token_nothing_is_answered() {
    for token in ["nonsense", SECRET, "a.b.c", ""] {
        let world = World::new().await;
        check(world, token.into(), &[StatusCode::UNAUTHORIZED], OPEN).await;
    }
}

#[tokio::test]
async fn another_organization_finds_nothing() {
    let world = World::new().await;
    let token = world.server.organization_token("org_other");
    let exceptions = [OPEN, PER_ORGANIZATION].concat();
    check(world, token, &[StatusCode::NOT_FOUND], &exceptions).await;
}

#[tokio::test]
async fn another_application_finds_nothing() {
    let world = World::new().await;
    let other = world.server.application(r#"{"name":"other"}"#).await;
    let token = world.server.application_token(&other, &[]);
    let refusals = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN];
    check(
        world,
        token,
        &refusals,
        &[OPEN, PER_APPLICATION, OF_TOKENS, READ_BY_ALL].concat(),
    )
    .await;
}

#[tokio::test]
async fn the_token_of_a_deleted_application_finds_nothing() {
    let world = World::new().await;
    let gone = world.server.application(r#"{"name":"gone"}"#).await;
    let token = world.server.application_token(&gone, &[]);
    world.server.ask(&format!("DELETE /app/{gone}"), "").await;
    let refusals = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN];
    check(
        world,
        token,
        &refusals,
        &[OPEN, OF_TOKENS, READ_BY_ALL].concat(),
    )
    .await;
}

#[tokio::test]
async fn an_organization_sees_only_its_own_lists() {
    let mut world = World::new().await;
    world
        .server
        .speak_as(world.server.organization_token("org_other"));
    for line in ["GET /app", "GET /event-type"] {
        let answer = world.server.ask(line, "").await.json();
        assert_eq!(answer["data"].as_array().map(Vec::len), Some(0), "{line}");
    }
}

#[tokio::test]
async fn refusals_are_worded_as_clients_expect() {
    let mut server = Server::start().await;
    let app = server.application(r#"{"name":"a"}"#).await;
    server.speak_as("some-nonsense-key".into());
    server.show("GET /app", "").await;
    server.speak_as(SECRET.into());
    server.show("GET /app", "").await;
    server.speak_as(server.application_token(&app, &[]));
    server.show("GET /app", "").await;
    server.show("GET /app/other", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_token_expires() {
    let server = Server::start().await;
    let mut late = Server::start().await;
    late.speak_as(server.organization_token(watchfire_api::DEFAULT_ORGANIZATION));
    assert_eq!(late.ask("GET /app", "").await.status, StatusCode::OK);
    late.clock
        .advance(std::time::Duration::from_hours(24 * 365 * 11));
    assert_eq!(
        late.ask("GET /app", "").await.status,
        StatusCode::UNAUTHORIZED
    );
}
