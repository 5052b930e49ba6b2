//! `watchfire key`: makes, lists and revokes API keys of a running server.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};

use crate::cli::KeyCommand;
use crate::remote::Server;
use crate::terminal;

const KEYS: &str = "/auth/key";
/// Keys of a page of the list.
const PAGE: usize = 250;

pub(crate) async fn run(command: KeyCommand) -> Result<()> {
    match command {
        KeyCommand::Create {
            server,
            name,
            scopes,
            app,
            expires,
        } => {
            let wanted = json!({
                "name": name, "scopes": scopes, "applicationId": app, "expiresAt": expires,
            });
            let server = Server::named(server)?;
            let made = server.ask(Method::POST, KEYS, Some(&wanted)).await?;
            terminal::line(text(&made, "key"));
            terminal::note(format_args!(
                "The key {} is shown this once.",
                text(&made, "id")
            ));
        }
        KeyCommand::List { server } => list(&Server::named(server)?).await?,
        KeyCommand::Revoke { server, id } => {
            ensure!(is_id(&id), "{id:?} is not a key's id, such as key_…");
            let server = Server::named(server)?;
            let path = format!("{KEYS}/{id}");
            server.ask(Method::DELETE, &path, None).await?;
            terminal::line(format_args!("{id} is revoked."));
        }
    }
    Ok(())
}

fn is_id(text: &str) -> bool {
    text.parse::<watchfire_domain::id::KeyId>().is_ok()
}

async fn list(server: &Server) -> Result<()> {
    let mut query = format!("?limit={PAGE}");
    loop {
        let page = server
            .ask(Method::GET, &format!("{KEYS}{query}"), None)
            .await?;
        let keys = page["data"].as_array().context("the answer has no list")?;
        for key in keys {
            terminal::line(row(key));
        }
        if page["done"] != Value::Bool(false) {
            return Ok(());
        }
        query = format!("?limit={PAGE}&iterator={}", text(&page, "iterator"));
    }
}

/// One key in one line, tabs between what a script may want.
fn row(key: &Value) -> String {
    let scopes: Vec<&str> = key["scopes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let or = |name, otherwise: &'static str| key[name].as_str().unwrap_or(otherwise).to_owned();
    [
        or("id", ""),
        or("applicationId", "all applications"),
        scopes.join(","),
        format!("expires {}", or("expiresAt", "never")),
        format!("used {}", or("lastUsedAt", "never")),
        or("name", ""),
    ]
    .join("\t")
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}
