//! What the system says of the IPv6 addresses of this machine beyond what they are. Linux tells it in a file; of other systems, and of
//! Androids, nothing is known.

use std::collections::HashMap;
use std::net::Ipv6Addr;

/// How long an address is to be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Nobody says that it ends.
    #[default]
    Stable,
    /// Made by chance for a few hours, so that nobody is recognised by it (RFC 8981).
    Temporary,
    /// On its way out, or never there: nothing new should begin with it.
    Ending,
}

/// Of those addresses of which the system tells.
pub(super) fn lifetimes() -> HashMap<Ipv6Addr, Lifetime> {
    std::fs::read_to_string("/proc/net/if_inet6").map_or_else(|_| HashMap::new(), |told| parse(&told))
}

/// Lines of address, number of the interface, length of the prefix, scope, flags (`IFA_F_…`) and name.
fn parse(told: &str) -> HashMap<Ipv6Addr, Lifetime> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let address = u128::from_str_radix(words.next()?, 16).ok()?;
        let flags = u32::from_str_radix(words.nth(3)?, 16).ok()?;
        let lifetime = match flags {
            _ if flags & (DEPRECATED | DUPLICATE) != 0 => Lifetime::Ending,
            _ if flags & TEMPORARY != 0 => Lifetime::Temporary,
            _ => Lifetime::Stable,
        };
        Some((Ipv6Addr::from(address), lifetime))
    };
    told.lines().filter_map(line).collect()
}

const TEMPORARY: u32 = 0x01;
const DUPLICATE: u32 = 0x08;
const DEPRECATED: u32 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 wrote it, of an interface with `use_tempaddr` and one address made anew since.
    const TOLD: &str = "\
20010004000600000000000000000005 03 40 00 82      va0
20010004000500000000000000000001 03 40 00 a2      va0
2001000400060000d4ffe882ffc0f6a3 03 40 00 01      va0
20010004000600001122334455667788 03 40 00 21      va0
fe800000000000009838f0fffe4ca529 02 40 20 c0      vb0
00000000000000000000000000000001 01 80 10 80       lo
";

    #[test]
    fn temporary_addresses_and_those_that_end_are_told_apart() {
        let told = parse(TOLD);
        for (address, lifetime) in [
            ("2001:4:6::5", Lifetime::Stable),
            ("2001:4:5::1", Lifetime::Ending),
            ("2001:4:6:0:d4ff:e882:ffc0:f6a3", Lifetime::Temporary),
            ("2001:4:6:0:1122:3344:5566:7788", Lifetime::Ending),
            ("::1", Lifetime::Stable),
        ] {
            assert_eq!(told[&address.parse::<Ipv6Addr>().unwrap()], lifetime, "{address}");
        }
    }

    #[test]
    fn lines_of_another_kind_say_nothing() {
        assert_eq!(parse("\n01\nzz 1 2 3 4 eth0\n20010004000600000000000000000005 03 40 00 no va0\n"), HashMap::new());
    }
}
