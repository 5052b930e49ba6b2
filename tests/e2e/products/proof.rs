//! What was sent is shown as it was, whatever became of the endpoint and its contract since.

use http::Method;
use serde_json::{Value, json};
use watchfire_testkit::{Receiver, Reply, Request, Script};

use crate::harness::{Application, Setup, eventually};

/// Checks a request of the history against the one that came, in every letter, and returns the names
/// of the headers whose values are hidden.
pub(super) fn assert_shown(request: &Value, came: &Request) -> Vec<String> {
    assert_eq!(request["method"], came.method);
    let body = request["body"].as_str().map(str::as_bytes);
    assert_eq!(body, Some(&came.body[..]));
    let shown = request["headers"].as_array().expect("a list");
    let mut hidden = Vec::new();
    for header in shown {
        let name = header[0].as_str().expect("a name");
        let sent = came.headers.iter().find(|(sent, _)| sent == name);
        let (_, sent) = sent.unwrap_or_else(|| panic!("no {name} came: {:?}", came.headers));
        match header[1].as_str() {
            Some(value) => assert_eq!(sent, value, "{name}"),
            None => hidden.push(name.to_owned()),
        }
    }
    // Everything that came is shown but what the connection itself adds.
    for (name, _) in &came.headers {
        let is_shown = shown.iter().any(|header| header[0] == name.as_str());
        let is_added = ["host", "content-length"].contains(&name.to_lowercase().as_str());
        assert!(is_shown || is_added, "{name} is missing");
    }
    hidden.sort_unstable();
    hidden
}

/// The only attempt of a message, whole.
pub(super) async fn attempt_of(app: &Application, message: &str) -> Value {
    let attempt = eventually("it is recorded", async || {
        app.attempts_of(message).await.pop()
    })
    .await;
    assert_eq!(attempt.get("request"), None, "lists are without it");
    let id = attempt["id"].as_str().expect("an id");
    let path = app.path(&format!("/msg/{message}/attempt/{id}"));
    app.api.get(&path).await.expect(200)
}

const FIRST: &str = "title = \"Acme\"\nsummary = \"A product.\"\n\
    [messages]\nunlisted = \"accept\"\n\
    [request]\nuser_agent = \"Acme/{product_version}\"\n\
    headers = [{ name = \"X-Acme-Event\", value = \"{event_type}\" },\n\
    { name = \"X-Acme-Team\", value = \"{{{endpoint.metadata.team}}}\" }]\n\
    body = [{ key = \"team\", value = \"{endpoint.metadata.team}\" },\n\
    { key = \"event\", value = \"{payload}\" }, { key = \"id\", value = \"{message_id}\" }]\n\
    [instance]\nproduct_version = \"1.0\"\n";
const SECOND: &str = "title = \"Acme\"\nsummary = \"A product.\"\n\
    [messages]\nunlisted = \"accept\"\n\
    [request]\nmethod = \"PUT\"\ncontent_type = \"application/cloudevents+json\"\n\
    [endpoint]\nauth = [\"none\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_stays_as_it_was() {
    let setup = Setup::new();
    let folder = setup.folder().join("contracts/acme");
    std::fs::create_dir_all(&folder).expect("it can be made");
    let manifest = folder.join("contract.toml");
    std::fs::write(&manifest, FIRST).expect("it can be written");
    let above = setup.folder().join("contracts").display().to_string();
    let setup = setup.flag("--contracts", &above);
    let server = setup.start().await;
    let acme = json!({ "name": "A", "uid": "acme", "contract": "acme" });
    let app = Application::create_with(server.api(), &acme).await;
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let settings = json!({
        "url": receiver.url("/first"),
        "metadata": { "team": "red {1}" },
        "auth": { "type": "bearer", "token": "t0k3n" },
        "headers": { "X-Key": "k3y" },
    });
    let endpoint = app.endpoint_with(&settings).await;
    let message = app.send_text("leak.found", "{ \"leak\" : 7.0 }").await;
    let came = receiver.wait_for_count(1).await.remove(0);
    assert_eq!(came.header("x-acme-team"), Some("{red {1}}"));
    let first = attempt_of(&app, &message).await;
    let hidden = assert_shown(&first["request"], &came);
    assert_eq!(hidden, ["X-Key", "authorization"]);
    for secret in ["t0k3n", "k3y"] {
        assert!(!first.to_string().contains(secret), "{first}");
    }
    let same = async |app: &Application, what: &str| {
        let now = attempt_of(app, &message).await;
        assert_eq!(now, first, "{what}");
    };

    let api = server.api();
    let path = app.path(&format!("/endpoint/{endpoint}"));
    let edit = json!({
        "url": receiver.url("/second"),
        "metadata": { "team": "blue" },
        "auth": { "type": "none" },
    });
    let edited = api.exchange(Method::PATCH, &path, Some(&edit), None).await;
    edited.expect("an answer").expect(200);
    let no_headers = json!({ "headers": {} });
    let put = format!("{path}/headers");
    let cleared = api.exchange(Method::PUT, &put, Some(&no_headers), None);
    cleared.await.expect("an answer").expect(204);
    let rotate = format!("{path}/secret/rotate");
    api.post(&rotate, &json!({})).await.expect(200);
    same(&app, "the endpoint was changed").await;

    std::fs::write(&manifest, SECOND).expect("it can be written");
    assert!(server.stop().await.success());
    let server = setup.start().await;
    let app = Application {
        api: server.api().clone(),
        id: app.id,
    };
    same(&app, "the contract was changed").await;
    let next = app.send_text("leak.found", "{ \"leak\" : 8.0 }").await;
    let came = receiver.wait_for_count(2).await.remove(1);
    let second = attempt_of(&app, &next).await;
    assert_eq!(assert_shown(&second["request"], &came), [""; 0]);
    assert_eq!(second["request"]["method"], "PUT");

    let deleted = server.api().exchange(Method::DELETE, &path, None, None);
    deleted.await.expect("an answer").expect(204);
    same(&app, "the endpoint was deleted").await;
}
