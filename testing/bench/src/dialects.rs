//! From the bytes of a message to its offer, for each way to say it: an example of each, as the documents or other programs write it,
//! filled up with words to 2.5 KB.

use std::collections::BTreeMap;
use std::time::Instant;

use balcony_sharing::{Received, dialect};
use balcony_wire::framing::{Frame, Framing, Limits};
use balcony_wire::{BareJid, Element, Jid, Stanza};

use crate::Result;

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>";
const LENGTH: usize = 2_500;
/// What fills a message up: words of people, as a caption or a note has them.
const WORDS: &str = "It was dark when we left the hut, and the snow was hard. ";

/// The dialects there are.
pub(crate) fn names() -> Result<Vec<String>> {
    Ok(messages(&account()?)?.into_keys().collect())
}

/// How many messages of that dialect are understood in a second, by one thread.
pub(crate) fn measure(count: usize, name: &str) -> Result<f64> {
    let account = account()?;
    let message = messages(&account)?.remove(name).ok_or_else(|| format!("there is no dialect {name}"))?;
    let mut framing = Framing::new(Limits::AFTER_LOGIN);
    framing.push(HEADER.as_bytes());
    framing.next_frame()?;
    let started = Instant::now();
    for _ in 0..count {
        framing.push(message.as_bytes());
        if read(&mut framing, &account)? == 0 {
            return Err(format!("{name} offers nothing").into());
        }
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn account() -> Result<BareJid> {
    Ok(Jid::parse("juliet@shakespeare.lit")?.into_bare()?)
}

fn read(framing: &mut Framing, account: &BareJid) -> Result<usize> {
    loop {
        match framing.next_frame()? {
            Some(Frame::Element(element)) => match Stanza::read(element).map_err(|error| error.to_string())? {
                Stanza::Message(message) => return Ok(dialect::read(&Received::direct(message, account)?).offers.len()),
                _ => return Err("the message is none".into()),
            },
            Some(_) => {}
            None => return Err("the message is not whole".into()),
        }
    }
}

/// One message for each dialect that an example of the corpus shows, or the list below.
fn messages(account: &BareJid) -> Result<BTreeMap<String, String>> {
    let mut messages = BTreeMap::new();
    let shown = testing_corpus::examples().into_iter().map(|example| (None, example.in_stream_without_comments()));
    for (name, xml) in OTHERS.map(|(name, xml)| (Some(name.to_owned()), xml.to_owned())).into_iter().chain(shown) {
        let Ok(Ok(Stanza::Message(mut message))) = Element::parse(&xml).map(Stanza::read) else { continue };
        message.from = Some(Jid::parse("romeo@montague.lit/orchard")?);
        let Ok(received) = Received::direct(message.clone(), account) else { continue };
        let Some(offer) = dialect::read(&received).offers.into_iter().next() else { continue };
        let name = name.unwrap_or_else(|| offer.said_in().iter().map(|via| via.as_str()).collect::<Vec<_>>().join(" + "));
        let length = message.clone().into_element().to_xml().len();
        if length < 4_000 {
            let words = WORDS.repeat(LENGTH.saturating_sub(length) / WORDS.len() + 1);
            message.payloads.push(Element::new("note", "urn:example:note").with_text(words));
            messages.entry(name).or_insert_with(|| message.into_element().to_xml());
        }
    }
    Ok(messages)
}

/// Dialects that no document shows as a message of its own.
const OTHERS: [(&str, &str); 6] = [
    ("link", "<message xmlns='jabber:client' type='chat'><body>https://upload.montague.lit/4f/summit.jpg</body></message>"),
    (
        "link with metadata",
        "<message xmlns='jabber:client' type='chat'><body>https://upload.montague.lit/4f/summit.jpg</body><x xmlns='jabber:x:oob'>\
         <url>https://upload.montague.lit/4f/summit.jpg</url></x><file xmlns='urn:xmpp:file:metadata:0'><media-type>image/jpeg</media-type>\
         <name>summit.jpg</name><size>3032449</size><width>4096</width><height>2160</height></file></message>",
    ),
    (
        "aesgcm",
        "<message xmlns='jabber:client' type='chat'><body>aesgcm://upload.montague.lit/4f/summit.jpg#8c3d050e9386ec173861778f68a89a35cfb4296d\
         99f5fc4a2be3bf5c4b5ce3a1b1aa2bb0ac0c4bbb54b8b2ab</body></message>",
    ),
    (
        "encrypted",
        "<message xmlns='jabber:client' type='chat'><file-sharing xmlns='urn:xmpp:sfs:0' id='s'><file xmlns='urn:xmpp:file:metadata:0'>\
         <name>a.bin</name><size>10</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>2XarmwTlNxDAMkvymloX3S5+VbylNrJt/l5QyPa+YoU=</hash>\
         </file><sources><encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-gcm-nopadding:0'>\
         <key>SuRJ2agVm/pQbJQlPq/B23Xt1YOOJCcEGJA5HrcYOGQ=</key><iv>T8RDMBaiqn6Ci4Nw</iv><hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>\
         BgKI2gp2kNCRsARNvhFmw5kFf+BBo2pTbHjA2bMSDMs=</hash><sources xmlns='urn:xmpp:sfs:0'><url-data \
         xmlns='http://jabber.org/protocol/url-data' target='https://download.montague.lit/f5/encrypted.jpg'/></sources></encrypted></sources>\
         </file-sharing></message>",
    ),
    (
        "bits",
        "<message xmlns='jabber:client' type='chat'><body>a smile</body><data xmlns='urn:xmpp:bob' \
         cid='sha1+0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33@bob.xmpp.org' type='image/png'>Zm9v</data></message>",
    ),
    (
        "sims of v0.1",
        "<message xmlns='jabber:client' type='chat'><body>a picture</body><reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing \
         xmlns='urn:xmpp:sims:1'><file xmlns='urn:xmpp:jingle:apps:file-transfer:4'><media-type>image/jpeg</media-type><name>summit.jpg</name>\
         <size>3032449</size><hash xmlns='urn:xmpp:hashes:1' algo='sha-256'>\
         2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae</hash></file><sources><reference xmlns='urn:xmpp:reference:0' \
         type='data' uri='https://download.montague.lit/4f/summit.jpg'/></sources></media-sharing></reference></message>",
    ),
];
