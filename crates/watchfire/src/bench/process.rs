//! The server as a process of its own, so that its processor time and memory are its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Clock ticks a second in /proc; fixed by the kernel's interface to user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// A key for this run only, which all nodes have to share.
const MASTER_KEY: &str = "YSBrZXkgZm9yIG9uZSBydW4gb2YgdGhlIGJlbmNoLi4=";

/// A running `watchfire serve`.
pub(super) struct ServerProcess {
    child: Child,
    pid: u32,
    pub(super) address: SocketAddr,
}

impl ServerProcess {
    /// Starts it on a database, or on the embedded one of its folder.
    pub(super) async fn start(
        data: &Path,
        jwt_secret: &str,
        database: Option<&str>,
    ) -> Result<Self> {
        let program = std::env::current_exe().context("find the program itself")?;
        let mut command = Command::new(program);
        if let Some(database) = database {
            command
                .env("WATCHFIRE_DATABASE_URL", database)
                .env("WATCHFIRE_MASTER_KEY", MASTER_KEY);
        }
        let mut child = command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--allow-cidr",
                "127.0.0.0/8",
                "--data",
            ])
            .arg(data)
            .env("WATCHFIRE_JWT_SECRET", jwt_secret)
            .env("WATCHFIRE_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the server")?;
        let pid = child.id().context("the server ended at once")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some((_, address)) = line.split_once("http://") {
                let address = address.split_whitespace().next().unwrap_or_default();
                let address = address
                    .trim_end_matches('/')
                    .parse()
                    .context("read the server's address")?;
                return Ok(Self {
                    child,
                    pid,
                    address,
                });
            }
        }
        anyhow::bail!("the server ended before it was ready")
    }

    /// Seconds of processor time so far, over all threads.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let fields = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest)
            .context("read /proc/…/stat")?;
        let field = |place| -> Option<f64> { fields.split_whitespace().nth(place)?.parse().ok() };
        let ticks = field(11).zip(field(12)).context("read /proc/…/stat")?;
        Ok((ticks.0 + ticks.1) / TICKS_PER_SECOND)
    }

    /// Resident memory now and at its highest, in bytes.
    pub(super) fn memory_bytes(&self) -> Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
                .map(|kib| kib * 1024)
        };
        field("VmRSS:")
            .zip(field("VmHWM:"))
            .context("read /proc/…/status")
    }

    /// Bytes handed to the disk so far.
    pub(super) fn written_bytes(&self) -> Result<u64> {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.pid))?;
        let line = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "));
        line.and_then(|text| text.trim().parse().ok())
            .context("read /proc/…/io")
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        if let Some(pid) = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        tokio::time::timeout(Duration::from_mins(1), self.child.wait()).await??;
        Ok(())
    }
}
