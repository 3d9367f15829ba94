//! Stanzas as people keep them in files: without the namespace of the stream they came from, with comments, with a head.
//!
//! For tools that explain a stanza. What comes over a stream is never read this way: XMPP forbids comments (RFC 6120 §11.1).

use std::borrow::Cow;

use crate::element::Element;
use crate::framing::FramingError;
use crate::ns;

impl Element {
    /// Reads one XML document from a file: comments and white space around it are skipped, and a root without a
    /// namespace, or with that of another kind of stream, is taken for one of a client's stream.
    ///
    /// # Errors
    /// As [`Element::parse`].
    pub fn parse_listing(text: &str) -> Result<Self, FramingError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut element = Self::parse(without_comments(text).trim())?;
        if let "" | ns::SERVER | ns::COMPONENT_ACCEPT = element.ns() {
            let content = element.ns().to_owned();
            element.rename_ns(&content, ns::CLIENT);
        }
        Ok(element)
    }
}

/// The text without comments; those inside CDATA sections are text. An unclosed comment is left for the parser to refuse.
fn without_comments(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("<!") {
        let (before, behind) = rest.split_at(at);
        let (end, keep) = match (behind.starts_with("<!--"), behind.starts_with("<![CDATA[")) {
            (true, _) => (behind.get(4..).and_then(|inside| inside.find("-->")).map(|end| end + 7), false),
            (_, true) => (behind.find("]]>").map(|end| end + 3), true),
            _ => (None, true),
        };
        let Some(end) = end else { break };
        kept.push_str(before);
        kept.push_str(if keep { &behind[..end] } else { "" });
        rest = &behind[end..];
    }
    if rest.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(kept + rest) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_read_from_its_file() {
        for example in testing_corpus::examples() {
            let read = Element::parse_listing(&example.xml).unwrap_or_else(|error| panic!("{}: {error}", example.file));
            assert!(!read.ns().is_empty(), "{}", example.file);
        }
        for (file, xml, _) in testing_corpus::broken() {
            assert!(Element::parse_listing(&xml).is_err(), "{file}");
        }
    }

    #[test]
    fn comments_are_skipped_and_cdata_is_text() {
        let read = Element::parse_listing(
            "\u{feff}<?xml version='1.0'?>\n<!-- a -->\n<message><body>a<!-- <b> -->b<![CDATA[<!-- c -->]]></body></message>\n",
        )
        .unwrap();
        assert_eq!(read.child("body", ns::CLIENT).unwrap().text(), "ab<!-- c -->");
    }

    #[test]
    fn stanzas_of_other_streams_are_taken_for_those_of_clients_and_other_namespaces_kept() {
        let read = Element::parse_listing("<message xmlns='jabber:server'><body/><x xmlns='jabber:x:oob'/></message>").unwrap();
        assert_eq!(read.children().map(Element::ns).chain([read.ns()]).collect::<Vec<_>>(), [ns::CLIENT, ns::OOB, ns::CLIENT]);
        assert_eq!(Element::parse_listing("<file xmlns='urn:xmpp:file:metadata:0'/>").unwrap().ns(), ns::FILE_METADATA);
    }

    #[test]
    fn what_xmpp_forbids_otherwise_is_refused() {
        for text in ["", "<!-- a", "<a><!-- b</a>", "<!DOCTYPE a><a/>", "<a/><b/>", "<!", "<a><![CDATA[</a>", "<!-->--><a/>x"] {
            assert!(Element::parse_listing(text).is_err(), "{text}");
        }
    }
}
