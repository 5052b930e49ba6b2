//! `watchfire erase`: removes all that an organization has, through a running server.
//!
//! Applications go first, so that nothing of theirs is accepted or sent any more; what opens the
//! organization goes last, so that an erasure that was interrupted can be done again. What it finds
//! gone already is no fault.

use anyhow::{Context as _, Result, bail, ensure};
use http::Method;
use serde_json::Value;

use crate::cli::EraseArgs;
use crate::remote::Server;
use crate::terminal;

/// What an organization has: where it is listed, what names one, and what its removal adds to the
/// path.
const KINDS: &[Kind] = &[
    Kind {
        name: "applications",
        list: "/app",
        id: "id",
        suffix: "",
    },
    Kind {
        name: "operational endpoints",
        list: "/operational-webhook/endpoint",
        id: "id",
        suffix: "",
    },
    Kind {
        name: "event types",
        list: "/event-type?include_archived=true",
        id: "name",
        suffix: "?expunge=true",
    },
];
const KEYS: &str = "/auth/key";
const EXPIRE: &str = "/auth/expire-all";
/// Entries read at a time; each is removed before the next are read.
const PAGE: usize = 100;

struct Kind {
    name: &'static str,
    list: &'static str,
    id: &'static str,
    suffix: &'static str,
}

pub(crate) async fn run(args: EraseArgs) -> Result<()> {
    let own_key = key_id(&args.server.token);
    let server = Server::named(args.server)?;
    if !args.yes {
        return say_what_would_go(&server).await;
    }
    for kind in KINDS {
        let gone = remove_all(&server, kind).await?;
        terminal::line(format_args!("{gone} {} erased.", kind.name));
    }
    let revoked = revoke_all(&server, own_key.as_deref()).await?;
    terminal::line(format_args!("{revoked} API keys revoked."));
    // The token that asks ends with the others, unless it is a key.
    server.ask(Method::POST, EXPIRE, None).await?;
    terminal::line("All signed tokens ended.");
    if let Some(id) = own_key {
        let path = format!("{KEYS}/{id}");
        server.ask(Method::DELETE, &path, None).await?;
        terminal::line("The key that asked is revoked.");
    }
    terminal::note("Messages and attempts follow in the background, within minutes.");
    Ok(())
}

async fn say_what_would_go(server: &Server) -> Result<()> {
    for kind in KINDS {
        let page = page(server, kind.list, 1).await?;
        let some = if page.is_empty() { "no" } else { "all" };
        terminal::line(format_args!("{some} {}", kind.name));
    }
    bail!("nothing was erased; add --yes to erase all that this credential's organization has")
}

async fn remove_all(server: &Server, kind: &Kind) -> Result<usize> {
    let mut gone = 0;
    loop {
        let entries = page(server, kind.list, PAGE).await?;
        if entries.is_empty() {
            return Ok(gone);
        }
        for entry in &entries {
            let id = entry[kind.id].as_str().context("an entry has no name")?;
            let list = kind.list.split('?').next().unwrap_or(kind.list);
            let path = format!("{list}/{id}{}", kind.suffix);
            server.remove(&path).await?;
        }
        gone += entries.len();
    }
}

/// Revokes all keys but the one that asks.
async fn revoke_all(server: &Server, own: Option<&str>) -> Result<usize> {
    let mut revoked = 0;
    loop {
        let keys = page(server, KEYS, PAGE).await?;
        let ids = keys.iter().filter_map(|key| key["id"].as_str());
        let others: Vec<_> = ids.filter(|id| Some(*id) != own).collect();
        if others.is_empty() {
            return Ok(revoked);
        }
        for id in &others {
            server.remove(&format!("{KEYS}/{id}")).await?;
        }
        revoked += others.len();
    }
}

async fn page(server: &Server, list: &str, limit: usize) -> Result<Vec<Value>> {
    let joint = if list.contains('?') { '&' } else { '?' };
    let path = format!("{list}{joint}limit={limit}");
    let mut answer = server.ask(Method::GET, &path, None).await?;
    let Value::Array(entries) = answer["data"].take() else {
        bail!("the answer has no list");
    };
    ensure!(
        entries.len() <= limit,
        "the answer is longer than asked for"
    );
    Ok(entries)
}

/// The id of an API key; a signed token has none.
fn key_id(token: &str) -> Option<String> {
    let digits = token.strip_prefix("wfk_")?.get(..27)?;
    Some(format!("key_{digits}"))
}
