//! Whose addresses may be shown and dialled: an address that a peer names must not lead into the network we live in, and ours must not
//! tell strangers how that network looks. Pure functions.

use std::net::IpAddr;

use crate::net_rules::check_address;

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
const TUNNELS: &[&str] =
    &["tun", "tap", "vpn", "utun", "wg", "ppp", "ipsec", "tailscale", "zt", "nordlynx", "proton", "mullvad", "gpd", "sit", "gre"];

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

    #[test]
    fn interfaces_are_known_by_their_names() {
        for name in ["docker0", "br-12ab", "veth0", "virbr0", "vEthernet (WSL)"] {
            assert_eq!(Interface::of_name(name), Interface::Inner, "{name}");
        }
        for name in ["tun0", "vpn0", "wg0", "utun3", "ppp0", "tailscale0", "Tap-Windows"] {
            assert_eq!(Interface::of_name(name), Interface::Tunnel, "{name}");
        }
        for name in ["eth0", "enp3s0", "wlan0", "en0", "Wi-Fi", "é", ""] {
            assert_eq!(Interface::of_name(name), Interface::Card, "{name}");
        }
    }
}
