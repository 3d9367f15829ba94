//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>
//! Status: partial: the announcement and its answers; the session itself is Jingle's.

use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled, trimmed_text};

/// `<jinglepub/>`: somebody will start a session for whoever asks with this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JinglePub {
    /// Whom to ask; without it the sender of the stanza is meant (decision 19).
    pub from: Option<Jid>,
    /// What to ask for.
    pub id: String,
    /// Another way to the content.
    pub uri: Option<String>,
    /// `meta` elements, as they came.
    pub metas: Vec<Element>,
    /// `description` elements of the applications, as they came.
    pub descriptions: Vec<Element>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

impl JinglePub {
    /// A session of one application.
    pub fn new(from: Jid, id: impl Into<String>, application: &'static str) -> Self {
        let descriptions = vec![Element::new("description", application)];
        Self { from: Some(from), id: id.into(), uri: None, metas: Vec::new(), descriptions, dropped: Vec::new() }
    }

    /// Namespaces of the applications offered.
    pub fn applications(&self) -> impl Iterator<Item = &str> {
        self.descriptions.iter().map(Element::ns)
    }

    /// As [`Payload::read`] but by local name alone: for parents whose namespace their children inherited (decision 61).
    pub(crate) fn read_inherited(element: &Element) -> Result<Self, ReadError> {
        let from = element.attr("from").map(Jid::from_server).transpose();
        let mut read = Self {
            from: from.map_err(|error| ReadError::new(element, error.to_string()))?,
            id: filled(element, "id").ok_or_else(|| ReadError::new(element, "no id"))?.to_owned(),
            uri: None,
            metas: Vec::new(),
            descriptions: Vec::new(),
            dropped: Vec::new(),
        };
        for child in element.children() {
            match child.name() {
                "description" if read.descriptions.len() < MAX_CHILDREN => read.descriptions.push(child.clone()),
                "meta" if child.ns() == element.ns() && read.metas.len() < MAX_CHILDREN => read.metas.push(child.clone()),
                "uri" if child.ns() == element.ns() && read.uri.is_none() => read.uri = trimmed_text(child),
                _ => read.dropped.push(Dropped::unknown(child)),
            }
        }
        Ok(read)
    }
}

impl Payload for JinglePub {
    const NAME: &'static str = "jinglepub";
    const NS: &'static str = ns::JINGLE_PUB;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Self::read_inherited(element)
    }

    fn write(&self) -> Element {
        let uri = self.uri.as_ref().map(|uri| Element::new("uri", Self::NS).with_text(uri));
        Self::element()
            .with_attr_opt("from", self.from.as_ref().map(Jid::as_str))
            .with_attr("id", &self.id)
            .with_child_opt(uri)
            .with_children(self.metas.iter().cloned())
            .with_children(self.descriptions.iter().cloned())
    }
}

/// More applications or languages than anybody offers.
const MAX_CHILDREN: usize = 16;
