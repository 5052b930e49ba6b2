//! `watchfire contract`: lists, shows and checks contracts.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::Value;
use watchfire_contracts::manifest::{Request, Unlisted};
use watchfire_contracts::{Catalog, Contract};
use watchfire_domain::retry;

use crate::cli::ContractCommand;
use crate::{contracts, terminal};

pub(crate) fn run(command: ContractCommand) -> Result<()> {
    match command {
        ContractCommand::List { contracts } => list(&catalog(contracts.as_deref())?),
        ContractCommand::Show { name, contracts } => show(&catalog(contracts.as_deref())?, &name)?,
        ContractCommand::Check { dir } => check(&dir)?,
    }
    Ok(())
}

fn catalog(folder: Option<&Path>) -> Result<Catalog> {
    contracts::with_folder(Catalog::embedded(), folder)
}

fn list(catalog: &Catalog) {
    for contract in catalog.iter() {
        terminal::line(format!(
            "{:<18} {}",
            contract.name(),
            contract.manifest().summary
        ));
    }
}

fn show(catalog: &Catalog, name: &str) -> Result<()> {
    let Some(contract) = catalog.contract(name) else {
        let names: Vec<_> = catalog.iter().map(|contract| contract.name()).collect();
        bail!(
            "there is no contract {name:?}; known are {}",
            names.join(", ")
        );
    };
    for line in describe(contract) {
        terminal::line(line);
    }
    Ok(())
}

fn describe(contract: &Contract) -> Vec<String> {
    let manifest = contract.manifest();
    let delays = manifest
        .delivery
        .retry
        .delays()
        .iter()
        .copied()
        .map(retry::format_duration);
    let delays: Vec<_> = delays.collect();
    let retries = if delays.is_empty() {
        "none".to_owned()
    } else {
        delays.join(", ")
    };
    let mut lines = vec![
        format!("{} ({})", manifest.title, contract.name()),
        manifest.summary.clone(),
        String::new(),
        format!("Method      {}", methods(&manifest.request)),
        format!("Body        {}", said(contract, "request", "body")),
        format!("Headers     {}", said(contract, "request", "headers")),
        format!("Https       {}", word(manifest.endpoint.https)),
        format!("Auth        {}", words(&manifest.endpoint.auth)),
        format!(
            "Deadline    {}",
            retry::format_duration(manifest.delivery.timeout)
        ),
        format!("Success     {}", word(manifest.delivery.success)),
        format!("Retries     {retries}"),
        format!("Pings       {}", said(contract, "ping", "on")),
        format!(
            "In order    {}",
            if manifest.messages.ordered {
                "per record"
            } else {
                "no"
            }
        ),
    ];
    lines.extend(
        manifest
            .links
            .iter()
            .map(|link| format!("See         {} <{}>", link.title, link.url)),
    );
    lines.push(String::new());
    lines.push("Event types".to_owned());
    lines.extend(
        contract
            .event_types()
            .map(|event| format!("  {:<28} {}", event.name, event.about.description)),
    );
    if manifest.messages.unlisted == Unlisted::Accept {
        lines.push("  any other".to_owned());
    }
    lines
}

/// The method, and those that an endpoint may choose instead.
fn methods(request: &Request) -> String {
    let others = request
        .methods
        .iter()
        .filter(|other| **other != request.method);
    let others: Vec<_> = others.map(|method| method.as_str()).collect();
    match others.as_slice() {
        [] => request.method.as_str().to_owned(),
        _ => format!("{}, or {}", request.method.as_str(), others.join(", ")),
    }
}

/// A key of the contract as it is written there.
fn said(contract: &Contract, table: &str, key: &str) -> String {
    let table = contract.section(table);
    let lines = match table.get(key) {
        None if key == "body" => return "as posted".to_owned(),
        None => return "none".to_owned(),
        Some(Value::Array(items)) => items.iter().map(entry).collect(),
        Some(one) => vec![entry(one)],
    };
    lines.join(", ")
}

fn entry(item: &Value) -> String {
    let text = |key| item.get(key).and_then(Value::as_str);
    let name = text("name").or(text("key"));
    match (name, text("value"), item.as_str()) {
        (Some(name), Some(value), _) => format!("{name}: {value}"),
        (_, _, Some(word)) => word.to_owned(),
        _ => item.to_string(),
    }
}

fn words<T: Serialize + Copy>(choices: &[T]) -> String {
    let words: Vec<_> = choices.iter().copied().map(word).collect();
    words.join(", ")
}

/// A choice as it is written in a contract.
fn word<T: Serialize>(choice: T) -> String {
    let value = serde_json::to_value(choice).unwrap_or_default();
    entry(&value)
}

/// Checks a contract's own folder, or a folder of such as `--contracts` takes.
fn check(dir: &Path) -> Result<()> {
    let mut sources = Vec::new();
    let prefix = if dir.join("contract.toml").is_file() {
        own_name(dir)?
    } else {
        String::new()
    };
    contracts::read_folder(dir, &prefix, 0, &mut sources)
        .with_context(|| dir.display().to_string())?;
    let names = sources
        .iter()
        .filter_map(|source| source.path.split('/').next());
    let names: BTreeSet<&str> = names.collect();
    if names.is_empty() {
        bail!(
            "{}: there is no contract.toml, and no folder with one",
            dir.display()
        );
    }
    let catalog = Catalog::embedded().with_sources(&sources)?;
    for name in names {
        let contract = catalog.contract(name).context("the folder was read")?;
        terminal::line(format!(
            "{name}: correct, {} event types",
            contract.event_types().count()
        ));
    }
    Ok(())
}

fn own_name(dir: &Path) -> Result<String> {
    let whole = dir.canonicalize();
    let whole = whole.with_context(|| dir.display().to_string())?;
    let name = whole.file_name().map(|name| name.to_string_lossy());
    let name = name.with_context(|| format!("{}: has no name", dir.display()))?;
    Ok(name.into_owned())
}
