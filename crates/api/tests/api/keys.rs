//! API keys: what they open, and every route of the document asked with those that must not open
//! it.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use watchfire_domain::scope::Scope;

use super::authorization::{
    BODY, OF_TOKENS, OPEN, PER_APPLICATION, PER_ORGANIZATION, READ_BY_ALL, World, routes, sorted,
};
use super::harness::Server;

/// Routes that need a credential, with the scope that the document names for each.
fn guarded() -> Vec<(String, Scope)> {
    let document: Value = serde_json::from_str(&watchfire_api::document()).expect("JSON");
    let scope = |route: &String| {
        let (method, path) = route.split_once(' ').expect("a method and a path");
        let method = method.to_ascii_lowercase();
        let operation = &document["paths"][format!("/api/v1{path}")][&method];
        let scope = operation["x-required-scope"].as_str()?.to_owned();
        assert_eq!(operation["security"][0]["HTTPBearer"][0], scope, "{route}");
        Some((route.clone(), scope.parse().expect("a scope")))
    };
    let guarded: Vec<_> = routes().iter().filter_map(scope).collect();
    assert_eq!(guarded.len() + OPEN.len(), routes().len());
    guarded
}

#[test]
fn the_document_and_the_page_of_scopes_say_the_same() {
    let page = watchfire_api::scopes_reference();
    let guarded = guarded();
    for (route, scope) in &guarded {
        let row = format!("| `{route}` | `{scope}` |");
        assert!(page.contains(&row), "{row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), guarded.len());
}

fn named(scopes: impl IntoIterator<Item = Scope>) -> String {
    let names: Vec<_> = scopes.into_iter().map(Scope::name).collect();
    serde_json::to_string(&names).expect("JSON")
}

fn body(scopes: impl IntoIterator<Item = Scope>) -> String {
    format!(r#"{{"name":"k","scopes":{}}}"#, named(scopes))
}

fn body_for(app: &str, scopes: impl IntoIterator<Item = Scope>) -> String {
    let scopes = named(scopes);
    format!(r#"{{"name":"k","scopes":{scopes},"applicationId":"{app}"}}"#)
}

impl World {
    fn speak_as_owner(&mut self) {
        let owner = self
            .server
            .organization_token(watchfire_api::DEFAULT_ORGANIZATION);
        self.server.speak_as(owner);
    }

    /// What the owner of it all sees, but for when keys were used.
    async fn everything(&mut self) -> Vec<(String, Value)> {
        self.speak_as_owner();
        let mut seen = Vec::new();
        // What a node reports of itself changes all the time.
        let routes = routes();
        let asked = routes
            .iter()
            .filter(|route| route.starts_with("GET") && !route.ends_with("/node"));
        for route in asked {
            let mut json = self.server.ask(&self.line(route), "").await.json();
            for key in json["data"].as_array_mut().into_iter().flatten() {
                key.as_object_mut().and_then(|key| key.remove("lastUsedAt"));
            }
            if route.ends_with("/audit") {
                // Looking at secrets is noted, and here everything is looked at.
                let lines = json["data"].as_array_mut().expect("a list");
                lines.retain(|line| line["action"] != "endpoint.secret_read");
                json["iterator"] = Value::Null;
                json["prevIterator"] = Value::Null;
            }
            seen.push((route.clone(), json));
        }
        seen
    }

    /// Asks every route with `key`: only the exceptions answer otherwise than expected, and
    /// nothing that was there has changed.
    async fn turns_away(mut self, key: &str, expect: &[StatusCode], exceptions: &[&str]) {
        let before = self.everything().await;
        self.server.speak_as(key.to_owned());
        let mut unexpected = self.unexpected(expect).await;
        unexpected.sort();
        assert_eq!(unexpected, sorted(exceptions));
        assert_eq!(self.everything().await, before);
    }
}

#[tokio::test]
async fn a_key_lives_from_creation_to_revocation() {
    let mut server = Server::start().await;
    let app = server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    let body = r#"{"name":"Scanner","scopes":["replay","events:write"],"applicationId":"acme",
        "expiresAt":"2099-01-01T00:00:00Z"}"#;
    let made = server.show("POST /auth/key", body).await;
    let (id, key) = (made.text("/id"), made.text("/key"));
    assert_eq!(made.text("/applicationId"), app);
    server.show(&format!("GET /auth/key/{id}"), "").await;
    server.clock.advance(Duration::from_secs(1));
    server
        .show("POST /auth/key", r#"{"name":"All","scopes":["admin"]}"#)
        .await;
    server.show("GET /auth/key", "").await;
    server
        .show("GET /auth/key?limit=1&order=descending", "")
        .await;
    server.show(&format!("DELETE /auth/key/{id}"), "").await;
    server.show(&format!("DELETE /auth/key/{id}"), "").await;
    server.show("GET /auth/key/nonsense", "").await;
    server.speak_as(key);
    server
        .show("POST /app/acme/msg", r#"{"eventType":"x","payload":{}}"#)
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn faults_name_their_fields() {
    let mut server = Server::start().await;
    for body in [
        "{}",
        r#"{"name":"","scopes":[],"expiresAt":"2001-01-01T00:00:00Z","applicationId":"nobody"}"#,
        r#"{"name":"x","scopes":["admin","all"],"applicationId":"app_x"}"#,
        r#"{"name":"x","scopes":["a","a","a","a","a","a","a"]}"#,
    ] {
        server.show("POST /auth/key", body).await;
    }
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn an_owner_has_a_limited_number_of_keys() {
    let server = Server::start().await;
    for _ in 0..watchfire_domain::limit::API_KEYS_PER_OWNER_MAX {
        server.key(&body([Scope::Replay])).await;
    }
    let answer = server.ask("POST /auth/key", &body([Scope::Replay])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.text("/code"), "limit_reached");
}

#[tokio::test]
async fn a_repeated_request_makes_another_key() {
    let server = Server::start().await;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut request = server.request("POST /auth/key", &body([Scope::Replay]));
        let once = "once".parse().expect("a header");
        request.headers_mut().insert("idempotency-key", once);
        keys.push(server.send(request).await.text("/key"));
    }
    assert_ne!(keys[0], keys[1], "an answer with a key is not kept");
}

#[tokio::test]
async fn each_scope_opens_its_routes() {
    for scope in Scope::ALL {
        let mut world = World::new().await;
        let (_, key) = world.server.key(&body([scope])).await;
        world.server.speak_as(key);
        let mut opened: Vec<_> = guarded();
        opened.retain(|(route, needed)| *needed == scope && !OF_TOKENS.contains(&route.as_str()));
        opened.sort_by_key(|(route, _)| route.starts_with("DELETE"));
        for (route, _) in opened {
            let answer = world.server.ask(&world.line(&route), BODY).await;
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
            assert!(!refused.contains(&answer.status), "{route}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn without_its_scope_no_route_opens() {
    let mut world = World::new().await;
    for missing in Scope::ALL {
        let others = Scope::ALL
            .into_iter()
            .filter(|scope| *scope != missing && *scope != Scope::Admin);
        let (_, organizations) = world.server.key(&body(others.clone())).await;
        let (_, applications) = world.server.key(&body_for(&world.app, others)).await;
        let before = world.everything().await;
        for key in [organizations, applications] {
            world.server.speak_as(key);
            for (route, needed) in guarded() {
                if needed == missing {
                    let answer = world.server.ask(&world.line(&route), BODY).await;
                    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{route}");
                }
            }
        }
        assert_eq!(world.everything().await, before, "{missing}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_scope_that_is_missing() {
    let mut server = Server::start().await;
    server.application(r#"{"name":"A","uid":"a"}"#).await;
    let (_, key) = server.key(&body([Scope::EventsWrite])).await;
    server.speak_as(key);
    server.show("GET /app/a/endpoint", "").await;
    server.show("GET /auth/key", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn what_is_no_key_opens_nothing() {
    let world = World::new().await;
    let genuine = world.key.1.clone();
    for text in ["wfk_", "wfk_nonsense", &genuine[..80], &forged(&genuine)] {
        let world = World::new().await;
        world
            .turns_away(text, &[StatusCode::UNAUTHORIZED], OPEN)
            .await;
    }
}

/// The key with another secret and a checksum that fits.
fn forged(key: &str) -> String {
    let (head, _) = key.rsplit_once('_').expect("a checksum");
    let last = if head.ends_with('7') { '8' } else { '7' };
    let head = format!("{}{last}", &head[..head.len() - 1]);
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut crc = !0u32;
    for byte in head.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    crc = !crc;
    let place = |power| usize::try_from(crc / 62u32.pow(power) % 62).expect("a digit");
    let checksum: String = (0..6)
        .rev()
        .map(|power| char::from(digits[place(power)]))
        .collect();
    format!("{head}_{checksum}")
}

#[tokio::test]
async fn the_right_id_with_another_secret_opens_nothing() {
    let mut world = World::new().await;
    let (_, key) = world.server.key(&body([Scope::Admin])).await;
    world.server.speak_as(key.clone());
    let opened = world.server.ask("GET /app", "").await;
    assert_eq!(opened.status, StatusCode::OK, "it is known by now");
    let forged = forged(&key);
    world
        .turns_away(&forged, &[StatusCode::UNAUTHORIZED], OPEN)
        .await;
}

#[tokio::test]
async fn the_key_of_another_organization_finds_and_changes_nothing() {
    let mut world = World::new().await;
    let other = world.server.organization_token("org_other");
    world.server.speak_as(other);
    let (_, key) = world.server.key(&body([Scope::Admin])).await;
    let exceptions = [OPEN, PER_ORGANIZATION].concat();
    world
        .turns_away(&key, &[StatusCode::NOT_FOUND], &exceptions)
        .await;
}

#[tokio::test]
async fn the_key_of_another_application_finds_and_changes_nothing() {
    let world = World::new().await;
    let other = world.server.application(r#"{"name":"other"}"#).await;
    let (_, key) = world.server.key(&body_for(&other, Scope::ALL)).await;
    let refusals = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN];
    let exceptions = [OPEN, PER_APPLICATION, READ_BY_ALL].concat();
    world.turns_away(&key, &refusals, &exceptions).await;
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_at_once() {
    let mut world = World::new().await;
    let (id, key) = world.server.key(&body([Scope::Admin])).await;
    world.server.speak_as(key.clone());
    let opened = world.server.ask("GET /app", "").await;
    assert_eq!(opened.status, StatusCode::OK);
    // It may even revoke itself.
    let answer = world
        .server
        .ask(&format!("DELETE /auth/key/{id}"), "")
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    world
        .turns_away(&key, &[StatusCode::UNAUTHORIZED], OPEN)
        .await;
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let mut world = World::new().await;
    let at = world.server.clock.advance(Duration::ZERO) + Duration::from_mins(1);
    let body = format!(r#"{{"name":"k","scopes":["admin"],"expiresAt":"{at}"}}"#);
    let (_, key) = world.server.key(&body).await;
    world.server.speak_as(key.clone());
    world.server.clock.advance(Duration::from_millis(59_999));
    let opened = world.server.ask("GET /app", "").await;
    assert_eq!(opened.status, StatusCode::OK);
    world.server.clock.advance(Duration::from_millis(1));
    world
        .turns_away(&key, &[StatusCode::UNAUTHORIZED], OPEN)
        .await;
}

#[tokio::test]
async fn the_key_of_a_deleted_application_opens_nothing() {
    let mut world = World::new().await;
    let gone = world.server.application(r#"{"name":"gone"}"#).await;
    let (_, key) = world.server.key(&body_for(&gone, Scope::ALL)).await;
    world.server.speak_as(key.clone());
    let line = format!("GET /app/{gone}");
    let opened = world.server.ask(&line, "").await;
    assert_eq!(opened.status, StatusCode::OK);
    world.speak_as_owner();
    world.server.ask(&format!("DELETE /app/{gone}"), "").await;
    world
        .turns_away(&key, &[StatusCode::UNAUTHORIZED], OPEN)
        .await;
}

#[tokio::test]
async fn an_applications_key_sends_its_messages_and_creates_no_application() {
    let mut server = Server::start().await;
    let own = server.application(r#"{"name":"own","uid":"own"}"#).await;
    let (_, applications) = server.key(&body_for(&own, [Scope::EventsWrite])).await;
    let (_, organizations) = server.key(&body([Scope::EventsWrite])).await;
    let message = r#"{"eventType":"x","payload":{},"application":{"name":"n","uid":"new"}}"#;
    for key in [applications, organizations] {
        server.speak_as(key);
        let sent = server.ask("POST /app/own/msg", message).await;
        assert_eq!(sent.status, StatusCode::ACCEPTED);
        let refused = server.ask("POST /app/new/msg", message).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn the_portals_token_makes_no_keys() {
    let mut server = Server::start().await;
    let app = server.application(r#"{"name":"a"}"#).await;
    server.speak_as(server.application_token(&app, &[]));
    for line in ["GET /auth/key", "POST /auth/key"] {
        let answer = server
            .ask(line, &body_for(&app, [Scope::EndpointsRead]))
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{line}");
    }
}

#[tokio::test]
async fn the_last_use_is_noted() {
    let mut world = World::new().await;
    let (id, key) = world.server.key(&body([Scope::EndpointsRead])).await;
    let line = format!("GET /auth/key/{id}");
    assert_eq!(
        world.server.ask(&line, "").await.json().get("lastUsedAt"),
        None
    );
    world.server.speak_as(key);
    world.server.ask("GET /app", "").await;
    world.speak_as_owner();
    world
        .server
        .until(&line, |answer| answer["lastUsedAt"].is_string())
        .await;
}
