//! One conversation with a mail server.
//!
//! # Order
//!
//! Connect, TLS where it is asked for, greet, log in, then for each letter `MAIL`, `RCPT`, `DATA`.
//! What goes wrong with the conversation goes wrong with all letters that are left; what the
//! server says about one letter concerns that one.

use std::io;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use watchfire_domain::limit;
use watchfire_domain::outcome::Cause;

use super::message::{compose, with_stuffed_dots};
use super::reply::{Lines, ReadFault, Reply};
use super::{Letter, Login, MailFault, MailSecurity, SmtpConfig, Stage};
use crate::resolve::{NameFault, Resolver, System};
use crate::tls;

/// Either kind of connection.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(super) async fn send(
    config: &SmtpConfig,
    tls: &TlsConnector,
    letters: &[Letter],
) -> Vec<Result<(), MailFault>> {
    let mut sent = Vec::with_capacity(letters.len());
    let deadline = Instant::now() + config.timeout;
    let mut stage = Stage::Connecting;
    let opening = timeout_at(deadline, open(config, tls, &mut stage)).await;
    let mut conversation = match opening.unwrap_or(Err(MailFault::TimedOut(stage))) {
        Ok(conversation) => conversation,
        Err(fault) => return vec![Err(fault); letters.len()],
    };
    for letter in letters {
        let deadline = Instant::now() + config.timeout;
        let mut stage = Stage::NamingSender;
        let sending = conversation.letter(config, letter, &mut stage);
        let ended = timeout_at(deadline, sending).await;
        let ended = ended.unwrap_or(Err(MailFault::TimedOut(stage)));
        // After a refusal the next letter starts afresh; after anything else nothing can be said
        // any more.
        let goes_on = matches!(ended, Ok(()) | Err(MailFault::Refused { .. }));
        sent.push(ended.clone());
        if !goes_on {
            sent.resize(letters.len(), ended);
            return sent;
        }
    }
    // Whether it says goodbye does not change what it has taken.
    let deadline = Instant::now() + config.timeout;
    drop(timeout_at(deadline, conversation.ask("QUIT", Stage::Sending)).await);
    sent
}

async fn open(
    config: &SmtpConfig,
    tls: &TlsConnector,
    stage: &mut Stage,
) -> Result<Conversation, MailFault> {
    let tcp = connect(config).await?;
    let own_address = tcp.local_addr().map_err(|error| unreachable(&error))?.ip();
    let mut conversation = match config.security {
        MailSecurity::Tls => Conversation::over(secure(config, tls, tcp).await?),
        MailSecurity::None | MailSecurity::StartTls => Conversation::over(tcp),
    };
    *stage = Stage::Greeting;
    conversation.expect(220, Stage::Greeting).await?;
    let mut offers = conversation.greet(own_address).await?;
    if config.security == MailSecurity::StartTls {
        conversation = conversation.start_tls(config, tls, &offers).await?;
        offers = conversation.greet(own_address).await?;
    }
    if let Some(login) = &config.login {
        *stage = Stage::LoggingIn;
        conversation.log_in(login, &offers).await?;
    }
    Ok(conversation)
}

fn unreachable(error: &io::Error) -> MailFault {
    MailFault::Unreachable(error.kind())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this crate opens the connections; the server is named by the operator"
)]
async fn connect(config: &SmtpConfig) -> Result<TcpStream, MailFault> {
    let addresses = match config.host.parse::<IpAddr>() {
        Ok(ip) => vec![ip],
        // The system's resolver knows its search domains and its hosts file.
        Err(_) => System
            .resolve(&config.host)
            .await
            .map_err(MailFault::Name)?,
    };
    let mut fault = MailFault::Name(NameFault::NotFound);
    for ip in addresses.into_iter().take(limit::CONNECT_ADDRESSES_MAX) {
        match TcpStream::connect(SocketAddr::new(ip, config.port)).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => fault = unreachable(&error),
        }
    }
    Err(fault)
}

async fn secure<S: Wire + 'static>(
    config: &SmtpConfig,
    tls: &TlsConnector,
    stream: S,
) -> Result<impl Wire + 'static, MailFault> {
    let name = ServerName::try_from(config.host.clone());
    let name = name.map_err(|_| MailFault::Tls(Cause::TlsNameMismatch))?;
    let secured = tls.connect(name, stream).await;
    secured.map_err(|error| MailFault::Tls(tls::handshake_cause(&error)))
}

struct Conversation {
    wire: Box<dyn Wire>,
    lines: Lines,
}

impl Conversation {
    fn over(wire: impl Wire + 'static) -> Self {
        Self {
            wire: Box::new(wire),
            lines: Lines::default(),
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc5321#section-4.1.4
    //# the client SHOULD send an address literal
    async fn greet(&mut self, own: IpAddr) -> Result<Reply, MailFault> {
        let name = match own {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        };
        let ehlo = format!("EHLO {name}");
        self.command(&ehlo, 250, Stage::Greeting).await
    }

    //= https://www.rfc-editor.org/rfc/rfc3207#section-4.2
    //# The client MUST discard any knowledge obtained from the server, such as the list of SMTP
    //# service extensions, which was not obtained from the TLS negotiation itself.
    async fn start_tls(
        mut self,
        config: &SmtpConfig,
        tls: &TlsConnector,
        offers: &Reply,
    ) -> Result<Self, MailFault> {
        if offers.offers("STARTTLS").is_none() {
            return Err(MailFault::NoStartTls);
        }
        self.command("STARTTLS", 220, Stage::Greeting).await?;
        // Somebody in between may have added to what the server said in plain text.
        if self.lines.has_more() {
            return Err(MailFault::Malformed(Stage::Greeting));
        }
        Ok(Self::over(secure(config, tls, self.wire).await?))
    }

    //= https://www.rfc-editor.org/rfc/rfc4954#section-4
    //# AUTH mechanism [initial-response]
    async fn log_in(&mut self, login: &Login, offers: &Reply) -> Result<(), MailFault> {
        let mechanisms = offers.offers("AUTH").unwrap_or_default();
        let offered = |wanted: &str| {
            let mut words = mechanisms.split_ascii_whitespace();
            words.any(|word| word.eq_ignore_ascii_case(wanted))
        };
        let (username, password) = (&login.username, login.password.expose());
        if offered("PLAIN") {
            let plain = BASE64.encode(format!("\0{username}\0{password}"));
            let command = format!("AUTH PLAIN {plain}");
            self.command(&command, 235, Stage::LoggingIn).await?;
            return Ok(());
        }
        if offered("LOGIN") {
            self.command("AUTH LOGIN", 334, Stage::LoggingIn).await?;
            let username = BASE64.encode(username);
            self.command(&username, 334, Stage::LoggingIn).await?;
            let password = BASE64.encode(password);
            self.command(&password, 235, Stage::LoggingIn).await?;
            return Ok(());
        }
        Err(MailFault::NoAuthentication)
    }

    async fn letter(
        &mut self,
        config: &SmtpConfig,
        letter: &Letter,
        stage: &mut Stage,
    ) -> Result<(), MailFault> {
        let sent = self.transaction(config, letter, stage).await;
        if matches!(sent, Err(MailFault::Refused { .. })) {
            // What it answers matters no more than that it answers; the next letter will tell.
            self.ask("RSET", *stage).await?;
        }
        sent
    }

    async fn transaction(
        &mut self,
        config: &SmtpConfig,
        letter: &Letter,
        stage: &mut Stage,
    ) -> Result<(), MailFault> {
        let mail = format!("MAIL FROM:<{}>", config.from.address);
        self.command(&mail, 250, *stage).await?;
        *stage = Stage::NamingRecipient;
        let rcpt = format!("RCPT TO:<{}>", letter.to);
        //= https://www.rfc-editor.org/rfc/rfc5321#section-3.4
        //# it may return a 251 (User not local; will forward)
        let answer = self.ask(&rcpt, *stage).await?;
        if !matches!(answer.code, 250 | 251) {
            return Err(refused(*stage, answer));
        }
        *stage = Stage::Sending;
        self.command("DATA", 354, *stage).await?;
        let message = with_stuffed_dots(&compose(letter, &config.from));
        self.command(&format!("{message}."), 250, *stage).await?;
        Ok(())
    }

    /// Says something and expects one answer.
    async fn command(&mut self, line: &str, code: u16, stage: Stage) -> Result<Reply, MailFault> {
        self.say(line, stage).await?;
        self.expect(code, stage).await
    }

    async fn ask(&mut self, line: &str, stage: Stage) -> Result<Reply, MailFault> {
        self.say(line, stage).await?;
        self.reply(stage).await
    }

    async fn say(&mut self, line: &str, stage: Stage) -> Result<(), MailFault> {
        let broken = |_| MailFault::Broken(stage);
        let bytes = format!("{line}\r\n");
        self.wire
            .write_all(bytes.as_bytes())
            .await
            .map_err(broken)?;
        self.wire.flush().await.map_err(broken)
    }

    async fn expect(&mut self, code: u16, stage: Stage) -> Result<Reply, MailFault> {
        let reply = self.reply(stage).await?;
        if reply.code == code {
            Ok(reply)
        } else {
            Err(refused(stage, reply))
        }
    }

    async fn reply(&mut self, stage: Stage) -> Result<Reply, MailFault> {
        let reply = self.lines.reply(&mut self.wire).await;
        reply.map_err(|fault| match fault {
            ReadFault::Closed => MailFault::Broken(stage),
            ReadFault::Malformed => MailFault::Malformed(stage),
        })
    }
}

/// A reply that says neither no nor what was expected is no SMTP.
fn refused(stage: Stage, reply: Reply) -> MailFault {
    if reply.code >= 400 {
        MailFault::Refused { stage, reply }
    } else {
        MailFault::Malformed(stage)
    }
}
