//! A network, as operators write it: `10.0.0.0/8`, `fd12::/16`, `192.0.2.7`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

/// The text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCidr {
    #[error("expected a network such as 10.0.0.0/8 or fd12::/16")]
    Syntax,
    #[error("the prefix is longer than the address")]
    Prefix,
    /// Probably a typing error, and guessing which part is wrong could allow too much.
    #[error("the address has bits set beyond the prefix")]
    HostBits,
}

impl Cidr {
    pub fn new(base: IpAddr, prefix: u8) -> Result<Self, InvalidCidr> {
        if prefix > width(base) {
            return Err(InvalidCidr::Prefix);
        }
        if bits(base) & !mask(base, prefix) != 0 {
            return Err(InvalidCidr::HostBits);
        }
        Ok(Self { base, prefix })
    }

    /// IPv4 networks hold no IPv6 addresses, not even those that embed one of theirs.
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.base.is_ipv4()
            && bits(ip) & mask(self.base, self.prefix) == bits(self.base)
    }
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Ones above the host part, and above the width.
fn mask(ip: IpAddr, prefix: u8) -> u128 {
    let host_bits = u32::from(width(ip) - prefix);
    u128::MAX.checked_shl(host_bits).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    /// An address alone is the network of only that address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| InvalidCidr::Syntax)?;
        let prefix = match prefix {
            Some(digits) => digits.parse().map_err(|_| InvalidCidr::Syntax)?,
            None => width(base),
        };
        Self::new(base, prefix)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_first_and_last_address_and_no_others() {
        for (network, first, last, before, after) in [
            (
                "10.0.0.0/8",
                "10.0.0.0",
                "10.255.255.255",
                "9.255.255.255",
                "11.0.0.0",
            ),
            (
                "192.0.2.7",
                "192.0.2.7",
                "192.0.2.7",
                "192.0.2.6",
                "192.0.2.8",
            ),
            (
                "fd12::/16",
                "fd12::",
                "fd12:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "fd11:ffff::",
                "fd13::",
            ),
        ] {
            let network: Cidr = network.parse().expect("valid");
            let holds = |ip: &str| network.contains(ip.parse().expect("address"));
            assert!(holds(first) && holds(last), "{network}");
            assert!(!holds(before) && !holds(after), "{network}");
        }
    }

    #[test]
    fn the_whole_of_one_family_is_not_the_other() {
        let all: Cidr = "0.0.0.0/0".parse().expect("valid");
        assert!(all.contains(IpAddr::from([255, 255, 255, 255])));
        assert!(!all.contains("::ffff:10.0.0.1".parse().expect("address")));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, fault) in [
            ("10.0.0.0/33", InvalidCidr::Prefix),
            ("10.0.0.1/8", InvalidCidr::HostBits),
            ("fd12::/129", InvalidCidr::Prefix),
            ("10.0.0.0/", InvalidCidr::Syntax),
            ("10.0.0/8", InvalidCidr::Syntax),
            ("localhost", InvalidCidr::Syntax),
            ("10.0.0.0/-1", InvalidCidr::Syntax),
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(fault), "{text}");
        }
    }
}
