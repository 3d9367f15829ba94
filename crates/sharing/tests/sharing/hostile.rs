//! Messages that nobody sane would send: read without a panic, bounded, and nothing lost without a word.

use std::time::SystemTime;

use balcony_sharing::dialect::read;
use balcony_sharing::explain::{View, explain};
use balcony_sharing::plan::{Circumstances, History, Policy, decide};
use balcony_sharing::{FileName, Received, Source};
use balcony_wire::{BareJid, Element, Jid, Message, ns};
use proptest::prelude::*;

const NAMES: [&str; 27] = [
    "file-sharing",
    "sources",
    "url-data",
    "file",
    "reference",
    "media-sharing",
    "body",
    "x",
    "url",
    "fallback",
    "hash",
    "name",
    "size",
    "desc",
    "attach-to",
    "encrypted",
    "key",
    "iv",
    "jinglepub",
    "thumbnail",
    "dimension",
    "header",
    "cookie",
    "auth",
    "store",
    "origin-id",
    "file-input",
];
const SPACES: [&str; 15] = [
    ns::CLIENT,
    ns::SFS,
    ns::SIMS,
    ns::FILE_METADATA,
    ns::REFERENCE,
    ns::URL_DATA,
    ns::URL_DATA_HTTP,
    ns::OOB,
    ns::FALLBACK,
    ns::HASHES_2,
    ns::HASHES_1,
    ns::ATTACHING,
    ns::ESFS,
    ns::JINGLE_FILE_TRANSFER_5,
    ns::HINTS,
];
const ATTRIBUTES: [&str; 11] = ["id", "target", "uri", "type", "algo", "for", "start", "end", "begin", "disposition", "cipher"];
const VALUES: [&str; 20] = [
    "",
    "data",
    "sha-256",
    "sha-1",
    "md5",
    "inline",
    "https://h/%2e%2e%2fx",
    "http://127.0.0.1/",
    "xmpp:a@b?jingle;id=1",
    "xmpp:a@b?jingle-ft",
    "aesgcm://h/x#00",
    "urn:xmpp:sfs:0",
    "0",
    "18446744073709551615",
    "-1",
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "../../etc/passwd",
    "\u{202e}gpj.exe",
    "4096x2160",
    "😀",
];

fn any_element() -> impl Strategy<Value = Element> {
    let value = || prop::sample::select(&VALUES[..]);
    let attributes = prop::collection::vec((prop::sample::select(&ATTRIBUTES[..]), value()), 0..4);
    let leaf = (prop::sample::select(&NAMES[..]), prop::sample::select(&SPACES[..]), attributes, value()).prop_map(
        |(name, space, attributes, text)| {
            attributes.into_iter().fold(Element::new(name, space), |element, (name, value)| element.with_attr(name, value)).with_text(text)
        },
    );
    leaf.prop_recursive(5, 48, 6, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..6)).prop_map(|(element, children)| element.with_children(children))
    })
}

/// One path component that no shell, terminal or Windows misreads.
fn is_safe(name: &str) -> bool {
    let misleads = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let ends_well = !name.starts_with(['.', '-']) && !name.ends_with(['.', ' ']);
    !name.is_empty() && name.len() <= 255 && ends_well && !name.chars().any(misleads)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every sharing element ends in an offer or in the list of what was ignored; plans account for every source.
    #[test]
    fn whatever_comes_is_read_without_a_panic_and_accounted_for(payloads in prop::collection::vec(any_element(), 0..8)) {
        let account: BareJid = Jid::parse("juliet@capulet.lit").unwrap().into_bare().unwrap();
        let from = Jid::parse("mallory@evil.example/x").unwrap();
        let message = Message { payloads, from: Some(from), ..Message::default() };
        let element = message.clone().into_element();
        let reading = read(&Received::direct(message, &account).unwrap());
        for (index, share) in reading.shares.iter().enumerate() {
            let offered = reading.offers.iter().any(|offer| offer.shares().contains(&index));
            prop_assert!(offered || (share.file.is_none() && share.is_pending()), "{share:?}");
        }
        for offer in &reading.offers {
            prop_assert!(offer.sources().count() <= 64);
            let name = offer.name();
            prop_assert!(is_safe(name.as_str()), "{name}");
            let decision = decide(offer, &Policy::default(), &History::default(), &Circumstances::at(SystemTime::UNIX_EPOCH));
            let attempts = decision.plan().map_or(0, |plan| plan.attempts.len());
            prop_assert_eq!(attempts + decision.left_out().len(), offer.sources().count());
            prop_assert!(offer.sources().all(|source: &Source| !source.key().as_str().is_empty()));
        }
        let printed = explain(&element, &View { account: Some(&account), query: None }, &Policy::default(), SystemTime::UNIX_EPOCH).to_string();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&printed).is_ok());
    }

    /// Any name becomes one path component that no shell, terminal or Windows misreads.
    #[test]
    fn any_name_becomes_one_safe_component(name in "\\PC*|.{0,400}|[./\\\\:%~ -]{0,20}|(con|NUL|lpt1)[. ]{0,3}[a-z]{0,3}") {
        let safe = FileName::from_peer(&name);
        let text = safe.as_str();
        prop_assert!(is_safe(text), "{text:?}");
    }
}
