use std::fmt::Write as _;
use std::time::Duration;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, Result<Layers, SettingsError>) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("watchfire.toml");
    std::fs::write(&path, text).expect("written");
    let mut layers = Layers::default();
    let read = layers.read_file(&path).map(|()| layers);
    (dir, read)
}

#[test]
fn every_default_can_be_read() {
    let settings = Layers::default().resolve().expect("defaults");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8071");
    assert_eq!(settings.attempt_timeout, limit::ATTEMPT_TIMEOUT);
    assert_eq!(
        settings.retentions.default.payloads,
        limit::PAYLOAD_RETENTION
    );
    let schedule = table().find(|setting| setting.key == "retry_schedule");
    let schedule: Schedule = schedule.expect("listed").default.parse().expect("valid");
    assert_eq!(schedule, Schedule::default());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let (_dir, layers) = file("listen = '127.0.0.1:1'\nlog = 'warn'\ndata = 'x'");
    let mut layers = layers.expect("valid");
    layers.read_environment(|name| match name {
        "WATCHFIRE_LISTEN" => Some("127.0.0.1:2".to_owned()),
        "WATCHFIRE_LOG" => Some("debug".to_owned()),
        _ => None,
    });
    layers.flag("listen", Some("127.0.0.1:3".to_owned()));
    let settings = layers.resolve().expect("valid");
    assert_eq!(settings.listen.port(), 3);
    assert_eq!(settings.log, "debug");
    assert_eq!(settings.data, PathBuf::from("x"));
}

#[test]
fn lists_can_be_written_as_lists() {
    let (_dir, layers) =
        file("allow_cidrs = ['10.0.0.0/8', 'fd00::/8']\nretry_schedule = ['1ms', '5s']");
    let settings = layers.expect("valid").resolve().expect("valid");
    assert_eq!(settings.allow_cidrs.len(), 2);
    assert_eq!(settings.retry_schedule.expect("set").attempts_max(), 3);
}

#[test]
fn wrong_values_are_named_in_one_line() {
    let problem = |text: &str| {
        let (_dir, layers) = file(text);
        let error = layers
            .and_then(Layers::resolve)
            .map(|_| ())
            .expect_err("wrong");
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        text.rsplit_once("watchfire.toml: ")
            .expect("names the file")
            .1
            .to_owned()
    };
    assert!(problem("listn = 'x'").starts_with("unknown key \"listn\"; known are listen,"));
    assert!(problem("listen = 'x'").starts_with("listen: \"x\" is not an address"));
    assert!(problem("allow_cidrs = '10.0.0.0/99'").starts_with("allow_cidrs: \"10.0.0.0/99\""));
    assert!(problem("retry_schedule = '5'").starts_with("retry_schedule: \"5\" is not a duration"));
    assert!(problem("attempt_timeout = '3m'").contains("is not between 1ms and 2m"));
    assert!(problem("jwt_secret = 'short'").starts_with("jwt_secret: must have at least 16 bytes"));
    assert!(problem("log = 1.5").starts_with("log: expected a text"));
    assert!(problem("smtp.from = 'a@b'").starts_with("smtp.from: needs smtp.host as well"));
    assert!(problem("smtp.host = 'h'").starts_with("smtp.host: needs smtp.from as well"));
    assert!(problem("smtp = 1").starts_with("unknown key \"smtp\""));
    assert!(problem("[smtp]\nhosts = 'h'").starts_with("unknown key \"smtp.hosts\""));
    let mail = |more: &str| problem(&format!("[smtp]\nhost = 'h'\nfrom = 'a@b.c'\n{more}"));
    assert!(mail("to = ['a@b', 'x']").starts_with("smtp.to: \"x\" expected an address"));
    assert!(mail("security = 'ssl'").starts_with("smtp.security: \"ssl\" is not none"));
    assert!(mail("port = 0").starts_with("smtp.port: \"0\" is not a port"));
    assert!(mail("timeout = '3m'").starts_with("smtp.timeout: \"3m\" is not between"));
    assert!(mail("username = 'u'").starts_with("smtp.host: smtp.username needs a password"));
    assert!(mail("password_file = '/nowhere'").starts_with("smtp.password_file: /nowhere"));
    let open = mail("username = 'u'\npassword = 'p'\nsecurity = 'none'");
    assert!(
        open.contains("would cross the network unencrypted"),
        "{open}"
    );
    assert!(problem("x = [").starts_with("line 1: "));
}

#[test]
fn an_organization_can_have_times_of_its_own() {
    let (_folder, read) = file(
        "message_retention = \"60d\"\n[organizations.org_acme]\npayload_retention = \"7d\"\n\
         [organizations.org_long]\nmessage_retention = \"400d\"\n",
    );
    let settings = read.expect("read").resolve().expect("understood");
    let days = |days: u64| Duration::from_hours(24 * days);
    let of = |org: &str| settings.retentions.of(&org.parse().expect("a name"));
    assert_eq!(
        (of("org_acme").payloads, of("org_acme").messages),
        (days(7), days(60))
    );
    assert_eq!(
        (of("org_long").payloads, of("org_long").messages),
        (days(90), days(400))
    );
    assert_eq!(of("org_other"), settings.retentions.default);
    for (text, problem) in [
        (
            "payload_retention = 7",
            "organizations.org_a.payload_retention: expected a duration",
        ),
        ("payload_retention = \"0s\"", "must be more than nothing"),
        (
            "message_retention = \"soon\"",
            "organizations.org_a.message_retention: ",
        ),
        (
            "retention = \"7d\"",
            "organizations.org_a: unknown key \"retention\"",
        ),
    ] {
        let (_folder, read) = file(&format!("[organizations.org_a]\n{text}\n"));
        let refused = read
            .expect("read")
            .resolve()
            .expect_err("refused")
            .to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    let (_folder, read) = file("[organizations]\n\"not a name\" = {}\n");
    let refused = read
        .expect("read")
        .resolve()
        .expect_err("refused")
        .to_string();
    assert!(refused.contains("organizations.not a name: "), "{refused}");
}

#[test]
fn a_lease_lasts_several_beats_and_not_for_ever() {
    let rhythm = |text: &str| {
        let text = format!("database_url = 'postgres://u@h/x'\n{text}");
        let (_dir, layers) = file(&text);
        let settings = layers.and_then(Layers::resolve);
        settings
            .map(|settings| settings.database.expect("set").rhythm)
            .map_err(|error| error.to_string())
    };
    let known = |beat, lease| {
        Ok(watchfire_engine::Rhythm {
            beat: Duration::from_millis(beat),
            lease: Duration::from_millis(lease),
        })
    };
    assert_eq!(rhythm(""), Ok(watchfire_engine::Rhythm::default()));
    assert_eq!(rhythm("node_beat = '5s'"), known(5_000, 15_000));
    assert_eq!(
        rhythm("node_beat = '100ms'\nnode_lease = '300ms'"),
        known(100, 300)
    );
    assert_eq!(rhythm("node_lease = '5m'"), known(3_000, 300_000));
    let refused = |text: &str, why: &str| {
        let problem = rhythm(text).expect_err(text);
        assert!(problem.ends_with(why), "{text}: {problem}");
    };
    refused(
        "node_beat = '99ms'",
        "node_beat: \"99ms\" is less than 100ms",
    );
    refused(
        "node_beat = '6s'",
        "node_beat: a lease of 15s is not between 3 beats of 6s and 5m",
    );
    refused(
        "node_beat = '100ms'\nnode_lease = '299ms'",
        "node_lease: a lease of 299ms is not between 3 beats of 100ms and 5m",
    );
    refused(
        "node_lease = '301s'",
        "node_lease: a lease of 301s is not between 3 beats of 3s and 5m",
    );
}

#[test]
fn mail_is_sent_where_a_server_is_named() {
    assert!(Layers::default().resolve().expect("valid").smtp.is_none());
    let (_dir, layers) = file(
        "[smtp]\nhost = 'mail.example.com'\nfrom = 'Watchfire <w@example.com>'\n\
         to = ['a@example.com', 'b@example.com']\nusername = 'w'",
    );
    let mut layers = layers.expect("valid");
    let secret = |name: &str| (name == "WATCHFIRE_SMTP_PASSWORD").then(|| "hunter2".to_owned());
    layers.read_environment(secret);
    let settings = layers.resolve().expect("valid");
    assert!(!format!("{settings:?}").contains("hunter2"));
    let smtp = settings.smtp.expect("set");
    assert_eq!((smtp.port, smtp.to.len()), (587, 2));
    assert_eq!(smtp.timeout, limit::MAIL_TIMEOUT);
    assert_eq!(smtp.gather, limit::MAIL_GATHER);
    assert_eq!(smtp.interval, limit::MAIL_INTERVAL);
    assert_eq!(smtp.login.expect("set").password.expose(), "hunter2");
}

#[test]
fn a_password_can_stand_in_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("password");
    std::fs::write(&path, "a b \r\n").expect("written");
    let toml = format!(
        "[smtp]\nhost = '127.0.0.1'\nsecurity = 'none'\nfrom = 'a@b'\nusername = 'u'\n\
         password_file = '{}'",
        path.display()
    );
    let (_dir, layers) = file(&toml);
    let smtp = layers
        .expect("valid")
        .resolve()
        .expect("valid")
        .smtp
        .expect("set");
    assert_eq!(smtp.login.expect("set").password.expose(), "a b ");
    assert_eq!(smtp.port, 25);
}

/// The reference page, made from the table.
fn page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         `watchfire serve` reads flags, environment variables and, with `--config FILE` or \
         `WATCHFIRE_CONFIG`, a TOML file.\n\
         A flag wins over the environment, that over the file, that over the default.\n\
         An unknown key or a wrong value stops the start with one line that names it.\n\
         Durations are written as `500ms`, `5s`, `30m`, `2h` or `1d`.\n\n\
         | key in the file | environment | flag | default | what it is |\n\
         |---|---|---|---|---|\n",
    );
    for setting in table() {
        let Setting {
            key,
            env,
            default,
            about,
            ..
        } = setting;
        let flag = setting
            .flag
            .map_or_else(|| "–".to_owned(), |flag| format!("`{flag}`"));
        writeln!(page, "| `{key}` | `{env}` | {flag} | {default} | {about} |")
            .expect("a text grows");
    }
    page.push_str(
        "\nThe numbers of a contract can be changed in the file under `[contracts.<name>]`, for instance:\n\n\
         ```toml\n[contracts.defectdojo.health]\ncooldown = \"30s\"\n```\n\n\
         An organization can have times of its own, shorter or longer, under `[organizations.<id>]`; \
         what it leaves out is everybody's.\n\
         All nodes need the same. A change holds for what is stored already.\n\n\
         ```toml\n[organizations.org_acme]\nmessage_retention = \"30d\"\npayload_retention = \"7d\"\n```\n",
    );
    page
}

#[test]
fn the_page_of_settings_is_fresh() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/configuration.md"
    );
    if std::env::var_os("WATCHFIRE_UPDATE_DOCS").is_some() {
        std::fs::write(path, page()).expect("the page can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == page(),
        "docs/reference/configuration.md is out of date; run `make docs`"
    );
}
