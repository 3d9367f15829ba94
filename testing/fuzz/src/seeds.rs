//! Inputs to start from: the examples of the XEPs and the vectors, in the shape that each target reads.

use serde_json::Value;
use testing_corpus::{cases, examples};

/// Larger inputs are slow and say nothing new.
const MOST: usize = 12_000;

fn listings(wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    examples()
        .iter()
        .map(testing_corpus::Example::in_stream_without_comments)
        .filter(|xml| wanted(xml) && xml.len() < MOST)
        .map(String::into_bytes)
        .collect()
}

/// Every string in a table of vectors, the names of its fields left out.
fn strings(table: &str) -> Vec<Vec<u8>> {
    fn within(value: &Value, see: &mut Vec<Vec<u8>>) {
        match value {
            Value::String(text) => see.push(text.clone().into_bytes()),
            Value::Array(list) => list.iter().for_each(|value| within(value, see)),
            Value::Object(fields) => fields.values().for_each(|value| within(value, see)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    cases(table).iter().for_each(|case| within(case, &mut all));
    all.sort();
    all.dedup();
    all.retain(|text| text.len() < 400);
    all
}

fn led_by(head: &[u8], inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    inputs.into_iter().map(|input| [head, &input].concat()).collect()
}

/// Names, namespaces and values that the examples have more than once.
pub(crate) fn dictionary() -> String {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for example in examples() {
        for word in example.xml.split(|c: char| c.is_whitespace() || "<>=\"'/".contains(c)).filter(|word| (3..60).contains(&word.len())) {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
        example.namespaces.into_iter().for_each(|ns| *counts.entry(ns).or_default() += 2);
    }
    let is_plain = |word: &String| word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'"');
    let often = counts.into_iter().filter(|(word, count)| *count > 3 && is_plain(word));
    often.map(|(word, _)| format!("\"{word}\"\n")).collect()
}

/// Choices without meaning, the same each time.
pub(crate) fn noise() -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..48_usize).map(|at| (0..at * 9).map(|_| next()).collect()).collect()
}

pub(crate) fn addresses() -> Vec<Vec<u8>> {
    ["jid", "xmpp-uris", "jid-escape"].into_iter().flat_map(strings).collect()
}

pub(crate) fn names() -> Vec<Vec<u8>> {
    strings("file-names")
}

pub(crate) fn words() -> Vec<Vec<u8>> {
    ["media-accept", "ni", "datetime", "bob", "base64", "text-ranges"].into_iter().flat_map(strings).collect()
}

pub(crate) fn payloads() -> Vec<Vec<u8>> {
    listings(|_| true)
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    let about_files = ["file", "oob", "sfs", "sims", "bob", "reference", "fallback", "url-data", "attach", "jingle"];
    listings(|xml| xml.contains("<message") && about_files.iter().any(|word| xml.contains(word)))
}

pub(crate) fn copies() -> Vec<Vec<u8>> {
    led_by(&[6, 1], listings(|xml| xml.contains("urn:xmpp:carbons") || xml.contains("urn:xmpp:mam:2")))
}

pub(crate) fn urls() -> Vec<Vec<u8>> {
    let head = [0; 18];
    let urls: Vec<Vec<u8>> = [
        "https://upload.montague.lit/a/b.jpg?x=y#z\n/c\nAccept\nimage/png",
        "http://127.0.0.1/\nhttps://b.lit/\nAuthorization\nBasic eA==",
        "https://user:secret@h.lit/\n//c.lit\nCookie\na=b",
        "https://[::ffff:127.0.0.1]:8443/%2e%2e/x\nhttps://[fe80::1]/\nHost\nevil.lit",
        "https://0x7f.1/\nhttp://2130706433/\nRange\nbytes=5-",
        "https://abcdefghijklmnop.onion./x\nftp://x/\nX\r\nHost\na\r\nb",
        "aesgcm://h.lit/x#00\ndata:,x\nExpires\n0",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    let headers =
        strings("upload-headers").into_iter().map(|text| [b"https://h.lit/\n/\nAuthorization\n".to_vec(), text].concat()).collect();
    [led_by(&head, urls), led_by(&head, headers)].concat()
}

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>";

/// A header, then an example, for each kind of limits.
pub(crate) fn streams() -> Vec<Vec<u8>> {
    let examples = listings(|_| true).into_iter().enumerate().filter(|(at, _)| at % 6 == 0);
    examples.map(|(at, example)| [&[(at / 6 % 4) as u8, 9, 40, 200], HEADER.as_bytes(), &example, b"</stream:stream>"].concat()).collect()
}

/// Logins by both ways, and what may follow.
pub(crate) fn sessions() -> Vec<Vec<u8>> {
    let server =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1' from='capulet.lit'>";
    let plain = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>\
                 <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    let bound = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>\
                 <iq xmlns='jabber:client' type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>romeo@capulet.lit/x</jid></bind></iq>";
    let sasl2 = "<stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'/>\
                 <sm xmlns='urn:xmpp:sm:3'/></inline></authentication></stream:features><success xmlns='urn:xmpp:sasl:2'><authorization-identifier>\
                 romeo@capulet.lit/x</authorization-identifier><bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' resume='true' id='i'/>\
                 </bound></success><stream:features/>";
    let later = "<enabled xmlns='urn:xmpp:sm:3' id='a' resume='true'/><message from='juliet@capulet.lit'><body>hi</body></message>\
                 <r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/>\0<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>";
    let client = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='capulet.lit'>";
    let login = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>";
    let bind = "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>\
                <enable xmlns='urn:xmpp:sm:3' resume='true'/><message to='juliet@capulet.lit'><body>hi</body></message><r xmlns='urn:xmpp:sm:3'/>\0";
    let login2 = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>AHJvbWVvAHNlY3JldA==</initial-response><bind \
                  xmlns='urn:xmpp:bind:0'><tag>Balcony</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind></authenticate>\
                  <presence/><inactive xmlns='urn:xmpp:csi:0'/></stream:stream>";
    let starttls = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let scram = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1yb21lbyxyPWFiYw==</auth>";
    [
        (0, 0, [server, plain, server, bound, later].concat()),
        (0, 1, [server, plain, server, bound, later].concat()),
        (0, 0, [server, sasl2, later].concat()),
        (2, 0, [server, starttls].concat()),
        (0, 0, [server, "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"].concat()),
        (1, 0, [client, login, client, bind, "</stream:stream>"].concat()),
        (1, 2, [client, login, client, bind].concat()),
        (1, 0, [client, login2].concat()),
        (1, 0, [client, scram].concat()),
        (3, 0, [client, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"].concat()),
    ]
    .into_iter()
    .map(|(side, piece, said)| [&[side, piece], said.as_bytes()].concat())
    .collect()
}
