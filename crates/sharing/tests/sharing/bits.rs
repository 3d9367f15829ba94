//! Bits of binary as offers: read from messages, planned, fetched. Bytes and names are those of the vectors.

use std::sync::Arc;
use std::time::SystemTime;

use balcony_sharing::dialect::{carried, read};
use balcony_sharing::plan::{Circumstances, Contacts, Decision, History, How, Policy, decide};
use balcony_sharing::transfer::bits::{Action, BitsJob};
use balcony_sharing::transfer::fetch::Fetched;
use balcony_sharing::{Exposure, Offer, Proof, Received, Via};
use balcony_wire::roster::{RosterItem, Subscription};
use balcony_wire::stanza::Stanza;
use balcony_wire::{BareJid, Element, Message};

/// A 1x1 PNG of the vectors: its base64, SHA-1 and SHA-256.
fn png() -> (String, String, String) {
    let cases = testing_corpus::cases("bob");
    let digest = |algo: &str| {
        let case = cases.iter().find(|case| case["algo"] == algo && case["note"] != "same data, right cid" && case["matches"] == true);
        case.unwrap()["digest_hex"].as_str().unwrap().to_owned()
    };
    let data = cases.iter().find(|case| case["note"] == "1x1 PNG").unwrap()["data_base64"].as_str().unwrap().to_owned();
    (data, digest("sha-1"), digest("sha-256"))
}

fn from(sender: &str, payloads: &str) -> (Message, Vec<Offer>) {
    let account: BareJid = "juliet@capulet.lit".parse().unwrap();
    let xml = format!("<message xmlns='jabber:client' type='chat' id='m1' from='{sender}' to='juliet@capulet.lit'>{payloads}</message>");
    let Ok(Stanza::Message(message)) = Stanza::read(Element::parse(&xml).unwrap()) else { panic!("no message") };
    let received = Received::direct(message, &account).unwrap();
    let offers = read(&received).offers;
    (received.into_inner(), offers)
}

fn asked(offer: &Offer) -> Decision {
    let romeo = RosterItem { subscription: Subscription::Both, ..RosterItem::new("romeo@montague.lit".parse().unwrap()) };
    let around =
        Circumstances { asked: true, contacts: Arc::new(Contacts::from_items([romeo])), ..Circumstances::at(SystemTime::UNIX_EPOCH) };
    decide(offer, &Policy::default(), &History::default(), &around)
}

/// Proves: BOB-2.1-3, BOB-2.1-4.
#[test]
fn bytes_in_the_message_are_fetched_from_it_and_nobody_learns_of_it() {
    let (data, _, sha256) = png();
    let bits = format!("<data xmlns='urn:xmpp:bob' cid='sha-256+{sha256}@bob.xmpp.org' type='image/png'>{data}</data>");
    let (message, offers) = from("romeo@montague.lit/orchard", &bits);
    let [offer] = &offers[..] else { panic!("{offers:?}") };
    assert_eq!((offer.said_in(), offer.proof(), offer.size()), (&[Via::Bits][..], Proof::Digest, Some(70)));
    let Decision::Fetch(plan) = asked(offer) else { panic!("{:?}", asked(offer)) };
    assert!(matches!((&plan.attempts[0].how, &plan.attempts[0].exposure), (How::Carried { .. }, Exposure::Nothing)));
    let mut job = BitsJob::new(&plan.attempts, offer.claim());
    let Some(Action::Take(cid)) = job.poll_action() else { panic!("nothing is taken") };
    job.handle_carried(carried(&message.payloads, &cid));
    let done = std::iter::from_fn(|| job.poll_action()).last();
    assert!(matches!(done, Some(Action::Done(Fetched::Verified(_), bits)) if bits.bytes().starts_with(b"\x89PNG")));
}

/// Proves: BOB-D-1.
#[test]
fn bytes_that_do_not_have_the_hash_in_their_name_are_no_file() {
    let (data, sha1, _) = png();
    let wrong = format!("<data xmlns='urn:xmpp:bob' cid='sha1+{}@bob.xmpp.org'>{data}</data>", sha1.replace('4', "5"));
    assert!(from("romeo@montague.lit/orchard", &wrong).1.is_empty());
    let short = format!("<data xmlns='urn:xmpp:bob' cid='sha1+{}@bob.xmpp.org'>{data}</data>", &sha1[..32]);
    let (_, offers) = from("romeo@montague.lit/orchard", &short);
    assert_eq!(
        (offers.len(), offers[0].proof(), offers[0].digests().is_empty()),
        (1, Proof::None, true),
        "a hash of wrong length is no hash"
    );
}

/// What a place `cid:` of a share means: the sender's device is asked, which reveals that we are there and no address.
#[test]
fn a_place_that_is_a_cid_is_asked_of_the_device_that_sent_it_and_no_other() {
    let (data, sha1, sha256) = png();
    let share = format!(
        "<reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing xmlns='urn:xmpp:sims:1'><file xmlns='urn:xmpp:jingle:apps:file-transfer:5'>\
         <name>dot.png</name><size>70</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash></file>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='cid:sha1+{sha1}@bob.xmpp.org'/></sources></media-sharing></reference>",
        base64_of(&sha256)
    );
    let (_, offers) = from("romeo@montague.lit/orchard", &share);
    let Decision::Fetch(plan) = asked(&offers[0]) else { panic!("{:?}", asked(&offers[0])) };
    let attempt = &plan.attempts[0];
    assert!(matches!(&attempt.how, How::Bits { from, .. } if from.as_str() == "romeo@montague.lit/orchard"));
    assert!(matches!(&attempt.exposure, Exposure::Presence(who) if who.as_str() == "romeo@montague.lit/orchard"));
    let (_, bare) = from("romeo@montague.lit", &share);
    assert!(matches!(asked(&bare[0]), Decision::Refuse(refusal) if refusal.left_out[0].reason.code() == "no-device"));
    let (_, along) = from("romeo@montague.lit", &format!("{share}<data xmlns='urn:xmpp:bob' cid='sha1+{sha1}@bob.xmpp.org'>{data}</data>"));
    let Decision::Fetch(plan) = asked(&along[0]) else { panic!("{:?}", asked(&along[0])) };
    assert!(matches!(plan.attempts[0].how, How::Carried { .. }), "it came along: nobody is asked");
}

fn base64_of(hex: &str) -> String {
    use base64::Engine as _;
    let bytes: Vec<u8> = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
