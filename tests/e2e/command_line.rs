//! What a person sees of the commands, and how they end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use serde_json::Value;

use crate::harness::{Ended, JWT_SECRET, Setup, watchfire};

/// How a command ended, as a person sees it.
fn seen(ended: &Ended) -> String {
    let code = ended.code.expect("no signal ended it");
    let (stdout, stderr) = (&ended.stdout, &ended.stderr);
    format!("{stdout}--- standard error ---\n{stderr}--- exit code {code} ---")
}

async fn run(arguments: &[&str]) -> Ended {
    Ended::of(&mut watchfire(arguments)).await
}

#[tokio::test]
async fn every_command_explains_itself() {
    for command in [
        "",
        "serve",
        "token",
        "key",
        "key create",
        "key list",
        "key revoke",
        "erase",
        "demo",
        "bench",
        "verify",
        "contract",
        "contract list",
        "contract show",
        "contract check",
        "import",
        "import website-defender",
    ] {
        let mut arguments: Vec<_> = command.split_whitespace().collect();
        arguments.push("--help");
        let name = arguments.join("_").replace("_--", "_").replace("--", "");
        insta::assert_snapshot!(name, run(&arguments).await.success());
    }
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_says_what_is_right() {
    insta::assert_snapshot!("wrong_command", seen(&run(&["sevre"]).await));
    insta::assert_snapshot!("wrong_flag", seen(&run(&["serve", "--listn", "x"]).await));
}

#[tokio::test]
async fn contracts_are_listed_shown_and_checked() {
    insta::assert_snapshot!("contract_list", seen(&run(&["contract", "list"]).await));
    for contract in ["standard", "dfend", "defectdojo"] {
        let shown = run(&["contract", "show", contract]).await;
        insta::assert_snapshot!(format!("contract_show_{contract}"), seen(&shown));
    }
    let unknown = run(&["contract", "show", "unheard-of"]).await;
    insta::assert_snapshot!("contract_show_unknown", seen(&unknown));
}

#[tokio::test]
async fn a_contract_of_ones_own_is_checked() {
    let setup = Setup::new();
    let folder = setup.folder().join("mine");
    std::fs::create_dir(&folder).expect("the folder is new");
    let check = async |contract: &str| {
        std::fs::write(folder.join("contract.toml"), contract).expect("it is ours");
        let path = folder.display().to_string();
        let mut ended = run(&["contract", "check", &path]).await;
        let above = setup.folder().display().to_string();
        ended.stderr = ended.stderr.replace(&above, "[folder]");
        seen(&ended)
    };
    let good = "title = \"Mine\"\nsummary = \"My own.\"\n[messages]\nunlisted = \"accept\"\n";
    insta::assert_snapshot!("contract_check_good", check(good).await);
    let bad = "title = \"Mine\"\nsummary = \"My own.\"\n[delivery]\nretry = [\"soon\"]\n";
    insta::assert_snapshot!("contract_check_bad", check(bad).await);
    let nowhere = run(&["contract", "check", "/nowhere"]).await;
    insta::assert_snapshot!("contract_check_nowhere", seen(&nowhere));
}

/// The example of the Standard Webhooks specification's reference implementations.
const SIGNED: [&str; 9] = [
    "verify",
    "--any-time",
    "--id=msg_p5jXN8AQM9LWM0D4loKWxJek",
    "--timestamp=1614265330",
    "--secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "--signature",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    "--body",
    "-",
];

#[tokio::test]
async fn a_good_signature_is_told_from_a_bad_one() {
    let verify = async |arguments: &[&str], body: &str| {
        let ended = Ended::with_input(&mut watchfire(arguments), body.as_bytes()).await;
        seen(&ended)
    };
    let body = r#"{"test": 2432232314}"#;
    insta::assert_snapshot!("verify_good", verify(&SIGNED, body).await);
    let changed = r#"{"test": 2432232315}"#;
    insta::assert_snapshot!("verify_changed", verify(&SIGNED, changed).await);
    let without_any_time = [&SIGNED[..1], &SIGNED[2..]].concat();
    insta::assert_snapshot!("verify_old", verify(&without_any_time, body).await);
    let mut wrong_secret = SIGNED;
    wrong_secret[4] = "--secret=whsec_tooshort";
    insta::assert_snapshot!("verify_wrong_secret", verify(&wrong_secret, body).await);
}

#[tokio::test]
async fn a_secret_in_the_environment_stays_out_of_the_help() {
    let mut command = watchfire(&["verify", "--help"]);
    command.env("WATCHFIRE_SECRET", "whsec_hush");
    let help = Ended::of(&mut command).await.success();
    assert!(!help.contains("hush"), "{help}");
}

/// The claims of a token.
fn claims(token: &str) -> Value {
    let part = token
        .trim()
        .split('.')
        .nth(1)
        .expect("a token has three parts");
    let bytes = BASE64_URL.decode(part).expect("it is base64");
    serde_json::from_slice(&bytes).expect("it is JSON")
}

#[tokio::test]
async fn a_token_is_for_the_organization_that_was_asked_for() {
    let token = async |arguments: &[&str]| {
        let mut command = watchfire(arguments);
        command.env("WATCHFIRE_JWT_SECRET", JWT_SECRET);
        claims(&Ended::of(&mut command).await.success())
    };
    let default = token(&["token"]).await;
    assert_eq!(default["sub"], "org_23rb8YdGqMT0qIzpgGwdXfHirMu");
    assert_eq!(default["iss"], "watchfire");
    let other = "org_00000000000000000000000001A";
    assert_eq!(token(&["token", "--org", other]).await["sub"], other);
}

#[tokio::test]
async fn a_token_is_not_made_up_for_a_folder_that_is_not_there() {
    let setup = Setup::new();
    let data = setup.data().display().to_string();
    let mut refused = run(&["token", "--data", &data]).await;
    refused.stderr = refused.stderr.replace(&data, "[data]");
    insta::assert_snapshot!("token_without_data", seen(&refused));
    assert!(!setup.data().exists(), "looking for a secret makes nothing");
}

#[tokio::test]
async fn tokens_of_two_organizations_see_nothing_of_each_other() {
    let server = Setup::new().start().await;
    let mut command = watchfire(&["token", "--org", "org_00000000000000000000000001A"]);
    command.env("WATCHFIRE_JWT_SECRET", JWT_SECRET);
    let token = Ended::of(&mut command).await.success();
    let stranger = server.api().with_token(token.trim());
    let app = crate::harness::Application::create(server.api()).await;
    assert!(stranger.all("/app").await.is_empty());
    stranger.get(&app.path("")).await.expect(404);
    assert_eq!(server.api().all("/app").await.len(), 1);
}

#[tokio::test]
async fn a_token_of_the_data_folder_opens_the_server_that_made_it() {
    let setup = Setup::new().without_env("WATCHFIRE_JWT_SECRET");
    let server = setup.start().await;
    let data = setup.data().display().to_string();
    let token = run(&["token", "--data", &data]).await.success();
    server
        .api()
        .with_token(token.trim())
        .get("/app")
        .await
        .expect(200);
    server.api().get("/app").await.expect(401);
}

#[tokio::test]
async fn a_key_is_made_used_listed_and_revoked() {
    let setup = Setup::new();
    let server = setup.start().await;
    let url = format!("http://{}", server.address());
    let token = server.api().token().to_owned();
    let key = async |arguments: &[&str]| {
        let mut command = watchfire(&[&["key"], arguments, &["--server", &url]].concat());
        command.env("WATCHFIRE_TOKEN", &token);
        Ended::of(&mut command).await
    };
    let made = key(&[
        "create",
        "--name",
        "Scanner",
        "--scopes",
        "endpoints:read,replay",
    ])
    .await;
    let made = made.success().trim().to_owned();
    let id = format!("key_{}", &made[4..31]);
    let holder = server.api().with_token(&made);
    holder.get("/app").await.expect(200);
    assert_eq!(holder.get("/auth/key").await.status, 403);
    let listed = key(&["list"]).await.success();
    assert!(
        listed.contains(&id) && listed.contains("endpoints:read,replay"),
        "{listed}"
    );
    let secret = &made[32..75];
    assert!(!listed.contains(secret), "a key is shown once");
    let revoked = key(&["revoke", &id]).await.success();
    assert!(revoked.contains(&id), "{revoked}");
    holder.get("/app").await.expect(401);
    assert!(!server.log().contains(secret));
    server.stop().await;
    for file in std::fs::read_dir(setup.data()).expect("a folder") {
        let path = file.expect("a file").path();
        let bytes = std::fs::read(&path).expect("readable");
        let found = bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{} holds the key", path.display());
    }
}

#[tokio::test]
async fn what_the_server_refuses_about_keys_is_told_in_one_line() {
    let server = Setup::new().start().await;
    let address = server.address().to_string();
    let key = async |arguments: &[&str], token: &str, url: &str| {
        let mut command = watchfire(&[&["key"], arguments, &["--server", url]].concat());
        command.env("WATCHFIRE_TOKEN", token);
        let mut ended = Ended::of(&mut command).await;
        ended.stderr = ended.stderr.replace(&address, "[address]");
        seen(&ended)
    };
    let (token, url) = (server.api().token(), format!("http://{address}"));
    let create = ["create", "--name", "x", "--scopes", "everything"];
    insta::assert_snapshot!("key_create_wrong", key(&create, token, &url).await);
    insta::assert_snapshot!("key_list_stranger", key(&["list"], "nobody", &url).await);
    let elsewhere = "http://192.0.2.1:8071";
    insta::assert_snapshot!("key_list_elsewhere", key(&["list"], token, elsewhere).await);
    insta::assert_snapshot!("key_revoke_wrong", key(&["revoke", "x"], token, &url).await);
}
