//! `watchfire contract`: lists, shows and checks contracts.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use watchfire_contracts::manifest::Unlisted;
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
        format!("Method      {}", manifest.request.method.as_str()),
        format!(
            "Deadline    {}",
            retry::format_duration(manifest.delivery.timeout)
        ),
        format!("Retries     {retries}"),
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

fn check(dir: &Path) -> Result<()> {
    let name = dir.canonicalize().ok();
    let name = name
        .as_deref()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.with_context(|| format!("{}: is not a folder", dir.display()))?;
    let mut sources = Vec::new();
    contracts::read_folder(dir, &name, 0, &mut sources)
        .with_context(|| dir.display().to_string())?;
    let catalog = Catalog::embedded().with_sources(&sources)?;
    let contract = catalog
        .contract(&name)
        .context("the folder holds no contract.toml")?;
    terminal::line(format!(
        "{name}: correct, {} event types",
        contract.event_types().count()
    ));
    Ok(())
}
