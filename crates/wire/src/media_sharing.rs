//! XEP-0385 Stateless inline media sharing (SIMS), v0.2.1 <https://xmpp.org/extensions/xep-0385.html>
//!
//! Stands inside a [`crate::references::Reference`]. The fields the document asks for are not asked for when reading
//! (decision 31). Written with `file-transfer:5` and `hashes:2`; `:4`, `:3` and `hashes:1` are read.

use crate::element::Element;
use crate::file_metadata::FileMetadata;
use crate::file_sharing::MAX_SOURCES;
use crate::jingle_file::JingleFile;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, is_xml_space};

/// `<media-sharing/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaSharing {
    /// What is said about the file.
    pub file: Option<JingleFile>,
    /// Where it is, in order; `None` without a `sources` child.
    pub sources: Option<Vec<MediaSource>>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

/// One place a medium can be had from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// `<reference uri=''/>`: any scheme; `xmpp:JID?jingle;id=ID` is a published session ([`crate::xmpp_uri`]).
    Uri(String),
    /// Something else; it keeps its place.
    Unknown(Element),
}

impl MediaSource {
    fn write(&self) -> Element {
        match self {
            Self::Uri(uri) => Element::new("reference", ns::REFERENCE).with_attr("type", "data").with_attr("uri", uri),
            Self::Unknown(element) => element.clone(),
        }
    }
}

impl MediaSharing {
    fn read_sources(element: &Element, dropped: &mut Vec<Dropped>) -> Vec<MediaSource> {
        let mut sources = Vec::new();
        let mut surplus = 0_usize;
        for child in element.children() {
            // COMPAT(Xepher): references inherit the namespace of `sources` (decision 61)
            let is_reference = child.name() == "reference" && (child.ns() == ns::REFERENCE || child.ns() == element.ns());
            if sources.len() == MAX_SOURCES {
                surplus += 1;
            } else if !is_reference {
                sources.push(MediaSource::Unknown(child.clone()));
            } else {
                match child.attr("uri").map(|uri| uri.trim_matches(is_xml_space)).filter(|uri| !uri.is_empty()) {
                    Some(uri) => sources.push(MediaSource::Uri(uri.to_owned())),
                    None => dropped.push(Dropped::new("reference", "no uri")),
                }
            }
        }
        if surplus > 0 {
            dropped.push(Dropped::new(format!("{surplus} sources"), format!("only the first {MAX_SOURCES} are kept")));
        }
        sources
    }
}

impl Payload for MediaSharing {
    const NAME: &'static str = "media-sharing";
    const NS: &'static str = ns::SIMS;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut share = Self::default();
        for child in element.children() {
            // the element of XEP-0446 stands where that of XEP-0234 belongs in what was written by hand: it says the same
            let is_metadata = FileMetadata::matches(child);
            if is_metadata || JingleFile::matches_any(child) {
                if share.file.is_some() {
                    return Err(ReadError::new(element, "two files in one share"));
                }
                let file = if is_metadata { FileMetadata::read(child).map(JingleFile::from) } else { JingleFile::read_any(child) };
                share.file = Some(file.map_err(|error| ReadError::new(element, error.why()))?);
            } else if child.is("sources", ns::SIMS) {
                if share.sources.is_some() {
                    return Err(ReadError::new(element, "two lists of sources"));
                }
                share.sources = Some(Self::read_sources(child, &mut share.dropped));
            } else {
                share.dropped.push(Dropped::unknown(child));
            }
        }
        Ok(share)
    }

    fn write(&self) -> Element {
        let sources =
            self.sources.as_ref().map(|list| Element::new("sources", Self::NS).with_children(list.iter().map(MediaSource::write)));
        Self::element().with_child_opt(self.file.as_ref().map(Payload::write)).with_child_opt(sources)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::references::Reference;

    fn read(children: &str) -> Result<MediaSharing, ReadError> {
        MediaSharing::read(&Element::parse(&format!("<media-sharing xmlns='urn:xmpp:sims:1'>{children}</media-sharing>")).unwrap())
    }

    fn listing(file: &str) -> MediaSharing {
        let message = Element::parse(&testing_corpus::example(file).in_stream()).unwrap();
        message.payload::<Reference>().unwrap().unwrap().media_sharing.unwrap()
    }

    const FILE: &str = "<file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><name>a.jpg</name></file>";

    /// Proves: SIMS-4.1-1, SIMS-4.1-4.
    #[test]
    fn the_listing_is_read_and_written_back() {
        let share = listing("repaired/xep-0385-01-sharing-an-image-with-a-contact.xml");
        assert_eq!(share.file.as_ref().unwrap().metadata.name.as_deref(), Some("summit.jpg"));
        let sources = share.sources.as_ref().unwrap();
        assert!(matches!(&sources[..], [MediaSource::Uri(web), MediaSource::Uri(session)]
            if web.starts_with("https://download.montague.lit/") && session.starts_with("xmpp:romeo@montague.lit/resource?jingle;id=")));
        assert_eq!(MediaSharing::read(&share.write()).unwrap(), share);
    }

    /// Decisions 2 and 22.
    /// Proves: SIMS-D-1.
    #[test]
    fn the_first_version_had_hex_hashes_and_file_transfer_4() {
        let share = listing("seeds/000-sims-listing1.xml");
        let file = &share.file.as_ref().unwrap().metadata;
        assert!(file.hashes.iter().all(crate::hashes::Hash::is_usable));
        assert_eq!(share.write().children().next().map(Element::ns), Some(ns::JINGLE_FILE_TRANSFER_5));
    }

    #[test]
    fn old_cheogram_says_file_transfer_3_and_schema_org() {
        let share = read(
            "<file xmlns='urn:xmpp:jingle:apps:file-transfer:3'><name>a.jpg</name><size>7</size>\
             <width xmlns='https://schema.org/'>640</width></file><sources/>",
        );
        let file = share.unwrap().file.unwrap().metadata;
        assert_eq!((file.size, file.width), (Some(7), Some(640)));
    }

    /// Decision 61.
    #[test]
    fn xepher_lets_references_inherit_the_namespace() {
        let share = read(&format!("{FILE}<sources><reference type='data' uri='https://a.example/a.jpg'/></sources>")).unwrap();
        assert_eq!(share.sources.unwrap(), [MediaSource::Uri("https://a.example/a.jpg".to_owned())]);
    }

    /// Decision 31.
    /// Proves: SIMS-D-2.
    #[test]
    fn nothing_is_asked_for() {
        let share = read("").unwrap();
        assert_eq!((share.file, share.sources), (None, None));
        let odd =
            read("<x xmlns='urn:example'/><sources><reference xmlns='urn:xmpp:reference:0'/><y xmlns='urn:example'/></sources>").unwrap();
        assert!(matches!(&odd.sources.unwrap()[..], [MediaSource::Unknown(element)] if element.name() == "y"));
        assert_eq!(odd.dropped.len(), 2);
    }

    #[test]
    fn a_share_that_contradicts_itself_is_refused_and_a_huge_one_cut() {
        assert!(read(&format!("{FILE}{FILE}")).is_err());
        assert!(read("<sources/><sources/>").is_err());
        let hash = |byte: u8| format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>{}</hash>", crate::base64::encode([byte; 20]));
        let two = format!("<file xmlns='urn:xmpp:jingle:apps:file-transfer:5'>{}{}</file>", hash(1), hash(2));
        assert!(read(&two).is_err());
        let many = "<reference uri='https://a.example/'/>".repeat(100);
        assert_eq!(read(&format!("<sources>{many}</sources>")).unwrap().sources.unwrap().len(), MAX_SOURCES);
    }
}
