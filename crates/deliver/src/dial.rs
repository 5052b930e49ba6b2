//! Opening a connection: resolve, judge, dial the address that was judged, TLS.
//!
//! The order is the defense. A name is resolved once, *all* its addresses are judged, and those
//! very addresses are dialled, so that there is no second lookup that could answer differently.
//! One forbidden address refuses the whole name: a split answer is either an attack or a mistake,
//! and with the rest of it we would reach the wrong one sooner or later.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use watchfire_domain::attempt::Timing;
use watchfire_domain::limit;
use watchfire_domain::outcome::{Cause, Phase};

use crate::fault;
use crate::policy::Policy;
use crate::report::Failure;
use crate::resolve::{NameFault, Resolver};
use crate::stream::Stream;
use crate::target::{Host, Scheme, Target};
use crate::tls;

/// Opens connections.
pub(crate) struct Dialer {
    pub(crate) policy: Policy,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) tls: TlsConnector,
}

/// How far an attempt has come. It outlives the attempt when the deadline cuts that short.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) timing: Timing,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Resolve,
            address: None,
            timing: Timing::default(),
        }
    }
}

impl Dialer {
    /// A connection to `target` that is ready for HTTP, and the address it leads to. `deadline`
    /// is only used to share what is left of it between addresses; the caller enforces it.
    pub(crate) async fn dial(
        &self,
        target: &Target,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<(Stream, SocketAddr), Failure> {
        self.policy.judge(target)?;
        let addresses = self.addresses(target, progress).await?;
        let (tcp, address) = self.connect(&addresses, deadline, progress).await?;
        let stream = match target.scheme() {
            Scheme::Http => Stream::Plain(tcp),
            Scheme::Https => self.secure(tcp, target, progress).await?,
        };
        Ok((stream, address))
    }

    /// The addresses of the target, every one of them allowed.
    async fn addresses(
        &self,
        target: &Target,
        progress: &mut Progress,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let ips = match target.host() {
            Host::Address(ip) => vec![*ip],
            Host::Name(name) => self.resolve(name, progress).await?,
        };
        let addresses: Vec<_> = ips
            .into_iter()
            .map(|ip| SocketAddr::new(ip, target.port()))
            .collect();
        for address in &addresses {
            self.policy.verdict(*address)?;
        }
        Ok(addresses)
    }

    async fn resolve(&self, name: &str, progress: &mut Progress) -> Result<Vec<IpAddr>, Cause> {
        let started = Instant::now();
        let answer = timeout(limit::RESOLVE_TIMEOUT, self.resolver.resolve(name)).await;
        progress.timing.resolve = Some(started.elapsed());
        match answer {
            Ok(Ok(ips)) if ips.is_empty() => Err(Cause::NameNotFound),
            Ok(Ok(ips)) => Ok(ips),
            Ok(Err(NameFault::NotFound)) => Err(Cause::NameNotFound),
            Ok(Err(NameFault::ServerFailed)) | Err(_) => Err(Cause::NameServerFailed),
        }
    }

    /// Tries addresses in order, each with an equal share of the time that is left, so that one
    /// that does not answer leaves time for the next.
    async fn connect(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<(TcpStream, SocketAddr), Failure> {
        progress.phase = Phase::Connect;
        let started = Instant::now();
        let tried = addresses.len().min(limit::CONNECT_ADDRESSES_MAX);
        let mut failure = Failure::from(Cause::NameNotFound);
        for (shares_left, address) in (1..=tried).rev().zip(addresses) {
            progress.address = Some(*address);
            let left = deadline.saturating_duration_since(Instant::now());
            let shares_left = u32::try_from(shares_left).unwrap_or(u32::MAX);
            failure = match timeout(left / shares_left, self.connect_one(*address)).await {
                Ok(Ok(tcp)) => {
                    progress.timing.connect = Some(started.elapsed());
                    return Ok((tcp, *address));
                }
                // What is refused is not shown, and no other address makes up for it.
                Ok(Err(ours @ (Failure::Blocked { .. } | Failure::Exhausted))) => {
                    progress.address = None;
                    return Err(ours);
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::TimedOut {
                    phase: Phase::Connect,
                },
            };
        }
        progress.timing.connect = Some(started.elapsed());
        Err(failure)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that opens connections, on judged addresses"
    )]
    async fn connect_one(&self, address: SocketAddr) -> Result<TcpStream, Failure> {
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|error| fault::connect_failure(&error))?;
        let ends = tcp
            .peer_addr()
            .and_then(|peer| Ok((tcp.local_addr()?, peer)));
        let (local, peer) = ends.map_err(|error| fault::connect_failure(&error))?;
        if (peer.ip(), peer.port()) != (address.ip(), address.port()) {
            tracing::error!(%address, %peer, "connected to another address than was dialled");
            return Err(Cause::Other.into());
        }
        self.policy.verdict_connected(local, peer)?;
        // A request is written at once; waiting to fill a packet only delays it. It is a hint,
        // and a socket that does not take it still works.
        tcp.set_nodelay(true).ok();
        Ok(tcp)
    }

    async fn secure(
        &self,
        tcp: TcpStream,
        target: &Target,
        progress: &mut Progress,
    ) -> Result<Stream, Failure> {
        progress.phase = Phase::Tls;
        let started = Instant::now();
        let name = target.server_name().clone();
        let handshake = self.tls.connect(name, tcp).await;
        progress.timing.tls = Some(started.elapsed());
        match handshake {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => Err(tls::handshake_cause(&error).into()),
        }
    }
}
