//! What all pages share.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_engine::Engine;
use watchfire_engine::identity::{Authenticator, Tokens};

use crate::assets::Assets;
use crate::throttle::Throttle;
use crate::ui::brand::Logo;
use crate::ui::theme::{Accent, Mode};

/// What an operator sets about the pages.
pub struct DashboardConfig {
    /// Verifies the tokens people sign in with.
    pub tokens: Tokens,
    /// Where this server is reached from outside, without a trailing slash. With `https://`,
    /// cookies are sent over nothing else.
    pub public_url: Option<String>,
    /// Pages that may show the portal in a frame, as [`frame_ancestor`] checked them.
    pub portal_frame_ancestors: Vec<String>,
    pub portal_look: PortalLook,
    /// What is in force, for the operator to look at.
    pub settings: Vec<SettingLine>,
}

/// A setting that is in force, and where it was set.
#[derive(Clone, Debug)]
pub struct SettingLine {
    pub key: String,
    /// Empty where it is not set and has no default. Never a secret.
    pub value: String,
    pub is_secret: bool,
    /// Absent for the default.
    pub origin: Option<String>,
    pub about: String,
}

/// How the portal looks unless a link says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortalLook {
    /// Shown in place of our name.
    pub title: Option<String>,
    /// Shown in place of the title.
    pub logo: Option<Logo>,
    pub accent: Option<Accent>,
    pub mode: Mode,
}

/// What all pages share; cheap to clone.
#[derive(Clone)]
pub struct DashboardState(Arc<Inner>);

struct Inner {
    engine: Engine,
    authenticator: Authenticator,
    public_url: Option<String>,
    portal_frame_ancestors: Vec<String>,
    portal_look: PortalLook,
    settings: Vec<SettingLine>,
    assets: Assets,
    live_places: Arc<Semaphore>,
    sign_ins: Throttle,
    closing: watch::Sender<bool>,
}

impl DashboardState {
    pub fn new(engine: Engine, config: DashboardConfig) -> Self {
        Self(Arc::new(Inner {
            engine,
            authenticator: Authenticator::new(config.tokens),
            public_url: config.public_url,
            portal_frame_ancestors: config.portal_frame_ancestors,
            assets: Assets::with(config.portal_look.logo.as_ref()),
            portal_look: config.portal_look,
            settings: config.settings,
            live_places: Arc::new(Semaphore::new(limit::LIVE_VIEWS_MAX)),
            sign_ins: Throttle::default(),
            closing: watch::Sender::new(false),
        }))
    }

    /// Ends the live views, which would otherwise hold up a stop.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    pub(crate) fn settings(&self) -> &[SettingLine] {
        &self.0.settings
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }

    pub(crate) fn public_url(&self) -> Option<&str> {
        self.0.public_url.as_deref()
    }

    /// Whether cookies may insist on https.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url()
            .is_some_and(|url| url.starts_with("https://"))
    }

    pub(crate) fn portal_frame_ancestors(&self) -> &[String] {
        &self.0.portal_frame_ancestors
    }

    pub(crate) fn portal_look(&self) -> &PortalLook {
        &self.0.portal_look
    }

    pub(crate) fn assets(&self) -> &Assets {
        &self.0.assets
    }

    pub(crate) fn sign_ins(&self) -> &Throttle {
        &self.0.sign_ins
    }

    pub(crate) fn live_places(&self) -> &Arc<Semaphore> {
        &self.0.live_places
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.engine.clock().now()
    }
}

/// Checks one parent that may frame the portal: an origin such as `https://app.example.com`, with
/// `https://*.example.com` for all names below one. What it returns can stand in a header as it is.
///
/// # Errors
///
/// Says what is expected.
pub fn frame_ancestor(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not an origin such as https://app.example.com");
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    if !matches!(scheme, "https" | "http") {
        return Err(wrong());
    }
    let (host, port) = rest.split_once(':').unwrap_or((rest, "443"));
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if name.is_empty() || !name.chars().all(is_name) || port.parse::<u16>().is_err() {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_may_frame_the_portal() {
        for fine in [
            "https://app.example.com",
            "https://*.example.com:8443",
            "http://127.0.0.1:3000",
        ] {
            assert_eq!(frame_ancestor(fine).as_deref(), Ok(fine));
        }
        for wrong in [
            "*",
            "https://*",
            "app.example.com",
            "https://a.example;script-src *",
            "https://a.example/path",
            "https://a.example:x",
            "javascript://a",
            "https://a b",
            "",
        ] {
            assert!(frame_ancestor(wrong).is_err(), "{wrong}");
        }
    }
}
