//! Names to addresses.
//!
//! Whatever answers, its answer is only a proposal: every address in it is judged by the policy
//! before one is dialled.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;

/// Answers are kept at least this long, so that a receiver with a TTL of zero can't make every
/// attempt a query.
const TTL_MIN: Duration = Duration::from_secs(1);
/// Answers are kept at most this long, so that a moved receiver is found again.
const TTL_MAX: Duration = Duration::from_mins(5);
/// "No such name" is kept at most this long: a name that was just created should work soon.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(30);
/// Answers that are kept.
const CACHED_ANSWERS_MAX: u64 = 4_096;

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of `name`, which is lower-case and has no trailing dot. Canceling is safe.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, NameFault>;
}

/// Why a name has no addresses for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("the name has no address")]
    NotFound,
    #[error("the name server did not answer, or failed")]
    ServerFailed,
}

/// The name servers of this machine could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the system's name server configuration could not be read")]
pub struct ResolverFault(#[source] NetError);

/// Asks name servers itself, keeps answers, and can be canceled. The default.
pub struct Hickory(TokioResolver);

/// Asks the operating system: for clusters that need its search domains or its other sources of
/// names. Blocks a thread per query, and can't be canceled.
pub struct System;

impl Hickory {
    /// With the name servers in the system's configuration and the names in its hosts file.
    pub fn from_system() -> Result<Self, ResolverFault> {
        let mut builder = TokioResolver::builder_tokio().map_err(ResolverFault)?;
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = CACHED_ANSWERS_MAX;
        options.positive_min_ttl = Some(TTL_MIN);
        options.positive_max_ttl = Some(TTL_MAX);
        options.negative_min_ttl = Some(TTL_MIN);
        options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
        builder.build().map(Self).map_err(ResolverFault)
    }
}

#[async_trait]
impl Resolver for Hickory {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, NameFault> {
        // With the dot it is complete: no search domain is tried, so a tenant can't reach names
        // inside by writing the front part of one.
        let answer = self.0.lookup_ip(format!("{name}.")).await;
        match answer {
            Ok(answer) => Ok(answer.iter().collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(NameFault::NotFound)
            }
            Err(_) => Err(NameFault::ServerFailed),
        }
    }
}

#[async_trait]
impl Resolver for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system, and the answer is judged"
    )]
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, NameFault> {
        match tokio::net::lookup_host((name, 0)).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            // The system tells "no such name" from "no answer" in its text only.
            Err(_) => Err(NameFault::NotFound),
        }
    }
}
