//! Every route of the dashboard and the portal, asked by those it is not for.
//!
//! The routes come from the list that the dashboard's own tests keep fresh, so a new one is judged
//! without being named here.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Application, Server, Setup};

/// `GET /dashboard/apps endpoints:read`, a route a line.
const ROUTES: &str = include_str!("../../crates/dashboard/routes.txt");
const RECEIVER: &str = "http://127.0.0.1:40000/";

/// A route with the ids of somebody's objects in it.
struct Route {
    method: Method,
    path: String,
}

/// All routes of `place`, about these objects.
fn routes(place: &str, ids: &[(&str, String)]) -> Vec<Route> {
    let lines = ROUTES.lines().map(|line| {
        let mut words = line.split(' ');
        let method = words.next().and_then(|name| name.parse().ok());
        let path = words.next().expect("a path");
        let fill = |path: String, (name, id): &(&str, String)| path.replace(name, id);
        let path = ids.iter().fold(path.to_owned(), fill);
        assert!(!path.contains('{'), "{path} has an id that nobody knows");
        (method.expect("a method"), path)
    });
    lines
        .filter(|(_, path)| path.starts_with(place))
        .map(|(method, path)| Route { method, path })
        .collect()
}

/// An application with something in every place that a path can name.
struct Tenant {
    app: Application,
    ids: Vec<(&'static str, String)>,
}

impl Tenant {
    async fn create(api: &Api) -> Self {
        let app = Application::create(api).await;
        let settings = json!({ "url": RECEIVER, "disabled": true });
        let endpoint = app.endpoint_with(&settings).await;
        let message = app.send(&json!({ "of": "a customer" })).await;
        // It waits for its endpoint, which is switched off.
        let path = app.path(&format!("/endpoint/{endpoint}/bulk-replay"));
        let since = json!({ "since": "2026-01-01T00:00:00Z" });
        let task = api.post(&path, &since).await.expect(202);
        let task = task["id"].as_str().expect("an id").to_owned();
        let key =
            json!({ "name": "theirs", "applicationId": app.id, "scopes": ["endpoints:read"] });
        let key = api.post("/auth/key", &key).await;
        let key: Value = serde_json::from_slice(&key.body).unwrap_or_default();
        let key = key["id"].as_str().expect("a key").to_owned();
        let ids = vec![
            ("{app_id}", app.id.clone()),
            ("{endpoint_id}", endpoint.clone()),
            ("{msg_id}", message),
            ("{task_id}", task),
            ("/endpoints/{id}", format!("/endpoints/{endpoint}")),
            ("/keys/{id}", format!("/keys/{key}")),
            ("{notice_id}", "ntc_000000000000000000000000000".to_owned()),
            ("{event_type}", "threat.created".to_owned()),
        ];
        Self { app, ids }
    }

    /// All that a stranger could have changed.
    async fn state(&self, api: &Api) -> Vec<Value> {
        let endpoint = &self.ids[1].1;
        let mut state = Vec::new();
        for path in [
            format!("/app/{}", self.app.id),
            self.app.path("/endpoint"),
            self.app.path(&format!("/endpoint/{endpoint}/secret")),
            self.app.path(&format!("/attempt/endpoint/{endpoint}")),
            self.app.path("/msg"),
            "/background-task".to_owned(),
            "/auth/key".to_owned(),
        ] {
            let mut answer = api.get(&path).await.expect(200);
            // That somebody asked is no change.
            for one in answer["data"].as_array_mut().into_iter().flatten() {
                if let Some(fields) = one.as_object_mut() {
                    fields.remove("lastUsedAt");
                }
            }
            state.push(answer);
        }
        state
    }
}

/// Signs in and returns the cookie as `name=value`.
async fn signed_in(api: &Api, path: &str, form: &str) -> String {
    let answer = api.browse((Method::POST, path), &[], form).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie").expect("a cookie");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

async fn into_dashboard(api: &Api, credential: &str) -> String {
    signed_in(
        api,
        "/dashboard/sign-in",
        &format!("credential={credential}"),
    )
    .await
}

async fn into_portal(api: &Api, app: &Application) -> String {
    let path = format!("/auth/app-portal-access/{}", app.id);
    let made = api.post(&path, &json!({})).await.expect(200);
    let token = made["token"].as_str().expect("a token");
    signed_in(api, "/portal/session", &format!("token={token}")).await
}

async fn two_tenants() -> (Server, Tenant, Tenant, Setup) {
    let setup = Setup::new();
    let server = setup.start().await;
    let own = Tenant::create(server.api()).await;
    let other = Tenant::create(server.api()).await;
    (server, own, other, setup)
}

fn leads_to_a_sign_in(answer: &Answer) -> bool {
    let to = answer.header("location").unwrap_or_default();
    answer.status == 303 && (to.starts_with("/dashboard/sign-in") || to == "/portal")
}

#[tokio::test]
async fn without_a_session_every_route_leads_to_a_sign_in_and_does_nothing() {
    let (server, _, other, _setup) = two_tenants().await;
    let api = server.api();
    let before = other.state(api).await;
    let all = routes("/", &other.ids);
    assert!(all.len() > 80, "only {} routes", all.len());
    for Route { method, path } in all {
        for cookie in ["", "watchfire=AAAA; __Host-watchfire=AAAA"] {
            let headers = [("cookie", cookie), ("accept", "text/html")];
            let answer = api
                .browse((method.clone(), &path), &headers, "name=x")
                .await;
            let is_refused = method == Method::POST && answer.status == 403;
            let told = format!("{method} {path}: {}", answer.status);
            assert!(leads_to_a_sign_in(&answer) || is_refused, "{told}");
        }
    }
    assert_eq!(other.state(api).await, before);
}

#[tokio::test]
async fn no_route_opens_to_another_customers_session() {
    let (server, own, other, _setup) = two_tenants().await;
    let api = server.api();
    let before = other.state(api).await;
    let cookie = into_portal(api, &own.app).await;
    let (name, value) = cookie.split_once('=').expect("a cookie");
    // As it is, under the name of the other's, and as an operator's.
    let forged = name.replace(&own.app.id, &other.app.id);
    for cookie in [
        cookie.clone(),
        format!("{forged}={value}"),
        format!("watchfire={value}"),
    ] {
        for Route { method, path } in routes("/", &other.ids) {
            let headers = [("cookie", cookie.as_str())];
            let answer = api
                .browse((method.clone(), &path), &headers, "name=x")
                .await;
            let is_closed = matches!(answer.status, 403 | 404) || leads_to_a_sign_in(&answer);
            assert!(is_closed, "{method} {path}: {}", answer.status);
        }
    }
    assert_eq!(other.state(api).await, before);
}

#[tokio::test]
async fn no_route_opens_to_the_key_of_another_application() {
    let (server, own, other, _setup) = two_tenants().await;
    let api = server.api();
    let before = other.state(api).await;
    let scopes = [
        "events:write",
        "endpoints:read",
        "endpoints:write",
        "secrets:read",
        "replay",
    ];
    let key = json!({ "name": "own", "applicationId": own.app.id, "scopes": scopes });
    let key = api.post("/auth/key", &key).await;
    let key: Value = serde_json::from_slice(&key.body).expect("JSON");
    let key = key["key"].as_str().expect("a key");
    let cookie = into_dashboard(api, key).await;
    let headers = [("cookie", cookie.as_str())];
    let begun = other.state(api).await;
    for Route { method, path } in routes("/dashboard", &other.ids) {
        // Its own look and its own end are everybody's.
        if path.ends_with("/theme") || path.ends_with("/sign-out") {
            continue;
        }
        let answer = api
            .browse((method.clone(), &path), &headers, "name=x")
            .await;
        let is_closed = matches!(answer.status, 403 | 404);
        assert!(is_closed, "{method} {path}: {}", answer.status);
    }
    assert_eq!(other.state(api).await, begun);
    assert_eq!(begun[..6], before[..6], "all but the list of keys");
}

#[tokio::test]
async fn every_form_without_its_sessions_token_is_refused() {
    let (server, _, other, _setup) = two_tenants().await;
    let api = server.api();
    let before = other.state(api).await;
    let cookie = into_dashboard(api, api.token()).await;
    let portal = into_portal(api, &other.app).await;
    let both = format!("{cookie}; {portal}");
    let foreign = csrf(api, &into_dashboard(api, api.token()).await).await;
    for Route { method, path } in routes("/", &other.ids) {
        if method != Method::POST {
            continue;
        }
        for form in [
            "name=x".to_owned(),
            "name=x&csrf=".to_owned(),
            format!("csrf={foreign}"),
        ] {
            let headers = [("cookie", both.as_str())];
            let answer = api.browse((Method::POST, &path), &headers, &form).await;
            // What a customer may never do is refused before its form is read.
            let is_refused = matches!(answer.status, 403 | 404);
            assert!(is_refused, "POST {path} with {form}: {}", answer.status);
        }
    }
    assert_eq!(other.state(api).await, before);
}

async fn csrf(api: &Api, cookie: &str) -> String {
    let headers = [("cookie", cookie)];
    let page = api
        .browse((Method::GET, "/dashboard/apps/new"), &headers, "")
        .await;
    let text = String::from_utf8(page.body.to_vec()).expect("text");
    let (_, rest) = text.split_once("name=\"csrf\" value=\"").expect("a token");
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn other_sites_and_made_up_hosts_change_nothing() {
    let server = Setup::new().start().await;
    let api = server.api();
    let cookie = into_dashboard(api, api.token()).await;
    let form = format!("name=Forged&csrf={}", csrf(api, &cookie).await);
    for headers in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![
            ("origin", "https://evil.example"),
            ("x-forwarded-host", "evil.example"),
        ],
        vec![("host", "evil.example"), ("origin", "http://127.0.0.1")],
    ] {
        let headers: Vec<_> = headers
            .into_iter()
            .chain([("cookie", cookie.as_str())])
            .collect();
        let answer = api
            .browse((Method::POST, "/dashboard/apps/new"), &headers, &form)
            .await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    assert_eq!(api.all("/app").await.len(), 0);
    // A name that somebody made up never becomes an address to go to.
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
    ];
    let answer = api.browse((Method::GET, "/dashboard"), &headers, "").await;
    assert!(leads_to_a_sign_in(&answer), "{answer:?}");
}

#[tokio::test]
async fn over_https_cookies_are_bound_to_the_host() {
    let setup = Setup::new().env("WATCHFIRE_PUBLIC_URL", "https://hooks.example.com");
    let server = setup.start().await;
    let api = server.api();
    let form = format!("credential={}", api.token());
    let answer = api
        .browse((Method::POST, "/dashboard/sign-in"), &[], &form)
        .await;
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("__Host-"), "{cookie}");
    for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie} lacks {part}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    // The same session under the name of plain http opens nothing.
    let plain = cookie.split(';').next().unwrap_or_default();
    let plain = plain.trim_start_matches("__Host-");
    let answer = api
        .browse((Method::GET, "/dashboard"), &[("cookie", plain)], "")
        .await;
    assert!(leads_to_a_sign_in(&answer), "{answer:?}");
}

#[tokio::test]
async fn who_is_refused_too_often_waits_and_is_told_how_long() {
    let server = Setup::new().start().await;
    let api = server.api();
    let page = (Method::POST, "/dashboard/sign-in");
    for _ in 0..12 {
        let answer = api.browse(page.clone(), &[], "credential=wrong").await;
        assert_eq!(answer.status, 401);
    }
    for path in ["/dashboard/sign-in", "/portal/session"] {
        let form = format!("credential={0}&token={0}", api.token());
        let answer = api.browse((Method::POST, path), &[], &form).await;
        assert_eq!(answer.status, 429, "{path}");
        assert!(answer.header("set-cookie").is_none(), "{path}");
        let wait: u64 = answer
            .header("retry-after")
            .and_then(|text| text.parse().ok())
            .expect("a time");
        assert!((1..=60).contains(&wait), "{wait}");
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        assert!(text.contains("Please try again in"), "{text}");
        assert!(text.contains("<form"), "there is a way on: {text}");
    }
}
