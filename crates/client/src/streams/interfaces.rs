//! Where this machine can be reached: the addresses of its interfaces that may be told, the better first.

use std::net::IpAddr;

use balcony_sharing::transfer::bytestream::addresses::{Company, Interface, may_offer};

/// An address of ours, and how good it is: the higher the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnAddress {
    pub(super) address: IpAddr,
    pub(super) preference: u16,
}

/// Those that this company may see. Asks the system, which takes microseconds.
pub(super) fn own_addresses(company: Company, loopback: bool) -> Vec<OwnAddress> {
    let found = if_addrs::get_if_addrs().unwrap_or_default(); // none are known: proxies and in-band are left
    let found = found.into_iter().filter(|interface| interface.is_oper_up()).map(|interface| {
        let kind = if interface.is_p2p() { Interface::Tunnel } else { Interface::of_name(&interface.name) };
        (interface.ip(), kind)
    });
    ranked(found.collect(), company, loopback)
}

fn ranked(found: Vec<(IpAddr, Interface)>, company: Company, loopback: bool) -> Vec<OwnAddress> {
    let mut allowed: Vec<OwnAddress> = Vec::new();
    for (address, interface) in found {
        let is_new = allowed.iter().all(|own| own.address != address);
        if is_new && may_offer(address, interface, company, loopback) && !is_one_of_many_loopbacks(address) {
            allowed.push(OwnAddress { address, preference: preference(address, interface) });
        }
    }
    allowed.sort_by_key(|own| std::cmp::Reverse(own.preference));
    // Equal ones would leave it to chance which is tried first.
    for (at, own) in allowed.iter_mut().enumerate() {
        own.preference = own.preference.saturating_sub(u16::try_from(at).unwrap_or(u16::MAX));
    }
    allowed
}

fn preference(address: IpAddr, interface: Interface) -> u16 {
    match (interface, address) {
        _ if address.is_loopback() => 65_535,
        (Interface::Card, IpAddr::V6(_)) => 60_000,
        (Interface::Card, IpAddr::V4(_)) => 50_000,
        (Interface::Tunnel | Interface::Inner, _) => 10_000,
    }
}

/// One way to this machine is enough.
fn is_one_of_many_loopbacks(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_loopback() && v4 != std::net::Ipv4Addr::LOCALHOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Vec<(IpAddr, Interface)> {
        let found = [
            ("127.0.0.1", Interface::Card),
            ("127.0.0.53", Interface::Card),
            ("192.168.1.2", Interface::Card),
            ("45.1.1.2", Interface::Card),
            ("45.1.1.2", Interface::Card),
            ("2a01:4f8::2", Interface::Card),
            ("fe80::2", Interface::Card),
            ("10.66.1.2", Interface::Tunnel),
            ("172.17.0.1", Interface::Inner),
        ];
        found.map(|(address, interface)| (address.parse().unwrap(), interface)).to_vec()
    }

    fn told(company: Company, loopback: bool) -> Vec<String> {
        ranked(found(), company, loopback).iter().map(|own| own.address.to_string()).collect()
    }

    /// Proves: S5J-2.1-1.
    #[test]
    fn every_wanted_interface_is_offered_in_both_families() {
        assert_eq!(told(Company::Stranger, false), ["2a01:4f8::2", "45.1.1.2"]);
        assert_eq!(told(Company::Contact, false), ["2a01:4f8::2", "192.168.1.2", "45.1.1.2", "10.66.1.2"]);
        assert_eq!(told(Company::Stranger, true)[0], "127.0.0.1");
    }

    #[test]
    fn no_two_have_the_same_preference() {
        let mut preferences: Vec<u16> = ranked(found(), Company::Contact, true).iter().map(|own| own.preference).collect();
        assert!(preferences.is_sorted_by(|one, next| one > next), "{preferences:?}");
        preferences.dedup();
        assert_eq!(preferences.len(), 5);
    }

    #[test]
    fn the_system_knows_this_machine() {
        assert!(own_addresses(Company::Contact, true).iter().any(|own| own.address.is_loopback()));
    }
}
