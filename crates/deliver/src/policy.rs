//! Which addresses, names and ports may be called: a deny-list for everyone, an allow-list for
//! the operator.
//!
//! Problem: an endpoint's URL is chosen by a tenant and called from inside the operator's
//! network.
//! Idea: a URL is judged when it is saved, so that its owner learns at once, and every address is
//! judged again just before it is dialled, because a name can change its address in between. Only
//! the second check protects; the first is a courtesy. Both use the same classifier.
//! Limits: a name in front of a forbidden address passes the first check; it is stopped at the
//! second.

mod address;
mod cidr;

use std::net::{IpAddr, SocketAddr};

use watchfire_domain::outcome::Verdict;

use crate::target::{Host, Target, UrlFault};
pub use cidr::{Cidr, InvalidCidr};

/// Ports below 1024 that may be called.
const LOW_PORTS_ALLOWED: [u16; 2] = [80, 443];

/// Ports from 1024 on that may not: services that take orders from anyone who can connect, or
/// that read an HTTP request as a command: Docker, `MySQL`, PostgreSQL, Redis,
/// Elasticsearch, memcached, `MongoDB`.
const HIGH_PORTS_DENIED: [u16; 7] = [2375, 3306, 5432, 6379, 9200, 11211, 27017];

/// Names of metadata services; refused whatever they resolve to and whatever is allowed.
const METADATA_NAMES: [&str; 3] = [
    "metadata.google.internal",
    "metadata.goog",
    "instance-data.ec2.internal",
];

/// Name suffixes that only mean something inside a network.
const INTERNAL_SUFFIXES: [&str; 3] = [".localhost", ".local", ".internal"];

/// What the operator set. The default allows the public internet on ordinary ports.
///
/// Never filled from anything a tenant can send.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Networks that may be called although they are not public. Metadata services inside them
    /// stay refused. While the list is not empty, internal names such as `localhost` pass
    /// [`Policy::check_url`] and are judged by what they resolve to.
    pub allow: Vec<Cidr>,
    /// Ports that may be called although the rules above deny them.
    pub ports: Vec<u16>,
    /// The network reaches IPv4 through NAT64: addresses in `64:ff9b::/96` are judged by the IPv4
    /// address they embed.
    pub nat64: bool,
    /// Where this server itself listens. Refused even if allowed: an endpoint that points at our
    /// own API would feed itself.
    pub own_addresses: Vec<SocketAddr>,
    /// Names under which this server is reached, in lower case.
    pub own_names: Vec<String>,
}

impl Policy {
    /// The check when a URL is saved: form, name, port and, for literals, the address.
    pub fn check_url(&self, text: &str) -> Result<Target, UrlFault> {
        let target = Target::parse(text)?;
        self.judge(&target)
            .map_err(|verdict| UrlFault::Blocked { verdict })?;
        Ok(target)
    }

    /// The check when a connection is opened, on the address that is going to be dialled.
    pub fn verdict(&self, address: SocketAddr) -> Result<(), Verdict> {
        let ip = address.ip();
        if address::is_metadata(ip) {
            return Err(Verdict::Metadata);
        }
        if self.is_own(address) {
            return Err(Verdict::OwnAddress);
        }
        self.check_port(address.port())?;
        if self.allow.iter().any(|network| network.contains(ip)) {
            return Ok(());
        }
        match address::classify(self.translated(ip)) {
            None => Ok(()),
            Some(verdict) => Err(verdict),
        }
    }

    /// What can be said about a target before its name is resolved.
    pub(crate) fn judge(&self, target: &Target) -> Result<(), Verdict> {
        match target.host() {
            Host::Address(ip) => self.verdict(SocketAddr::new(*ip, target.port())),
            Host::Name(name) => {
                self.check_name(name)?;
                self.check_port(target.port())
            }
        }
    }

    /// Both ends of a connection have the same address: the peer is a program on this host. That
    /// finds ourselves also where we listen on all addresses and don't know which those are.
    pub(crate) fn verdict_connected(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Result<(), Verdict> {
        let is_own_port = |own: &SocketAddr| own.port() == peer.port() && own.ip().is_unspecified();
        if local.ip() == peer.ip() && self.own_addresses.iter().any(is_own_port) {
            return Err(Verdict::OwnAddress);
        }
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), Verdict> {
        if METADATA_NAMES.contains(&name) {
            return Err(Verdict::Metadata);
        }
        if self.own_names.iter().any(|own| own == name) {
            return Err(Verdict::OwnAddress);
        }
        let is_internal = !name.contains('.')
            || INTERNAL_SUFFIXES
                .iter()
                .any(|suffix| name.ends_with(suffix));
        if is_internal && self.allow.is_empty() {
            return Err(Verdict::InternalName);
        }
        Ok(())
    }

    fn check_port(&self, port: u16) -> Result<(), Verdict> {
        let is_ordinary = if port < 1024 {
            LOW_PORTS_ALLOWED.contains(&port)
        } else {
            !HIGH_PORTS_DENIED.contains(&port)
        };
        if is_ordinary || (port != 0 && self.ports.contains(&port)) {
            Ok(())
        } else {
            Err(Verdict::Port)
        }
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        self.own_addresses.iter().any(|own| {
            let same_ip = own.ip() == address.ip();
            let any_ip = own.ip().is_unspecified()
                && (address.ip().is_loopback() || address.ip().is_unspecified());
            own.port() == address.port() && (same_ip || any_ip)
        })
    }

    fn translated(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V6(ip) if self.nat64 => {
                address::nat64_target(ip).map_or(IpAddr::V6(ip), IpAddr::V4)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => ip,
        }
    }
}

#[cfg(test)]
mod tests;
