//! Messages as trees, made of the words that the dialects use: deeper into the readers than text gets.

use balcony_sharing::Received;
use balcony_wire::{Element, Jid, Message, MessageKind, ns};

use crate::choices::Choices;
use crate::offered::{holds, is_explained, juliet};
use crate::payloads;

/// Elements with the namespace they belong to.
const ELEMENTS: &[(&str, &str)] = &[
    ("file-sharing", ns::SFS),
    ("sources", ns::SFS),
    ("url-data", ns::URL_DATA),
    ("file", ns::FILE_METADATA),
    ("name", ns::FILE_METADATA),
    ("size", ns::FILE_METADATA),
    ("media-type", ns::FILE_METADATA),
    ("desc", ns::FILE_METADATA),
    ("date", ns::FILE_METADATA),
    ("width", ns::FILE_METADATA),
    ("dimension", ns::FILE_METADATA),
    ("length", ns::FILE_METADATA),
    ("hash", ns::HASHES_2),
    ("hash", ns::HASHES_1),
    ("reference", ns::REFERENCE),
    ("media-sharing", ns::SIMS),
    ("sources", ns::SIMS),
    ("file", ns::JINGLE_FILE_TRANSFER_5),
    ("name", ns::JINGLE_FILE_TRANSFER_5),
    ("size", ns::JINGLE_FILE_TRANSFER_5),
    ("range", ns::JINGLE_FILE_TRANSFER_5),
    ("body", ns::CLIENT),
    ("subject", ns::CLIENT),
    ("x", ns::OOB),
    ("url", ns::OOB),
    ("desc", ns::OOB),
    ("fallback", ns::FALLBACK),
    ("body", ns::FALLBACK),
    ("attach-to", ns::ATTACHING),
    ("origin-id", ns::STANZA_ID),
    ("stanza-id", ns::STANZA_ID),
    ("encrypted", ns::ESFS),
    ("key", ns::ESFS),
    ("iv", ns::ESFS),
    ("sources", ns::ESFS),
    ("jinglepub", ns::JINGLE_PUB),
    ("thumbnail", ns::THUMBS_1),
    ("data", ns::BOB),
    ("header", ns::URL_DATA_HTTP),
    ("cookie", ns::URL_DATA_HTTP),
    ("auth", ns::URL_DATA_HTTP),
    ("auth-param", ns::URL_DATA_HTTP),
    ("store", ns::HINTS),
    ("surprise", "urn:example:surprise"),
];
const ATTRIBUTES: &[&str] = &[
    "id",
    "target",
    "uri",
    "type",
    "algo",
    "for",
    "start",
    "end",
    "begin",
    "disposition",
    "cipher",
    "name",
    "value",
    "cid",
    "max-age",
    "scheme",
    "domain",
    "path",
    "secure",
    "offset",
    "width",
    "from",
    "by",
    "mechanism",
];
const VALUES: &[&str] = &[
    "",
    "a",
    "b",
    "data",
    "sha-256",
    "sha-1",
    "md5",
    "inline",
    "attachment",
    "https://upload.montague.lit/a.jpg",
    "https://upload.montague.lit/b.jpg",
    "https://h/%2e%2e%2fx",
    "http://127.0.0.1/",
    "https://user:secret@h.lit/",
    "https://[::1]/x",
    "xmpp:a@b?jingle;id=1",
    "xmpp:a@b?jingle-ft",
    "aesgcm://h.lit/x#0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "cid:sha1+8f35fef110ffc5df08d579a50083ff9308fb6242@bob.xmpp.org",
    "ni:///sha-256;47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
    "data:image/png;base64,AAAA",
    "urn:xmpp:sfs:0",
    "jabber:x:oob",
    "urn:xmpp:ciphers:aes-256-gcm-nopadding:0",
    "urn:xmpp:ciphers:aes-128-gcm-nopadding:0",
    "urn:xmpp:ciphers:aes-256-cbc-pkcs7:0",
    "0",
    "5",
    "18446744073709551615",
    "-1",
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "AAAAAAAAAAAAAAAA",
    "../../etc/passwd",
    "\u{202e}gpj.exe",
    "4096x2160",
    "image/jpeg",
    "2023-02-30T01:02:03Z",
    "basic",
    "Authorization",
    "Host",
    "a\r\nHost: evil.lit",
    "juliet@capulet.lit",
    "romeo@montague.lit",
    "😀e\u{301}",
];

/// A message: its kind and sender, then elements, each with what is in it.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = choices.one_of(&[MessageKind::Chat, MessageKind::Normal, MessageKind::Groupchat, MessageKind::Error, MessageKind::Headline]);
    let from = choices.one_of(&["romeo@montague.lit/orchard", "juliet@capulet.lit/phone", "room@chat.lit/romeo", "chat.lit"]);
    let mut room = 60;
    let mut payloads = Vec::new();
    while !choices.is_empty() && payloads.len() < 12 {
        payloads.push(element(&mut choices, 0, &mut room));
    }
    payloads.iter().for_each(payloads::settles);
    let message = Message { kind, payloads, from: Some(Jid::parse(from).unwrap()), id: Some("m1".to_owned()), ..Message::default() };
    let whole = message.clone().into_element();
    is_explained(&whole, Some(&juliet()));
    assert_eq!(Element::parse(&whole.to_xml()).map(|element| element.to_xml()), Ok(whole.to_xml()));
    if let Ok(received) = Received::direct(message, &juliet()) {
        holds(&received);
    }
}

fn element(choices: &mut Choices<'_>, depth: usize, room: &mut usize) -> Element {
    let (name, ns) = choices.one_of(ELEMENTS);
    let shape = choices.byte();
    let mut element = Element::new(name, ns);
    for _ in 0..shape & 3 {
        let (attribute, value) = (choices.one_of(ATTRIBUTES), value(choices));
        element.set_attr(attribute, value);
    }
    if shape & 4 != 0 {
        element.push_text(value(choices));
    }
    let children = if depth < 6 { usize::from(shape >> 3 & 7) } else { 0 };
    for _ in 0..children {
        if *room == 0 || choices.is_empty() {
            break;
        }
        *room -= 1;
        element.push(self::element(choices, depth + 1, room));
    }
    element
}

fn value(choices: &mut Choices<'_>) -> String {
    let chosen = choices.below(VALUES.len() + 4);
    // What XML cannot hold never comes out of a parser.
    let is_xml = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    VALUES.get(chosen).map_or_else(|| choices.text(40).chars().filter(is_xml).collect(), |value| (*value).to_owned())
}
