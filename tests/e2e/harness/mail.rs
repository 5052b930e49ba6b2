//! The mail server that judges our mails: aiosmtpd, in its own process.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::{eventually, python, ready};

/// A running mail server, and what it was told. It ends when it is dropped.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    told: Arc<Mutex<Vec<Value>>>,
    child: Child,
    reading: JoinHandle<()>,
}

impl MailServer {
    pub(crate) async fn start(settings: &Value) -> Self {
        let mut command = ready(python("mail", "mailserver.py"));
        let mut child = command
            .arg(settings.to_string())
            .stderr(std::process::Stdio::inherit())
            .spawn()
            .expect("the mail server can be run");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next_line().await.expect("it prints UTF-8");
        let first: Value = serde_json::from_str(&first.expect("it starts")).expect("JSON");
        let port = first["port"].as_u64().expect("a port");
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        let log = Arc::clone(&told);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                log.lock().push(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Self {
            port: u16::try_from(port).expect("a port"),
            told,
            child,
            reading,
        }
    }

    /// One that asks for nothing.
    pub(crate) async fn plain() -> Self {
        Self::start(&json!({})).await
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        let told = self.told.lock();
        let mails = told.iter().filter_map(|told| told.get("mail"));
        mails.cloned().map(Mail).collect()
    }

    /// Who tried to log in, and how.
    pub(crate) fn logins(&self) -> Vec<Value> {
        let told = self.told.lock();
        let logins = told.iter().filter_map(|told| told.get("auth"));
        logins.cloned().collect()
    }

    /// The mails, once there are so many.
    pub(crate) async fn until(&self, count: usize) -> Vec<Mail> {
        eventually("mails arrive", async || {
            let mails = self.mails();
            (mails.len() >= count).then_some(mails)
        })
        .await
    }

    pub(crate) async fn stop(mut self) {
        self.child.kill().await.expect("it ran");
        self.reading.abort();
    }
}

/// A mail as its reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Mail(pub(crate) Value);

impl Mail {
    pub(crate) fn to(&self) -> &str {
        self.0["to"][0].as_str().expect("a recipient")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let headers = self.0["headers"].as_array().expect("a list");
        let mut found = headers.iter().filter(|header| {
            header[0]
                .as_str()
                .expect("a name")
                .eq_ignore_ascii_case(name)
        });
        let header = found.next().unwrap_or_else(|| panic!("there is no {name}"));
        assert!(found.next().is_none(), "there is one {name}");
        header[1].as_str().expect("a text")
    }

    pub(crate) fn subject(&self) -> &str {
        self.header("subject")
    }

    pub(crate) fn text(&self) -> &str {
        self.0["text"].as_str().expect("a text")
    }

    pub(crate) fn html(&self) -> &str {
        self.0["html"].as_str().expect("a text")
    }
}
