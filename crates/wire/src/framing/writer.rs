//! Elements to bytes. Namespaces are declared where they change and nowhere else; elements of the stream itself get the
//! prefix `stream:`. What XML cannot hold (control characters, U+FFFE, U+FFFF) is written as U+FFFD.

use super::StreamHead;
use crate::element::{Attribute, Element, Node, XML_NS};
use crate::ns;

/// Writes `<stream:stream …>` with an XML declaration in front.
pub fn write_open(head: &StreamHead, out: &mut Vec<u8>) {
    let content = if head.content.is_empty() { ns::CLIENT } else { &head.content };
    out.extend_from_slice(b"<?xml version='1.0'?><stream:stream");
    let attributes = [
        ("xmlns", Some(content)),
        ("xmlns:stream", Some(ns::STREAM)),
        ("from", head.from.as_ref().map(|jid| jid.as_str())),
        ("to", head.to.as_ref().map(|jid| jid.as_str())),
        ("id", head.id.as_deref()),
        ("version", head.version.as_deref()),
        ("xml:lang", head.lang.as_deref()),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            write_attribute("", name, value, out);
        }
    }
    out.push(b'>');
}

/// Writes `</stream:stream>`.
pub fn write_close(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</stream:stream>");
}

/// Writes a child of a `jabber:client` stream.
pub fn write_element(element: &Element, out: &mut Vec<u8>) {
    write(element, Context { default: ns::CLIENT, content: None, in_stream: true }, out);
}

/// Writes a child of a stream with another content namespace (`jabber:server`, `jabber:component:accept`): the stanza and
/// those descendants that inherit its namespace get that of the stream; a `jabber:client` deeper down (a forwarded
/// stanza) stays what it is.
pub fn write_element_in(content: &str, element: &Element, out: &mut Vec<u8>) {
    let content = if content.is_empty() { ns::CLIENT } else { content };
    write(element, Context { default: content, content: Some(content), in_stream: true }, out);
}

pub(super) fn write_document(element: &Element, out: &mut Vec<u8>) {
    write(element, Context { default: "", content: None, in_stream: false }, out);
}

/// What holds around an element.
#[derive(Clone, Copy)]
struct Context<'a> {
    /// The default namespace.
    default: &'a str,
    /// What `jabber:client` is to be written as here.
    content: Option<&'a str>,
    /// Whether the prefix `stream` is declared.
    in_stream: bool,
}

fn write(element: &Element, around: Context<'_>, out: &mut Vec<u8>) {
    let mut inside = around;
    let prefix = if around.in_stream && element.ns() == ns::STREAM { "stream:" } else { "" };
    out.push(b'<');
    write_name(prefix, element.name(), out);
    if prefix.is_empty() {
        let own = match around.content {
            Some(content) if element.ns() == ns::CLIENT => content,
            _ => element.ns(),
        };
        if around.content.is_some_and(|content| content != own) {
            inside.content = None;
        }
        if own != around.default {
            inside.default = own;
            write_attribute("", "xmlns", own, out);
        }
    }
    write_attributes(element.attributes(), out);
    if element.nodes().is_empty() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    for node in element.nodes() {
        match node {
            Node::Element(child) => write(child, inside, out),
            Node::Text(text) => escape(text, &IN_TEXT, out),
        }
    }
    out.extend_from_slice(b"</");
    write_name(prefix, element.name(), out);
    out.push(b'>');
}

fn write_name(prefix: &str, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(name.as_bytes());
}

fn write_attributes(attributes: &[Attribute], out: &mut Vec<u8>) {
    for (at, attribute) in attributes.iter().enumerate() {
        match attribute.ns() {
            "" => write_attribute("", attribute.name(), attribute.value(), out),
            XML_NS => write_attribute("xml:", attribute.name(), attribute.value(), out),
            foreign => {
                // One prefix for each namespace, named after the first attribute that needs it.
                let first = attributes.iter().position(|other| other.ns() == foreign).unwrap_or(at);
                if first == at {
                    write_attribute("xmlns:", &format!("a{first}"), foreign, out);
                }
                write_attribute(&format!("a{first}:"), attribute.name(), attribute.value(), out);
            }
        }
    }
}

fn write_attribute(prefix: &str, name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    write_name(prefix, name, out);
    out.extend_from_slice(b"='");
    escape(value, &IN_ATTRIBUTE, out);
    out.push(b'\'');
}

/// For each byte, whether it needs a closer look.
type Special = [bool; 256];

static IN_TEXT: Special = special(b"<>&\r");
static IN_ATTRIBUTE: Special = special(b"<>&'\t\r\n");

const fn special(bytes: &[u8]) -> Special {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 0x20 {
        table[at] = !matches!(at as u8, b'\t' | b'\n');
        at += 1;
    }
    // First byte of U+FFFE and U+FFFF.
    table[0xEF] = true;
    at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
}

fn escape(text: &str, special: &Special, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| special[usize::from(*byte)]) {
        at += found;
        let (replacement, length): (&[u8], usize) = match bytes[at] {
            b'<' => (b"&lt;", 1),
            b'>' => (b"&gt;", 1),
            b'&' => (b"&amp;", 1),
            b'\'' => (b"&apos;", 1),
            b'\t' => (b"&#9;", 1),
            b'\n' => (b"&#10;", 1),
            b'\r' => (b"&#13;", 1),
            0xEF if !matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) => {
                at += 3;
                continue;
            }
            0xEF => ("\u{FFFD}".as_bytes(), 3),
            _ => ("\u{FFFD}".as_bytes(), 1),
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(replacement);
        at += length;
        done = at;
    }
    out.extend_from_slice(&bytes[done..]);
}
