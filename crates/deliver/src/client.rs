//! One attempt, from request to report.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use watchfire_domain::ambient::Clock;
use watchfire_domain::limit;

use crate::connection::{Connection, Received};
use crate::dial::{Dialer, Progress};
use crate::policy::Policy;
use crate::pool::{Key, Pool, PoolLimits};
use crate::report::{Answer, Failure, Report};
use crate::request::Request;
use crate::resolve::Resolver;
use crate::retry_after::parse_retry_after;
use crate::target::Target;
use crate::tls::{self, TlsFault};

/// Makes attempts.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request, once. Ends at its deadline at the latest; if dropped before, the
    /// connection is closed and the receiver may or may not have got the request.
    async fn send(&self, request: Request) -> Report;
}

/// What a [`Client`] is made of.
pub struct ClientConfig {
    pub policy: Policy,
    pub resolver: Arc<dyn Resolver>,
    /// Tells the time for a `Retry-After` that is a date.
    pub clock: Arc<dyn Clock>,
    /// Certificates of further authorities, for receivers that have their own.
    pub extra_ca_pem: Option<Vec<u8>>,
    pub pool: PoolLimits,
}

/// The HTTP client. Cheap to share, expensive to make; needs a Tokio runtime to run in.
pub struct Client {
    dialer: Dialer,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
}

impl Client {
    pub fn new(config: ClientConfig) -> Result<Self, TlsFault> {
        let tls = tls::configure(config.extra_ca_pem.as_deref())?;
        Ok(Self {
            dialer: Dialer {
                policy: config.policy,
                resolver: config.resolver,
                tls: TlsConnector::from(tls),
            },
            pool: Arc::new(Pool::new(config.pool)),
            clock: config.clock,
        })
    }

    async fn attempt(
        &self,
        request: Request,
        started: Instant,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Answer, Failure> {
        let key = Key::of(request.target.origin());
        let idle = std::future::poll_fn(|cx| self.pool.check_out(&key, started, cx).into()).await;
        let mut connection = match idle {
            Some(connection) => connection,
            // Boxed because it is rare and large: the common path's future stays small.
            None => Box::pin(self.open(&request.target, deadline, progress)).await?,
        };
        progress.address = Some(connection.address());
        let received = connection
            .exchange(request.into_message(), progress)
            .await?;
        self.pool.check_in(key, connection);
        Ok(self.answer(received))
    }

    async fn open(
        &self,
        target: &Target,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Box<Connection>, Failure> {
        let (stream, address) = self.dialer.dial(target, deadline, progress).await?;
        Ok(Box::new(Connection::prepare(stream, address).await?))
    }

    fn answer(&self, received: Received) -> Answer {
        let retry_after = received
            .retry_after
            .and_then(|value| parse_retry_after(value.to_str().ok()?, self.clock.now()));
        Answer {
            status: received.status.as_u16(),
            retry_after,
            response: received.response,
        }
    }
}

#[async_trait]
impl Transport for Client {
    async fn send(&self, request: Request) -> Report {
        let started = Instant::now();
        let deadline = started + request.timeout.min(limit::ATTEMPT_TIMEOUT_MAX);
        let mut progress = Progress::new();
        let attempt = self.attempt(request, started, deadline, &mut progress);
        let exchange = match timeout_at(deadline, attempt).await {
            Ok(exchange) => exchange,
            Err(_) => Err(Failure::TimedOut {
                phase: progress.phase,
            }),
        };
        progress.timing.total = started.elapsed();
        Report {
            exchange,
            address: progress.address,
            timing: progress.timing,
        }
    }
}
