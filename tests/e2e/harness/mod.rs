//! What every whole-binary test stands on: the real server in its own process, a client of its
//! API, and the programs of others that judge both.

mod api;
mod application;
mod command;
mod judge;
mod mail;
mod server;
mod tell;
mod tls;
mod wait;

pub(crate) use api::{Answer, Api};
pub(crate) use application::Application;
pub(crate) use command::{Ended, may_unshare, unshared, watchfire};
pub(crate) use judge::{in_checkout, node, python, ready, run_judge, rust_sdk, shared_python};
pub(crate) use mail::{Mail, MailServer};
pub(crate) use server::{JWT_SECRET, Server, Setup};
pub(crate) use tell::tell;
pub(crate) use tls::{Certificate, TlsFront};
pub(crate) use wait::eventually;
