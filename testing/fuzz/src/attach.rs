//! Sources that come in messages of their own, in any order and from anybody: the offers become the same, nobody speaks for the
//! sender, and there is a bound.

use std::time::{Duration, SystemTime};

use balcony_sharing::attach::{Attachment, join, joins};
use balcony_sharing::dialect::{Reading, read};
use balcony_sharing::{NamedBy, Offer, Received};
use balcony_wire::{Element, Message, Stanza};

use crate::choices::Choices;
use crate::offered::juliet;

const PEOPLE: &[&str] =
    &["romeo@montague.lit/orchard", "romeo@montague.lit/phone", "mallory@evil.lit/x", "juliet@capulet.lit/phone", "chat.lit"];
const IDS: &[&str] = &["m1", "m2", "o1", "s", "", "x"];
const SHARES: &[&str] = &["", "a", "b", "c"];

/// What is offered, then what is attached.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let offers = offered(&mut choices);
    let mut attachments = Vec::new();
    while !choices.is_empty() && attachments.len() < 40 {
        attachments.extend(attached(&mut choices));
    }
    let (mut there, mut back, mut twice) = (offers.clone(), offers.clone(), offers.clone());
    let left_out = join(&mut there, &attachments);
    let reversed: Vec<Attachment> = attachments.iter().rev().cloned().collect();
    join(&mut back, &reversed);
    assert_eq!(there, back, "in whatever order they come");
    join(&mut twice, &[attachments.clone(), attachments.clone()].concat());
    assert_eq!(there, twice, "however often they come");
    assert_eq!(left_out.len(), attachments.iter().filter(|attachment| joins(attachment, &offers).is_err()).count());
    for (before, after) in offers.iter().zip(&there) {
        holds(before, after, &attachments);
    }
}

fn holds(before: &Offer, after: &Offer, attachments: &[Attachment]) {
    assert_eq!((before.id(), before.file(), before.digests()), (after.id(), after.file(), after.digests()), "only places are added");
    assert!(after.places().len() <= 64 + 16);
    let mut others = false;
    for place in after.places() {
        match &place.named_by {
            NamedBy::Sender => {
                assert!(!others, "the sender's own places come first");
                let known = before.places().contains(place);
                let own = |attachment: &Attachment| attachment.is_of(after) && attachment.sources().contains(&place.source);
                assert!(known || attachments.iter().any(own), "somebody spoke for the sender: {place:?}");
            }
            NamedBy::Other(_) => others = true,
        }
    }
}

fn offered(choices: &mut Choices<'_>) -> Vec<Offer> {
    let shares: String = (0..1 + choices.below(3)).map(|at| share(choices, at)).collect();
    let origin = if choices.yes() { "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>" } else { "" };
    let kind = choices.one_of(&["chat", "normal"]);
    let xml = format!(
        "<message xmlns='jabber:client' type='{kind}' from='romeo@montague.lit/orchard' to='juliet@capulet.lit' id='m1'>{origin}{shares}</message>"
    );
    reading(&xml).map(|(_, reading)| reading.offers).unwrap_or_default()
}

fn share(choices: &mut Choices<'_>, at: usize) -> String {
    let id = choices.one_of(SHARES);
    let id = if id.is_empty() { String::new() } else { format!("id='{id}'") };
    let hash = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash>";
    let hash = if choices.yes() { hash } else { "" };
    let sources = sources(choices, 3);
    format!(
        "<file-sharing xmlns='urn:xmpp:sfs:0' {id}><file xmlns='urn:xmpp:file:metadata:0'><name>{at}.jpg</name><size>{at}</size>{hash}</file>\
         <sources>{sources}</sources></file-sharing>"
    )
}

fn sources(choices: &mut Choices<'_>, most: usize) -> String {
    let source = |choices: &mut Choices<'_>| {
        let host = choices.one_of(&["a.lit", "b.lit", "evil.lit", "montague.lit"]);
        format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='https://{host}/{}'/>", choices.byte() & 31)
    };
    (0..choices.below(most + 1)).map(|_| source(choices)).collect()
}

fn attached(choices: &mut Choices<'_>) -> Option<Attachment> {
    let (from, to, share) = (choices.one_of(PEOPLE), choices.one_of(IDS), choices.one_of(SHARES));
    let share = if share.is_empty() { String::new() } else { format!("id='{share}'") };
    let sources = sources(choices, 12);
    let xml = format!(
        "<message xmlns='jabber:client' type='chat' from='{from}' to='juliet@capulet.lit' id='later'><attach-to \
         xmlns='urn:xmpp:message-attaching:1' id='{to}'/><sources xmlns='urn:xmpp:sfs:0' {share}>{sources}</sources></message>"
    );
    let (received, reading) = reading(&xml)?;
    Attachment::of(&reading, received.provenance(), SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(choices.byte() & 3)))
}

fn reading(xml: &str) -> Option<(Received<Message>, Reading)> {
    let Stanza::Message(message) = Stanza::read(Element::parse(xml).unwrap()).unwrap() else { return None };
    let received = Received::direct(message, &juliet()).ok()?;
    let reading = read(&received);
    Some((received, reading))
}
