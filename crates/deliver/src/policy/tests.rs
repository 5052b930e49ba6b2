use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// First address, last address, what the addresses between them are. Where two rows overlap the
/// earlier counts. Written from the registries in another form than the table under test, and
/// searched in another way.
const ZOO: [(&str, &str, Verdict); 51] = [
    ("169.254.169.254", "169.254.169.254", Verdict::Metadata),
    ("169.254.170.2", "169.254.170.2", Verdict::Metadata),
    ("169.254.170.23", "169.254.170.23", Verdict::Metadata),
    ("100.100.100.200", "100.100.100.200", Verdict::Metadata),
    ("168.63.129.16", "168.63.129.16", Verdict::Metadata),
    ("192.0.0.192", "192.0.0.192", Verdict::Metadata),
    ("0.0.0.0", "0.255.255.255", Verdict::Unspecified),
    ("10.0.0.0", "10.255.255.255", Verdict::Private),
    ("100.64.0.0", "100.127.255.255", Verdict::SharedCarrier),
    ("127.0.0.0", "127.255.255.255", Verdict::Loopback),
    ("169.254.0.0", "169.254.255.255", Verdict::LinkLocal),
    ("172.16.0.0", "172.31.255.255", Verdict::Private),
    ("192.0.0.0", "192.0.0.255", Verdict::Reserved),
    ("192.0.2.0", "192.0.2.255", Verdict::Documentation),
    ("192.31.196.0", "192.31.196.255", Verdict::Reserved),
    ("192.52.193.0", "192.52.193.255", Verdict::Reserved),
    ("192.88.99.0", "192.88.99.255", Verdict::Transition),
    ("192.168.0.0", "192.168.255.255", Verdict::Private),
    ("192.175.48.0", "192.175.48.255", Verdict::Reserved),
    ("198.18.0.0", "198.19.255.255", Verdict::Benchmarking),
    ("198.51.100.0", "198.51.100.255", Verdict::Documentation),
    ("203.0.113.0", "203.0.113.255", Verdict::Documentation),
    ("224.0.0.0", "239.255.255.255", Verdict::Multicast),
    ("240.0.0.0", "255.255.255.255", Verdict::Reserved),
    ("fd00:ec2::254", "fd00:ec2::254", Verdict::Metadata),
    ("fd00:ec2::23", "fd00:ec2::23", Verdict::Metadata),
    ("fd20:ce::254", "fd20:ce::254", Verdict::Metadata),
    ("::", "::", Verdict::Unspecified),
    ("::1", "::1", Verdict::Loopback),
    ("::2", "::ffff:ffff", Verdict::Transition),
    ("::ffff:0:0", "::ffff:ffff:ffff", Verdict::Transition),
    ("::ffff:0:0:0", "::ffff:0:ffff:ffff", Verdict::Transition),
    ("64:ff9b::", "64:ff9b::ffff:ffff", Verdict::Transition),
    (
        "64:ff9b:1::",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        Verdict::Transition,
    ),
    ("100::", "100::ffff:ffff:ffff:ffff", Verdict::Reserved),
    (
        "5f00::",
        "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Reserved,
    ),
    (
        "fc00::",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::UniqueLocal,
    ),
    (
        "fe80::",
        "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::LinkLocal,
    ),
    (
        "fec0::",
        "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::SiteLocal,
    ),
    (
        "ff00::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Multicast,
    ),
    (
        "::",
        "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Unallocated,
    ),
    (
        "4000::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Unallocated,
    ),
    (
        "2001::",
        "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Transition,
    ),
    (
        "2001:2::",
        "2001:2:0:ffff:ffff:ffff:ffff:ffff",
        Verdict::Benchmarking,
    ),
    (
        "2001:1::",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Reserved,
    ),
    (
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Documentation,
    ),
    (
        "2002::",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Transition,
    ),
    (
        "2620:4f:8000::",
        "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
        Verdict::Reserved,
    ),
    (
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        Verdict::Documentation,
    ),
    // Two networks of ISATAP interface identifiers, as examples of what is in every network.
    (
        "2600::5efe:0:0",
        "2600::5efe:ffff:ffff",
        Verdict::Transition,
    ),
    (
        "2600::200:5efe:0:0",
        "2600::200:5efe:ffff:ffff",
        Verdict::Transition,
    ),
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// What the zoo says, and nobody but the zoo.
fn oracle(address: IpAddr) -> Option<Verdict> {
    let holds = |first: &str, last: &str| {
        let (first, last) = (ip(first), ip(last));
        first.is_ipv4() == address.is_ipv4()
            && (number(first)..=number(last)).contains(&number(address))
    };
    ZOO.iter()
        .find(|(first, last, _)| holds(first, last))
        .map(|(_, _, verdict)| *verdict)
}

/// The address `step` further; itself at the end of the numbers.
fn beside(address: IpAddr, step: i128) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let moved = i64::from(u32::from(ip)) + i64::try_from(step).expect("small");
            u32::try_from(moved).map_or(address, |bits| Ipv4Addr::from(bits).into())
        }
        IpAddr::V6(ip) => u128::from(ip)
            .checked_add_signed(step)
            .map_or(address, |bits| Ipv6Addr::from(bits).into()),
    }
}

fn at_connect(policy: &Policy, ip: IpAddr) -> Option<Verdict> {
    policy.verdict(SocketAddr::new(ip, 443)).err()
}

/// What the save-time check says of the address as a literal.
fn at_save(policy: &Policy, ip: IpAddr) -> Option<Verdict> {
    let url = match ip {
        IpAddr::V4(ip) => format!("https://{ip}/"),
        // The `url` crate writes no dotted quads into IPv6 addresses, unlike the standard library.
        IpAddr::V6(ip) => url::Url::parse(&format!("https://[{ip}]/"))
            .expect("valid")
            .into(),
    };
    match policy.check_url(&url) {
        Ok(_) => None,
        Err(UrlFault::Blocked { verdict }) => Some(verdict),
        Err(other) => panic!("{url}: {other}"),
    }
}

fn check(address: IpAddr) {
    let policy = Policy::default();
    let expected = oracle(address);
    assert_eq!(
        at_connect(&policy, address),
        expected,
        "{address} at connect"
    );
    assert_eq!(at_save(&policy, address), expected, "{address} at save");
}

#[test]
fn every_range_begins_and_ends_where_the_registries_say() {
    for (first, last, verdict) in ZOO {
        let (first, last) = (ip(first), ip(last));
        assert!(
            oracle(first).is_some() && oracle(last).is_some(),
            "{verdict:?}"
        );
        for edge in [beside(first, -1), first, beside(first, 1)] {
            check(edge);
        }
        for edge in [beside(last, -1), last, beside(last, 1)] {
            check(edge);
        }
    }
}

#[test]
fn the_public_internet_is_allowed() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "93.184.215.14",
        "172.15.255.255",
        "172.32.0.0",
        "223.255.255.255",
        "2000::",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "2a00:1450:4001:82a::200e",
        "3ffe:ffff::1",
    ] {
        assert_eq!(oracle(ip(address)), None, "{address}");
        check(ip(address));
    }
}

#[test]
fn what_others_let_through_is_refused() {
    for address in [
        "::127.0.0.1",
        "::169.254.169.254",
        "::ffff:0:127.0.0.1",
        "::ffff:0:169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a9fe:a9fe",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "2001:0:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "fec0::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "100:0:0:1::1",
        "4000::1",
        "168.63.129.16",
        "192.88.99.1",
        "ff02::1",
        "2600::5efe:7f00:1",
        "2600::200:5efe:808:808",
    ] {
        let policy = Policy::default();
        assert!(at_connect(&policy, ip(address)).is_some(), "{address}");
        assert!(at_save(&policy, ip(address)).is_some(), "{address}");
    }
}

#[test]
fn every_spelling_of_a_forbidden_host_is_refused_when_saved() {
    let policy = Policy::default();
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0x7f000001",
        "0X7F.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "１２７.0.0.1",
        "127。0。0。1",
        "%3127.0.0.1",
        "0",
        "0.0.0.0",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[::7f00:1]",
        "[::ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7F00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::1]",
        "[fe80::1%25eth0]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[FD00:EC2::254]",
        "168.63.129.16",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "LocalHost.",
        "ⓛocalhost",
        "foo.localhost",
        "foo.localhost.",
        "[localhost]",
        "printer",
        "printer.",
        "intranet",
        "nas.local",
        "NAS.Local.",
        "db.internal",
        "metadata.google.internal",
        "Metadata.Google.Internal.",
        "metadata.goog",
        "instance-data.ec2.internal",
        "10.0.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "good@127.0.0.1",
        "example.com\\@127.0.0.1",
        "127.0.0.1#example.com",
        "",
    ] {
        for scheme in ["http", "https", "HTTP"] {
            let url = format!("{scheme}://{host}/");
            assert!(policy.check_url(&url).is_err(), "{url}");
        }
    }
}

#[test]
fn a_refusal_names_what_is_wrong() {
    let policy = Policy {
        own_addresses: vec!["93.184.215.14:8443".parse().expect("valid")],
        own_names: vec!["hooks.example.com".into()],
        ..Policy::default()
    };
    for (url, verdict) in [
        ("http://10.0.0.1/", Verdict::Private),
        ("http://localhost/", Verdict::InternalName),
        ("http://printer/", Verdict::InternalName),
        ("http://metadata.google.internal/", Verdict::Metadata),
        ("https://93.184.215.14:8443/", Verdict::OwnAddress),
        ("https://Hooks.Example.com./", Verdict::OwnAddress),
        ("http://example.com:22/", Verdict::Port),
        ("http://example.com:0/", Verdict::Port),
        ("http://93.184.215.14:6379/", Verdict::Port),
    ] {
        let fault = policy.check_url(url).expect_err(url);
        assert_eq!(fault, UrlFault::Blocked { verdict }, "{url}");
    }
    policy
        .check_url("https://93.184.215.14/")
        .expect("another port");
}

#[test]
fn ordinary_ports_are_allowed_and_ports_of_services_are_not() {
    let mut policy = Policy::default();
    let allowed = |policy: &Policy, port: u16| {
        let at_connect = policy.verdict(SocketAddr::new(ip("1.1.1.1"), port));
        let at_save = policy.check_url(&format!("https://example.com:{port}/"));
        assert_eq!(at_connect.is_ok(), at_save.is_ok(), "{port}");
        assert!(matches!(at_connect, Ok(()) | Err(Verdict::Port)), "{port}");
        at_connect.is_ok()
    };
    for port in 0..1024 {
        assert_eq!(allowed(&policy, port), port == 80 || port == 443, "{port}");
    }
    for port in [2375, 3306, 5432, 6379, 9200, 11211, 27017] {
        assert!(
            allowed(&policy, port - 1) && !allowed(&policy, port),
            "{port}"
        );
        assert!(allowed(&policy, port + 1), "{port}");
    }
    for port in [1024, 3000, 8000, 8080, 8443, 65535] {
        assert!(allowed(&policy, port), "{port}");
    }
    policy.ports = vec![0, 25, 6379];
    assert!(allowed(&policy, 25) && allowed(&policy, 6379));
    assert!(!allowed(&policy, 0), "nothing listens there");
}

fn allowing(networks: &[&str]) -> Policy {
    Policy {
        allow: networks
            .iter()
            .map(|text| text.parse().expect("valid"))
            .collect(),
        ..Policy::default()
    }
}

#[test]
fn an_allowed_network_is_allowed_when_saved_and_at_connect_and_no_more_than_it() {
    let policy = allowing(&["10.0.0.0/8", "fd12::/16"]);
    for (address, verdict) in [
        ("10.0.0.0", None),
        ("10.255.255.255", None),
        ("fd12::1", None),
        ("127.0.0.1", Some(Verdict::Loopback)),
        ("192.168.0.1", Some(Verdict::Private)),
        ("fd13::1", Some(Verdict::UniqueLocal)),
        ("::ffff:10.0.0.1", Some(Verdict::Transition)),
        ("64:ff9b::a00:1", Some(Verdict::Transition)),
    ] {
        assert_eq!(at_connect(&policy, ip(address)), verdict, "{address}");
        assert_eq!(at_save(&policy, ip(address)), verdict, "{address}");
    }
}

#[test]
fn metadata_services_stay_refused_inside_an_allowed_network() {
    let policy = allowing(&["0.0.0.0/0", "::/0"]);
    for address in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
        "::169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:1:1::5601:5601",
        "2600::5efe:a9fe:a9fe",
    ] {
        assert_eq!(
            at_connect(&policy, ip(address)),
            Some(Verdict::Metadata),
            "{address}"
        );
        assert_eq!(
            at_save(&policy, ip(address)),
            Some(Verdict::Metadata),
            "{address}"
        );
    }
    let fault = policy
        .check_url("http://metadata.google.internal/")
        .expect_err("refused");
    assert_eq!(
        fault,
        UrlFault::Blocked {
            verdict: Verdict::Metadata
        }
    );
    assert_eq!(at_connect(&policy, ip("169.254.169.253")), None);
}

#[test]
fn internal_names_wait_for_their_address_once_a_network_is_allowed() {
    let policy = allowing(&["127.0.0.0/8"]);
    for url in [
        "http://localhost:8080/",
        "http://printer/",
        "http://nas.local/",
    ] {
        policy.check_url(url).expect(url);
    }
}

#[test]
fn our_own_addresses_are_refused_even_if_allowed() {
    let own = |text: &str| Policy {
        own_addresses: vec![text.parse().expect("valid")],
        ..allowing(&["127.0.0.0/8", "10.0.0.0/8"])
    };
    let verdict = |policy: &Policy, text: &str| policy.verdict(text.parse().expect("valid"));
    let policy = own("127.0.0.1:8071");
    assert_eq!(verdict(&policy, "127.0.0.1:8071"), Err(Verdict::OwnAddress));
    assert_eq!(verdict(&policy, "127.0.0.1:8072"), Ok(()));
    assert_eq!(verdict(&policy, "127.0.0.2:8071"), Ok(()));

    let policy = own("0.0.0.0:8071");
    assert_eq!(verdict(&policy, "127.0.0.2:8071"), Err(Verdict::OwnAddress));
    assert_eq!(
        verdict(&policy, "10.0.0.1:8071"),
        Ok(()),
        "until both ends are known"
    );
    let ends = |local: &str, peer: &str| {
        policy.verdict_connected(local.parse().expect("valid"), peer.parse().expect("valid"))
    };
    assert_eq!(
        ends("10.0.0.1:50000", "10.0.0.1:8071"),
        Err(Verdict::OwnAddress)
    );
    assert_eq!(ends("10.0.0.1:50000", "10.0.0.1:8072"), Ok(()));
    assert_eq!(ends("10.0.0.1:50000", "10.0.0.2:8071"), Ok(()));
}

#[test]
fn behind_nat64_the_embedded_address_is_judged() {
    let policy = Policy {
        nat64: true,
        ..Policy::default()
    };
    assert_eq!(at_connect(&policy, ip("64:ff9b::808:808")), None);
    assert_eq!(
        at_connect(&policy, ip("64:ff9b::7f00:1")),
        Some(Verdict::Loopback)
    );
    assert_eq!(
        at_connect(&policy, ip("64:ff9b::a9fe:a9fe")),
        Some(Verdict::Metadata)
    );
    assert_eq!(
        at_connect(&policy, ip("64:ff9b:1::808:808")),
        Some(Verdict::Transition)
    );
    assert_eq!(
        at_connect(&policy, ip("64:ff9c::808:808")),
        Some(Verdict::Unallocated)
    );
}

fn near_an_edge() -> impl Strategy<Value = IpAddr> {
    (
        prop::sample::select(ZOO.to_vec()),
        any::<bool>(),
        -300_i128..300,
    )
        .prop_map(|((first, last, _), at_first, step)| {
            beside(ip(if at_first { first } else { last }), step)
        })
}

/// Outside the two example networks the oracle does not know ISATAP.
fn is_known_to_the_oracle(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => ip.segments()[5] != 0x5efe,
    }
}

proptest! {
    #[test]
    fn any_ipv4_address_is_what_the_zoo_says(bits in any::<u32>()) {
        check(Ipv4Addr::from(bits).into());
    }

    #[test]
    fn any_ipv6_address_is_what_the_zoo_says(bits in any::<u128>(), shift in 0_u32..128) {
        let address = IpAddr::from(Ipv6Addr::from(bits >> shift));
        prop_assume!(is_known_to_the_oracle(address));
        check(address);
    }

    #[test]
    fn addresses_near_an_edge_are_what_the_zoo_says(address in near_an_edge()) {
        check(address);
    }

    #[test]
    fn no_ipv6_address_outside_global_unicast_is_allowed(bits in any::<u128>()) {
        let address = IpAddr::from(Ipv6Addr::from(bits));
        let allowed = at_connect(&Policy::default(), address).is_none();
        prop_assert!(!allowed || bits >> 125 == 1);
    }
}
