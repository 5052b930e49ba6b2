//! What kind of address an address is: the deny-list as a table.
//!
//! IPv4 is allowed except for what the table names; IPv6 is refused except for global unicast
//! (`2000::/3`), minus what the table names in it. So a range that is allocated tomorrow is
//! refused in IPv6 until somebody looks at it, and every form that embeds an IPv4 address is
//! refused, whatever it embeds.
//!
//! Sources: the IANA special-purpose address registries, and the cloud providers' pages on their
//! metadata services.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use watchfire_domain::outcome::Verdict;

/// First address, prefix length, what it is. The first match counts.
type V4Range = (Ipv4Addr, u32, Verdict);
type V6Range = (Ipv6Addr, u32, Verdict);

#[rustfmt::skip]
const V4: [V4Range; 19] = [
    (Ipv4Addr::UNSPECIFIED, 8, Verdict::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Verdict::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Verdict::SharedCarrier),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Verdict::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Verdict::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Verdict::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Verdict::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Verdict::Documentation),
    (Ipv4Addr::new(192, 31, 196, 0), 24, Verdict::Reserved), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24, Verdict::Reserved), // AMT
    (Ipv4Addr::new(192, 88, 99, 0), 24, Verdict::Transition), // 6to4 relay anycast
    (Ipv4Addr::new(192, 168, 0, 0), 16, Verdict::Private),
    (Ipv4Addr::new(192, 175, 48, 0), 24, Verdict::Reserved), // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15, Verdict::Benchmarking),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Verdict::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Verdict::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Verdict::Multicast),
    (Ipv4Addr::BROADCAST, 32, Verdict::Reserved),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Verdict::Reserved),
];

#[rustfmt::skip]
const V6: [V6Range; 20] = [
    (Ipv6Addr::UNSPECIFIED, 128, Verdict::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Verdict::Loopback),
    (v6([0, 0, 0, 0, 0, 0, 0, 0]), 96, Verdict::Transition), // IPv4-compatible
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0]), 96, Verdict::Transition), // IPv4-mapped
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0]), 96, Verdict::Transition), // IPv4-translated
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]), 96, Verdict::Transition), // NAT64
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]), 48, Verdict::Transition), // NAT64, local
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0]), 64, Verdict::Reserved), // discard-only
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 32, Verdict::Transition), // Teredo
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0]), 48, Verdict::Benchmarking),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23, Verdict::Reserved), // IETF protocol assignments
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), 32, Verdict::Documentation),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0]), 16, Verdict::Transition), // 6to4
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0]), 48, Verdict::Reserved), // AS112
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20, Verdict::Documentation),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0]), 16, Verdict::Reserved), // segment routing
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7, Verdict::UniqueLocal),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10, Verdict::LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0]), 10, Verdict::SiteLocal),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8, Verdict::Multicast),
];

/// Addresses that hand out credentials to whoever asks.
#[rustfmt::skip]
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Azure, Google, DigitalOcean and others
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS pod identity
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure WireServer; a public address
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
];

#[rustfmt::skip]
const METADATA_V6: [Ipv6Addr; 3] = [
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]), // AWS
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23]),  // AWS EKS pod identity
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),  // Google
];

const fn v6(segments: [u16; 8]) -> Ipv6Addr {
    Ipv6Addr::from_segments(segments)
}

/// Why an address is not one of the public internet; `None` if it is.
pub(super) fn classify(ip: IpAddr) -> Option<Verdict> {
    match ip {
        IpAddr::V4(ip) if METADATA_V4.contains(&ip) => Some(Verdict::Metadata),
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

fn classify_v4(ip: Ipv4Addr) -> Option<Verdict> {
    let inside =
        |(base, prefix, _): &&V4Range| (ip.to_bits() ^ base.to_bits()).leading_zeros() >= *prefix;
    V4.iter().find(inside).map(|(_, _, verdict)| *verdict)
}

fn classify_v6(ip: Ipv6Addr) -> Option<Verdict> {
    let inside =
        |(base, prefix, _): &&V6Range| (ip.to_bits() ^ base.to_bits()).leading_zeros() >= *prefix;
    if let Some((_, _, verdict)) = V6.iter().find(inside) {
        return Some(*verdict);
    }
    if is_isatap(ip) {
        return Some(Verdict::Transition);
    }
    let is_global_unicast = ip.segments()[0] & 0xe000 == 0x2000;
    (!is_global_unicast).then_some(Verdict::Unallocated)
}

/// Whether this is a metadata service, or embeds the address of one.
pub(super) fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => METADATA_V4.contains(&ip),
        IpAddr::V6(ip) => {
            METADATA_V6.contains(&ip) || embedded(ip).any(|inner| METADATA_V4.contains(&inner))
        }
    }
}

/// The IPv4 address behind a NAT64 address of the well-known prefix.
pub(super) fn nat64_target(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, _, _] = ip.segments() else {
        return None;
    };
    Some(quad(ip, [12, 13, 14, 15]))
}

/// Every IPv4 address that some transition mechanism could take out of this one. Too many rather
/// than too few: it is only asked about metadata services.
fn embedded(ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    // Mapped, compatible, translated, NAT64 and ISATAP keep it at the end.
    let last = quad(ip, [12, 13, 14, 15]);
    [
        last,
        // Teredo keeps the client inverted at the end, and the server in the middle.
        Ipv4Addr::from_bits(!last.to_bits()),
        quad(ip, [4, 5, 6, 7]),
        // 6to4.
        quad(ip, [2, 3, 4, 5]),
        // NAT64 behind a prefix of 48 bits: RFC 6052 leaves octet 8 out.
        quad(ip, [6, 7, 9, 10]),
    ]
    .into_iter()
}

/// Whether the interface identifier is an ISATAP one, which embeds an IPv4 address.
fn is_isatap(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _])
}

fn quad(ip: Ipv6Addr, octets: [usize; 4]) -> Ipv4Addr {
    Ipv4Addr::from_octets(octets.map(|at| ip.octets()[at]))
}
