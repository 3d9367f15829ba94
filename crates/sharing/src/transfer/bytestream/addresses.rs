//! Whose addresses may be shown and dialled: an address that a peer names must not lead into the network we live in, and ours must not
//! tell strangers how that network looks. Pure functions.

use std::net::IpAddr;

use url::Host;

use crate::net_rules::{check_address, is_local_name};

/// How well we know whoever is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// In the roster, or another device of the account: may be in the same house.
    Contact,
    /// Anybody else.
    Stranger,
}

/// What kind of interface an address of ours is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// A network card.
    Card,
    /// A tunnel: a VPN, a dial-up line.
    Tunnel,
    /// Between this machine and its containers or virtual machines: nobody else gets there.
    Inner,
}

impl Interface {
    /// By its name, which is all that systems agree on.
    pub fn of_name(name: &str) -> Self {
        let begins =
            |starts: &[&str]| starts.iter().any(|start| name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)));
        if begins(INNER) {
            Self::Inner
        } else if begins(TUNNELS) {
            Self::Tunnel
        } else {
            Self::Card
        }
    }
}

const INNER: &[&str] =
    &["docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "vethernet", "lxc", "lxd", "podman", "cni", "flannel", "cali", "bridge"];
const TUNNELS: &[&str] = &[
    "tun",
    "tap",
    "vpn",
    "utun",
    "wg",
    "ppp",
    "ipsec",
    "tailscale",
    "zt",
    "nordlynx",
    "proton",
    "mullvad",
    "gpd",
    "sit",
    "gre",
    "ip6tnl",
    "6to4",
    "6rd",
    "teredo",
    "isatap",
];

/// Whether this address of ours may be told. Loopback is for tests on one machine.
pub fn may_offer(address: IpAddr, interface: Interface, company: Company, loopback: bool) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() {
        return loopback;
    }
    let is_public = check_address(address).is_ok();
    match (interface, company) {
        (Interface::Inner, _) => false,
        (Interface::Card, Company::Stranger) => is_public,
        (Interface::Tunnel, Company::Stranger) => false,
        (Interface::Card | Interface::Tunnel, Company::Contact) => is_public || is_private(address),
    }
}

/// Whether an address that a peer named may be dialled.
///
/// # Errors
/// With the reason, fit to be read by people.
pub fn may_dial(address: IpAddr, port: u16, company: Company, loopback: bool) -> Result<(), String> {
    let address = address.to_canonical();
    if address.is_loopback() {
        return if loopback && port != 0 { Ok(()) } else { Err("it is this machine itself".to_owned()) };
    }
    if port < 1024 && !PORTS_BELOW.contains(&port) {
        return Err(format!("nobody takes files on port {port}"));
    }
    match check_address(address) {
        Ok(()) => Ok(()),
        Err(_) if company == Company::Contact && is_private(address) => Ok(()),
        Err(kind) => Err(format!("it is an address in {kind} network, which only contacts may send us to, if anybody")),
    }
}

/// Whether a host that a peer named may be dialled where somebody else looks it up, so that its addresses will not be seen. Our network
/// is not theirs: nobody has business in it, contacts neither.
///
/// # Errors
/// With the reason, fit to be read by people.
pub fn may_dial_unseen(host: &str, port: u16, loopback: bool) -> Result<(), String> {
    // What resolvers take for an address: also `10.1`, `0x0a000001` and the like.
    let bracketed = if bare(host).contains(':') { format!("[{}]", bare(host)) } else { host.to_owned() };
    match Host::parse(&bracketed) {
        Ok(Host::Ipv4(address)) => may_dial(address.into(), port, Company::Stranger, loopback),
        Ok(Host::Ipv6(address)) => may_dial(address.into(), port, Company::Stranger, loopback),
        Ok(Host::Domain(name)) if loopback || !is_local_name(&name) => Ok(()),
        Ok(Host::Domain(_)) => Err("it is a name of a local network".to_owned()),
        Err(_) => Err("it is neither a name nor an address".to_owned()),
    }
}

/// An address of IPv6 without the brackets that some put around it.
pub fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether two name the same host: addresses can be written in many ways.
pub fn is_same_host(one: &str, other: &str) -> bool {
    match (bare(one).parse::<IpAddr>(), bare(other).parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one.to_canonical() == other.to_canonical(),
        _ => one.eq_ignore_ascii_case(other),
    }
}

/// Ports of the system that candidates may have all the same: proxies are put there to get through walls.
const PORTS_BELOW: &[u16] = &[80, 443];

/// Networks of houses and companies, of carriers and of VPNs. The rest of what is not public leads nowhere, or somewhere odd.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || (address.octets()[0] == 100 && (64..128).contains(&address.octets()[1])),
        IpAddr::V6(address) => (address.segments()[0] & 0xfe00) == 0xfc00,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Proves: S5J-6.1-1.
    #[test]
    fn strangers_learn_public_addresses_of_network_cards_alone() {
        let offered = |text, interface, company| may_offer(ip(text), interface, company, false);
        for public in ["1.2.3.4", "2a01:4f8::1"] {
            assert!(offered(public, Interface::Card, Company::Stranger), "{public}");
            assert!(!offered(public, Interface::Tunnel, Company::Stranger) && !offered(public, Interface::Inner, Company::Contact));
        }
        for private in ["192.168.1.2", "10.0.0.1", "172.16.3.4", "100.64.0.1", "fd00::1", "::ffff:192.168.1.2"] {
            assert!(!offered(private, Interface::Card, Company::Stranger), "{private}");
            assert!(offered(private, Interface::Card, Company::Contact) && offered(private, Interface::Tunnel, Company::Contact));
            assert!(!offered(private, Interface::Inner, Company::Contact));
        }
        for nowhere in
            ["169.254.1.1", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "192.0.2.1", "255.255.255.255", "127.0.0.1", "::1"]
        {
            assert!(!offered(nowhere, Interface::Card, Company::Contact), "{nowhere}");
        }
        assert!(may_offer(ip("127.0.0.1"), Interface::Card, Company::Stranger, true));
    }

    /// What a foreign server or peer makes us dial is where forged requests come from.
    #[test]
    fn no_peer_sends_us_to_this_machine_or_strangers_into_our_network() {
        let dials = |text, port, company| may_dial(ip(text), port, company, false).is_ok();
        for this in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.9.9.9"] {
            assert!(!dials(this, 5000, Company::Contact), "{this}");
            assert!(may_dial(ip(this), 5000, Company::Stranger, true).is_ok());
        }
        for inside in ["192.168.1.1", "10.1.1.1", "100.100.1.1", "fd12::1", "::ffff:10.0.0.1"] {
            assert!(!dials(inside, 5000, Company::Stranger) && dials(inside, 5000, Company::Contact), "{inside}");
        }
        for odd in ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "64:ff9b::a9fe:a9fe", "::a00:1"] {
            assert!(!dials(odd, 5000, Company::Contact), "{odd}");
        }
        for port in [0, 22, 25, 53, 110, 143] {
            assert!(!dials("1.2.3.4", port, Company::Contact), "{port}");
        }
        for port in [80, 443, 1080, 5000, 7777, 65535] {
            assert!(dials("1.2.3.4", port, Company::Stranger), "{port}");
        }
    }

    /// Who may be told of an address of a network card of ours, and who may send us to it; nobody is told or sends where it says nobody.
    /// Proves: S5J-6.1-1.
    #[test]
    fn an_address_that_holds_another_one_is_judged_by_that_too() {
        const ALL: &[Company] = &[Company::Contact, Company::Stranger];
        const CONTACTS: &[Company] = &[Company::Contact];
        const NOBODY: &[Company] = &[];
        for (text, whose, about) in [
            ("2a01:4f8::2", ALL, "public"),
            ("fd12:3456:789a::1", CONTACTS, "unique local"),
            ("fc00::1", CONTACTS, "unique local, the half that is nobody's"),
            ("fe80::1", NOBODY, "link-local"),
            ("febf::1", NOBODY, "link-local, the last"),
            ("fec0::1", NOBODY, "site-local"),
            ("2001:db8::1", NOBODY, "documentation"),
            ("3fff:1::1", NOBODY, "documentation"),
            ("::ffff:8.8.8.8", ALL, "mapped, public"),
            ("::ffff:10.0.0.1", CONTACTS, "mapped: that very address"),
            ("::ffff:100.64.0.1", CONTACTS, "mapped, a carrier's"),
            ("::ffff:169.254.1.1", NOBODY, "mapped, link-local"),
            ("::10.0.0.1", NOBODY, "compatible, private"),
            ("::ffff:0:10.0.0.1", NOBODY, "translated, private"),
            ("64:ff9b::8.8.8.8", ALL, "NAT64 to the world"),
            ("64:ff9b::10.0.0.1", NOBODY, "NAT64 to somebody's house"),
            ("64:ff9b::100.64.0.1", NOBODY, "NAT64 to a carrier"),
            ("64:ff9b::169.254.169.254", NOBODY, "NAT64 to link-local"),
            ("64:ff9b::127.0.0.1", NOBODY, "NAT64 to loopback"),
            ("64:ff9b:1::8.8.8.8", NOBODY, "local NAT64"),
            ("2002:808:808::1", ALL, "6to4, public"),
            ("2002:a00:1::1", NOBODY, "6to4, 10.0.0.1"),
            ("2002:c0a8:101::1", NOBODY, "6to4, 192.168.1.1"),
            ("2002:7f00:1::1", NOBODY, "6to4, loopback"),
            ("2001:0:808:808:0:0:f7f7:f7f7", ALL, "Teredo, 8.8.8.8 upside down"),
            ("2001:0:808:808:0:0:f5ff:fffe", NOBODY, "Teredo, 10.0.0.1 upside down"),
            ("2001:0:808:808:0:0:80ff:fffe", NOBODY, "Teredo, loopback"),
            ("2a01:4f8::5efe:8.8.8.8", ALL, "ISATAP, public"),
            ("2a01:4f8::5efe:10.0.0.1", NOBODY, "ISATAP, private"),
            ("2a01:4f8::200:5efe:192.168.1.1", NOBODY, "ISATAP, private"),
            ("fd00::5efe:10.0.0.1", CONTACTS, "ISATAP in a house"),
        ] {
            for company in ALL {
                let expected = whose.contains(company);
                assert_eq!(may_offer(ip(text), Interface::Card, *company, false), expected, "offered: {text}, {about}, {company:?}");
                assert_eq!(may_dial(ip(text), 5000, *company, false).is_ok(), expected, "dialled: {text}, {about}, {company:?}");
            }
            let is_unseen_allowed = may_dial_unseen(text, 5000, false).is_ok();
            assert_eq!(is_unseen_allowed, whose.contains(&Company::Stranger), "by a proxy: {text}, {about}");
            assert_eq!(may_dial_unseen(&format!("[{text}]"), 5000, false).is_ok(), is_unseen_allowed, "[{text}]");
        }
    }

    /// Resolvers read more as an address than people do.
    #[test]
    fn what_a_proxy_is_to_look_up_leads_into_no_local_network_however_it_is_written() {
        for host in
            ["proxy.example.org", "example.org.", "8.8.8.8", "2a01:4f8::1", "[2a01:4f8::1]", "b\u{fc}cher.example", "my_host.example"]
        {
            assert_eq!(may_dial_unseen(host, 5000, false), Ok(()), "{host}");
        }
        for host in [
            "10.0.0.1",
            "10.0.0.1.",
            "10.1",
            "0x0a.1",
            "0x0a000001",
            "167772161",
            "012.0.0.1",
            "127.1",
            "[::ffff:10.0.0.1]",
            "::1",
            "fe80::1%eth0",
            "fe80::1%a.b",
            "::ffff:10.0.0.1%a.b",
            "[::1",
            "::1]",
            "localhost",
            "nas",
            "printer.local",
            "router.lan",
            "",
            "a b.c",
            "a.b:80",
            "user@a.b",
        ] {
            assert!(may_dial_unseen(host, 5000, false).is_err(), "{host}");
        }
        assert!(may_dial_unseen("localhost", 5000, true).is_ok() && may_dial_unseen("127.0.0.1", 5000, true).is_ok());
        assert!(may_dial_unseen("8.8.8.8", 22, false).is_err());
    }

    #[test]
    fn a_host_is_the_same_however_its_address_is_written() {
        for (one, other) in [
            ("2a01:4f8::1", "2A01:04F8:0:0:0:0:0:1"),
            ("2a01:4f8::1", "[2a01:4f8::1]"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("proxy.example", "Proxy.Example"),
        ] {
            assert!(is_same_host(one, other) && is_same_host(other, one), "{one} {other}");
        }
        for (one, other) in [("2a01:4f8::1", "2a01:4f8::2"), ("1.2.3.4", "a.example"), ("[a", "a"), ("[a]", "a")] {
            assert!(!is_same_host(one, other), "{one} {other}");
        }
    }

    #[test]
    fn interfaces_are_known_by_their_names() {
        for name in ["docker0", "br-12ab", "veth0", "virbr0", "vEthernet (WSL)"] {
            assert_eq!(Interface::of_name(name), Interface::Inner, "{name}");
        }
        for name in ["tun0", "vpn0", "wg0", "utun3", "ppp0", "tailscale0", "Tap-Windows", "sit0", "ip6tnl1", "Teredo Tunneling"] {
            assert_eq!(Interface::of_name(name), Interface::Tunnel, "{name}");
        }
        for name in ["eth0", "enp3s0", "wlan0", "en0", "Wi-Fi", "é", ""] {
            assert_eq!(Interface::of_name(name), Interface::Card, "{name}");
        }
    }
}
