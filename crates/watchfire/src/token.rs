//! `watchfire token`: prints a token for the API.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use watchfire_api::Tokens;
use watchfire_domain::ambient::Clock as _;
use watchfire_domain::id::OrganizationId;
use watchfire_domain::secret::SecretText;

use crate::ambient::SystemClock;
use crate::cli::TokenArgs;
use crate::data_dir::DataDir;
use crate::{config, server, terminal};

pub(crate) fn run(args: &TokenArgs) -> Result<()> {
    let settings = config::for_tools(&args.settings)?;
    let secret = match &settings.jwt_secret {
        Some(secret) => secret.clone(),
        None => server::jwt_secret(&settings, &existing(&settings.data)?)?,
    };
    terminal::line(for_organization(&secret, args.org.as_deref())?);
    Ok(())
}

/// The data folder. One made here would hold a secret that no server knows.
pub(crate) fn existing(path: &Path) -> Result<DataDir> {
    if !path.is_dir() {
        bail!(
            "data folder {}: there is none; start the server first, or name its folder with --data",
            path.display()
        );
    }
    DataDir::open(path)
}

/// A token for an organization, or for the default one, signed with this secret.
pub(crate) fn for_organization(secret: &SecretText, org: Option<&str>) -> Result<String> {
    let name = org.unwrap_or(watchfire_api::DEFAULT_ORGANIZATION);
    let org: OrganizationId = name
        .parse()
        .with_context(|| format!("organization {name:?}"))?;
    Ok(Tokens::new(secret).for_organization(&org, SystemClock.now()))
}
