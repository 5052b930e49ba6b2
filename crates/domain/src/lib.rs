//! Words and rules of Watchfire: what a message, an endpoint, a delivery and an attempt are,
//! and every decision made about them.
//!
//! # The players
//!
//! - A **message** ([`message`]) is an immutable event accepted for an application.
//! - An **endpoint** ([`endpoint`]) is a URL with subscriptions, secrets and health.
//! - A **delivery** is the obligation to get one message to one endpoint; an **attempt**
//!   ([`attempt`]) is one HTTP request for it and has exactly one **outcome** ([`outcome`]).
//! - A **retry schedule** ([`retry`]) and a **health policy** ([`health`]) are values; their next
//!   step is a pure function, and what it returns is data that somebody else carries out
//!   ([`delivery`]).
//!
//! # What this crate must never do
//!
//! No async, no I/O, no clock, no random numbers, no SQL, no HTTP types. Functions take `now`
//! and the drawn number as arguments.
//!
//! Start reading at [`delivery`].

pub mod ambient;
pub mod attempt;
pub mod audit;
pub mod delivery;
pub mod endpoint;
pub mod filter;
pub mod health;
pub mod id;
pub mod lag;
pub mod limit;
pub mod mail;
pub mod message;
pub mod notice;
pub mod outcome;
pub mod retry;
pub mod scope;
pub mod secret;
pub mod time;
