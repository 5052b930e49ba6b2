//! A server that can't start says why, in one line that an operator can act on.

use std::net::TcpListener;

use crate::harness::{Setup, run_judge, shared_python};

#[tokio::test]
async fn an_unknown_key_in_the_configuration_file() {
    let refusal = Setup::new().config("colour = \"red\"").refusal().await;
    assert!(
        refusal.contains("[folder]/watchfire.toml: unknown key \"colour\""),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_configuration_file_that_is_not_toml_or_not_there() {
    let refusal = Setup::new().config("listen = \n").refusal().await;
    assert!(
        refusal.contains("[folder]/watchfire.toml: line 1"),
        "{refusal}"
    );
    let missing = Setup::new().env("WATCHFIRE_CONFIG", "/nowhere/watchfire.toml");
    insta::assert_snapshot!(missing.refusal().await, @r#"watchfire: /nowhere/watchfire.toml: No such file or directory (os error 2)"#);
}

#[tokio::test]
async fn a_wrong_value_in_the_environment() {
    let setup = Setup::new().env("WATCHFIRE_ATTEMPT_TIMEOUT", "soon");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: WATCHFIRE_ATTEMPT_TIMEOUT: "soon" is not a duration such as 500ms, 5s, 30m or 2h"#);
}

#[tokio::test]
async fn a_wrong_value_on_the_command_line() {
    let setup = Setup::new().flag("--retry-schedule", "5s,later");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: --retry-schedule: "later" is not a duration such as 500ms, 5s, 30m or 2h"#);
}

#[tokio::test]
async fn a_network_that_is_none() {
    let setup = Setup::new().flag("--allow-cidr", "10.0.0.0/33");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: --allow-cidr: "10.0.0.0/33" the prefix is longer than the address"#);
}

#[tokio::test]
async fn a_secret_that_is_too_short() {
    let setup = Setup::new().env("WATCHFIRE_JWT_SECRET", "short");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: WATCHFIRE_JWT_SECRET: must have at least 16 bytes"#);
}

#[tokio::test]
async fn a_contract_that_nobody_knows() {
    let setup = Setup::new().env("WATCHFIRE_DEFAULT_CONTRACT", "unheard-of");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: no contract is named "unheard-of"; `watchfire contract list` shows them"#);
}

#[tokio::test]
async fn a_filter_of_the_log_that_is_none() {
    let setup = Setup::new().flag("--log", "info,=");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: log: "info,=" is not a filter such as info or info,watchfire_engine=debug: invalid filter directive"#);
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound socket").to_string();
    let setup = Setup::new().without("--listen").flag("--listen", &address);
    let refusal = setup.refusal().await.replace(&address, "[address]");
    insta::assert_snapshot!(refusal, @r#"watchfire: listen on [address]: Address already in use (os error 98)"#);
}

#[tokio::test]
async fn a_data_folder_that_another_server_uses() {
    let setup = Setup::new();
    let first = setup.start().await;
    let pid = format!("(process {})", first.pid().as_raw_nonzero());
    let refusal = setup.refusal().await.replace(&pid, "(process [pid])");
    insta::assert_snapshot!(refusal, @r#"watchfire: lock the data folder [folder]/data: another server uses it (process [pid])"#);
    assert_eq!(first.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_data_folder_that_is_a_file() {
    let setup = Setup::new();
    std::fs::write(setup.data(), "not a folder").expect("the folder is new");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: data folder [folder]/data: it is not a folder"#);
}

#[tokio::test]
async fn a_secret_file_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    assert_eq!(setup.start().await.stop().await.code(), Some(0));
    let key = setup.data().join("master.key");
    std::fs::set_permissions(key, PermissionsExt::from_mode(0o644)).expect("it is ours");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: [folder]/data/master.key: others may read it (mode 644); run chmod 600 on it"#);
}

#[tokio::test]
async fn a_database_of_a_newer_server() {
    let setup = Setup::new();
    assert_eq!(setup.start().await.stop().await.code(), Some(0));
    let sql = "INSERT INTO migration (version, name, checksum) VALUES (999, 'future', '0')";
    run_sql(&setup, sql).await;
    let refusal = setup.refusal().await;
    let newer = "watchfire: open the database: its schema has version 999, this server knows ";
    assert!(
        refusal.starts_with(newer) && refusal.ends_with("; use a newer server"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let setup = Setup::new();
    std::fs::create_dir(setup.data()).expect("the folder is new");
    std::fs::write(setup.data().join("watchfire.db"), [b'x'; 8_192]).expect("it is ours");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: open [folder]/data/watchfire.db: it is not a database"#);
}

#[tokio::test]
async fn a_database_that_is_damaged() {
    let setup = Setup::new();
    assert_eq!(setup.start().await.stop().await.code(), Some(0));
    let file = setup.data().join("watchfire.db");
    let mut bytes = std::fs::read(&file).expect("it is ours");
    // Everything but the header, which says that it is a database.
    bytes[100..].fill(0x5a);
    std::fs::write(&file, bytes).expect("it is ours");
    insta::assert_snapshot!(setup.refusal().await, @r#"watchfire: open [folder]/data/watchfire.db: the database is damaged; restore a backup"#);
}

/// Changes a database behind the server's back.
async fn run_sql(setup: &Setup, sql: &str) {
    let script = "import sqlite3, sys\n\
                  database = sqlite3.connect(sys.argv[1])\n\
                  database.execute(sys.stdin.read())\n\
                  database.commit()\n";
    let mut python = shared_python("svix2", "python");
    python
        .args(["-c", script])
        .arg(setup.data().join("watchfire.db"));
    run_judge(python, sql).await;
}
