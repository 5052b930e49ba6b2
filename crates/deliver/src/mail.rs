//! Mail to people, over SMTP to the one server the operator named.
//!
//! The server is the operator's choice and not a tenant's, so the address policy does not judge
//! it. One conversation carries all letters of a call; each goes to one person, who learns of no
//! other.

mod message;
mod reply;
mod smtp;

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio_rustls::TlsConnector;
use watchfire_domain::limit;
use watchfire_domain::mail::{Address, Mailbox};
use watchfire_domain::secret::SecretText;
use watchfire_domain::time::Timestamp;

pub use self::reply::Reply;
use crate::resolve::NameFault;
use crate::tls::{self, TlsFault};

/// Sends letters.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends each letter once, in one conversation; the answers stand in the order of the letters.
    /// If dropped, the letters before the one being sent have arrived, and that one may have.
    async fn send(&self, letters: &[Letter]) -> Vec<Result<(), MailFault>>;
}

/// A mail to one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The part of its `Message-ID` before the `@`: letters, digits and underscores.
    pub id: String,
    pub to: Address,
    pub at: Timestamp,
    /// In one line; whatever controls a header is taken out.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    None,
    /// The server must offer STARTTLS; there is no way back to plain text.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// Who sends, and through which server.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// A name or an address.
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    pub login: Option<Login>,
    pub from: Mailbox,
    /// Deadline over connecting, and over each letter.
    pub timeout: Duration,
    /// Certificates of further authorities.
    pub extra_ca_pem: Option<Vec<u8>>,
}

/// How we show the mail server who we are.
#[derive(Clone, Debug)]
pub struct Login {
    pub username: String,
    pub password: SecretText,
}

/// Why a letter was not taken. None of it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailFault {
    #[error("the mail server's name has no address")]
    Name(#[source] NameFault),
    #[error("the mail server can't be reached: {0}")]
    Unreachable(std::io::ErrorKind),
    #[error("the mail server did not answer in time, while {0}")]
    TimedOut(Stage),
    #[error("the connection to the mail server broke, while {0}")]
    Broken(Stage),
    #[error("no TLS with the mail server: {0}")]
    Tls(watchfire_domain::outcome::Cause),
    #[error("the mail server offers no STARTTLS")]
    NoStartTls,
    #[error("the mail server offers neither AUTH PLAIN nor AUTH LOGIN")]
    NoAuthentication,
    #[error("the mail server does not speak SMTP as it should, while {0}")]
    Malformed(Stage),
    #[error("refused, while {stage}: {reply}")]
    Refused { stage: Stage, reply: Reply },
}

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Connecting,
    Greeting,
    LoggingIn,
    NamingSender,
    NamingRecipient,
    Sending,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Greeting => "greeting",
            Self::LoggingIn => "logging in",
            Self::NamingSender => "naming the sender",
            Self::NamingRecipient => "naming the recipient",
            Self::Sending => "sending the message",
        })
    }
}

impl MailFault {
    /// Whether the server took part in the conversation and did not want this letter.
    pub fn is_about_one_letter(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                stage: Stage::NamingRecipient | Stage::Sending,
                ..
            }
        )
    }

    /// Whether this letter will never be taken. A wrong password or an unknown sender is no such
    /// fault: the operator can mend it, and the letter still goes then.
    pub fn is_final(&self) -> bool {
        let is_permanent = matches!(self, Self::Refused { reply, .. } if reply.is_permanent());
        is_permanent && self.is_about_one_letter()
    }
}

/// Sends letters through an SMTP server. Cheap to keep; each call makes its own connection.
pub struct Smtp {
    config: SmtpConfig,
    tls: TlsConnector,
}

impl Smtp {
    pub fn new(config: SmtpConfig) -> Result<Self, TlsFault> {
        let tls = tls::configure_without_alpn(config.extra_ca_pem.as_deref())?;
        Ok(Self {
            config,
            tls: TlsConnector::from(tls),
        })
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, letters: &[Letter]) -> Vec<Result<(), MailFault>> {
        smtp::send(&self.config, &self.tls, letters).await
    }
}

/// Whether a mail server's host is this machine, so that what is said stays on it.
pub fn is_this_machine(host: &str) -> bool {
    let ip = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// A deadline a mail server may be given.
pub fn is_mail_timeout(timeout: Duration) -> bool {
    !timeout.is_zero() && timeout <= limit::MAIL_TIMEOUT_MAX
}
