//! Which prefix means which namespace, by "Namespaces in XML 1.0"; names of namespaces that are known are shared, not copied.

use std::sync::LazyLock;

use rxml::Namespace;
use rxml::strings::CompactString;

use super::FramingError;
use crate::element::XML_NS;
use crate::ns;

/// Declarations that may be in force at once: looking one up stays cheap whatever a peer declares.
pub(super) const MAX_DECLARATIONS: usize = 512;

const XMLNS_NS: &str = "http://www.w3.org/2000/xmlns/";

#[derive(Debug)]
struct Declaration {
    prefix: Option<CompactString>,
    ns: Namespace<'static>,
    depth: usize,
}

/// The declarations in force, innermost last.
#[derive(Debug, Default)]
pub(super) struct Scope {
    declarations: Vec<Declaration>,
    /// A content namespace that is read as `jabber:client`.
    mapped: Option<&'static str>,
}

impl Scope {
    /// From now on `content` (and what inherits it already) is read as `jabber:client`.
    pub(super) fn map_content(&mut self, content: &'static str) {
        self.mapped = Some(content);
        for declaration in &mut self.declarations {
            if &*declaration.ns == content {
                declaration.ns = Namespace::from_str(ns::CLIENT);
            }
        }
    }

    /// Declares a namespace for the element at `depth`; no prefix means the default one.
    pub(super) fn declare(&mut self, prefix: Option<CompactString>, name: String, depth: usize) -> Result<(), FramingError> {
        let wrong = |why: &str| Err(FramingError::NotWellFormed(why.to_owned()));
        match prefix.as_deref() {
            Some("xml") if name == XML_NS => return Ok(()),
            Some("xml" | "xmlns") => return wrong("a reserved prefix is declared anew"),
            _ if name == XML_NS || name == XMLNS_NS => return wrong("a reserved namespace gets another prefix"),
            Some(_) if name.is_empty() => return wrong("a prefix is declared without a namespace"),
            _ => {}
        }
        if self.declarations.iter().rev().take_while(|d| d.depth == depth).any(|d| d.prefix == prefix) {
            return wrong("a prefix is declared twice in one element");
        }
        if self.declarations.len() >= MAX_DECLARATIONS {
            return Err(FramingError::TooManyNamespaces { limit: MAX_DECLARATIONS });
        }
        let ns = if self.mapped.is_some_and(|mapped| mapped == name) { Namespace::from_str(ns::CLIENT) } else { shared(name) };
        self.declarations.push(Declaration { prefix, ns, depth });
        Ok(())
    }

    /// The default namespace, empty if there is none.
    pub(super) fn default_ns(&self) -> Namespace<'static> {
        self.declarations.iter().rev().find(|d| d.prefix.is_none()).map_or(Namespace::NONE, |d| d.ns.clone())
    }

    /// The namespace of a prefix.
    pub(super) fn resolve(&self, prefix: &str) -> Result<Namespace<'static>, FramingError> {
        match prefix {
            "xml" => Ok(Namespace::XML),
            "xmlns" => Err(FramingError::NotWellFormed("xmlns is used as the prefix of a name".to_owned())),
            prefix => {
                let found = self.declarations.iter().rev().find(|d| d.prefix.as_deref() == Some(prefix));
                found.map(|d| d.ns.clone()).ok_or(FramingError::UndeclaredPrefix)
            }
        }
    }

    /// Ends the element at `depth`.
    pub(super) fn leave(&mut self, depth: usize) {
        while self.declarations.last().is_some_and(|d| d.depth >= depth) {
            self.declarations.pop();
        }
    }
}

/// Namespaces that come with almost every stanza: their names are never copied.
const KNOWN: &[&str] = &[
    ns::CLIENT,
    ns::SERVER,
    ns::COMPONENT_ACCEPT,
    ns::STREAM,
    ns::STREAM_ERRORS,
    ns::STANZA_ERRORS,
    ns::TLS,
    ns::SASL,
    ns::BIND,
    ns::ROSTER,
    ns::DATA_FORM,
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::RESULT_SET,
    ns::OOB,
    ns::URL_DATA,
    ns::CAPS,
    ns::CAPS2,
    ns::SM,
    ns::PING,
    ns::DELAY,
    ns::BOB,
    ns::JINGLE_FILE_TRANSFER_5,
    ns::THUMBS_1,
    ns::CARBONS,
    ns::FORWARD,
    ns::HASHES_2,
    ns::MAM,
    ns::HINTS,
    ns::CSI,
    ns::STANZA_ID,
    ns::UPLOAD,
    ns::ATTACHING,
    ns::REFERENCE,
    ns::SIMS,
    ns::BIND2,
    ns::SASL2,
    ns::OCCUPANT_ID,
    ns::FALLBACK,
    ns::FILE_METADATA,
    ns::SFS,
    ns::ESFS,
    "http://jabber.org/protocol/muc",
    "http://jabber.org/protocol/muc#user",
    "http://jabber.org/protocol/pubsub",
    "http://jabber.org/protocol/pubsub#event",
    "http://jabber.org/protocol/chatstates",
    "urn:xmpp:chat-markers:0",
    "urn:xmpp:receipts",
    ns::JINGLE,
    ns::JINGLE_FILE_TRANSFER_5,
    ns::JINGLE_S5B,
    ns::JINGLE_IBB,
    ns::BYTESTREAMS,
    ns::IBB,
    "vcard-temp",
    "vcard-temp:x:update",
    "eu.siacs.conversations.axolotl",
];

fn shared(name: String) -> Namespace<'static> {
    static SORTED: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let mut sorted = KNOWN.to_vec();
        sorted.sort_unstable_by_key(|known| (known.len(), *known));
        sorted
    });
    match SORTED.binary_search_by_key(&(name.len(), name.as_str()), |known| (known.len(), *known)) {
        Ok(at) => Namespace::from_str(SORTED[at]),
        Err(_) => Namespace::from(name),
    }
}
