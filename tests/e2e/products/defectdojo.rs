//! DefectDojo: the event's name in a header, no retry, and endpoints that are suspended and come
//! back. Its timers run for real, shortened by the configuration.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use watchfire_domain::time::Timestamp;
use watchfire_testkit::{Reply, Request, Script};

use super::bodies::Body;
use super::scene::{STRICT, Scene, ok};
use crate::harness::eventually;

const PRODUCT: &str = "defectdojo";
const INSTANCE: &str = "[contracts.defectdojo.instance]\ninstance_url = \"https://dojo.example\"\nproduct_version = \"2.40.1\"\n";
const FINDING: &str =
    r#"{"description":"d","title":"t","user":null,"url_ui":"https://dojo.example/finding/1"}"#;

/// Short timers; whatever is not given is far away.
fn timers(lines: &str) -> String {
    format!("[contracts.defectdojo.health]\ncooldown = \"300ms\"\n{lines}\n")
}

/// Answers pings with 200 and everything else by a script of statuses.
fn after_pings(statuses: &[u16]) -> Script {
    let mut statuses: VecDeque<u16> = statuses.iter().copied().collect();
    Script::choose(move |request| {
        let is_ping = request.header("x-defectdojo-event") == Some("ping");
        let status = if is_ping {
            Some(200)
        } else {
            statuses.pop_front()
        };
        Reply::status(status.unwrap_or(200))
    })
}

impl Scene {
    /// The endpoint's health, once it is in this state in the product's words.
    async fn in_state(&self, endpoint: &str, state: &str) -> Value {
        eventually(state, async || {
            let health = self.app.endpoint_now(endpoint).await["health"].take();
            (health["contractState"] == state).then_some(health)
        })
        .await
    }

    /// Sends an event and waits until it was attempted, or skipped.
    async fn attempted(&self) -> Value {
        let message = self.app.send_text("finding_closed", FINDING).await;
        eventually("it is recorded", async || {
            self.app.attempts_of(&message).await.pop()
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_arrives_with_the_products_headers() {
    let config = format!("{STRICT}{INSTANCE}");
    let scene = Scene::of(PRODUCT, &config, ok()).await;
    let auth = json!({ "auth": { "type": "header", "name": "Auth", "value": "Token xxx" } });
    scene.endpoint(&scene.http_url(), auth).await;
    scene.receiver.wait_for_count(1).await;
    let posted = |body: &Body| body.payload.clone();
    let check = |body: &Body, request: &Request| {
        assert_eq!(request.method, "POST");
        for (name, expect) in [
            ("User-Agent", "DefectDojo-2.40.1"),
            ("X-DefectDojo-Event", &body.event_type),
            ("X-DefectDojo-Instance", "https://dojo.example"),
            ("Accept", "application/json"),
            ("Auth", "Token xxx"),
        ] {
            assert_eq!(request.header(name), Some(expect), "{name}");
        }
        let spelled = request
            .headers
            .iter()
            .any(|(name, _)| name == "X-DefectDojo-Event");
        assert!(spelled, "as the product spells it");
    };
    scene.send_all(PRODUCT, posted, check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_may_be_another_instance() {
    let scene = Scene::of(PRODUCT, INSTANCE, ok()).await;
    let instance = json!({ "instance": {
        "instance_url": "https://other.example", "product_version": "3.2.0",
    } });
    let path = scene.app.path("");
    let patched = scene
        .server
        .api()
        .exchange(http::Method::PATCH, &path, Some(&instance), None);
    patched.await.expect("an answer").expect(200);
    scene.endpoint(&scene.http_url(), json!({})).await;
    let came = scene.receiver.wait_for_count(1).await;
    let header = |name| came[0].header(name);
    assert_eq!(
        header("x-defectdojo-instance"),
        Some("https://other.example")
    );
    assert_eq!(header("user-agent"), Some("DefectDojo-3.2.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_comes_before_an_endpoint_is_used_and_after_each_edit() {
    let scene = Scene::of(PRODUCT, "", ok()).await;
    let endpoint = scene.endpoint(&scene.http_url(), json!({})).await;
    scene.receiver.wait_for_count(1).await;
    let edit = json!({ "description": "edited" });
    let path = scene.app.path(&format!("/endpoint/{endpoint}"));
    let edited = scene
        .server
        .api()
        .exchange(http::Method::PATCH, &path, Some(&edit), None);
    edited.await.expect("an answer").expect(200);
    let came = scene.receiver.wait_for_count(2).await;
    for ping in came {
        assert_eq!(ping.header("x-defectdojo-event"), Some("ping"));
        let body: Value = serde_json::from_slice(&ping.body).expect("JSON");
        assert_eq!(
            body,
            json!({ "description": "Test webhook notification", "title": "", "user": null })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_error_suspends_and_the_endpoint_comes_back_on_probation() {
    let far = timers("safety_net = \"1h\"");
    let script = after_pings(&[200, 503, 200, 429]);
    let scene = Scene::following(PRODUCT, &far, script).await;
    let endpoint = scene.endpoint(&scene.http_url(), json!({})).await;
    assert_eq!(scene.attempted().await["statusText"], "success");
    scene.in_state(&endpoint, "active").await;

    assert_eq!(scene.attempted().await["responseStatusCode"], 503);
    // It may be back already; its errors stay.
    let first = eventually("the error is noted", async || {
        let health = scene.app.endpoint_now(&endpoint).await["health"].take();
        health.get("firstErrorAt").is_some().then_some(health)
    })
    .await;
    assert_eq!(first["firstErrorAt"], first["lastErrorAt"]);
    assert_eq!(first["note"], "Response status code: 503");
    scene.in_state(&endpoint, "active_tmp").await;
    assert_eq!(scene.attempted().await["statusText"], "success");
    scene.in_state(&endpoint, "active_tmp").await;

    assert_eq!(scene.attempted().await["responseStatusCode"], 429);
    let again = eventually("the second error is noted", async || {
        let health = scene.app.endpoint_now(&endpoint).await["health"].take();
        (health["lastErrorAt"] != first["lastErrorAt"]).then_some(health)
    })
    .await;
    assert_eq!(again["firstErrorAt"], first["firstErrorAt"]);
    assert_eq!(again["note"], "Response status code: 429");
    scene.in_state(&endpoint, "active_tmp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_for_an_inactive_endpoint_are_skipped_and_can_be_replayed() {
    let config = "[contracts.defectdojo.health]\ncooldown = \"1h\"\nsafety_net = \"1h\"\n";
    let scene = Scene::following(PRODUCT, config, after_pings(&[500])).await;
    let endpoint = scene.endpoint(&scene.http_url(), json!({})).await;
    assert_eq!(scene.attempted().await["responseStatusCode"], 500);
    scene.in_state(&endpoint, "inactive_tmp").await;
    let skipped = scene.attempted().await;
    assert_eq!(skipped["outcome"]["kind"], "skipped");
    assert_eq!(skipped["outcome"]["reason"], "endpoint_suspended");
    let message = skipped["msgId"].as_str().expect("an id");

    let api = scene.server.api();
    let activate = scene.app.path(&format!("/endpoint/{endpoint}/activate"));
    let activated = api.post(&activate, &json!({})).await.expect(200);
    assert_eq!(activated["activated"], true);
    assert_eq!(activated["ping"]["result"], "succeeded");
    let health = &activated["endpoint"]["health"];
    assert_eq!(health["contractState"], "active");
    assert_eq!(health.get("firstErrorAt").or(health.get("note")), None);
    let resend = scene
        .app
        .path(&format!("/msg/{message}/endpoint/{endpoint}/resend"));
    api.post(&resend, &json!({})).await.expect(202);
    eventually("it is delivered after all", async || {
        let deliveries = scene.app.destinations_of(message).await;
        (deliveries[0]["statusText"] == "success").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_an_error_ends_probation() {
    let short = timers("safety_net = \"1h\"\nprobation = \"1500ms\"");
    let scene = Scene::following(PRODUCT, &short, after_pings(&[502])).await;
    let endpoint = scene.endpoint(&scene.http_url(), json!({})).await;
    assert_eq!(scene.attempted().await["responseStatusCode"], 502);
    let health = eventually("it is active again", async || {
        let health = scene.app.endpoint_now(&endpoint).await["health"].take();
        let is_back = health["contractState"] == "active" && health["note"] != Value::Null;
        is_back.then_some(health)
    })
    .await;
    assert_eq!(health["note"], "Reactivation from active_tmp");
    assert_eq!(
        health.get("firstErrorAt").or(health.get("lastErrorAt")),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_long_after_the_first_disables_for_good() {
    let short = timers("safety_net = \"1h\"\ndisable_after = \"100ms\"");
    let scene = Scene::following(PRODUCT, &short, after_pings(&[503, 503])).await;
    let endpoint = scene.endpoint(&scene.http_url(), json!({})).await;
    scene.attempted().await;
    let first = scene.in_state(&endpoint, "active_tmp").await;
    scene.attempted().await;
    let health = scene.in_state(&endpoint, "inactive_permanent").await;
    assert_eq!(health["firstErrorAt"], first["firstErrorAt"]);
    assert_ne!(health["lastErrorAt"], first["lastErrorAt"]);
    assert_eq!(
        scene.attempted().await["outcome"]["reason"],
        "endpoint_disabled"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_error_disables_until_somebody_activates_it_with_a_ping() {
    let refuses_pings = Script::choose(|request| {
        let is_ping = request.header("x-defectdojo-event") == Some("ping");
        Reply::status(if is_ping { 404 } else { 403 })
    });
    let scene = Scene::following(PRODUCT, "", refuses_pings).await;
    let endpoint = scene.endpoint(&scene.http_url(), json!({})).await;
    assert_eq!(scene.attempted().await["responseStatusCode"], 403);
    let health = scene.in_state(&endpoint, "inactive_permanent").await;
    assert_eq!(health["firstErrorAt"], health["lastErrorAt"]);
    assert_eq!(health["note"], "Response status code: 403");

    let api = scene.server.api();
    let path = |rest: &str| scene.app.path(&format!("/endpoint/{endpoint}/{rest}"));
    let refused = api.post(&path("activate"), &json!({})).await.expect(200);
    assert_eq!(refused["activated"], false);
    assert_eq!(refused["ping"]["responseStatusCode"], 404);
    scene.in_state(&endpoint, "inactive_permanent").await;

    // A ping succeeds below 400.
    scene.receiver.follow(Script::always(Reply::status(302)));
    let activated = api.post(&path("activate"), &json!({})).await.expect(200);
    assert_eq!(activated["activated"], true);
    scene.in_state(&endpoint, "active").await;

    let off = api.post(&path("deactivate"), &json!({})).await.expect(200);
    assert_eq!(off["health"]["contractState"], "inactive_permanent");
    assert_eq!(off["health"]["note"], "Deactivate from UI");
    assert_eq!(off["health"].get("firstErrorAt"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_endpoints_get_what_is_for_their_user() {
    let scene = Scene::of(PRODUCT, "", ok()).await;
    let url = |path: &str| scene.receiver.url(path);
    scene.endpoint(&url("/system"), json!({})).await;
    for user in ["user5", "user6"] {
        scene
            .endpoint(&url(&format!("/{user}")), json!({ "owner": user }))
            .await;
    }
    let pings = scene.receiver.wait_for_count(3).await.len();
    let payload = |user: &str| FINDING.replace(r#""user":null"#, &format!(r#""user":{user}"#));
    let user5 = r#"{"id":6,"email":"u@e.example","username":"user5","first_name":"U","last_name":"F","url_ui":"u","url_api":"u"}"#;
    let named = scene.app.send_text("user_mentioned", &payload(user5)).await;
    let everybody = scene.app.send_text("finding_closed", FINDING).await;
    let api = scene.server.api();
    let mut ids = vec![named, everybody];
    for recipients in [json!(["user6"]), json!([])] {
        let event = json!({
            "eventType": "finding_added", "payload": { "title": "t", "description": "d" },
            "recipients": recipients,
        });
        let made = api.post(&scene.app.path("/msg"), &event).await.expect(202);
        assert_eq!(made["recipients"], recipients);
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    let came = scene.receiver.wait_for_count(pings + 7).await;
    let paths = |id: &String| {
        let of = |request: &&Request| request.header("webhook-id") == Some(id);
        let mut paths: Vec<_> = came.iter().filter(of).map(Request::path).collect();
        paths.sort_unstable();
        paths.join(" ")
    };
    let seen: Vec<_> = ids.iter().map(paths).collect();
    assert_eq!(
        seen,
        [
            "/system /user5",
            "/system /user5 /user6",
            "/user6",
            "/system"
        ]
    );
    let too_many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    for (recipients, status) in [(json!(too_many), 422), (json!([""]), 422)] {
        let event = json!({ "eventType": "other", "payload": {}, "recipients": recipients });
        api.post(&scene.app.path("/msg"), &event)
            .await
            .expect(status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_safety_net_ends_a_cool_down_that_is_too_long() {
    let config = "[contracts.defectdojo.health]\ncooldown = \"1h\"\nsafety_net = \"1s\"\n";
    let scene = Scene::following(PRODUCT, config, after_pings(&[503])).await;
    let endpoint = scene.endpoint(&scene.http_url(), json!({})).await;
    assert_eq!(scene.attempted().await["responseStatusCode"], 503);
    let watched = scene.in_state(&endpoint, "active_tmp").await;
    assert_eq!(watched["firstErrorAt"], watched["lastErrorAt"]);
    assert_eq!(watched["note"], "Response status code: 503");
    let span = |from: &Value, to: &Value| {
        let at =
            |value: &Value| -> Timestamp { serde_json::from_value(value.clone()).expect("a time") };
        at(to).since(at(from))
    };
    assert!(span(&watched["lastErrorAt"], &watched["since"]) >= Duration::from_secs(1));
    assert_eq!(scene.attempted().await["statusText"], "success");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_can_be_deleted_in_every_state_and_no_timer_brings_it_back() {
    let short = timers("safety_net = \"1h\"\nprobation = \"500ms\"");
    let far = [200, 503, 404];
    for status in far {
        let scene = Scene::following(PRODUCT, &short, after_pings(&[status])).await;
        let endpoint = scene.endpoint(&scene.http_url(), json!({})).await;
        assert_eq!(scene.attempted().await["responseStatusCode"], status);
        let api = scene.server.api();
        let path = scene.app.path(&format!("/endpoint/{endpoint}"));
        let deleted = api.exchange(http::Method::DELETE, &path, None, None).await;
        deleted.expect("an answer").expect(204);
        // Another one outlives every timer of the first.
        let other = scene
            .endpoint(&scene.receiver.url("/other"), json!({}))
            .await;
        scene.receiver.follow(after_pings(&[502]));
        scene.attempted().await;
        eventually("its probation ends", async || {
            let health = scene.app.endpoint_now(&other).await["health"].take();
            (health["note"] == "Reactivation from active_tmp").then_some(())
        })
        .await;
        api.get(&path).await.expect(404);
        for action in ["ping", "activate", "deactivate"] {
            api.post(&format!("{path}/{action}"), &json!({}))
                .await
                .expect(404);
        }
        let message = scene.app.send_text("finding_closed", FINDING).await;
        let deliveries = scene.app.destinations_of(&message).await;
        let ids: Vec<_> = deliveries.iter().map(|delivery| &delivery["id"]).collect();
        assert_eq!(ids, [&json!(other)], "after {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_names_the_owner_of_a_personal_endpoint() {
    let scene = Scene::of(PRODUCT, "", ok()).await;
    let user = json!({
        "id": 6, "email": "user5@email.com", "first_name": "User", "last_name": "Five",
        "url_ui": "http://localhost:8080/user/6",
        "url_api": "http://localhost:8080/api/v2/users/6/",
    });
    let bodies = async |count: usize| {
        let came = scene.receiver.wait_for_count(count).await;
        let last = came.last().expect("a ping");
        serde_json::from_slice::<Value>(&last.body).expect("JSON")
    };
    let owned = json!({ "owner": "user5" });
    let endpoint = scene.endpoint(&scene.http_url(), owned).await;
    assert_eq!(bodies(1).await["user"], json!({ "username": "user5" }));
    let told = json!({ "metadata": { "user": user.to_string() } });
    let path = scene.app.path(&format!("/endpoint/{endpoint}"));
    let api = scene.server.api();
    let edited = api.exchange(http::Method::PATCH, &path, Some(&told), None);
    edited.await.expect("an answer").expect(200);
    let mut whole = user;
    whole["username"] = json!("user5");
    assert_eq!(
        bodies(2).await,
        json!({ "description": "Test webhook notification", "title": "", "user": whole })
    );
}
