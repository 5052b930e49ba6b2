//! `[smtp]`: through which mail server administrators are told, and who they are.

use std::path::PathBuf;
use std::time::Duration;

use watchfire_deliver::{Login, MailSecurity, is_mail_timeout, is_this_machine};
use watchfire_domain::limit;
use watchfire_domain::mail::{Address, Mailbox};
use watchfire_domain::retry;
use watchfire_domain::secret::SecretText;

use super::{Layers, Origin, Setting, SettingsError, parse_duration};

/// A setting of `[smtp]`.
const fn of(
    key: &'static str,
    env: &'static str,
    default: &'static str,
    about: &'static str,
) -> Setting {
    Setting {
        key,
        env,
        flag: None,
        default,
        about,
    }
}

/// What can be set under `[smtp]`.
pub(crate) const TABLE: &[Setting] = &[
    of(
        "smtp.host",
        "WATCHFIRE_SMTP_HOST",
        "none: no mail is sent",
        "Mail server through which administrators are told, by name or address.",
    ),
    of(
        "smtp.port",
        "WATCHFIRE_SMTP_PORT",
        "587; 465 with `tls`, 25 with `none`",
        "Its port.",
    ),
    of(
        "smtp.security",
        "WATCHFIRE_SMTP_SECURITY",
        "starttls",
        "`starttls` (required, never given up), `tls` from the first byte, or `none`. \
         Certificates are always checked; `extra_ca_file` counts here too.",
    ),
    of(
        "smtp.username",
        "WATCHFIRE_SMTP_USERNAME",
        "none",
        "Who logs in. Without TLS only to a server on this machine.",
    ),
    of(
        "smtp.password",
        "WATCHFIRE_SMTP_PASSWORD",
        "none",
        "The password that goes with it.",
    ),
    of(
        "smtp.password_file",
        "WATCHFIRE_SMTP_PASSWORD_FILE",
        "none",
        "A file that holds the password instead; a line break at its end does not count.",
    ),
    of(
        "smtp.from",
        "WATCHFIRE_SMTP_FROM",
        "none",
        "Sender, such as `Watchfire <watchfire@example.com>`. Needed with `smtp.host`.",
    ),
    of(
        "smtp.to",
        "WATCHFIRE_SMTP_TO",
        "none",
        "Who is told about all applications, besides each one's `administrators`; separated by \
         commas.",
    ),
    of(
        "smtp.timeout",
        "WATCHFIRE_SMTP_TIMEOUT",
        "30s",
        "Deadline over connecting, and over each mail; 2m at most.",
    ),
    of(
        "smtp.gather",
        "WATCHFIRE_SMTP_GATHER",
        "10s",
        "How long notices are gathered before the first mail about them.",
    ),
    of(
        "smtp.interval",
        "WATCHFIRE_SMTP_INTERVAL",
        "15m",
        "Time between two mails about one kind of notice at one endpoint; what comes meanwhile is \
         told in the next.",
    ),
];

/// How mail is sent, if it is.
#[derive(Clone, Debug)]
pub(crate) struct SmtpSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: MailSecurity,
    pub(crate) login: Option<Login>,
    pub(crate) from: Mailbox,
    pub(crate) to: Vec<Address>,
    pub(crate) timeout: Duration,
    pub(crate) gather: Duration,
    pub(crate) interval: Duration,
}

/// Understands `[smtp]`; `None` if nothing of it is set.
pub(super) fn resolve(layers: &Layers) -> Result<Option<SmtpSettings>, SettingsError> {
    let text = |text: &str| Ok(text.to_owned());
    let Some(host) = layers.optional("smtp.host", parse_host)? else {
        let set = TABLE.iter().find_map(|setting| layers.origin(setting.key));
        return match set {
            None => Ok(None),
            Some(origin) => Err(wrong(origin, "needs smtp.host as well")),
        };
    };
    let host_origin = || layers.origin("smtp.host").expect("it was read");
    let security = layers.optional("smtp.security", parse_security)?;
    let security = security.unwrap_or(MailSecurity::StartTls);
    let username = layers.optional("smtp.username", text)?;
    let password = password(layers)?;
    let login = match (username, password) {
        (None, None) => None,
        (Some(username), Some(password)) => Some(Login { username, password }),
        (Some(_), None) => return Err(wrong(host_origin(), "smtp.username needs a password")),
        (None, Some(_)) => return Err(wrong(host_origin(), "a password needs smtp.username")),
    };
    if login.is_some() && security == MailSecurity::None && !is_this_machine(&host) {
        let problem = "the password would cross the network unencrypted; set smtp.security";
        return Err(wrong(host_origin(), problem));
    }
    let from = layers.optional("smtp.from", |text| {
        text.parse::<Mailbox>().map_err(|error| error.to_string())
    })?;
    let from = from.ok_or_else(|| wrong(host_origin(), "needs smtp.from as well"))?;
    let duration = |key, default| {
        let set = layers.optional(key, parse_duration)?;
        Ok(set.unwrap_or(default))
    };
    Ok(Some(SmtpSettings {
        port: layers
            .optional("smtp.port", parse_port)?
            .unwrap_or(match security {
                MailSecurity::StartTls => 587,
                MailSecurity::Tls => 465,
                MailSecurity::None => 25,
            }),
        host,
        security,
        login,
        from,
        to: layers.optional("smtp.to", parse_list)?.unwrap_or_default(),
        timeout: layers
            .optional("smtp.timeout", parse_timeout)?
            .unwrap_or(limit::MAIL_TIMEOUT),
        gather: duration("smtp.gather", limit::MAIL_GATHER)?,
        interval: duration("smtp.interval", limit::MAIL_INTERVAL)?,
    }))
}

fn wrong(from: Origin, problem: &str) -> SettingsError {
    SettingsError::Value {
        from,
        problem: problem.to_owned(),
    }
}

fn password(layers: &Layers) -> Result<Option<SecretText>, SettingsError> {
    let given = layers.optional("smtp.password", |text| Ok(SecretText::new(text.to_owned())))?;
    let file = layers.optional("smtp.password_file", |path| {
        let text = std::fs::read_to_string(PathBuf::from(path));
        let text = text.map_err(|error| format!("{path}: {error}"))?;
        Ok(SecretText::new(
            text.trim_end_matches(['\r', '\n']).to_owned(),
        ))
    })?;
    match (given, file) {
        (Some(_), Some(_)) => {
            let origin = layers.origin("smtp.password_file").expect("it was read");
            Err(wrong(origin, "smtp.password is set as well; one is enough"))
        }
        (given, file) => Ok(given.or(file)),
    }
}

fn parse_host(text: &str) -> Result<String, String> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_host) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a name or address such as mail.example.com"
        ))
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| format!("{text:?} is not a port, 1 to 65535"))
}

fn parse_security(text: &str) -> Result<MailSecurity, String> {
    match text {
        "none" => Ok(MailSecurity::None),
        "starttls" => Ok(MailSecurity::StartTls),
        "tls" => Ok(MailSecurity::Tls),
        _ => Err(format!("{text:?} is not none, starttls or tls")),
    }
}

fn parse_list(text: &str) -> Result<Vec<Address>, String> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let list: Result<Vec<Address>, String> = parts
        .map(|part| part.parse().map_err(|error| format!("{part:?} {error}")))
        .collect();
    let list = list?;
    if list.len() > limit::MAIL_RECIPIENTS_MAX {
        return Err(format!(
            "may have at most {} addresses",
            limit::MAIL_RECIPIENTS_MAX
        ));
    }
    Ok(list)
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    if is_mail_timeout(timeout) {
        return Ok(timeout);
    }
    let most = retry::format_duration(limit::MAIL_TIMEOUT_MAX);
    Err(format!("{text:?} is not between 1ms and {most}"))
}
