//! The dashboard and the portal in a real browser: Debian's Chromium, driven by the program in
//! `tests/node/browser` through tours that report what they saw.
//!
//! To add a tour: a module in `tests/node/browser/tours`, and a test that calls
//! [`driver::Tour::go`] and judges its report. `WATCHFIRE_PICTURES=all` takes a picture of every
//! page at two sizes, light and dark, into `target/pictures` (or the folder it names).

mod driver;
mod fences;
mod hostile;
mod judge;
mod pages;
mod seed;
