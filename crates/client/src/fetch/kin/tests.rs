use std::sync::Arc;
use std::time::SystemTime;

use balcony_sharing::{Received, dialect};
use balcony_store::NewOffer;
use balcony_wire::{BareJid, Element, Jid, Stanza};
use tokio::sync::watch;

use super::*;
use crate::offers::Desk;

const PROMISED: &str = "<hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>";
const KNOWN: &str = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>2XDHbSpXqDb9aoULcyoMlNxNVYnwyJJ3PMdzz4lsDFY=</hash>";
const OTHER: &str = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash>";
const ROMEO: &str = "romeo@montague.lit/orchard";

/// What a device offers: name, size and date, and a digest or the promise of one.
#[derive(Clone, Copy)]
pub(in crate::fetch) struct Offered {
    pub(in crate::fetch) by: &'static str,
    pub(in crate::fetch) sid: &'static str,
    pub(in crate::fetch) name: &'static str,
    pub(in crate::fetch) size: u64,
    pub(in crate::fetch) date: &'static str,
    pub(in crate::fetch) hash: &'static str,
}

pub(in crate::fetch) const FIRST: Offered =
    Offered { by: ROMEO, sid: "a", name: "film.mkv", size: 100, date: "2026-01-01T00:00:00Z", hash: PROMISED };
pub(in crate::fetch) const AGAIN: Offered = Offered { by: "romeo@montague.lit/started-anew", sid: "b", ..FIRST };

pub(in crate::fetch) fn offer(store: &Store, offered: Offered) -> CataloguedOffer {
    let Offered { by, sid, name, size, date, hash } = offered;
    let date = if date.is_empty() { String::new() } else { format!("<date>{date}</date>") };
    let jingle = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{sid}'><content creator='initiator' name='c' senders='initiator'>\
         <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>{name}</name><size>{size}</size>{date}{hash}<range/></file>\
         </description><transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='s'/></content></jingle>"
    );
    let account: BareJid = "juliet@capulet.lit".parse().unwrap();
    let desk = Desk { store: store.clone(), account, copies: Default::default(), contacts: watch::channel(Arc::default()).1 };
    let taken = desk.take_session(&Jid::parse(by).unwrap(), &Element::parse(&jingle).unwrap()).unwrap();
    taken.into_iter().next().unwrap()
}

fn session(offer: &Offer) -> Option<String> {
    offer.sources().next().map(|source| source.key().as_str().to_owned())
}

/// A store with 40 bytes of what was offered first, with a note as a fetch leaves it, changed by `change`.
pub(in crate::fetch) fn left_behind(first: Offered, change: impl FnOnce(&mut Sidecar)) -> Store {
    let store = Store::in_memory().unwrap();
    let first = offer(&store, first);
    let mut sidecar = Sidecar { offer: first.key().to_string(), source: session(&first), is_pure: true, ..Sidecar::default() };
    change(&mut sidecar);
    store.stage(job_of(first.key()), sidecar).unwrap().append(&[7; 40]).unwrap();
    store
}

fn taken(store: &Store, offer: &CataloguedOffer) -> Left {
    Kin::of(offer.key(), offer).take(store).unwrap()
}

fn goes_on(store: &Store, again: Offered) -> bool {
    let again = offer(store, again);
    match taken(store, &again) {
        Left::Bytes(staging) => {
            assert_eq!(staging.len(), 40);
            true
        }
        Left::Nothing => false,
        Left::Held(_) => panic!("nobody is at it"),
    }
}

/// Decision 0030.
#[test]
fn what_one_person_describes_alike_goes_on_and_nothing_else_does() {
    for (what, again, expected) in [
        ("from another device, in another session", AGAIN, true),
        ("now with its digest", Offered { hash: KNOWN, ..AGAIN }, true),
        ("by somebody else", Offered { by: "mercutio@montague.lit/orchard", ..AGAIN }, false),
        ("under another name", Offered { name: "other.mkv", ..AGAIN }, false),
        ("larger", Offered { size: 101, ..AGAIN }, false),
        ("of another day", Offered { date: "2026-01-02T00:00:00Z", ..AGAIN }, false),
        ("of no day", Offered { date: "", ..AGAIN }, false),
        ("with nothing that will prove it", Offered { hash: "", ..AGAIN }, false),
    ] {
        assert_eq!(goes_on(&left_behind(FIRST, |_| ()), again), expected, "{what}");
    }
    assert!(goes_on(&left_behind(Offered { date: "", ..FIRST }, |_| ()), Offered { date: "", ..AGAIN }), "neither tells a date");
    assert!(goes_on(&left_behind(Offered { hash: KNOWN, ..FIRST }, |_| ()), AGAIN), "its digest was known before");
    assert!(!goes_on(&left_behind(Offered { hash: KNOWN, ..FIRST }, |_| ()), Offered { hash: OTHER, ..AGAIN }), "it is another file");
}

/// The program that gave it ended before it told the digest.
#[test]
fn of_what_is_here_whole_the_last_byte_is_asked_for_with_the_digest_behind_it() {
    for (hash, expected) in [(PROMISED, 39), (KNOWN, 39), ("", 0)] {
        let store = left_behind(Offered { size: 40, ..FIRST }, |_| ());
        let again = offer(&store, Offered { size: 40, hash, ..AGAIN });
        let len = match taken(&store, &again) {
            Left::Bytes(staging) => staging.len(),
            Left::Nothing | Left::Held(_) => 0,
        };
        assert_eq!(len, expected, "{hash}");
    }
}

#[test]
fn only_bytes_that_came_in_the_session_itself_are_taken_for_its_senders() {
    for (what, change) in [
        ("of several sources", (|sidecar| sidecar.is_pure = false) as fn(&mut Sidecar)),
        ("of a web server", |sidecar| sidecar.source = Some("url https://files.example/1".to_owned())),
        ("of nobody knows whom", |sidecar| sidecar.source = None),
        ("of an envelope", |sidecar| sidecar.envelope = Some("mark".to_owned())),
    ] {
        assert!(!goes_on(&left_behind(FIRST, change), AGAIN), "{what}");
    }
}

#[test]
fn what_goes_on_is_the_new_offers_and_bytes_of_its_session() {
    let store = left_behind(FIRST, |_| ());
    let again = offer(&store, AGAIN);
    let Left::Bytes(staging) = taken(&store, &again) else { panic!("nothing is found") };
    let sidecar = staging.sidecar();
    assert_eq!((&sidecar.offer, &sidecar.source, sidecar.is_pure), (&again.key().to_string(), &session(&again), true));
    // Somebody is at it now: it is held, and given when they let go.
    let third = offer(&store, Offered { sid: "c", ..AGAIN });
    assert!(matches!(taken(&store, &third), Left::Held(40)));
    drop(staging);
    assert!(matches!(taken(&store, &third), Left::Bytes(_)));
}

#[test]
fn what_did_not_fit_once_never_goes_on_behind_described_bytes_again() {
    let store = left_behind(FIRST, |_| ());
    let again = offer(&store, AGAIN);
    let source = again.sources().next().unwrap().key();
    store.add_outcome(again.key(), &Record { source, outcome: Outcome::Misfit, at: SystemTime::UNIX_EPOCH }).unwrap();
    assert!(matches!(taken(&store, &again), Left::Nothing));
    assert_eq!(store.staged().unwrap().len(), 1, "it stays for the offer it belongs to");
}

const LINK: &str = "https://files.montague.lit/film.mkv";

/// A store with 40 bytes that a link of this person's message gave, and the key of that offer.
fn left_by_a_link(by: &str, source: &str) -> (Store, OfferKey) {
    let store = Store::in_memory().unwrap();
    let message = format!(
        "<message xmlns='jabber:client' from='{by}' type='chat' id='m1'><file-sharing xmlns='urn:xmpp:sfs:0'>\
         <file xmlns='urn:xmpp:file:metadata:0'><name>film.mkv</name><size>100</size><date>2026-01-01T00:00:00Z</date>{KNOWN}</file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{LINK}'/></sources></file-sharing></message>"
    );
    let Stanza::Message(read) = Stanza::read(Element::parse(&message).unwrap()).unwrap() else { panic!("no message") };
    let offers = dialect::read(&Received::direct(read, &"juliet@capulet.lit".parse().unwrap()).unwrap()).offers;
    let (key, _) = store.add_offer(&NewOffer::new(&offers[0], message, SystemTime::UNIX_EPOCH)).unwrap();
    let sidecar = Sidecar { offer: key.to_string(), source: Some(source.to_owned()), is_pure: true, ..Sidecar::default() };
    store.stage(job_of(key), sidecar).unwrap().append(&[7; 40]).unwrap();
    (store, key)
}

/// What a session goes on behind: nothing, bytes that it throws away, or bytes that count as its own.
fn goes_on_behind((store, _): &(Store, OfferKey), again: Offered) -> Option<bool> {
    let again = offer(store, again);
    match taken(store, &again) {
        Left::Bytes(staging) => Some(staging.sidecar().source == session(&again)),
        _ => None,
    }
}

/// Decision 0030: the link counts for the person who sent it, whether the session tells the digest or promises it.
#[test]
fn a_session_goes_on_behind_what_a_link_gave_that_the_same_person_sent() {
    let url = format!("url {LINK}");
    assert_eq!(goes_on_behind(&left_by_a_link(ROMEO, &url), Offered { hash: KNOWN, ..AGAIN }), Some(true));
    assert_eq!(goes_on_behind(&left_by_a_link(ROMEO, &url), AGAIN), Some(true));
    assert_eq!(goes_on_behind(&left_by_a_link(ROMEO, "url https://evil.lit/x"), Offered { hash: KNOWN, ..AGAIN }), Some(false));
    assert_eq!(goes_on_behind(&left_by_a_link(ROMEO, "url https://evil.lit/x"), AGAIN), None);
    assert_eq!(goes_on_behind(&left_by_a_link("mercutio@montague.lit/orchard", &url), Offered { hash: KNOWN, ..AGAIN }), None);
}

/// Else a link that gives wrong bytes again and again would cost each session that comes after it.
#[test]
fn a_session_that_did_not_fit_behind_a_link_is_the_last_that_was_staked_on_it() {
    let left = left_by_a_link(ROMEO, &format!("url {LINK}"));
    let misfit = |source: SourceKey| Record { source, outcome: Outcome::Misfit, at: SystemTime::UNIX_EPOCH };
    left.0.add_outcome(left.1, &misfit(SourceKey::from_record("by-hash mallory@evil.lit/x"))).unwrap();
    assert_eq!(goes_on_behind(&left, Offered { hash: KNOWN, ..AGAIN }), Some(true), "what strangers gave is no session's affair");
    let left = left_by_a_link(ROMEO, &format!("url {LINK}"));
    left.0.add_outcome(left.1, &misfit(offer(&left.0, FIRST).sources().next().unwrap().key())).unwrap();
    assert_eq!(goes_on_behind(&left, Offered { hash: KNOWN, ..AGAIN }), Some(false));
}
