//! `watchfire verify`: checks a request the way a receiver should.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use watchfire_contracts::verify::{self, Received, VerifyingKey};
use watchfire_domain::ambient::Clock as _;
use watchfire_domain::time::Timestamp;

use crate::ambient::SystemClock;
use crate::cli::VerifyArgs;
use crate::terminal;

pub(crate) fn run(args: &VerifyArgs) -> Result<()> {
    let key = VerifyingKey::parse(&args.secret).context("secret")?;
    let body = read_body(&args.body).with_context(|| format!("body {}", args.body.display()))?;
    let received = Received {
        id: &args.id,
        timestamp: &args.timestamp,
        signature: &args.signature,
        body: &body,
    };
    verify::verify(received, &[key], now(args)).context("not to be trusted")?;
    terminal::line("The signature is correct.");
    Ok(())
}

/// The time the timestamp is held against: now, or itself.
fn now(args: &VerifyArgs) -> Timestamp {
    let claimed = args.timestamp.parse().ok().filter(|_| args.any_time);
    claimed.map_or_else(|| SystemClock.now(), Timestamp::from_unix_seconds)
}

fn read_body(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut body = Vec::new();
    std::io::stdin().lock().read_to_end(&mut body)?;
    Ok(body)
}
