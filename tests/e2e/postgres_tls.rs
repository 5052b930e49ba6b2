//! An encrypted connection to the database, and who may answer it.

use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::fs::Mode;
use watchfire_testkit::Postgres;

use crate::harness::Setup;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// An authority, and the server's certificate that it made for 127.0.0.1.
struct Certificates {
    folder: tempfile::TempDir,
}

fn authority() -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).expect("a plain one");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params, KeyPair::generate().expect("a key"))
}

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (params, key) = authority();
        let ca = params.self_signed(&key).expect("an authority");
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().expect("a key");
        let names = vec!["127.0.0.1".to_owned()];
        let server = CertificateParams::new(names).expect("an address");
        let server = server.signed_by(&server_key, &issuer).expect("signed");
        let (other, other_key) = authority();
        let other = other.self_signed(&other_key).expect("an authority");
        for (name, text) in [
            ("ca.pem", ca.pem()),
            ("other.pem", other.pem()),
            ("server.pem", server.pem()),
            ("server.key", server_key.serialize_pem()),
        ] {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let made = Self { folder };
        made.hand_over();
        made
    }

    /// The database's user has to read them, and to own the key alone.
    fn hand_over(&self) {
        rustix::fs::chmod(self.folder.path(), Mode::from_raw_mode(0o755)).expect("opened");
        let key = self.path("server.key");
        rustix::fs::chmod(&key, Mode::from_raw_mode(0o600)).expect("closed");
        if rustix::process::geteuid().is_root() {
            let status = Command::new("chown").arg("postgres").arg(&key).status();
            assert!(status.expect("chown runs").success());
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[tokio::test]
async fn only_the_server_with_the_right_certificate_is_spoken_to() {
    let certificates = Certificates::make();
    let settings = [
        "ssl = on".to_owned(),
        format!("ssl_cert_file = '{}'", certificates.path("server.pem")),
        format!("ssl_key_file = '{}'", certificates.path("server.key")),
    ];
    let start = move || {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        Postgres::private(&settings)
    };
    let database = tokio::task::spawn_blocking(start).await.expect("a server");
    let url = database.fresh_database();
    let at = |url: &str, rest: &str| {
        Setup::new()
            .env("WATCHFIRE_DATABASE_URL", &format!("{url}?{rest}"))
            .env("WATCHFIRE_MASTER_KEY", KEY)
    };
    let verified = |roots: &str| {
        format!(
            "sslmode=verify-full&sslrootcert={}",
            certificates.path(roots)
        )
    };
    for good in [verified("ca.pem"), "sslmode=require".to_owned()] {
        let server = at(&url, &good).start().await;
        let encrypted = "SELECT count(*) > 0 FROM pg_stat_ssl s JOIN pg_stat_activity a \
             USING (pid) WHERE s.ssl AND a.datname LIKE 'd%'";
        assert_eq!(database.run("postgres", encrypted), "t", "{good}");
        assert_eq!(server.stop().await.code(), Some(0));
    }
    let elsewhere = url.replace("127.0.0.1", "localhost");
    for (what, url, rest) in [
        ("another name", elsewhere.as_str(), verified("ca.pem")),
        ("another authority", url.as_str(), verified("other.pem")),
        (
            "an authority of the system",
            url.as_str(),
            "sslmode=verify-full".to_owned(),
        ),
    ] {
        let refusal = at(url, &rest).refusal().await;
        assert!(refusal.contains("certificate"), "{what}: {refusal}");
    }
    let missing = at(&url, &verified("nothing.pem")).refusal().await;
    assert!(missing.contains("set up TLS to the database"), "{missing}");
    assert!(Path::new(&certificates.path("ca.pem")).exists());
}
