//! A sixth product: a folder, and no code. It is the one that the guide writes from nothing.

use std::path::{Path, PathBuf};

use serde_json::json;
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{Application, Certificate, Ended, Setup, TlsFront, in_checkout, watchfire};

fn guide() -> String {
    std::fs::read_to_string(in_checkout("docs/guides/write-a-contract.md")).expect("the guide")
}

/// Writes the files that the guide shows into a folder, and returns that.
fn written(setup: &Setup) -> PathBuf {
    let folder = setup.folder().join("contracts");
    let guide = guide();
    let mut count = 0;
    for part in guide.split("\n`acme/").skip(1) {
        let (name, rest) = part.split_once("`:\n\n```").expect("a file and its text");
        let (_, text) = rest.split_once('\n').expect("a language");
        let (text, _) = text.split_once("\n```").expect("an end");
        let path = folder.join("acme").join(name);
        let above = path.parent().expect("it is in a folder");
        std::fs::create_dir_all(above).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
        count += 1;
    }
    assert_eq!(count, 4);
    folder
}

async fn checked(folder: &Path) -> Ended {
    let folder = folder.display().to_string();
    Ended::of(&mut watchfire(&["contract", "check", &folder])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_product_sends_what_the_guide_shows() {
    let setup = Setup::new();
    let folder = written(&setup);
    let said = checked(&folder.join("acme")).await.success();
    assert_eq!(said, "acme: correct, 2 event types\n");
    let said = checked(&folder).await.success();
    assert_eq!(said, "acme: correct, 2 event types\n");
    let empty = checked(&folder.join("acme/samples")).await;
    assert!(empty.stderr.contains("no contract.toml"), "{empty:?}");

    let certificate = Certificate::in_folder(setup.folder());
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let front = TlsFront::before(&receiver, &certificate).await;
    let setup = setup
        .flag("--contracts", &folder.display().to_string())
        .flag(
            "--extra-ca-file",
            &certificate.certificate.display().to_string(),
        )
        .config("[contracts.acme.instance]\nproduct_version = \"2.0\"\n");
    let server = setup.start().await;
    let acme = json!({ "name": "A", "contract": "acme" });
    let app = Application::create_with(server.api(), &acme).await;
    let types = server.api().all("/event-type").await;
    let types: Vec<_> = types.iter().map(|known| &known["name"]).collect();
    assert_eq!(types, ["leak.closed", "leak.found"]);
    app.endpoint(&front.url("/")).await;
    let sample = std::fs::read_to_string(folder.join("acme/samples/leak.found.json"));
    app.send_text("leak.found", &sample.expect("the sample"))
        .await;
    let came = receiver.wait_for_count(1).await;
    let guide = guide();
    let (_, shown) = guide.split_once("```http\n").expect("a request");
    let (shown, _) = shown.split_once("\n```").expect("its end");
    let (head, body) = shown.split_once("\n\n").expect("a body");
    let mut lines = head.lines();
    assert_eq!(Some(came[0].method.as_str()), lines.next());
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        let value = value.replace("Acme/1.0", "Acme/2.0");
        assert_eq!(came[0].header(name), Some(value.as_str()), "{name}");
    }
    assert_eq!(came[0].body, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_replaces_a_product_that_ships() {
    let setup = Setup::new();
    let folder = setup.folder().join("contracts/defguard");
    std::fs::create_dir_all(&folder).expect("it can be made");
    let manifest = "title = \"Ours\"\nsummary = \"A defguard of our own.\"\n\
                    [messages]\nunlisted = \"accept\"\n\
                    [request]\nmethod = \"PATCH\"\nbody = [{ key = \"user\", value = \"{payload}\" }]\n";
    std::fs::write(folder.join("contract.toml"), manifest).expect("it can be written");
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let above = setup.folder().join("contracts").display().to_string();
    let setup = setup.flag("--contracts", &above);
    let server = setup.start().await;
    let ours = json!({ "name": "A", "contract": "defguard" });
    let app = Application::create_with(server.api(), &ours).await;
    app.endpoint(&receiver.url("/")).await;
    app.send_text("anything.at_all", "{\"a\":1.0}").await;
    let came = receiver.wait_for_count(1).await;
    assert_eq!(came[0].method, "PATCH");
    assert_eq!(came[0].body, "{\"user\":{\"a\":1.0}}");
}

#[tokio::test(flavor = "multi_thread")]
async fn event_types_follow_their_contract_and_come_back_with_it() {
    let setup = Setup::new();
    let folder = written(&setup);
    let manifest = folder.join("acme/contract.toml");
    let whole = std::fs::read_to_string(&manifest).expect("it was written");
    let above = folder.display().to_string();
    let setup = setup.flag("--contracts", &above);
    let types = async |manifest_text: &str, with_closed: bool| {
        std::fs::write(&manifest, manifest_text).expect("it is ours");
        let sample = folder.join("acme/samples/leak.closed.json");
        let closed = "{\"status\":\"closed\",\"leak\":{\"id\":7,\"severity\":\"high\"}}";
        if with_closed {
            std::fs::write(&sample, closed).expect("it is ours");
        } else {
            std::fs::remove_file(&sample).expect("it was there");
        }
        let server = setup.start().await;
        let acme = json!({ "name": "A", "uid": "acme", "contract": "acme" });
        server.api().post("/app?get_if_exists=true", &acme).await;
        let all = server.api().all("/event-type?include_archived=true").await;
        let lines: Vec<_> = all
            .iter()
            .map(|known| {
                format!(
                    "{} {} {}",
                    known["name"], known["description"], known["archived"]
                )
            })
            .collect();
        assert!(server.stop().await.success());
        lines
    };
    let found = "\"leak.found\" \"A password was found in a leak.\" false";
    let closed = |archived: bool| format!("\"leak.closed\" \"A leak was dealt with.\" {archived}");
    assert_eq!(types(&whole, true).await, [closed(false), found.to_owned()]);

    // A version without one of them, and with another text for the other.
    let (first, _) = whole
        .split_once("[events.\"leak.closed\"]")
        .expect("listed");
    let shorter = first.replace("A password was found in a leak.", "Found.");
    let found_anew = found.replace("A password was found in a leak.", "Found.");
    assert_eq!(types(&shorter, false).await, [closed(true), found_anew]);
    assert_eq!(types(&whole, true).await, [closed(false), found.to_owned()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_is_wrong_is_refused_at_the_start() {
    for (config, expect) in [
        (
            "[contracts.defectdojo.health]\ncooldown = \"soon\"\n",
            "configuration: contracts.defectdojo.health",
        ),
        (
            "[contracts.dfend.delivery]\ntimout = \"5s\"\n",
            "contracts.dfend.delivery.timout: unknown field `timout`",
        ),
        (
            "[contracts.defgard]\n",
            "contracts.defgard: there is no such contract; known are defectdojo",
        ),
    ] {
        let refusal = Setup::new().config(config).refusal().await;
        assert!(refusal.contains(expect), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_folder_is_told_what_would_be_right() {
    let break_it = |file: &'static str, from: &'static str, to: &'static str| (file, from, to);
    for ((file, from, to), expect) in [
        (
            break_it("contract.toml", "[messages]", "[messages"),
            "contract.toml: line ",
        ),
        (
            break_it("contract.toml", "record = [", "records = ["),
            "messages.records: unknown field",
        ),
        (
            break_it("contract.toml", "\"10m\"", "\"10 minutes\""),
            "delivery.retry",
        ),
        (
            break_it("contract.toml", "schemas/leak.json", "schemas/leek.json"),
            "the file acme/schemas/leek.json is missing",
        ),
        (
            break_it("contract.toml", "{payload}", "{payloads}"),
            "request.body",
        ),
        (
            break_it("contract.toml", "\"none\", \"bearer\"", "\"token\""),
            "endpoint.auth",
        ),
        (
            break_it("schemas/leak.json", "\"object\"", "\"objekt\""),
            "events.\"leak.",
        ),
        (
            break_it("schemas/leak.json", "{", "{{"),
            "schemas/leak.json is not JSON",
        ),
        (
            break_it("samples/leak.found.json", "\"open\"", "\"ajar\""),
            "events.\"leak.found\".sample: /status",
        ),
        (
            break_it("samples/leak.closed.json", "\"closed\"", "\"open\""),
            "events.\"leak.closed\".sample: /status",
        ),
    ] {
        let setup = Setup::new();
        let folder = written(&setup).join("acme");
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).expect("it was written");
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("it is ours");
        let ended = checked(&folder).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.stderr.contains(expect),
            "{file}: {from} -> {to}: {}",
            ended.stderr
        );
    }
}
