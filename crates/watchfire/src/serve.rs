//! `watchfire serve`: runs until a signal asks it to stop.

use std::future::Future;
use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use watchfire_domain::limit;

use crate::cli::ServeArgs;
use crate::server::Server;
use crate::settings::Settings;
use crate::{config, login, terminal};

pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    let settings = config::for_server(args)?;
    start_log(&settings.log)?;
    on_runtime(serve(settings))
}

async fn serve(settings: Settings) -> Result<()> {
    raise_open_files();
    let stop = stop_signal()?;
    let server = Server::start(&settings).await?;
    terminal::line(format!("Watchfire is ready: http://{}/", server.address()));
    invite(&settings, &server).await?;
    server.run(stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Says how to sign in, until somebody has set something up.
async fn invite(settings: &Settings, server: &Server) -> Result<()> {
    if !server.has_dashboard() || !server.is_blank().await? {
        return Ok(());
    }
    let base = settings.public_url.clone();
    let base = base.unwrap_or_else(|| format!("http://{}", server.address()));
    let link = login::link(server.engine.vault(), &base, None)?;
    terminal::line(format!(
        "Sign in to the dashboard, once and within an hour: {link}"
    ));
    Ok(())
}

/// Runs a command that needs the network.
pub(crate) fn on_runtime(command: impl Future<Output = Result<()>>) -> Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(command)
}

/// Ends when the process is asked to stop: SIGTERM, or Ctrl-C.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen to SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

pub(crate) fn start_log(filter: &str) -> Result<()> {
    let filter: EnvFilter = filter.parse().with_context(|| {
        format!("log: {filter:?} is not a filter such as info or info,watchfire_engine=debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

/// Connections there are at most, each an open file.
const FILES_WANTED: usize =
    limit::ATTEMPTS_IN_FLIGHT_MAX + limit::IDLE_CONNECTIONS_MAX + limit::API_CONNECTIONS_MAX;

/// Each connection is an open file; the system's soft limit is often too low for many.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit on open files was not raised");
    }
    let files = limit.maximum.unwrap_or(u64::MAX);
    let wanted = u64::try_from(FILES_WANTED).unwrap_or(u64::MAX);
    if files < wanted {
        tracing::warn!(
            files,
            wanted,
            "the limit on open files is low: under high load deliveries rest and callers wait"
        );
    }
}
