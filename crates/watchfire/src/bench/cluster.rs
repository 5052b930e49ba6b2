//! The servers of one measurement: one on a folder, or several that share a database.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::process::ServerProcess;

/// How long nodes take to learn of each other and to divide the shards: a few beats.
const SETTLES_WITHIN: Duration = Duration::from_secs(15);

/// One server at least.
pub(super) struct Cluster(Vec<ServerProcess>);

impl Cluster {
    pub(super) async fn start(
        data: &Path,
        jwt_secret: &str,
        database: Option<&str>,
        nodes: usize,
    ) -> Result<Self> {
        let mut servers = Vec::new();
        for number in 0..nodes.max(1) {
            let data = if nodes > 1 {
                data.join(format!("node-{number}"))
            } else {
                data.to_owned()
            };
            servers.push(ServerProcess::start(&data, jwt_secret, database).await?);
        }
        if servers.len() > 1 {
            tokio::time::sleep(SETTLES_WITHIN).await;
        }
        Ok(Self(servers))
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|server| server.address).collect()
    }

    /// Where it is set up.
    pub(super) fn first(&self) -> &ServerProcess {
        &self.0[0]
    }

    /// Seconds of processor time so far, over all nodes.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        self.0.iter().map(ServerProcess::cpu_seconds).sum()
    }

    /// Resident memory of all nodes, now and at the highest of each, in bytes.
    pub(super) fn memory_bytes(&self) -> Result<(u64, u64)> {
        let mut each = self.0.iter().map(ServerProcess::memory_bytes);
        each.try_fold((0, 0), |(now, peak), next| {
            let (more, higher) = next?;
            Ok((now + more, peak + higher))
        })
    }

    /// Bytes handed to the disk so far; those of a shared database are not among them.
    pub(super) fn written_bytes(&self) -> Result<u64> {
        self.0.iter().map(ServerProcess::written_bytes).sum()
    }

    pub(super) async fn stop(self) -> Result<()> {
        for server in self.0 {
            server.stop().await?;
        }
        Ok(())
    }
}
