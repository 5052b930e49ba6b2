//! `watchfire import`: takes over what a product's own configuration says about its webhooks.
//!
//! The running server is asked what it has, and only what differs is changed; so the same import
//! again changes nothing, and a changed file changes what it says differently.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use http::Method;
use serde_json::{Map, Value, json};
use watchfire_deliver::Target;

use self::website_defender::{Located, Webhook};
use crate::cli::{EmptyEvents, ImportCommand, ImportWebsiteDefender};
use crate::remote::Server;
use crate::terminal;

mod website_defender;

/// Larger than any configuration file of a product.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const CONTRACT: &str = "website-defender";
/// The endpoint's own id, by which the next import finds it: the name of the file's section.
const ENDPOINT: &str = "webhook";

pub(crate) async fn run(command: ImportCommand) -> Result<()> {
    match command {
        ImportCommand::WebsiteDefender(args) => {
            let name = args.file.display().to_string();
            let text = read_file(&args.file).with_context(|| name.clone())?;
            let webhook = website_defender::read(&text).with_context(|| name.clone())?;
            let import = Import::new(args)?;
            import.carry_out(&webhook).await.with_context(|| name)
        }
    }
}

fn read_file(path: &Path) -> Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > FILE_BYTES_MAX {
        bail!("has {size} bytes; a configuration file has at most {FILE_BYTES_MAX}");
    }
    std::fs::read_to_string(path).context("can't be read as text")
}

/// An import on its way.
struct Import {
    server: Server,
    application: String,
    empty_events: EmptyEvents,
    /// Nothing is changed, only told.
    rehearses: bool,
}

/// What the file wants an endpoint to be, as the API says it.
struct Wanted {
    settings: Map<String, Value>,
    /// For people.
    summary: String,
}

impl Import {
    fn new(args: ImportWebsiteDefender) -> Result<Self> {
        Ok(Self {
            server: Server::named(args.server)?,
            application: args.app,
            empty_events: args.empty_events,
            rehearses: args.dry_run,
        })
    }

    async fn carry_out(&self, webhook: &Webhook) -> Result<()> {
        let known = self.known_events().await?;
        let wanted = self.wanted(webhook, &known)?;
        let path = format!("/app/{}/endpoint/{ENDPOINT}", self.application);
        let endpoint = if self.application_exists().await? {
            self.server.find(&path).await?
        } else {
            self.create_application().await?;
            None
        };
        let refused = |line: usize| format!("line {line}: the endpoint is refused");
        let line = webhook.url.as_ref().map_or(webhook.line, |url| url.line);
        let done = match (endpoint, wanted) {
            (None, None) => {
                terminal::line("no endpoint: webhook.url is empty, so nothing is sent");
                Ok(())
            }
            (Some(old), None) => {
                let off = Map::from_iter([("disabled".to_owned(), json!(true))]);
                let summary = "webhook.url is empty, so nothing is sent";
                self.change(&path, &old, off, summary).await
            }
            (None, Some(wanted)) => self.create(wanted).await,
            (Some(old), Some(wanted)) => {
                self.change(&path, &old, wanted.settings, &wanted.summary)
                    .await
            }
        };
        done.with_context(|| refused(line))
    }

    /// The events of the contract, as the server knows it.
    async fn known_events(&self) -> Result<Vec<String>> {
        let contract = self.server.find(&format!("/contract/{CONTRACT}")).await?;
        let contract =
            contract.with_context(|| format!("the server has no contract {CONTRACT}"))?;
        let listed = contract["eventTypes"].as_array().into_iter().flatten();
        let names = listed.filter_map(|event| event["name"].as_str());
        Ok(names.map(ToOwned::to_owned).collect())
    }

    /// `None` if the file says that nothing is sent anywhere.
    fn wanted(&self, webhook: &Webhook, known: &[String]) -> Result<Option<Wanted>> {
        let events = webhook.events.as_deref();
        for Located { line, text } in events.into_iter().flatten() {
            if !known.contains(text) {
                let known = known.join(", ");
                bail!("line {line}: webhook.events: there is no event {text:?}; known are {known}");
            }
        }
        let Some(url) = &webhook.url else {
            return Ok(None);
        };
        let target = Target::parse(&url.text)
            .with_context(|| format!("line {}: webhook.url: {:?}", url.line, url.text))?;
        let names: Vec<&str> = events
            .into_iter()
            .flatten()
            .map(|event| event.text.as_str())
            .collect();
        let suppressed = match self.empty_events {
            EmptyEvents::None => events.is_some_and(<[Located]>::is_empty),
            EmptyEvents::All => false,
        };
        let gets = match names.as_slice() {
            [] if suppressed => "no event, because webhook.events is empty".to_owned(),
            [] => "every event".to_owned(),
            names => names.join(", "),
        };
        let seconds = webhook.timeout.as_secs();
        let summary = format!("{} gets {gets}; {seconds} s for an answer", target.url());
        let settings = [
            ("url", json!(target.url())),
            ("eventTypes", json!(names)),
            ("timeoutMs", json!(webhook.timeout.as_millis())),
            ("disabled", json!(suppressed)),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value));
        Ok(Some(Wanted {
            settings: Map::from_iter(settings),
            summary,
        }))
    }

    async fn application_exists(&self) -> Result<bool> {
        let path = format!("/app/{}", self.application);
        let Some(found) = self.server.find(&path).await? else {
            return Ok(false);
        };
        match found["contract"].as_str() {
            Some(CONTRACT) => Ok(true),
            other => bail!(
                "the application {} has the contract {}, not {CONTRACT}; name another with --app",
                self.application,
                other.unwrap_or("of the configuration")
            ),
        }
    }

    async fn create_application(&self) -> Result<()> {
        let body = json!({
            "name": "Website Defender", "uid": self.application, "contract": CONTRACT,
        });
        self.tell("application", &self.application, "create");
        self.ask(Method::POST, "/app", &body).await
    }

    async fn create(&self, wanted: Wanted) -> Result<()> {
        let mut body = wanted.settings;
        body.insert("uid".to_owned(), json!(ENDPOINT));
        body.insert("description".to_owned(), json!("From config.yaml"));
        self.tell("endpoint", ENDPOINT, "create");
        terminal::line(format_args!("  {}", wanted.summary));
        let path = format!("/app/{}/endpoint", self.application);
        self.ask(Method::POST, &path, &Value::Object(body)).await
    }

    /// Changes what differs, if anything does.
    async fn change(
        &self,
        path: &str,
        old: &Value,
        wanted: Map<String, Value>,
        summary: &str,
    ) -> Result<()> {
        let differs = |(key, value): &(String, Value)| {
            let old = old.get(key).cloned();
            // An empty list is left out of the answer.
            *value != old.unwrap_or_else(|| json!([]))
        };
        let changes: Map<_, _> = wanted.into_iter().filter(differs).collect();
        if changes.is_empty() {
            terminal::line(format_args!("endpoint {ENDPOINT}: nothing to change"));
            terminal::line(format_args!("  {summary}"));
            return Ok(());
        }
        let keys: Vec<&str> = changes.keys().map(String::as_str).collect();
        let verb = format!("change {} of", keys.join(", "));
        self.tell("endpoint", ENDPOINT, &verb);
        terminal::line(format_args!("  {summary}"));
        self.ask(Method::PATCH, path, &Value::Object(changes)).await
    }

    fn tell(&self, what: &str, name: &str, verb: &str) {
        let would = if self.rehearses { "would " } else { "" };
        terminal::line(format_args!("{would}{verb} {what} {name}"));
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<()> {
        if !self.rehearses {
            self.server.ask(method, path, Some(body)).await?;
        }
        Ok(())
    }
}
