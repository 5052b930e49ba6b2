//! `watchfire login`: prints a link that signs in to the dashboard once.

use anyhow::{Context as _, Result};
use watchfire_domain::ambient::Clock as _;
use watchfire_domain::id::OrganizationId;
use watchfire_engine::Vault;
use watchfire_engine::identity::{DEFAULT_ORGANIZATION, ticket};

use crate::ambient::{SystemClock, SystemEntropy};
use crate::cli::LoginArgs;
use crate::{config, terminal, token};

pub(crate) fn run(args: &LoginArgs) -> Result<()> {
    let settings = config::for_tools(&args.settings)?;
    let data = token::existing(&settings.data)?;
    let vault = Vault::new(&data.master_key(&SystemEntropy)?);
    let base = settings.public_url.clone();
    let base = base.unwrap_or_else(|| format!("http://{}", settings.listen));
    terminal::line(link(&vault, &base, args.org.as_deref())?);
    Ok(())
}

/// A link that signs in once; its code stands in the fragment, which browsers send to nobody.
pub(crate) fn link(vault: &Vault, base: &str, org: Option<&str>) -> Result<String> {
    let name = org.unwrap_or(DEFAULT_ORGANIZATION);
    let org: OrganizationId = name
        .parse()
        .with_context(|| format!("organization {name:?}"))?;
    let code = ticket::issue(vault, &org, SystemClock.now(), &SystemEntropy);
    Ok(format!("{base}/dashboard/sign-in#key={}", code.expose()))
}
