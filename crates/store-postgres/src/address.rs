//! Where the database is: a `postgres://` URL, with what the driver leaves to us.
//!
//! The driver knows `sslmode` up to `require`, which encrypts without knowing who answers. Ours
//! also knows `verify-full` and `sslrootcert`; both are taken out of the URL before the driver
//! reads it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use watchfire_domain::limit;

/// Where the database is, and how it is spoken to.
#[derive(Clone)]
pub struct Address {
    config: Config,
    trust: Trust,
}

/// Who may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Whoever answers: the connection is encrypted at best.
    Anybody,
    /// Whoever holds a certificate for the host's name, from these authorities (those of the
    /// system if absent).
    Certified { roots: Option<PathBuf> },
}

/// Unanswered signs of life after which an idle connection is taken to lead nowhere.
const KEEPALIVES: u32 = 2;

/// Why an address can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("it does not begin with postgres:// or postgresql://")]
    Scheme,
    #[error("sslmode is {0:?}; use disable, prefer, require or verify-full")]
    SslMode(String),
    #[error("sslrootcert needs sslmode=verify-full")]
    UnusedRoots,
    #[error("a percent-encoded value is damaged")]
    Encoding,
    #[error("it can't be read")]
    Unreadable(#[source] tokio_postgres::Error),
    #[error("it names no host")]
    NoHost,
}

impl Address {
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }
}

impl fmt::Display for Address {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use tokio_postgres::config::Host;
        let mut ports = self.config.get_ports().iter().copied();
        for (place, host) in self.config.get_hosts().iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            match host {
                Host::Tcp(name) => f.write_str(name)?,
                Host::Unix(folder) => write!(f, "{}", folder.display())?,
            }
            write!(f, ":{}", ports.next().unwrap_or(5_432))?;
        }
        match self.config.get_dbname().or(self.config.get_user()) {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(AddressError::Scheme);
        }
        let (rest, ours) = take_ours(url)?;
        let mut config: Config = rest.parse().map_err(AddressError::Unreadable)?;
        if config.get_hosts().is_empty() {
            return Err(AddressError::NoHost);
        }
        let (mode, trust) = ours.understood()?;
        config
            .ssl_mode(mode)
            .connect_timeout(limit::DATABASE_CONNECT_TIMEOUT)
            .tcp_user_timeout(limit::DATABASE_TIMEOUT)
            .keepalives_idle(limit::DATABASE_TIMEOUT)
            .keepalives_interval(limit::DATABASE_CONNECT_TIMEOUT)
            .keepalives_retries(KEEPALIVES);
        if config.get_application_name().is_none() {
            config.application_name("watchfire");
        }
        Ok(Self { config, trust })
    }
}

/// The parameters of the URL that are ours to read.
#[derive(Debug, Default)]
struct Ours {
    mode: Option<String>,
    roots: Option<String>,
}

impl Ours {
    fn understood(self) -> Result<(SslMode, Trust), AddressError> {
        let certified = self.mode.as_deref() == Some("verify-full");
        if self.roots.is_some() && !certified {
            return Err(AddressError::UnusedRoots);
        }
        let mode = match self.mode.as_deref() {
            None | Some("prefer") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-full") => SslMode::Require,
            Some(other) => return Err(AddressError::SslMode(other.to_owned())),
        };
        let trust = if certified {
            Trust::Certified {
                roots: self.roots.map(PathBuf::from),
            }
        } else {
            Trust::Anybody
        };
        Ok((mode, trust))
    }
}

/// Splits the parameters that are ours from the rest of the URL.
fn take_ours(url: &str) -> Result<(String, Ours), AddressError> {
    let Some((before, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), Ours::default()));
    };
    let mut ours = Ours::default();
    let mut theirs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => ours.mode = Some(decoded(value)?),
            Some(("sslrootcert", value)) => ours.roots = Some(decoded(value)?),
            Some(_) | None => theirs.push(pair),
        }
    }
    let rest = if theirs.is_empty() {
        before.to_owned()
    } else {
        format!("{before}?{}", theirs.join("&"))
    };
    Ok((rest, ours))
}

fn decoded(value: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let [high, low, tail @ ..] = tail else {
            return Err(AddressError::Encoding);
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(AddressError::Encoding);
        let value = digit(*high)? * 16 + digit(*low)?;
        bytes.push(u8::try_from(value).map_err(|_| AddressError::Encoding)?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| AddressError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Address {
        url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn each_ssl_mode_is_understood() {
        let of = |query: &str| {
            let address = parsed(&format!("postgres://u:secret@db.example/x{query}"));
            (address.config().get_ssl_mode(), address.trust().clone())
        };
        assert_eq!(of(""), (SslMode::Prefer, Trust::Anybody));
        assert_eq!(of("?sslmode=disable"), (SslMode::Disable, Trust::Anybody));
        assert_eq!(of("?sslmode=require"), (SslMode::Require, Trust::Anybody));
        let certified = |roots: Option<&str>| Trust::Certified {
            roots: roots.map(PathBuf::from),
        };
        assert_eq!(
            of("?sslmode=verify-full"),
            (SslMode::Require, certified(None))
        );
        assert_eq!(
            of("?connect_timeout=3&sslrootcert=%2Fetc%2Fca.pem&sslmode=verify-full"),
            (SslMode::Require, certified(Some("/etc/ca.pem")))
        );
    }

    #[test]
    fn what_can_not_be_used_is_named() {
        let refused = |url: &str| url.parse::<Address>().map(drop);
        let scheme = refused("mysql://u@h/x");
        assert!(matches!(scheme, Err(AddressError::Scheme)), "{scheme:?}");
        let mode = refused("postgres://u@h/x?sslmode=verify-ca");
        assert!(matches!(mode, Err(AddressError::SslMode(_))), "{mode:?}");
        let roots = refused("postgres://u@h/x?sslrootcert=/ca.pem");
        assert!(matches!(roots, Err(AddressError::UnusedRoots)), "{roots:?}");
        let damaged = refused("postgres://u@h/x?sslmode=%7");
        assert!(
            matches!(damaged, Err(AddressError::Encoding)),
            "{damaged:?}"
        );
        let option = refused("postgres://u@h/x?nonsense=1");
        assert!(
            matches!(option, Err(AddressError::Unreadable(_))),
            "{option:?}"
        );
        let nowhere = refused("postgres:///x");
        assert!(matches!(nowhere, Err(AddressError::NoHost)), "{nowhere:?}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let address = parsed("postgres://u:secret@one,two:6432/x?target_session_attrs=read-write");
        assert_eq!(address.to_string(), "one:5432,two:6432/x");
        assert_eq!(format!("{address:?}"), "Address(one:5432,two:6432/x)");
    }
}
