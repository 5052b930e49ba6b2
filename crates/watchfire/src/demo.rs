//! `watchfire demo`: a server, receivers that behave and misbehave, real events, and what became
//! of each, live.

mod receivers;
mod script;
mod story;

use std::time::Duration;

use anyhow::{Context as _, Result};

use self::receivers::Receivers;
use crate::cli::DemoArgs;
use crate::server::Server;
use crate::settings::Layers;
use crate::{login, serve, terminal};

/// Retries soon enough to watch.
const RETRY_SCHEDULE: &str = "1s,3s,5s";
/// A hanging receiver is given up on soon enough to watch.
const ATTEMPT_TIMEOUT: &str = "3s";

pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    serve::start_log("warn,watchfire_engine=error")?;
    serve::raise_open_files();
    let stop = serve::stop_signal()?;
    let receivers = Receivers::start()
        .await
        .context("start the demo's receivers")?;
    let server = Server::start(&settings(&args)?).await?;
    let story = story::follow(&server.engine);
    let script = script::prepare(&server, receivers.address()).await?;
    script.introduce();
    let told = tokio::spawn(story);
    let events = script.clone();
    let engine = server.engine.clone();
    let posting = tokio::spawn(async move { events.play(&engine).await });
    let address = server.address();
    let link = login::link(server.engine.vault(), &format!("http://{address}"), None)?;
    let lifetime = args.seconds.map(Duration::from_secs);
    let end = async move {
        tokio::select! {
            () = stop => {}
            () = sleep_or_for_ever(lifetime) => {}
        }
    };
    let next_steps = tokio::spawn(async move {
        if let Ok(Ok(())) = posting.await {
            tokio::time::sleep(Duration::from_secs(2)).await;
            script.invite(address, &link);
        }
    });
    server.run(end).await;
    told.abort();
    next_steps.abort();
    terminal::line(format!(
        "\nStopped. The data is in {}.",
        args.data.display()
    ));
    Ok(())
}

async fn sleep_or_for_ever(lifetime: Option<Duration>) {
    match lifetime {
        Some(lifetime) => tokio::time::sleep(lifetime).await,
        None => std::future::pending().await,
    }
}

fn settings(args: &DemoArgs) -> Result<crate::settings::Settings> {
    let mut layers = Layers::default();
    layers.flag("listen", Some(args.listen.to_string()));
    layers.flag("data", Some(args.data.display().to_string()));
    layers.flag("allow_cidrs", Some("127.0.0.0/8".to_owned()));
    layers.flag("retry_schedule", Some(RETRY_SCHEDULE.to_owned()));
    layers.flag("attempt_timeout", Some(ATTEMPT_TIMEOUT.to_owned()));
    let mut settings = layers.resolve()?;
    // The demo's receivers are on loopback and speak plain HTTP.
    let plain: toml::Table = "endpoint = { https = 'optional' }".parse()?;
    for contract in watchfire_contracts::Catalog::embedded().iter() {
        settings
            .contracts
            .insert(contract.name().to_owned(), plain.clone());
    }
    // Otherwise a few refusals in a row would suspend an endpoint before its story is told.
    let patient: toml::Table = "health = { suspend_after = 12, cooldown = '5s' }".parse()?;
    settings
        .contracts
        .entry("standard".to_owned())
        .or_default()
        .extend(patient);
    Ok(settings)
}
