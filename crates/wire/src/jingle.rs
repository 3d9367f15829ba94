//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//! Status: partial: the frame of a session and the files in it.
//!
//! Transports, reasons and everything else are kept as they came. A `file-transfer:4` that was read is written as `:5`.

use crate::element::Element;
use crate::jid::Jid;
use crate::jingle_file::JingleFile;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled};

/// `<jingle/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jingle {
    /// What happens to the session, as written: `session-initiate`, `session-info`, …
    pub action: String,
    /// Id of the session, which only means something together with the peer.
    pub sid: String,
    /// Who began it.
    pub initiator: Option<Jid>,
    /// Who answers.
    pub responder: Option<Jid>,
    /// What it is about.
    pub contents: Vec<Content>,
    /// Other children, as they came.
    pub others: Vec<Element>,
}

/// `<content/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Who made it, as written.
    pub creator: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Who sends, as written; without it both do. This, not `creator`, says in which direction a file goes.
    pub senders: Option<String>,
    /// What is sent.
    pub description: Option<Description>,
    /// Transport, security and the like, as they came.
    pub others: Vec<Element>,
}

/// `<description/>`: an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    /// A file, of `file-transfer:5` or `:4`.
    File(Box<FileDescription>),
    /// Something else, as it came.
    Other(Element),
}

/// `<description/>` of a file transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDescription {
    /// The file; an offer without one means nothing, yet is no reason to refuse the rest.
    pub file: Option<JingleFile>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

impl Jingle {
    /// The files of the contents, with the content each stands in.
    pub fn files(&self) -> impl Iterator<Item = (&Content, &JingleFile)> {
        self.contents.iter().filter_map(|content| match &content.description {
            Some(Description::File(description)) => description.file.as_ref().map(|file| (content, file)),
            _ => None,
        })
    }
}

impl FileDescription {
    fn matches(element: &Element) -> bool {
        element.name() == "description" && matches!(element.ns(), ns::JINGLE_FILE_TRANSFER_5 | ns::JINGLE_FILE_TRANSFER_4)
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        let mut read = Self::default();
        for child in element.children() {
            match JingleFile::matches(child) {
                true if read.file.is_some() => return Err(ReadError::new(element, "two files in one description")),
                true => read.file = Some(JingleFile::read(child)?),
                false => read.dropped.push(Dropped::unknown(child)),
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        Element::new("description", ns::JINGLE_FILE_TRANSFER_5).with_child_opt(self.file.as_ref().map(Payload::write))
    }
}

impl Content {
    fn read(element: &Element) -> Result<Self, ReadError> {
        let own = |attribute| filled(element, attribute).map(str::to_owned);
        let mut read = Self { creator: own("creator"), name: own("name"), senders: own("senders"), ..Self::default() };
        for child in element.children() {
            match child.name() {
                "description" if read.description.is_none() => {
                    read.description = Some(match FileDescription::matches(child) {
                        true => Description::File(Box::new(FileDescription::read(child)?)),
                        false => Description::Other(child.clone()),
                    });
                }
                _ => read.others.push(child.clone()),
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        let description = self.description.as_ref().map(|description| match description {
            Description::File(description) => description.write(),
            Description::Other(element) => element.clone(),
        });
        Element::new("content", ns::JINGLE)
            .with_attr_opt("creator", self.creator.as_deref())
            .with_attr_opt("name", self.name.as_deref())
            .with_attr_opt("senders", self.senders.as_deref())
            .with_child_opt(description)
            .with_children(self.others.iter().cloned())
    }
}

impl Payload for Jingle {
    const NAME: &'static str = "jingle";
    const NS: &'static str = ns::JINGLE;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let address = |attribute| {
            let jid = filled(element, attribute).map(Jid::from_server).transpose();
            jid.map_err(|error| ReadError::new(element, format!("{attribute}: {error}")))
        };
        let required = |attribute| filled(element, attribute).ok_or_else(|| ReadError::new(element, format!("no {attribute}")));
        let mut read = Self {
            action: required("action")?.to_owned(),
            sid: required("sid")?.to_owned(),
            initiator: address("initiator")?,
            responder: address("responder")?,
            ..Self::default()
        };
        for child in element.children() {
            if !child.is("content", ns::JINGLE) {
                read.others.push(child.clone());
            } else if read.contents.len() < MAX_CONTENTS {
                read.contents.push(Content::read(child)?);
            } else {
                return Err(ReadError::new(element, format!("more than {MAX_CONTENTS} contents")));
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("action", &self.action)
            .with_attr("sid", &self.sid)
            .with_attr_opt("initiator", self.initiator.as_ref().map(Jid::as_str))
            .with_attr_opt("responder", self.responder.as_ref().map(Jid::as_str))
            .with_children(self.contents.iter().map(Content::write))
            .with_children(self.others.iter().cloned())
    }
}

/// More contents than any session has.
const MAX_CONTENTS: usize = 64;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(attributes: &str, children: &str) -> Result<Jingle, ReadError> {
        Jingle::read(&Element::parse(&format!("<jingle xmlns='urn:xmpp:jingle:1' {attributes}>{children}</jingle>")).unwrap())
    }

    fn offer(file: &str, version: u8) -> Jingle {
        let description = format!("<description xmlns='urn:xmpp:jingle:apps:file-transfer:{version}'><file>{file}</file></description>");
        let content = format!("<content creator='initiator' name='f' senders='initiator'>{description}</content>");
        read("action='session-initiate' sid='851ba2' initiator='romeo@montague.lit/r'", &content).unwrap()
    }

    #[test]
    fn the_listing_of_an_offer_holds_a_file() {
        let iq = Element::parse(&testing_corpus::example("xep-0234/01-initiator-sends-session-initiate.xml").in_stream()).unwrap();
        let jingle = iq.payload::<Jingle>().unwrap().unwrap();
        let (content, file) = jingle.files().next().unwrap();
        assert_eq!((content.name.as_deref(), content.senders.as_deref()), (Some("a-file-offer"), Some("initiator")));
        assert_eq!((file.metadata.name.as_deref(), file.range.is_some()), (Some("test.txt"), true));
        assert_eq!(content.others[0].name(), "transport");
        assert_eq!(Jingle::read(&jingle.write()).unwrap(), jingle);
    }

    #[test]
    fn dino_offers_without_a_hash_and_conversations_in_camel_case() {
        let dino = offer("<name>a.jpg</name><size>7</size>", 5);
        assert_eq!(dino.files().next().unwrap().1.metadata.hashes, []);
        let conversations = offer("<name>a.jpg</name><mediaType>image/jpeg</mediaType>", 5);
        assert_eq!(conversations.files().next().unwrap().1.metadata.media_type.as_deref(), Some("image/jpeg"));
    }

    #[test]
    fn libervia_offers_ranges_and_a_hash_still_to_come() {
        let jingle = offer("<name>a</name><range/><hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>", 5);
        let file = jingle.files().next().unwrap().1;
        assert_eq!((file.metadata.hash_used[0].algo.as_str(), file.range.is_some()), ("sha-256", true));
    }

    /// Decision 22.
    #[test]
    fn older_peers_offer_by_version_4_and_announce_hashes_by_empty_ones() {
        let jingle = offer("<name>a</name><hash xmlns='urn:xmpp:hashes:1' algo='sha-1'/>", 4);
        assert_eq!(jingle.files().next().unwrap().1.metadata.hash_used[0].algo, "sha-1");
    }

    #[test]
    fn other_applications_and_children_are_kept_as_they_came() {
        let rtp = "<content name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></content><reason><success/></reason>";
        let jingle = read("action='session-initiate' sid='1'", rtp).unwrap();
        assert!(matches!(jingle.contents[0].description, Some(Description::Other(_))));
        assert_eq!((jingle.files().count(), jingle.others.len()), (0, 1));
        assert_eq!(Jingle::read(&jingle.write()).unwrap(), jingle);
    }

    #[test]
    fn broken_sessions_are_refused() {
        assert!(read("action='session-initiate'", "").is_err());
        assert!(read("sid='1'", "").is_err());
        assert!(read("action='session-initiate' sid='1' initiator='@'", "").is_err());
        assert!(read("action='session-initiate' sid='1'", &"<content/>".repeat(1000)).is_err());
        let two = "<content><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file/><file/></description></content>";
        assert!(read("action='session-initiate' sid='1'", two).is_err());
    }
}
