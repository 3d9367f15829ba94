//! What is attached to an offer that was made before, as it is written: compared with the listings of XEP-0447.

use balcony_sharing::dialect::{Lives, OutgoingSources, read, write_sources};
use balcony_sharing::{Received, Source};
use balcony_wire::attaching::AttachTo;
use balcony_wire::fallback::Fallback;
use balcony_wire::file_sharing::Sources;
use balcony_wire::hints::Hint;
use balcony_wire::out_of_band::Oob;
use balcony_wire::stanza::{MessageKind, Stanza};
use balcony_wire::stanza_ids::OriginId;
use balcony_wire::{Element, Jid, Message, ns};

const URL: &str = "https://download.montague.lit/4a771ac1-f0b2-4a4a-9700-f2a26fa2bb67/summit.jpg";

fn example(file: &str) -> Message {
    let xml = testing_corpus::example(file).in_stream_without_comments();
    match Stanza::read(Element::parse(&xml).unwrap()).unwrap() {
        Stanza::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn outgoing(sources: Vec<Source>, lives: Lives) -> OutgoingSources {
    OutgoingSources {
        to: Jid::parse("juliet@shakespeare.lit").unwrap(),
        to_room: false,
        id: "adding-the-source".to_owned(),
        target: "sharing-a-file".to_owned(),
        share: Some("file-sharing-id".to_owned()),
        sources,
        lives,
    }
}

fn payload<P: balcony_wire::Payload>(message: &Message) -> P {
    message.payload::<P>().unwrap_or_else(|| panic!("no {}", P::NAME)).unwrap()
}

/// Every element of the listing, and an id of its own besides.
///
/// Proves: SFS-3.3-4, SFS-3.3-5, SFS-3.3-8, SFS-3.3-9, SFS-3.3-10, SFS-3.3-11, ATT-3-1, ATT-4.3-1, ATT-4.3-2.
#[test]
fn an_attached_link_is_written_as_the_xep_lists_it() {
    let listed = example("xep-0447/05-2-sharing-a-file-and-attaching-the-primary-source-for-the-file.xml");
    let written = write_sources(&outgoing(vec![Source::url(URL)], Lives::Long));
    assert_eq!(payload::<AttachTo>(&written), payload::<AttachTo>(&listed));
    assert_eq!(payload::<Sources>(&written), payload::<Sources>(&listed));
    assert_eq!(payload::<Fallback>(&written), payload::<Fallback>(&listed));
    assert_eq!(payload::<Oob>(&written), payload::<Oob>(&listed));
    assert_eq!(written.body(), listed.body());
    assert_eq!(payload::<OriginId>(&written).id, "adding-the-source");
    assert_eq!((written.kind, written.id.as_deref()), (MessageKind::Chat, Some("adding-the-source")));
    let attached: Vec<_> = written.payloads_of::<AttachTo>().collect();
    assert_eq!(attached.len(), 1, "at most one");
}

/// A place that lives as long as somebody is online need not be in everybody's archive; one that lasts shall be.
///
/// Proves: SFS-3.3-6.
#[test]
fn what_lasts_asks_to_be_stored_and_what_does_not_asks_for_nothing() {
    let listed = example("xep-0447/04-romeo-montague-lit-resource2-attaches-itself-as-an-additiona.xml");
    let received = Received::direct(listed, &"juliet@shakespeare.lit".parse().unwrap()).unwrap();
    let jingle = read(&received).attach.unwrap().sources.remove(0);
    let hints =
        |lives| write_sources(&outgoing(vec![jingle.clone()], lives)).payloads_of::<Hint>().filter_map(Result::ok).collect::<Vec<_>>();
    assert_eq!(hints(Lives::Long), [Hint::Store]);
    assert!(hints(Lives::Shortly).is_empty());
    let written = write_sources(&outgoing(vec![jingle], Lives::Long));
    assert!(written.body().is_none() && written.payload::<Oob>().is_none(), "no link, no text");
}

/// The id is the one that the room gave; nothing of ours goes by the stanza's own.
///
/// Proves: ATT-4.1-1.
#[test]
fn in_a_room_sources_are_attached_by_the_id_that_the_room_gave() {
    let written = write_sources(&OutgoingSources {
        to: Jid::parse("room@muc.shakespeare.lit").unwrap(),
        to_room: true,
        target: "5f3dbc5e-e1d3-4077-a492-693f3769c7ad".to_owned(),
        ..outgoing(vec![Source::url(URL)], Lives::Long)
    });
    assert_eq!(written.kind, MessageKind::Groupchat);
    assert_eq!(payload::<AttachTo>(&written).id, "5f3dbc5e-e1d3-4077-a492-693f3769c7ad");
}

/// The best link stands for the file where there are several, and none where the bytes are encrypted (decisions 12 and 14).
#[test]
fn one_of_several_links_is_the_body() {
    let insecure = Source::url("http://download.montague.lit/summit.jpg");
    let written = write_sources(&outgoing(vec![insecure, Source::url(URL)], Lives::Long));
    assert_eq!(written.body().as_deref(), Some(URL));
    assert_eq!(payload::<Sources>(&written).sources.len(), 2);
    assert_eq!(payload::<Fallback>(&written), Fallback::whole_body(ns::SFS));
}
