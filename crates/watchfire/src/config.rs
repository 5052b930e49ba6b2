//! From flags, environment and file to settings.

use anyhow::Result;

use crate::cli::{ServeArgs, SettingArgs};
use crate::settings::{Layers, Settings};

/// The settings `watchfire serve` runs with.
pub(crate) fn for_server(args: &ServeArgs) -> Result<Settings> {
    let mut layers = layers(&args.settings)?;
    layers.flag("listen", args.listen.clone());
    let cidrs = (!args.allow_cidr.is_empty()).then(|| args.allow_cidr.join(","));
    layers.flag("allow_cidrs", cidrs);
    layers.flag("retry_schedule", args.retry_schedule.clone());
    layers.flag("attempt_timeout", args.attempt_timeout.clone());
    layers.flag("extra_ca_file", args.extra_ca_file.clone());
    layers.flag("contracts_dir", args.contracts.clone());
    layers.flag("log", args.log.clone());
    Ok(layers.resolve()?)
}

/// The settings of commands that only look at a data folder.
pub(crate) fn for_tools(args: &SettingArgs) -> Result<Settings> {
    Ok(layers(args)?.resolve()?)
}

fn layers(args: &SettingArgs) -> Result<Layers> {
    let mut layers = Layers::default();
    if let Some(file) = &args.config {
        layers.read_file(file)?;
    }
    layers.read_environment(|name| std::env::var(name).ok());
    layers.flag("data", args.data.clone());
    Ok(layers)
}
