//! The only outbound connections of Watchfire: one [`Request`] in, one [`Report`] of facts out;
//! and [`Letter`]s to people.
//!
//! # The players
//!
//! - A [`Target`] is an endpoint's URL, parsed once, in the parts a request needs.
//! - A [`Policy`] says which addresses, names and ports may be called. It judges a URL when it is
//!   saved ([`Policy::check_url`]) and every address just before it is dialled
//!   ([`Policy::verdict`]); the address that was judged is the one that is dialled.
//! - A [`Client`] is the [`Transport`]: it takes an idle connection to the target's origin from
//!   its pool or opens one, sends the request, and reads the answer to a limit in bytes and in
//!   time.
//! - A [`Report`] tells what came back or what failed, which address was dialled, and how long
//!   each part took. [`Report::outcome`] puts it in the words of the domain.
//! - [`Smtp`] is the [`Mailer`]: it hands letters to the mail server that the operator named.
//!
//! # What this crate must never do
//!
//! It never retries, never decides, never follows a redirect and never touches the store: one
//! attempt is one request, and a letter is handed over once. It opens no connection to a tenant's URL
//! that the policy has not judged, reads no proxy from the environment, inflates no body, and lets no caller switch certificate checks off.
//!
//! # Cancellation
//!
//! A dropped [`Transport::send`] closes its connection: it can't return to the pool half-used.
//! What the receiver made of the request is then unknown.
//!
//! Start reading at [`Client`]'s `send` in `client.rs`, then `dial.rs` and `connection.rs`.

mod client;
mod connection;
mod dial;
mod fault;
mod mail;
mod policy;
mod pool;
mod report;
mod request;
mod resolve;
mod retry_after;
mod spelling;
mod stream;
mod target;
mod tls;

pub use client::{Client, ClientConfig, Transport};
pub use mail::{
    Letter, Login, MailFault, MailSecurity, Mailer, Reply, Smtp, SmtpConfig, Stage,
    is_mail_timeout, is_this_machine,
};
pub use policy::{Cidr, InvalidCidr, Policy};
pub use pool::PoolLimits;
pub use report::{Answer, Exhausted, Failure, Report};
pub use request::Request;
pub use resolve::{Hickory, NameFault, Resolver, ResolverFault, System};
pub use retry_after::parse_retry_after;
pub use spelling::Spelling;
pub use target::{Host, Origin, Scheme, Target, UrlFault};
pub use tls::TlsFault;
