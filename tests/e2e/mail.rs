//! Administrators are told by mail: real conversations with aiosmtpd.

use serde_json::{Value, json};
use tokio::time::Instant;
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{
    Application, Certificate, Ended, Mail, MailServer, Server, Setup, eventually, watchfire,
};

const ADMIN: &str = "admin@customer.example";
const OPERATOR: &str = "operator@watch.example";

/// Settings of a mail server on loopback, with more lines of `[smtp]`.
fn smtp(port: u16, more: &str) -> String {
    format!(
        "[smtp]\nhost = \"127.0.0.1\"\nport = {port}\nfrom = \"Watchfire <watch@hooks.example>\"\n\
         gather = \"100ms\"\n{more}\n"
    )
}

/// Between two mails about one kind of notice.
const INTERVAL_SECS: u64 = 3;
const OPEN: &str = "security = \"none\"";

/// Our own contract, given up at once, whatever failed before.
fn impatient(config: &str) -> Setup {
    let steady = "[contracts.standard.health]\nsuspend_after = \"never\"\n";
    let setup = Setup::new().flag("--retry-schedule", "");
    setup.config(&format!("{config}{steady}"))
}

/// An application whose endpoint refuses everything.
async fn failing(server: &Server, receiver: &Receiver, administrators: &[&str]) -> Application {
    let settings = json!({ "name": "ACME", "administrators": administrators });
    let app = Application::create_with(server.api(), &settings).await;
    app.endpoint(&receiver.url("/T0/B0/secret-path")).await;
    app
}

async fn refusing() -> Receiver {
    Receiver::start(Script::always(Reply::status(500).body("secret answer"))).await
}

fn recipients(mails: &[Mail]) -> Vec<&str> {
    let mut recipients: Vec<_> = mails.iter().map(Mail::to).collect();
    recipients.sort_unstable();
    recipients
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_given_up_is_told_by_mail() {
    let mail_server = MailServer::plain().await;
    let receiver = refusing().await;
    let config = smtp(mail_server.port, &format!("{OPEN}\nto = [\"{OPERATOR}\"]"));
    let server = impatient(&config).start().await;
    let app = failing(&server, &receiver, &[ADMIN, OPERATOR]).await;
    let message = app.send(&json!({ "password": "secret payload" })).await;
    let mails = mail_server.until(2).await;
    assert_eq!(recipients(&mails), [ADMIN, OPERATOR], "each once, alone");
    for mail in &mails {
        let whole = mail.0.to_string();
        assert!(!whole.contains("secret"), "{whole}");
        assert_eq!(mail.0["from"], "watch@hooks.example");
        assert_eq!(mail.0["helo"], "[127.0.0.1]");
        assert_eq!(mail.0["defects"], json!([]));
        assert!(mail.0["longest"].as_u64().expect("a number") <= 78);
        assert_eq!(mail.header("from"), "Watchfire <watch@hooks.example>");
        assert_eq!(mail.header("to"), mail.to());
        assert_eq!(mail.header("auto-submitted"), "auto-generated");
        assert!(mail.header("date").ends_with(" +0000"));
        let id = mail.header("message-id");
        assert!(
            id.starts_with('<') && id.ends_with("@hooks.example>"),
            "{id}"
        );
        assert_eq!(
            mail.subject(),
            "ACME (Standard): 1 message was given up at 127.0.0.1"
        );
        for text in [mail.text(), mail.html()] {
            for fact in [
                "ACME (Standard)",
                "message.attempt.exhausted",
                &message,
                "status 500",
            ] {
                assert!(text.contains(fact), "{fact} is missing: {text}");
            }
        }
    }
    let ids: Vec<_> = mails.iter().map(|mail| mail.header("message-id")).collect();
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_sends_one_mail() {
    let mail_server = MailServer::plain().await;
    let receiver = refusing().await;
    let more = format!("{OPEN}\ninterval = \"{INTERVAL_SECS}s\"");
    let config = smtp(mail_server.port, &more).replace("100ms", "1s");
    let server = impatient(&config).start().await;
    let app = failing(&server, &receiver, &[ADMIN]).await;
    let begun_at = Instant::now();
    for n in 0..100 {
        app.send(&json!({ "n": n })).await;
    }
    // A mail or two at the pace of most machines, and never one for each message.
    let told = async || {
        let mails = mail_server.mails();
        let counts = mails.iter().map(given_up);
        (counts.sum::<usize>() == 100).then_some(mails.len())
    };
    let mails = eventually("all are told", told).await;
    let intervals = usize::try_from(begun_at.elapsed().as_secs() / INTERVAL_SECS).expect("few");
    assert!(mails <= 2 + intervals, "{mails} mails");
}

/// How many messages a mail says were given up.
fn given_up(mail: &Mail) -> usize {
    let line = mail.text().lines().find(|line| line.contains("given up"));
    let count = line.and_then(|line| line.split(' ').next());
    count.and_then(|count| count.parse().ok()).expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_over_starttls_with_a_login() {
    with_tls("starttls", &["PLAIN", "LOGIN"], "PLAIN").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_over_tls_from_the_first_byte() {
    with_tls("tls", &["LOGIN"], "LOGIN").await;
}

async fn with_tls(security: &str, offered: &[&str], expect: &str) {
    let setup = Setup::new().flag("--retry-schedule", "");
    let certificate = Certificate::in_folder(setup.folder());
    let mail_server = MailServer::start(&json!({
        "tls": security,
        "cert": certificate.certificate,
        "key": certificate.key,
        "username": "watch@hooks.example",
        "password": "pass wörd",
        "mechanisms": offered,
    }))
    .await;
    let more = format!("security = \"{security}\"\nusername = \"watch@hooks.example\"");
    let server = setup
        .config(&smtp(mail_server.port, &more))
        .env("WATCHFIRE_SMTP_PASSWORD", "pass wörd")
        .flag(
            "--extra-ca-file",
            &certificate.certificate.display().to_string(),
        )
        .start()
        .await;
    let receiver = refusing().await;
    let app = failing(&server, &receiver, &[ADMIN]).await;
    app.send(&json!({})).await;
    let mails = mail_server.until(1).await;
    assert_eq!(mails[0].0["tls"], true);
    assert_eq!(mails[0].0["login"], "watch@hooks.example");
    assert_eq!(
        mail_server.logins(),
        [json!({ "mechanism": expect, "right": true })]
    );
    assert!(!server.log().contains("pass w"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_a_server_that_nobody_vouches_for() {
    let setup = Setup::new();
    let certificate = Certificate::in_folder(setup.folder());
    let mail_server = MailServer::start(&json!({
        "tls": "starttls",
        "cert": certificate.certificate,
        "key": certificate.key,
        "username": "u",
        "password": "p",
    }))
    .await;
    let port = mail_server.port;
    let said = mail_test(
        &setup,
        port,
        "security = \"starttls\"\nusername = \"u\"\npassword = \"p\"",
    );
    let said = said.await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains("no TLS with the mail server"),
        "{said:?}"
    );
    assert!(mail_server.logins().is_empty(), "the password stayed here");
}

#[tokio::test(flavor = "multi_thread")]
async fn starttls_is_never_given_up() {
    let setup = Setup::new();
    let mail_server = MailServer::plain().await;
    let said = mail_test(&setup, mail_server.port, "security = \"starttls\"").await;
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("offers no STARTTLS"), "{said:?}");
    assert!(mail_server.mails().is_empty());
}

/// Runs `watchfire mail test`.
async fn mail_test(setup: &Setup, port: u16, more: &str) -> Ended {
    let file = setup.folder().join("mail.toml");
    std::fs::write(&file, smtp(port, more)).expect("written");
    let mut command = watchfire(&["mail", "test", "--to", ADMIN]);
    command.env("WATCHFIRE_CONFIG", file);
    Ended::of(&mut command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_can_be_tried() {
    let setup = Setup::new();
    let mail_server = MailServer::plain().await;
    let said = mail_test(&setup, mail_server.port, OPEN).await;
    assert_eq!(said.success(), format!("{ADMIN} was sent a mail.\n"));
    let mails = mail_server.until(1).await;
    assert_eq!(mails[0].subject(), "Watchfire: a test of the mail settings");
    let port = mail_server.port;
    mail_server.stop().await;
    let said = mail_test(&setup, port, OPEN).await;
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("can't be reached"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_not_shown() {
    let setup = Setup::new();
    let certificate = Certificate::in_folder(setup.folder());
    let mail_server = MailServer::start(&json!({
        "tls": "starttls", "cert": certificate.certificate, "key": certificate.key,
        "username": "u", "password": "right",
    }))
    .await;
    let more = "security = \"starttls\"\nusername = \"u\"\npassword = \"wrong-password\"";
    let file = setup.folder().join("mail.toml");
    std::fs::write(&file, smtp(mail_server.port, more)).expect("written");
    let mut command = watchfire(&["mail", "test", "--to", ADMIN]);
    command
        .env("WATCHFIRE_CONFIG", file)
        .env("WATCHFIRE_EXTRA_CA_FILE", &certificate.certificate);
    let said = Ended::of(&mut command).await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains("refused, while logging in: 535"),
        "{said:?}"
    );
    assert!(!said.stderr.contains("wrong-password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_keeps_nobody_else_from_the_mail() {
    let refused = "gone@customer.example";
    let deferred = "busy@customer.example";
    let settings = json!({ "refuse": [refused], "defer": [deferred] });
    let mail_server = MailServer::start(&settings).await;
    let receiver = refusing().await;
    let setup = impatient(&smtp(mail_server.port, OPEN));
    let server = setup.start().await;
    let app = failing(&server, &receiver, &[refused, deferred, ADMIN]).await;
    app.send(&json!({})).await;
    // The second try of the deferred one comes after half a minute.
    let mails = mail_server.until(2).await;
    assert_eq!(recipients(&mails), [ADMIN, deferred]);
    let log = server.log();
    assert!(log.contains("550 5.1.1 no such user"), "{log}");
    assert!(!log.contains(refused), "addresses stay out of the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_waits_for_its_server_and_deliveries_do_not() {
    let mail_server = MailServer::plain().await;
    let port = mail_server.port;
    mail_server.stop().await;
    let script = Script::choose(|request: &watchfire_testkit::Request| {
        Reply::status(if request.path() == "/good" { 200 } else { 500 })
    });
    let receiver = Receiver::start(script).await;
    let setup = impatient(&smtp(port, OPEN));
    let server = setup.start().await;
    let app = failing(&server, &receiver, &[ADMIN]).await;
    let good = app.endpoint(&receiver.url("/good")).await;
    app.send(&json!({ "n": 1 })).await;
    eventually("the mail was tried", async || {
        server.log().contains("a mail waits").then_some(())
    })
    .await;
    for n in 2..20 {
        app.send(&json!({ "n": n })).await;
    }
    eventually("deliveries go on", async || {
        (app.attempts_at(&good).await.len() == 19).then_some(())
    })
    .await;
    // It survives the server's end, too.
    server.kill().await;
    let mail_server = MailServer::start(&json!({ "port": port })).await;
    let server = setup.start().await;
    let mails = mail_server.until(1).await;
    assert_eq!(given_up(&mails[0]), 19, "all of them in one mail");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_says_who_is_told() {
    let mail_server = MailServer::plain().await;
    let receiver = refusing().await;
    let config = smtp(mail_server.port, &format!("{OPEN}\nto = [\"{OPERATOR}\"]"));
    let server = Setup::new().config(&config).start().await;
    let quiet =
        json!({ "name": "Quiet", "contract": "website-defender", "administrators": [ADMIN] });
    let quiet = Application::create_with(server.api(), &quiet).await;
    let endpoint = quiet.endpoint(&receiver.url("/quiet")).await;
    let loud = json!({ "name": "Loud", "contract": "defectdojo" });
    let loud = Application::create_with(server.api(), &loud).await;
    loud.endpoint(&receiver.url("/loud")).await;
    quiet.send_event(&ban()).await;
    eventually("it is given up", async || {
        (!quiet.attempts_at(&endpoint).await.is_empty()).then_some(())
    })
    .await;
    let event = json!({ "eventType": "other", "payload": { "description": "x", "title": "y" } });
    loud.send_event(&event).await;
    let mails = mail_server.until(1).await;
    // Website Defender tells nobody, though its message was given up before the other endpoint was
    // suspended: what came first would be told first.
    assert_eq!(recipients(&mails), [OPERATOR]);
    assert_eq!(
        mails[0].subject(),
        "Loud (DefectDojo): endpoint suspended at 127.0.0.1"
    );
}

fn ban() -> Value {
    json!({
        "eventType": "auto_ban",
        "payload": {
            "event_type": "auto_ban", "client_ip": "192.0.2.1", "reason": "r", "banned_for": "1h",
            "timestamp": "2026-02-20T10:30:00Z",
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_addresses() {
    let server = Setup::new().start().await;
    let wrong = json!({ "name": "A", "administrators": ["a@b.c", "x\r\nBcc: y@z", "ä@b.c"] });
    let refused = server.api().post("/app", &wrong).await.expect(422);
    let faults = refused["detail"].as_array().expect("a list");
    let places: Vec<_> = faults.iter().map(|fault| &fault["loc"][2]).collect();
    assert_eq!(places, ["[1]", "[2]"]);
    let many: Vec<_> = (0..21).map(|n| format!("a{n}@b.c")).collect();
    let many = json!({ "name": "A", "administrators": many });
    server.api().post("/app", &many).await.expect(422);
    let kept = json!({ "name": "A", "administrators": ["a@b.c", "a@b.c", "d@e.f"] });
    let kept = server.api().post("/app", &kept).await.expect(201);
    assert_eq!(kept["administrators"], json!(["a@b.c", "d@e.f"]));
}
