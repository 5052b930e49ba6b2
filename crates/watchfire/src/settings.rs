//! What an operator can set, and where each value comes from: a flag wins over the environment,
//! that over the file, that over the default.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use watchfire_api::RateLimits;
use watchfire_contracts::render::SignatureHeaders;
use watchfire_dashboard::{Logo, PortalLook, SettingLine};
use watchfire_deliver::Cidr;
use watchfire_domain::limit;
use watchfire_domain::retry::{self, Schedule};
use watchfire_domain::secret::SecretText;
use watchfire_engine::Validation;
use watchfire_store::{NodeId, Retention, Retentions};

mod database;
mod organizations;
mod smtp;
mod table;

pub(crate) use database::Database;
pub(crate) use smtp::SmtpSettings;
pub(crate) use table::Setting;
use table::TABLE;

/// Everything that can be set.
pub(crate) fn table() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().chain(smtp::TABLE)
}

/// What is in force.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) rate_limits: RateLimits,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) data: PathBuf,
    /// PostgreSQL; `None` is the embedded database.
    pub(crate) database: Option<Database>,
    pub(crate) node: Option<NodeId>,
    pub(crate) master_key: Option<SecretText>,
    pub(crate) jwt_secret: Option<SecretText>,
    pub(crate) allow_cidrs: Vec<Cidr>,
    pub(crate) retry_schedule: Option<Schedule>,
    pub(crate) attempt_timeout: Duration,
    pub(crate) extra_ca_file: Option<PathBuf>,
    pub(crate) default_contract: String,
    pub(crate) contracts_dir: Option<PathBuf>,
    pub(crate) validation: Validation,
    pub(crate) public_url: Option<String>,
    pub(crate) signature_headers: SignatureHeaders,
    pub(crate) retentions: Retentions,
    pub(crate) dashboard: bool,
    pub(crate) portal_frame_ancestors: Vec<String>,
    pub(crate) portal_look: PortalLook,
    pub(crate) log: String,
    /// `[smtp]`; `None` if no mail is sent.
    pub(crate) smtp: Option<SmtpSettings>,
    /// Overrides under `[contracts.<name>]`.
    pub(crate) contracts: BTreeMap<String, toml::Table>,
    /// All of it as it was written, and where; secrets left out.
    pub(crate) lines: Vec<SettingLine>,
}

/// Why a setting can't be used, in one line that names it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{from}: {problem}")]
    Value { from: Origin, problem: String },
    #[error("{path}: {problem}", path = path.display())]
    File { path: PathBuf, problem: String },
    #[error("{path}: unknown key {key:?}; known are {known}", path = path.display())]
    UnknownKey {
        path: PathBuf,
        key: String,
        known: String,
    },
}

/// Where a value was set.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Flag(&'static str),
    Environment(&'static str),
    File(PathBuf, &'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(name) => f.write_str(name),
            Self::File(path, key) => write!(f, "{}: {key}", path.display()),
        }
    }
}

/// Values by key, before they are understood.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    values: BTreeMap<&'static str, (Origin, String)>,
    contracts: BTreeMap<String, toml::Table>,
    /// `[organizations.<id>]`, and the file it stands in.
    organizations: Option<(PathBuf, toml::Table)>,
}

impl Layers {
    /// Reads the configuration file; its values give way to all others.
    pub(crate) fn read_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let wrong = |problem: String| SettingsError::File {
            path: path.to_owned(),
            problem,
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error
                .span()
                .map_or(0, |span| text[..span.start].lines().count().max(1));
            wrong(format!(
                "line {line}: {}",
                error.message().lines().next().unwrap_or_default()
            ))
        })?;
        for (key, value) in table {
            self.take_file_value(path, &key, value)?;
        }
        Ok(())
    }

    fn take_file_value(
        &mut self,
        path: &Path,
        key: &str,
        value: toml::Value,
    ) -> Result<(), SettingsError> {
        if key == "contracts" {
            self.contracts = value.try_into().map_err(|error| SettingsError::File {
                path: path.to_owned(),
                problem: format!("contracts: {error}"),
            })?;
            return Ok(());
        }
        if let (true, toml::Value::Table(table)) = (key == "organizations", &value) {
            self.organizations = Some((path.to_owned(), table.clone()));
            return Ok(());
        }
        if let (true, toml::Value::Table(table)) = (key == "smtp", &value) {
            let keys = table.clone().into_iter();
            return keys
                .map(|(name, value)| (format!("smtp.{name}"), value))
                .try_for_each(|(key, value)| self.take_file_value(path, &key, value));
        }
        let Some(setting) = table().find(|setting| setting.key == key) else {
            return Err(SettingsError::UnknownKey {
                path: path.to_owned(),
                key: key.to_owned(),
                known: known_keys(),
            });
        };
        let origin = Origin::File(path.to_owned(), setting.key);
        let text = scalar_text(value).ok_or_else(|| SettingsError::Value {
            from: origin.clone(),
            problem: "expected a text, a number, or a list of texts".to_owned(),
        })?;
        self.values.insert(setting.key, (origin, text));
        Ok(())
    }

    /// Takes what the environment sets.
    pub(crate) fn read_environment(&mut self, lookup: impl Fn(&str) -> Option<String>) {
        for setting in table() {
            if let Some(value) = lookup(setting.env) {
                let origin = Origin::Environment(setting.env);
                self.values.insert(setting.key, (origin, value));
            }
        }
    }

    /// Takes a flag, which wins over everything.
    pub(crate) fn flag(&mut self, key: &'static str, value: Option<String>) {
        let flag = table()
            .find(|setting| setting.key == key)
            .and_then(|setting| setting.flag);
        if let (Some(flag), Some(value)) = (flag, value) {
            self.values.insert(key, (Origin::Flag(flag), value));
        }
    }

    /// Understands every value.
    pub(crate) fn resolve(self) -> Result<Settings, SettingsError> {
        Ok(Settings {
            listen: self.parse("listen", parse_listen)?,
            rate_limits: RateLimits {
                per_credential: self.parse("requests_per_key", parse_rate)?,
                per_organization: self.parse("requests_per_organization", parse_rate)?,
                refusals_per_address: self.parse("refusals_per_address", parse_rate)?,
            },
            trusted_proxies: self
                .optional("trusted_proxies", parse_cidrs)?
                .unwrap_or_default(),
            metrics_listen: self.optional("metrics_listen", parse_listen)?,
            data: self.parse("data", |text| Ok(PathBuf::from(text)))?,
            database: database::resolve(&self)?,
            node: self.optional("node", database::parse_node)?,
            master_key: self.optional("master_key", parse_master_key)?,
            jwt_secret: self.optional("jwt_secret", parse_secret)?,
            allow_cidrs: self
                .optional("allow_cidrs", parse_cidrs)?
                .unwrap_or_default(),
            retry_schedule: self.optional("retry_schedule", |text| {
                Schedule::from_str(text).map_err(|error| error.to_string())
            })?,
            attempt_timeout: self.parse("attempt_timeout", parse_timeout)?,
            extra_ca_file: self.optional("extra_ca_file", |text| Ok(PathBuf::from(text)))?,
            default_contract: self.parse("default_contract", |text| Ok(text.to_owned()))?,
            contracts_dir: self.optional("contracts_dir", |text| Ok(PathBuf::from(text)))?,
            validation: self.parse("validation", parse_validation)?,
            public_url: self.optional("public_url", |text| {
                Ok(text.trim_end_matches('/').to_owned())
            })?,
            signature_headers: self.parse("signature_headers", parse_signature_headers)?,
            retentions: self.retentions()?,
            dashboard: self.parse("dashboard", parse_switch)?,
            portal_frame_ancestors: self
                .optional("portal_frame_ancestors", parse_ancestors)?
                .unwrap_or_default(),
            portal_look: PortalLook {
                title: self.optional("portal_title", |text| Ok(text.to_owned()))?,
                logo: self.optional("portal_logo", read_logo)?,
                accent: self.optional("portal_color", |text| {
                    let wrong = |_| format!("{text:?} is not a colour such as 4649c8");
                    text.parse().map_err(wrong)
                })?,
                mode: self.parse("portal_theme", |text| {
                    let wrong = |_| format!("{text:?} is not light, dark or auto");
                    text.parse().map_err(wrong)
                })?,
            },
            log: self.parse("log", |text| Ok(text.to_owned()))?,
            smtp: smtp::resolve(&self)?,
            lines: self.lines(),
            contracts: self.contracts,
        })
    }

    /// Everything that can be set, as it was written, and where.
    fn lines(&self) -> Vec<SettingLine> {
        let line = |setting: &Setting| {
            let is_secret = is_secret(setting.key);
            let set = self.values.get(setting.key);
            let value = set.map_or(setting.default, |(_, value)| value.as_str());
            SettingLine {
                key: setting.key.to_owned(),
                value: if is_secret {
                    String::new()
                } else {
                    value.to_owned()
                },
                is_secret: is_secret && set.is_some(),
                origin: set.map(|(origin, _)| origin.to_string()),
                about: setting.about.to_owned(),
            }
        };
        table().map(line).collect()
    }

    fn retentions(&self) -> Result<Retentions, SettingsError> {
        let default = Retention {
            payloads: self.parse("payload_retention", parse_duration)?,
            messages: self.parse("message_retention", parse_duration)?,
        };
        let own = match &self.organizations {
            Some((path, table)) => organizations::retentions(path, table, default)?,
            None => BTreeMap::new(),
        };
        Ok(Retentions {
            default,
            own,
            audit: self.parse("audit_retention", parse_duration)?,
        })
    }

    /// Where a value was set, if it was.
    fn origin(&self, key: &str) -> Option<Origin> {
        self.values.get(key).map(|(origin, _)| origin.clone())
    }

    fn optional<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingsError> {
        let Some((origin, text)) = self.values.get(key) else {
            return Ok(None);
        };
        let wrong = |problem| SettingsError::Value {
            from: origin.clone(),
            problem,
        };
        parse(text).map(Some).map_err(wrong)
    }

    fn parse<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, SettingsError> {
        if let Some(value) = self.optional(key, &parse)? {
            return Ok(value);
        }
        let default = table()
            .find(|setting| setting.key == key)
            .map(|setting| setting.default);
        let value = parse(default.unwrap_or_default());
        Ok(value.expect("a test reads every default"))
    }
}

/// Whether a setting's value is a secret, or holds one: addresses of databases carry a password.
fn is_secret(key: &str) -> bool {
    ["secret", "password", "database", "master_key"]
        .iter()
        .any(|part| key.contains(part))
}

/// What can be set in a file or the environment, for `watchfire serve --help`.
pub(crate) fn help() -> String {
    let entries = table().map(|setting| {
        let Setting {
            key,
            env,
            default,
            about,
            ..
        } = setting;
        format!("\n  {env}, {key} [default: {default}]\n      {about}\n")
    });
    let entries: String = entries.collect();
    format!("Environment variables, and keys of the configuration file:\n{entries}")
}

fn known_keys() -> String {
    let keys: Vec<_> = table()
        .map(|setting| setting.key)
        .chain(["contracts", "organizations"])
        .collect();
    keys.join(", ")
}

/// A list becomes what the environment would hold: texts separated by commas.
fn scalar_text(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(value) => Some(value.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.into_iter().map(scalar_text).collect();
            items.map(|items| items.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// So many, or `off`.
fn parse_rate(text: &str) -> Result<Option<NonZeroU32>, String> {
    if text == "off" {
        return Ok(None);
    }
    let rate = text.parse().ok().and_then(NonZeroU32::new);
    rate.map(Some)
        .ok_or_else(|| format!("{text:?} is not a number from 1 on, or `off`"))
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let wrong =
        || format!("{text:?} is not an address and port such as 127.0.0.1:8071 or [::1]:8071");
    text.parse().map_err(|_| wrong())
}

/// Shorter secrets can be guessed from a single token.
const JWT_SECRET_BYTES_MIN: usize = 16;

fn parse_secret(text: &str) -> Result<SecretText, String> {
    if text.len() < JWT_SECRET_BYTES_MIN {
        return Err(format!("must have at least {JWT_SECRET_BYTES_MIN} bytes"));
    }
    Ok(SecretText::new(text.to_owned()))
}

/// The text is kept; whoever opens the vault decodes it again.
fn parse_master_key(text: &str) -> Result<SecretText, String> {
    match crate::data_dir::decode_key(text) {
        Some(_) => Ok(SecretText::new(text.to_owned())),
        None => Err("is not 32 bytes in base64; `openssl rand -base64 32` makes some".to_owned()),
    }
}

fn parse_cidrs(text: &str) -> Result<Vec<Cidr>, String> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts
        .map(|part| part.parse().map_err(|error| format!("{part:?} {error}")))
        .collect()
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err(format!("{text:?} is not on or off")),
    }
}

fn parse_ancestors(text: &str) -> Result<Vec<String>, String> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(watchfire_dashboard::frame_ancestor)
        .collect()
}

fn parse_validation(text: &str) -> Result<Validation, String> {
    match text {
        "strict" => Ok(Validation::Strict),
        "warn" => Ok(Validation::Warn),
        "off" => Ok(Validation::Off),
        _ => Err(format!("{text:?} is not strict, warn or off")),
    }
}

fn parse_signature_headers(text: &str) -> Result<SignatureHeaders, String> {
    match text {
        "webhook" => Ok(SignatureHeaders::Webhook),
        "webhook,svix" => Ok(SignatureHeaders::WebhookAndSvix),
        _ => Err(format!("{text:?} is not `webhook` or `webhook,svix`")),
    }
}

fn read_logo(path: &str) -> Result<Logo, String> {
    let wrong = |error: &dyn fmt::Display| format!("{path}: {error}");
    let content = std::fs::read(path).map_err(|error| wrong(&error))?;
    Logo::read(content.into()).map_err(|error| wrong(&error))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    retry::parse_duration(text).map_err(|error| error.to_string())
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    if timeout.is_zero() || timeout > limit::ATTEMPT_TIMEOUT_MAX {
        let most = retry::format_duration(limit::ATTEMPT_TIMEOUT_MAX);
        return Err(format!("{text:?} is not between 1ms and {most}"));
    }
    Ok(timeout)
}

#[cfg(test)]
mod tests;
