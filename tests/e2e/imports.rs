//! `watchfire import`: a product's own configuration, taken over by the real binary.

use serde_json::{Value, json};
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{Application, Ended, Server, Setup, watchfire};

const APPLICATION: &str = "website-defender";

/// A configuration file, and the server it is imported into.
struct Import {
    setup: Setup,
    server: Server,
}

impl Import {
    async fn new() -> Self {
        let setup = Setup::new();
        let server = setup.start().await;
        Self { setup, server }
    }

    async fn run(&self, config: &str, flags: &[&str]) -> Ended {
        let file = self.setup.folder().join("config.yaml");
        std::fs::write(&file, config).expect("the folder can be written to");
        let file = file.display().to_string();
        let url = format!("http://{}", self.server.address());
        let known = ["import", "website-defender", &file, "--server", &url];
        let mut command = watchfire(&[&known, flags].concat());
        command.env("WATCHFIRE_TOKEN", self.server.api().token());
        let mut ended = Ended::of(&mut command).await;
        let folder = self.setup.folder().display().to_string();
        ended.stderr = ended.stderr.replace(&folder, "[folder]");
        ended
    }

    async fn succeeds(&self, config: &str, flags: &[&str]) -> String {
        self.run(config, flags).await.success()
    }

    fn application(&self) -> Application {
        Application {
            api: self.server.api().clone(),
            id: APPLICATION.to_owned(),
        }
    }

    async fn endpoint(&self) -> Value {
        self.application().endpoint_now("webhook").await
    }

    /// How many changes anybody made.
    async fn changes(&self) -> usize {
        self.server.api().all("/audit").await.len()
    }

    /// Posts one event of each type.
    async fn post_all(&self) {
        for event in ["auto_ban", "brute_force", "scan_detected"] {
            let payload = json!({
                "event_type": event, "client_ip": "192.0.2.7", "reason": "excessive 4xx responses",
                "banned_for": "1h", "timestamp": "2026-02-20T10:30:00Z",
            });
            let event = json!({ "eventType": event, "payload": payload });
            self.application().send_event(&event).await;
        }
    }
}

/// A configuration as the product's document shows it.
fn config(url: &str, timeout: u32, events: &[&str]) -> String {
    let events: Vec<_> = events
        .iter()
        .map(|event| format!("    - {event}"))
        .collect();
    let events = events.join(
        "
",
    );
    format!(
        "server:\n  port: 9999\nwebhook:\n  # Webhook endpoint URL (empty = disabled)\n  \
         url: \"{url}\"\n  # Request timeout in seconds\n  timeout: {timeout}\n  \
         # Which events trigger notifications\n  events:\n{events}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_gets_exactly_the_events_of_the_file() {
    let receiver = Receiver::start(Script::always(Reply::status(200))).await;
    let import = Import::new().await;
    let url = receiver.url("/hook");
    let said = import
        .succeeds(&config(&url, 3, &["auto_ban", "scan_detected"]), &[])
        .await;
    assert_eq!(
        said,
        format!(
            "create application website-defender\ncreate endpoint webhook\n  \
             {url} gets auto_ban, scan_detected; 3 s for an answer\n"
        )
    );
    let endpoint = import.endpoint().await;
    assert_eq!(endpoint["timeoutMs"], 3_000);
    assert_eq!(endpoint["disabled"], false);
    import.post_all().await;
    let came = receiver.wait_for_count(2).await;
    let mut types: Vec<_> = came
        .iter()
        .map(|request| {
            let body: Value = serde_json::from_slice(&request.body).expect("JSON");
            body["event_type"].as_str().expect("a type").to_owned()
        })
        .collect();
    types.sort_unstable();
    assert_eq!(types, ["auto_ban", "scan_detected"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_import_again_changes_nothing() {
    let import = Import::new().await;
    // Written as nobody stores it: the address is normalized when it is saved.
    let file = config("http://127.0.0.1:9999/%7Ehook", 5, &["brute_force"]);
    import.succeeds(&file, &[]).await;
    let (endpoint, changes) = (import.endpoint().await, import.changes().await);
    let said = import.succeeds(&file, &[]).await;
    assert!(
        said.starts_with("endpoint webhook: nothing to change\n"),
        "{said}"
    );
    assert_eq!(import.endpoint().await, endpoint);
    assert_eq!(import.changes().await, changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_changes_what_it_says_differently() {
    let import = Import::new().await;
    let url = "http://127.0.0.1:9999/";
    import
        .succeeds(&config(url, 5, &["brute_force"]), &[])
        .await;
    let secret = format!("/app/{APPLICATION}/endpoint/webhook/secret");
    let api = import.server.api();
    let key = api.get(&secret).await.expect(200);
    let said = import.succeeds(&config(url, 9, &["auto_ban"]), &[]).await;
    assert!(
        said.starts_with("change eventTypes, timeoutMs of endpoint webhook\n"),
        "{said}"
    );
    let endpoint = import.endpoint().await;
    assert_eq!(endpoint["eventTypes"], json!(["auto_ban"]));
    assert_eq!(endpoint["timeoutMs"], 9_000);
    assert_eq!(api.get(&secret).await.expect(200), key);

    let said = import.succeeds(&config("", 9, &["auto_ban"]), &[]).await;
    assert!(
        said.contains("webhook.url is empty, so nothing is sent"),
        "{said}"
    );
    assert_eq!(import.endpoint().await["disabled"], true);
    import.succeeds(&config(url, 9, &["auto_ban"]), &[]).await;
    assert_eq!(import.endpoint().await["disabled"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_url_makes_no_endpoint() {
    let import = Import::new().await;
    let said = import.succeeds(&config("", 5, &["auto_ban"]), &[]).await;
    assert!(
        said.contains("webhook.url is empty, so nothing is sent"),
        "{said}"
    );
    let path = format!("/app/{APPLICATION}/endpoint");
    assert!(import.server.api().all(&path).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_of_events_sends_none_unless_it_is_to_mean_all() {
    let import = Import::new().await;
    let file = "webhook:\n  url: http://127.0.0.1:9999/\n  events: []\n";
    let said = import.succeeds(file, &[]).await;
    assert!(
        said.contains("gets no event, because webhook.events is empty"),
        "{said}"
    );
    assert_eq!(import.endpoint().await["disabled"], true);
    let said = import.succeeds(file, &["--empty-events", "all"]).await;
    assert!(said.contains("gets every event"), "{said}");
    assert_eq!(import.endpoint().await["disabled"], false);
    // A list that is not there means the document's default, which is all.
    let said = import
        .succeeds("webhook: {url: http://127.0.0.1:9999/}\n", &[])
        .await;
    assert!(said.contains("nothing to change"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_and_changes_nothing() {
    let import = Import::new().await;
    let file = config("http://127.0.0.1:9999/", 5, &["auto_ban"]);
    let said = import.succeeds(&file, &["--dry-run"]).await;
    assert_eq!(
        said,
        "would create application website-defender\nwould create endpoint webhook\n  \
         http://127.0.0.1:9999/ gets auto_ban; 5 s for an answer\n"
    );
    assert_eq!(import.server.api().all("/app").await.len(), 0);
    import.succeeds(&file, &[]).await;
    let changes = import.changes().await;
    let file = config("http://127.0.0.1:9999/", 6, &["auto_ban"]);
    let said = import.succeeds(&file, &["--dry-run"]).await;
    assert!(said.starts_with("would change timeoutMs of endpoint webhook\n"));
    assert_eq!(import.changes().await, changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_file_is_said_with_its_line() {
    let import = Import::new().await;
    let fails = async |config: &str| {
        let ended = import.run(config, &[]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        ended.stderr.trim_end().to_owned()
    };
    let url = "webhook:\n  timeout: 5\n  url: ";
    for (config, expect) in [
        (
            "webhook:\n  events: [auto_ban, auto_bann]\n".to_owned(),
            "line 2: webhook.events: there is no event \"auto_bann\"; known are auto_ban, brute_force, scan_detected",
        ),
        (
            "webhook:\n  timeout: 5s\n".to_owned(),
            "line 2: webhook.timeout: expected whole seconds such as 5, not 5s",
        ),
        (
            format!("{url}\"hooks.example.com\"\n"),
            "line 3: webhook.url: \"hooks.example.com\": ",
        ),
        (
            format!("{url}ftp://hooks.example.com/\n"),
            "line 3: webhook.url: \"ftp://hooks.example.com/\": ",
        ),
        (
            format!("{url}http://169.254.169.254/\n"),
            "line 3: the endpoint is refused: ",
        ),
        ("webhook: [\n".to_owned(), "line 2: "),
    ] {
        let said = fails(&config).await;
        let said = said
            .strip_prefix("watchfire: [folder]/config.yaml: ")
            .unwrap_or(&said);
        assert!(said.starts_with(expect), "{said}");
    }
    let ended = import.run("webhook:\n", &["--app", "no such id"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_of_another_contract_is_left_alone() {
    let import = Import::new().await;
    let other = json!({ "name": "Other", "uid": APPLICATION, "contract": "defguard" });
    import.server.api().post("/app", &other).await.expect(201);
    let ended = import
        .run("webhook: {url: http://127.0.0.1:9999/}\n", &[])
        .await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("has the contract defguard"),
        "{}",
        ended.stderr
    );
    let flags = ["--app", "castellum"];
    import
        .succeeds("webhook: {url: http://127.0.0.1:9999/}\n", &flags)
        .await;
}
