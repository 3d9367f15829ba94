//! The address that is asked for by SOCKS5: it names a stream and not a host.
//!
//! XEP-0065 SOCKS5 Bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>

use balcony_wire::Jid;
use sha1::{Digest as _, Sha1};

/// The hash of stream, who offers the place, and who connects there. Addresses are as they are in the stanzas, prepared, which a
/// [`Jid`] always is.
#[must_use]
pub fn dstaddr(sid: &str, requester: &Jid, target: &Jid) -> String {
    let mut hash = Sha1::new();
    for part in [sid, requester.as_str(), target.as_str()] {
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// XEP-0260 §2.2, XEP-0065 §7 and computed ones.
    /// Proves: S5B-5.3-3, S5B-7-1, S5J-2.2-2.
    #[test]
    fn the_address_is_a_hash_of_prepared_addresses() {
        for case in testing_corpus::cases("s5b") {
            let jid = |name: &str| Jid::parse(case[name].as_str().unwrap()).unwrap();
            let made = dstaddr(case["sid"].as_str().unwrap(), &jid("requester"), &jid("target"));
            assert_eq!(made, case["dstaddr"].as_str().unwrap(), "{case}");
        }
    }
}
