//! What we answer when asked: what we can do, and that we are there. Everything else gets `service-unavailable`. Who is answered at all is
//! said in [`super::sight`].
//!
//! XEP-0030, XEP-0115, XEP-0199.
//!
//! XEP-0030 Service discovery, v2.5.0 <https://xmpp.org/extensions/xep-0030.html>
//! XEP-0115 Entity capabilities, v1.6.0 <https://xmpp.org/extensions/xep-0115.html>
//! XEP-0199 XMPP ping, v2.0.1 <https://xmpp.org/extensions/xep-0199.html>

use balcony_wire::caps::{Caps, verification_string};
use balcony_wire::disco::{DiscoInfo, DiscoItems, Identity};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::ping::Ping;
use balcony_wire::roster::Roster;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{BareJid, Iq, IqKind, Payload as _, Presence, PresenceKind, StanzaError, ns};
use sha1::{Digest as _, Sha1};

use super::options::Availability;

/// Names the software in caps.
const NODE: &str = "urn:balcony";

/// What this library understands, each once.
pub(crate) fn features() -> Vec<String> {
    let plain = [
        ns::DISCO_INFO,
        ns::DISCO_ITEMS,
        ns::CAPS,
        ns::PING,
        ns::OOB,
        ns::BOB,
        ns::FILE_METADATA,
        ns::SFS,
        ns::ESFS,
        ns::SIMS,
        ns::ATTACHING,
        ns::REFERENCE,
        ns::HASHES_2,
        ns::FALLBACK,
        ns::STANZA_ID,
        ns::URL_DATA,
        ns::JINGLE,
        ns::JINGLE_FILE_TRANSFER_5,
        ns::JINGLE_FILE_TRANSFER_4,
        ns::JINGLE_S5B,
        ns::JINGLE_IBB,
        ns::JINGLE_MESSAGE,
        ns::JINGLE_PUB,
        ns::BYTESTREAMS,
        ns::IBB,
        ns::SI,
        ns::SI_FILE_TRANSFER,
    ];
    // Those that can prove, and SHA-1 for what it is still worth: a mismatch.
    let hashes = HashAlgo::ALL.into_iter().filter(|algo| algo.is_usable());
    let hashes = hashes.map(|algo| format!("{}{}", ns::HASH_FUNCTION_PREFIX, algo.name()));
    plain.into_iter().map(str::to_owned).chain(hashes).collect()
}

fn info() -> DiscoInfo {
    DiscoInfo { identities: vec![Identity::new("client", "pc", Some("Balcony"))], features: features(), ..DiscoInfo::default() }
}

fn caps() -> Option<Caps> {
    let ver = verification_string(&info(), |input| Sha1::digest(input).to_vec()).ok()?;
    Some(Caps { hash: "sha-1".to_owned(), node: NODE.to_owned(), ver })
}

/// What devices with this very program announce and can do.
pub(crate) fn known() -> Option<(Caps, DiscoInfo)> {
    Some((caps()?, info()))
}

/// A presence for one person, who does not see ours otherwise.
pub(crate) fn shown_to(person: &BareJid, is_there: bool) -> Presence {
    let kind = if is_there { PresenceKind::Available } else { PresenceKind::Unavailable };
    let mut presence = Presence::new(kind, Some(person.clone().into()));
    presence.payloads.extend(caps().filter(|_| is_there).map(|caps| caps.write()));
    presence
}

/// The presence to begin a session with, if any.
pub(crate) fn presence(availability: Availability) -> Option<Presence> {
    let Availability::Available(priority) = availability else { return None };
    let mut presence = Presence::new(PresenceKind::Available, None);
    if priority != 0 {
        presence.payloads.push(balcony_wire::Element::new("priority", ns::CLIENT).with_text(priority.to_string()));
    }
    presence.payloads.extend(caps().map(|caps| caps.write()));
    Some(presence)
}

/// Whether it tells of a change of the roster: only the own account may (RFC 6121 §2.1.6).
pub(crate) fn is_roster_push(request: &Iq, account: &BareJid) -> bool {
    let is_own = request.from.as_ref().is_none_or(|from| *from == **account);
    is_own && matches!(&request.kind, IqKind::Set(payload) if Roster::matches(payload))
}

/// The answer to a request.
pub(crate) fn answer(request: &Iq, account: &BareJid) -> Iq {
    let refuse = |condition| request.refuse(StanzaError::new(condition));
    if is_roster_push(request, account) {
        return request.result(None);
    }
    let IqKind::Get(payload) = &request.kind else { return refuse(DefinedCondition::ServiceUnavailable) };
    if Ping::matches(payload) {
        return request.result(None);
    }
    if DiscoInfo::matches(payload) {
        let node = payload.attr("node").map(str::to_owned);
        let known = caps().map(|caps| caps.disco_node());
        return if node.is_none() || node == known {
            request.result(Some(DiscoInfo { node, ..info() }.write()))
        } else {
            refuse(DefinedCondition::ItemNotFound)
        };
    }
    if DiscoItems::matches(payload) {
        return request.result(Some(DiscoItems::query(payload.attr("node").map(str::to_owned)).write()));
    }
    refuse(DefinedCondition::ServiceUnavailable)
}

#[cfg(test)]
mod tests {
    use balcony_sharing::verify::SHARED_ALGOS;
    use balcony_wire::Element;

    use super::*;

    fn account() -> BareJid {
        "romeo@montague.example".parse().unwrap()
    }

    fn ask(payload: Element) -> Iq {
        answer(&Iq::get("1", None, payload), &account())
    }

    #[test]
    fn only_the_own_account_tells_of_changes_in_the_roster() {
        let push = |from: Option<&str>| {
            let from = from.map(|from| balcony_wire::Jid::parse(from).unwrap());
            Iq { from, ..Iq::set("1", None, Roster::default().write()) }
        };
        for from in [None, Some("romeo@montague.example")] {
            assert!(matches!(answer(&push(from), &account()).kind, IqKind::Result(None)), "{from:?}");
        }
        for from in ["mallory@evil.example", "montague.example", "romeo@montague.example/other"] {
            assert!(matches!(answer(&push(Some(from)), &account()).kind, IqKind::Error(_)), "{from}");
        }
    }

    /// Decision 45.
    /// Proves: JIN-11-1, JFT-11-1, S5J-5-1, IBJ-4-1, S5B-3-1.
    /// Proves: C0030-3-1, HASH-5-1, OOB-4-1, REF-2-1, FB-2.1-1, BOB-3-1, ATT-2-1.
    #[test]
    fn says_what_it_can_do_each_thing_once() {
        let IqKind::Result(Some(result)) = ask(DiscoInfo::query(None).write()).kind else { panic!("no result") };
        let info = DiscoInfo::read(&result).unwrap();
        let mut features = info.features.clone();
        features.sort();
        features.dedup();
        assert_eq!(features.len(), info.features.len(), "Gajim drops caps with a feature twice");
        let expected = "urn:xmpp:sfs:0 urn:xmpp:esfs:0 urn:xmpp:sims:1 urn:xmpp:message-attaching:1 urn:xmpp:reference:0 \
                        urn:xmpp:fallback:0 jabber:x:oob urn:xmpp:ping urn:xmpp:hashes:2 urn:xmpp:bob urn:xmpp:jingle:1 \
                        urn:xmpp:jingle:apps:file-transfer:5 urn:xmpp:jingle:apps:file-transfer:4 urn:xmpp:jingle:transports:s5b:1 \
                        urn:xmpp:jingle:transports:ibb:1 http://jabber.org/protocol/bytestreams http://jabber.org/protocol/ibb \
                        http://jabber.org/protocol/si http://jabber.org/protocol/si/profile/file-transfer";
        for feature in expected.split(' ') {
            assert!(info.has(feature), "{feature}");
        }
        for algo in HashAlgo::ALL {
            let feature = format!("urn:xmpp:hash-function-text-names:{}", algo.name());
            assert_eq!(info.has(&feature), algo.is_usable(), "{feature}");
        }
        for algo in SHARED_ALGOS {
            assert!(info.has(&format!("urn:xmpp:hash-function-text-names:{}", algo.name())));
        }
    }

    #[test]
    fn answers_for_the_node_of_its_caps_and_no_other() {
        let node = caps().unwrap().disco_node();
        assert!(matches!(ask(DiscoInfo::query(Some(node)).write()).kind, IqKind::Result(Some(_))));
        assert!(matches!(ask(DiscoInfo::query(Some("other".to_owned())).write()).kind, IqKind::Error(_)));
    }

    #[test]
    fn answers_pings_and_refuses_what_it_does_not_know() {
        assert!(matches!(ask(Ping.write()).kind, IqKind::Result(None)));
        let IqKind::Error(error) = ask(Element::new("query", "urn:example:unknown")).kind else { panic!("no error") };
        assert_eq!(error.condition, DefinedCondition::ServiceUnavailable);
    }

    /// Proves: C0115-6-1, GL-7.
    #[test]
    fn the_presence_carries_caps_always_and_priority_only_when_there_is_one() {
        assert!(presence(Availability::Hidden).is_none());
        assert_eq!(presence(Availability::Available(-1)).unwrap().priority(), -1);
        assert_eq!(presence(Availability::Available(0)).unwrap().payloads.len(), 1);
        for priority in [-1, 0, 5] {
            let told = presence(Availability::Available(priority)).unwrap().payload::<Caps>().unwrap().unwrap();
            assert_eq!(Some(told.disco_node()), caps().map(|caps| caps.disco_node()));
        }
    }
}
