//! What holds for every message, whatever dialects it mixes: pieces of all of them in any order and number.

use balcony_sharing::dialect::{Reading, read};
use balcony_sharing::{Offer, Received, Source};
use balcony_wire::{Element, Message, Stanza};
use proptest::prelude::*;

use super::said::SHA256;

const KEYED: &str = "#8c3d050e9386ec173861778f68e9af38a97aaf82faa4063b4d0878a61261534410c8a84331eaac851759f587";

fn url(place: u8) -> String {
    format!("https://upload.montague.lit/{place}/a.jpg")
}

fn file(ns: &str, name: u8, proven: bool) -> String {
    let hash = if proven { format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash>") } else { String::new() };
    format!("<file xmlns='{ns}'><name>{name}.jpg</name><size>7</size>{hash}</file>")
}

fn url_data(place: u8) -> String {
    format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='{}'/>", url(place))
}

fn encrypted(place: u8) -> String {
    format!(
        "<encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-gcm-nopadding:0'><key>{SHA256}</key><iv>T8RDMBaiqn6Ci4Nw</iv>\
         <sources xmlns='urn:xmpp:sfs:0'>{}</sources></encrypted>",
        url_data(place)
    )
}

/// A piece of a message: one element of some dialect, about one of a few places and files.
fn piece() -> impl Strategy<Value = String> {
    (0..13_u8, 0..4_u8, 0..3_u8, any::<bool>()).prop_map(|(kind, place, name, proven)| match kind {
        0 => format!("<body>{}</body>", url(place)),
        1 => format!("<body>aesgcm:{}{KEYED}</body>", &url(place)[6..]),
        2 => "<body>words</body>".to_owned(),
        3 => format!("<x xmlns='jabber:x:oob'><url>{}</url></x>", url(place)),
        4 => format!("<x xmlns='jabber:x:oob'><url>aesgcm:{}{KEYED}</url></x>", &url(place)[6..]),
        5 => format!("<file-sharing xmlns='urn:xmpp:sfs:0' id='{name}'>{}</file-sharing>", file("urn:xmpp:file:metadata:0", name, proven)),
        6 | 7 => format!(
            "<file-sharing xmlns='urn:xmpp:sfs:0'>{}<sources>{}</sources></file-sharing>",
            file("urn:xmpp:file:metadata:0", name, proven),
            if kind == 6 { url_data(place) } else { encrypted(place) }
        ),
        8 | 9 => format!(
            "<reference xmlns='urn:xmpp:reference:0' type='data' begin='0' end='{place}'><media-sharing xmlns='urn:xmpp:sims:1'>{}<sources>\
             <reference xmlns='urn:xmpp:reference:0' type='data' uri='{}'/></sources></media-sharing></reference>",
            file("urn:xmpp:jingle:apps:file-transfer:5", name, proven),
            url(place)
        ),
        10 => "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body/></fallback>".to_owned(),
        11 => format!(
            "<attach-to xmlns='urn:xmpp:message-attaching:1' id='{name}'/><sources xmlns='urn:xmpp:sfs:0'>{}</sources>",
            if proven { url_data(place) } else { encrypted(place) }
        ),
        _ => file("urn:xmpp:file:metadata:0", name, proven),
    })
}

fn reading_of(pieces: &[String]) -> Reading {
    let xml = format!(
        "<message xmlns='jabber:client' from='romeo@montague.lit/x' to='juliet@capulet.lit' id='m1' type='chat'>{}</message>",
        pieces.concat()
    );
    let Ok(Stanza::Message(message)) = Stanza::read(Element::parse(&xml).unwrap()) else { panic!("{xml}") };
    let received: Received<Message> = Received::direct(message, &"juliet@capulet.lit".parse().unwrap()).unwrap();
    read(&received)
}

fn plain(offer: &Offer) -> impl Iterator<Item = &str> {
    offer.sources().filter(|source| matches!(source, Source::Url(_))).flat_map(Source::addresses)
}

proptest! {
    /// Decisions 12, 15 and 57.
    #[test]
    fn no_mixture_of_dialects_mixes_places_loses_shares_or_shows_a_key(pieces in prop::collection::vec(piece(), 0..9)) {
        let reading = reading_of(&pieces);
        let secret: Vec<&str> = reading.offers.iter().flat_map(Offer::sources).filter(|source| matches!(source, Source::Encrypted(_))).flat_map(Source::addresses).collect();
        for place in reading.offers.iter().flat_map(plain) {
            prop_assert!(!secret.contains(&place), "{place} is plain and encrypted");
        }
        let mut told: Vec<usize> = reading.offers.iter().flat_map(|offer| offer.shares().to_vec()).collect();
        told.sort_unstable();
        prop_assert_eq!(told, (0..reading.shares.len()).collect::<Vec<_>>(), "each share is in one offer");
        for (index, offer) in reading.offers.iter().enumerate() {
            prop_assert_eq!(offer.id().index, index);
            prop_assert!(!offer.said_in().is_empty());
        }
        if let Some(shown) = &reading.shown_body {
            prop_assert!(!shown.contains(KEYED), "{shown}");
            prop_assert_eq!(Some(shown), reading.body.as_ref());
        }
        prop_assert_eq!(&reading_of(&pieces), &reading);
    }

    /// What is said once more in the same words adds no offer by links and no place.
    #[test]
    fn links_said_twice_are_said_once(place in 0..4_u8, others in prop::collection::vec(piece(), 0..4)) {
        let link = format!("<x xmlns='jabber:x:oob'><url>{}</url></x>", url(place));
        let once: Vec<String> = others.iter().cloned().chain([link.clone()]).collect();
        let twice: Vec<String> = once.iter().cloned().chain([link]).collect();
        prop_assert_eq!(reading_of(&once).offers, reading_of(&twice).offers);
    }
}

/// Decision 12, for what comes later: whichever of the two comes first.
#[test]
fn a_plain_place_that_the_sender_encrypts_elsewhere_is_none_and_others_take_nothing_away_by_saying_so() {
    let share = |sources: &str| {
        format!(
            "<file-sharing xmlns='urn:xmpp:sfs:0'>{}<sources>{sources}</sources></file-sharing>",
            file("urn:xmpp:file:metadata:0", 0, true)
        )
    };
    let (plain_one, secret_one) =
        (reading_of(&[share(&url_data(1))]).offers.remove(0), reading_of(&[share(&encrypted(1))]).offers.remove(0));
    let (plain_place, secret_place) = (plain_one.places()[0].source.clone(), secret_one.places()[0].source.clone());
    let romeo = secret_one.provenance().clone();
    let sources = |offer: &Offer| offer.sources().cloned().collect::<Vec<_>>();
    let mut offer = secret_one.clone();
    offer.add_source(plain_place.clone(), &romeo);
    assert_eq!(sources(&offer), std::slice::from_ref(&secret_place));
    let mut offer = plain_one.clone();
    offer.add_source(secret_place.clone(), &romeo);
    assert_eq!(sources(&offer), std::slice::from_ref(&secret_place));
    let mallory: Message = match Stanza::read(Element::parse("<message xmlns='jabber:client' from='mallory@evil.example/x'/>").unwrap()) {
        Ok(Stanza::Message(message)) => message,
        other => panic!("{other:?}"),
    };
    let mallory = Received::direct(mallory, &"juliet@capulet.lit".parse().unwrap()).unwrap().provenance().clone();
    let mut offer = plain_one;
    offer.add_source(secret_place.clone(), &mallory);
    assert_eq!(sources(&offer), [plain_place, secret_place]);
}
