use std::sync::Arc;
use std::time::SystemTime;

use balcony_sharing::plan::Record;
use balcony_wire::{BareJid, Element, Jid};
use tokio::sync::watch;

use super::*;
use crate::offers::Desk;

const PROMISED: &str = "<hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>";
const KNOWN: &str = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>2XDHbSpXqDb9aoULcyoMlNxNVYnwyJJ3PMdzz4lsDFY=</hash>";
const OTHER: &str = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash>";
const ROMEO: &str = "romeo@montague.lit/orchard";

/// What a device offers: name, size and date, and a digest or the promise of one.
#[derive(Clone, Copy)]
struct Offered {
    by: &'static str,
    sid: &'static str,
    name: &'static str,
    size: u64,
    date: &'static str,
    hash: &'static str,
}

const FIRST: Offered = Offered { by: ROMEO, sid: "a", name: "film.mkv", size: 100, date: "2026-01-01T00:00:00Z", hash: PROMISED };
const AGAIN: Offered = Offered { by: "romeo@montague.lit/started-anew", sid: "b", ..FIRST };

fn offer(store: &Store, offered: Offered) -> CataloguedOffer {
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
fn left_behind(first: Offered, change: impl FnOnce(&mut Sidecar)) -> Store {
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
