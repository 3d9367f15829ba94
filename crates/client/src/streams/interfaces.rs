//! Where this machine can be reached: the addresses of its interfaces that may be told, the better first.

use std::cmp::Reverse;
use std::net::IpAddr;

use balcony_sharing::transfer::bytestream::addresses::{Company, Interface, may_offer};

use super::lifetimes::{Lifetime, lifetimes};

/// An address of ours, and how good it is: the higher the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnAddress {
    pub(super) address: IpAddr,
    pub(super) preference: u16,
}

/// One that the system told us.
#[derive(Clone, Copy, Debug)]
struct Found {
    address: IpAddr,
    interface: Interface,
    lifetime: Lifetime,
}

/// Those that this company may see. Asks the system, which takes microseconds.
pub(super) fn own_addresses(company: Company, loopback: bool) -> Vec<OwnAddress> {
    let found = if_addrs::get_if_addrs().unwrap_or_default(); // none are known: proxies and in-band are left
    let lifetimes = lifetimes();
    let found = found.into_iter().filter(|interface| interface.is_oper_up()).map(|interface| {
        let kind = if interface.is_p2p() { Interface::Tunnel } else { Interface::of_name(&interface.name) };
        let lifetime = match interface.ip() {
            IpAddr::V6(address) => lifetimes.get(&address).copied().unwrap_or_default(),
            IpAddr::V4(_) => Lifetime::Stable,
        };
        Found { address: interface.ip(), interface: kind, lifetime }
    });
    ranked(&found.collect::<Vec<_>>(), company, loopback)
}

/// The better kind first, and of one kind the families in turn: whoever has one of them alone, or in whose network one of them leads
/// nowhere, comes to the other with the second attempt (RFC 8305 §4).
fn ranked(found: &[Found], company: Company, loopback: bool) -> Vec<OwnAddress> {
    let mut allowed: Vec<&Found> = Vec::new();
    for one in found.iter().filter(|one| is_for_now(one, found) && !is_one_of_many_loopbacks(one.address)) {
        let is_new = allowed.iter().all(|known| known.address != one.address);
        if is_new && may_offer(one.address, one.interface, company, loopback) {
            allowed.push(one);
        }
    }
    let rivals = |one: &Found| {
        let before = allowed.iter().take_while(|other| other.address != one.address);
        before.filter(|other| other.kind() == one.kind() && other.address.is_ipv4() == one.address.is_ipv4()).count()
    };
    let mut order: Vec<_> = allowed.iter().map(|one| (Reverse(one.kind()), rivals(one), one.address.is_ipv4(), one.address)).collect();
    order.sort_unstable();
    // Equal ones would leave it to chance which is tried first.
    let preference = |kind: u16, at| kind.saturating_sub(u16::try_from(at).unwrap_or(u16::MAX));
    let own = order.into_iter().enumerate();
    own.map(|(at, (Reverse(kind), .., address))| OwnAddress { address, preference: preference(kind, at) }).collect()
}

impl Found {
    /// How good its kind is.
    fn kind(&self) -> u16 {
        match self.interface {
            _ if self.address.is_loopback() => 65_535,
            Interface::Card => 60_000,
            Interface::Tunnel | Interface::Inner => 10_000,
        }
    }
}

/// An address that stays would tell people who met us at different places that it was us: it is not told where a temporary one of the
/// same network does as well.
fn is_for_now(one: &Found, all: &[Found]) -> bool {
    let temporary =
        |network: u64| all.iter().any(|other| other.lifetime == Lifetime::Temporary && network_of(other.address) == Some(network));
    match one.lifetime {
        Lifetime::Ending => false,
        Lifetime::Temporary => true,
        Lifetime::Stable => !network_of(one.address).is_some_and(temporary),
    }
}

/// The first half of an IPv6 address.
fn network_of(address: IpAddr) -> Option<u64> {
    match address {
        IpAddr::V6(address) => u64::try_from(u128::from(address) >> 64).ok(),
        IpAddr::V4(_) => None,
    }
}

/// One way to this machine is enough.
fn is_one_of_many_loopbacks(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_loopback() && v4 != std::net::Ipv4Addr::LOCALHOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(interface: Interface, lifetime: Lifetime, address: &str) -> Found {
        Found { address: address.parse().unwrap(), interface, lifetime }
    }

    fn found() -> Vec<Found> {
        let found = [
            ("127.0.0.1", Interface::Card),
            ("127.0.0.53", Interface::Card),
            ("192.168.1.2", Interface::Card),
            ("45.1.1.2", Interface::Card),
            ("45.1.1.2", Interface::Card),
            ("2a01:4f8::2", Interface::Card),
            ("fd00:1::2", Interface::Card),
            ("2001:db8::2", Interface::Card),
            ("fe80::2", Interface::Card),
            ("64:ff9b::10.0.0.1", Interface::Card),
            ("2002:a00:1::1", Interface::Card),
            ("10.66.1.2", Interface::Tunnel),
            ("fd66:1::2", Interface::Tunnel),
            ("172.17.0.1", Interface::Inner),
            ("fd17::1", Interface::Inner),
        ];
        found.map(|(address, interface)| on(interface, Lifetime::Stable, address)).to_vec()
    }

    fn told_of(found: &[Found], company: Company, loopback: bool) -> Vec<String> {
        ranked(found, company, loopback).iter().map(|own| own.address.to_string()).collect()
    }

    fn told(company: Company, loopback: bool) -> Vec<String> {
        told_of(&found(), company, loopback)
    }

    /// Proves: S5J-2.1-1.
    #[test]
    fn every_wanted_interface_is_offered_and_the_families_take_turns() {
        assert_eq!(told(Company::Stranger, false), ["2a01:4f8::2", "45.1.1.2"]);
        let contact = ["2a01:4f8::2", "192.168.1.2", "fd00:1::2", "45.1.1.2", "fd66:1::2", "10.66.1.2"];
        assert_eq!(told(Company::Contact, false), contact);
        assert_eq!(told(Company::Stranger, true)[0], "127.0.0.1");
    }

    #[test]
    fn no_two_have_the_same_preference() {
        let mut preferences: Vec<u16> = ranked(&found(), Company::Contact, true).iter().map(|own| own.preference).collect();
        assert!(preferences.is_sorted_by(|one, next| one > next), "{preferences:?}");
        preferences.dedup();
        assert_eq!(preferences.len(), 7);
    }

    #[test]
    fn a_temporary_address_is_told_instead_of_those_that_stay_in_its_network() {
        let card = |lifetime, address| on(Interface::Card, lifetime, address);
        let found = [
            card(Lifetime::Stable, "2a01:4f8:0:1:211:22ff:fe33:4455"),
            card(Lifetime::Ending, "2a01:4f8:0:1:1111:2222:3333:4444"),
            card(Lifetime::Temporary, "2a01:4f8:0:1:5555:6666:7777:8888"),
            card(Lifetime::Stable, "2a01:4f8:0:2:211:22ff:fe33:4455"),
            card(Lifetime::Ending, "2a01:4f8:0:3:211:22ff:fe33:4455"),
            card(Lifetime::Stable, "fd00::211:22ff:fe33:4455"),
            card(Lifetime::Temporary, "fd00::5555:6666:7777:8888"),
            card(Lifetime::Stable, "45.1.1.2"),
        ];
        let strangers = ["2a01:4f8:0:1:5555:6666:7777:8888", "45.1.1.2", "2a01:4f8:0:2:211:22ff:fe33:4455"];
        assert_eq!(told_of(&found, Company::Stranger, false), strangers);
        assert_eq!(told_of(&found, Company::Contact, false), [&strangers[..], &["fd00::5555:6666:7777:8888"]].concat());
    }

    #[test]
    fn the_system_knows_this_machine() {
        assert!(own_addresses(Company::Contact, true).iter().any(|own| own.address.is_loopback()));
    }
}
