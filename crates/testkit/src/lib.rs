//! What tests use in place of the world: a clock that stands still, chance that repeats itself,
//! samples of our own words, and a receiver that does what it is told.
//!
//! - [`FakeClock`] tells the time a test set, and [`SeededEntropy`] draws the same bytes for the
//!   same seed; both stand in for the traits of `domain::ambient`.
//! - [`Samples`] makes messages and endpoints with nothing unusual about them; a test changes
//!   the one field it is about.
//! - [`Receiver`] listens on a loopback port, records every request as it came over the wire, and
//!   answers each by a [`Script`]. It fails the test if it was sent more than its script foresaw.
//! - [`Postgres`] is a private database server; all tests share one, or one has its own.
//! - [`Relay`] is a line to that server on which the answer to a commit can get lost.
//! - [`Gate`] holds answers back until a test opens it, so that no test has to sleep.
//!
//! # What this crate must never do
//!
//! It is a dev-dependency: nothing that ships depends on it. It judges nothing; a test says what
//! it expects. It knows no store and no engine, so that their tests can use it.
//!
//! Start reading at [`receiver`].

pub mod postgres;
pub mod receiver;

mod clock;
mod entropy;
mod gate;
mod log;
mod relay;
mod samples;
mod script;

pub use clock::FakeClock;
pub use entropy::SeededEntropy;
pub use gate::Gate;
pub use postgres::Postgres;
pub use receiver::Receiver;
pub use relay::{Held, Relay};
pub use samples::Samples;
pub use script::{Reply, Request, Script};
