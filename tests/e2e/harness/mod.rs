//! What every whole-binary test stands on: the real server in its own process, a client of its
//! API, and the programs of others that judge both.

mod apart;
mod api;
mod application;
mod command;
mod disk;
mod judge;
mod mail;
mod server;
mod tell;
mod tls;
mod wait;

pub(crate) use apart::{Peer, is_apart, must};
pub(crate) use api::{Answer, Api};
pub(crate) use application::Application;
pub(crate) use command::{Ended, may_unshare, unshared, watchfire};
pub(crate) use disk::fill;
pub(crate) use judge::{
    in_checkout, node, pictures, python, ready, run_judge, rust_sdk, shared_python, tour,
};
pub(crate) use mail::{Mail, MailServer};
pub(crate) use server::{JWT_SECRET, Server, Setup};
pub(crate) use tell::tell;
pub(crate) use tls::{Certificate, TlsFront};
pub(crate) use wait::eventually;
