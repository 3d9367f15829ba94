//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>
//!
//! The announcement, the request to begin, and its answer; the session itself is Jingle's.

use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled, id, trimmed_text};

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
            id: id(element)?,
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

/// `<start/>`: please begin the session of this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// What was announced.
    pub id: String,
}

impl Payload for Start {
    const NAME: &'static str = "start";
    const NS: &'static str = ns::JINGLE_PUB;

    /// The id is an attribute; the listings of errors have it as text (decision 19).
    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let id = filled(element, "id").map(str::to_owned).or_else(|| trimmed_text(element));
        Ok(Self { id: id.ok_or_else(|| ReadError::new(element, "no id"))? })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("id", &self.id)
    }
}

/// `<starting/>`: it will begin with this session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starting {
    /// Id of the Jingle session.
    pub sid: String,
}

impl Payload for Starting {
    const NAME: &'static str = "starting";
    const NS: &'static str = ns::JINGLE_PUB;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { sid: filled(element, "sid").ok_or_else(|| ReadError::new(element, "no sid"))?.to_owned() })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("sid", &self.sid)
    }
}

/// More applications or languages than anybody offers.
const MAX_CHILDREN: usize = 16;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Result<JinglePub, ReadError> {
        JinglePub::read(&Element::parse(xml).unwrap())
    }

    /// Proves: JPUB-2.1-1, JPUB-2.1-2, JPUB-2.1-3, JPUB-2.1-4.
    #[test]
    fn an_announcement_is_read_and_written_back() {
        let xml = "<jinglepub xmlns='urn:xmpp:jinglepub:1' from='romeo@montague.lit/resource' id='9559976B'><uri>https://a.example/</uri>\
                   <meta xml:lang='en' title='A file'/><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></jinglepub>";
        let session = read(xml).unwrap();
        assert_eq!(session.from.as_ref().map(Jid::as_str), Some("romeo@montague.lit/resource"));
        assert_eq!(session.applications().collect::<Vec<_>>(), [ns::JINGLE_FILE_TRANSFER_5]);
        assert_eq!(session.write(), Element::parse(xml).unwrap());
        let made = JinglePub::new(session.from.unwrap(), "9559976B", ns::JINGLE_FILE_TRANSFER_5);
        assert_eq!(JinglePub::read(&made.write()).unwrap(), made);
    }

    /// Decision 19.
    /// Proves: JPUB-D-2.
    #[test]
    fn without_from_the_sender_is_meant() {
        assert_eq!(read("<jinglepub xmlns='urn:xmpp:jinglepub:1' id='1'/>").unwrap().from, None);
    }

    #[test]
    fn without_an_id_or_with_a_broken_address_it_is_of_no_use() {
        assert!(read("<jinglepub xmlns='urn:xmpp:jinglepub:1' from='a@b'/>").is_err());
        assert!(read("<jinglepub xmlns='urn:xmpp:jinglepub:1' from='a@b' id=''/>").is_err());
        assert!(read("<jinglepub xmlns='urn:xmpp:jinglepub:1' from='@' id='1'/>").is_err());
        let many = "<description xmlns='urn:example'/>".repeat(100);
        let bounded = read(&format!("<jinglepub xmlns='urn:xmpp:jinglepub:1' id='1'>{many}</jinglepub>")).unwrap();
        assert_eq!((bounded.descriptions.len(), bounded.dropped.len()), (MAX_CHILDREN, 100 - MAX_CHILDREN));
    }

    /// Decision 19.
    /// Proves: JPUB-D-2.
    #[test]
    fn a_request_names_the_id_as_attribute_or_as_text() {
        let start = |file: &str| Element::parse(&testing_corpus::example(file).in_stream()).unwrap().payload::<Start>().unwrap().unwrap();
        let asked = start("xep-0358/05-receiver-requests-start-of-session.xml");
        assert_eq!(asked.id, "9559976B-3FBF-4E7E-B457-2DAA225972BB");
        assert_eq!(start("xep-0358/08-sender-denies-because-of-invalid-id.xml"), asked);
        assert_eq!(start("xep-0358/09-sender-denies-because-receiver-is-forbidden.xml"), asked);
        assert!(Start::read(&Element::new("start", ns::JINGLE_PUB)).is_err());
    }

    #[test]
    fn the_answer_names_the_session() {
        let iq = testing_corpus::example("xep-0358/06-sender-accepts-request-to-start-session.xml").in_stream();
        let starting = Element::parse(&iq).unwrap().payload::<Starting>().unwrap().unwrap();
        assert_eq!(starting.sid, "851ba2");
        assert_eq!(Starting::read(&starting.write()).unwrap(), starting);
        assert!(Starting::read(&Element::new("starting", ns::JINGLE_PUB)).is_err());
    }
}
