//! The delivery client against real sockets: ordinary receivers, hostile ones, names that change
//! their address, and certificates that don't fit.
//!
//! No test waits for a duration or asserts one. Where a deadline must pass it is short; where it
//! must not, it is the longest there is.

mod exchange;
mod guard;
mod hostile;
mod receiver;
mod setup;
mod tls;
