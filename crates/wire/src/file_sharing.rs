//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>
//!
//! A file that is offered, and the places it can be had from; or further places for a file offered earlier ([`Sources`]).
//! A share that contradicts itself (two `file`, two `sources`, two values of one hash) cannot be read at all (decision 60).

use crate::element::Element;
use crate::encrypted_source::EncryptedSource;
use crate::file_metadata::FileMetadata;
use crate::jingle_file::JingleFile;
use crate::jingle_pub::JinglePub;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled};
use crate::url_data::UrlData;

/// `<file-sharing/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSharing {
    /// Names the share within its message; needed when there are several.
    pub id: Option<String>,
    /// How it wants to be shown; an unknown value counts as none (decision 13).
    pub disposition: Option<Disposition>,
    /// What is said about the file.
    pub file: Option<FileMetadata>,
    /// Where it is, in order; `None` without a `sources` child. None and empty both mean: still to come (decision 55).
    pub sources: Option<Vec<SourceElement>>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

/// How a file wants to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// To be saved; never fetched unasked.
    Attachment,
    /// To be shown in place.
    Inline,
}

impl Disposition {
    /// The attribute value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attachment => "attachment",
            Self::Inline => "inline",
        }
    }

    /// Reads the attribute value.
    pub fn from_attribute(text: &str) -> Option<Self> {
        match text {
            "attachment" => Some(Self::Attachment),
            "inline" => Some(Self::Inline),
            _ => None,
        }
    }
}

/// One place a file can be had from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceElement {
    /// A URL.
    Url(UrlData),
    /// Encrypted bytes somewhere, and the key.
    Encrypted(EncryptedSource),
    /// A session that somebody starts when asked.
    JinglePub(JinglePub),
    /// A kind that nobody here knows; it keeps its place (decision 56).
    Unknown(Element),
}

impl SourceElement {
    /// Reads one child of `sources`. `parent_ns` is the namespace of `sources`: some senders let its children inherit it (decision 61).
    ///
    /// # Errors
    /// When a known kind lacks what it cannot do without.
    fn read(element: &Element, parent_ns: &str) -> Result<Self, ReadError> {
        let inherited = element.ns() == parent_ns;
        match element.name() {
            UrlData::NAME if inherited || element.ns() == UrlData::NS => UrlData::read_inherited(element).map(Self::Url),
            JinglePub::NAME if inherited || element.ns() == JinglePub::NS => JinglePub::read_inherited(element).map(Self::JinglePub),
            EncryptedSource::NAME if inherited || element.ns() == EncryptedSource::NS => {
                EncryptedSource::read_inherited(element).map(Self::Encrypted)
            }
            _ => Ok(Self::Unknown(element.clone())),
        }
    }

    fn write(&self) -> Element {
        match self {
            Self::Url(source) => source.write(),
            Self::Encrypted(source) => source.write(),
            Self::JinglePub(source) => source.write(),
            Self::Unknown(element) => element.clone(),
        }
    }
}

impl From<UrlData> for SourceElement {
    fn from(source: UrlData) -> Self {
        Self::Url(source)
    }
}

impl From<JinglePub> for SourceElement {
    fn from(source: JinglePub) -> Self {
        Self::JinglePub(source)
    }
}

impl From<EncryptedSource> for SourceElement {
    fn from(source: EncryptedSource) -> Self {
        Self::Encrypted(source)
    }
}

/// Sources of one list that are kept (decision 56).
pub const MAX_SOURCES: usize = 64;

/// Reads the children of a `sources` element, in order.
pub(crate) fn read_sources(element: &Element, dropped: &mut Vec<Dropped>) -> Vec<SourceElement> {
    let mut sources = Vec::new();
    let mut surplus = 0_usize;
    for child in element.children() {
        if sources.len() == MAX_SOURCES {
            surplus += 1;
            continue;
        }
        match SourceElement::read(child, element.ns()) {
            Ok(source) => sources.push(source),
            Err(error) => dropped.push(Dropped::new(child.name(), error.why())),
        }
    }
    if surplus > 0 {
        dropped.push(Dropped::new(format!("{surplus} sources"), format!("only the first {MAX_SOURCES} are kept")));
    }
    sources
}

/// `<sources/>` in the namespace of XEP-0447.
pub(crate) fn write_sources(sources: &[SourceElement]) -> Element {
    Element::new(Sources::NAME, Sources::NS).with_children(sources.iter().map(SourceElement::write))
}

impl Payload for FileSharing {
    const NAME: &'static str = "file-sharing";
    const NS: &'static str = ns::SFS;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut share = Self { id: filled(element, "id").map(str::to_owned), ..Self::default() };
        if let Some(text) = element.attr("disposition") {
            share.disposition = Disposition::from_attribute(text);
            if share.disposition.is_none() {
                share.dropped.push(Dropped::new("disposition", "unknown value"));
            }
        }
        for child in element.children() {
            // the element of XEP-0234, which says the same, is taken for it: nothing else can be meant
            let is_jingle = JingleFile::matches(child);
            if is_jingle || FileMetadata::matches(child) {
                if share.file.is_some() {
                    return Err(ReadError::new(element, "two files in one share"));
                }
                let file = if is_jingle { JingleFile::read(child).map(|file| file.metadata) } else { FileMetadata::read(child) };
                share.file = Some(file.map_err(|error| ReadError::new(element, error.why()))?);
            } else if Sources::matches(child) {
                if share.sources.is_some() {
                    return Err(ReadError::new(element, "two lists of sources"));
                }
                share.sources = Some(read_sources(child, &mut share.dropped));
            } else {
                share.dropped.push(Dropped::unknown(child));
            }
        }
        Ok(share)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("disposition", self.disposition.map(Disposition::as_str))
            .with_attr_opt("id", self.id.as_deref())
            .with_child_opt(self.file.as_ref().map(Payload::write))
            .with_child_opt(self.sources.as_deref().map(write_sources))
    }
}

/// `<sources/>` in a message of its own: further places for a file that another message offers ([`crate::attaching`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Id of the share they belong to.
    pub id: Option<String>,
    /// The places, in order.
    pub sources: Vec<SourceElement>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

impl Payload for Sources {
    const NAME: &'static str = "sources";
    const NS: &'static str = ns::SFS;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut dropped = Vec::new();
        let sources = read_sources(element, &mut dropped);
        Ok(Self { id: filled(element, "id").map(str::to_owned), sources, dropped })
    }

    fn write(&self) -> Element {
        write_sources(&self.sources).with_attr_opt("id", self.id.as_deref())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(children: &str) -> Result<FileSharing, ReadError> {
        FileSharing::read(&Element::parse(&format!("<file-sharing xmlns='urn:xmpp:sfs:0'>{children}</file-sharing>")).unwrap())
    }

    const FILE: &str = "<file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name></file>";
    const URL: &str = "<url-data xmlns='http://jabber.org/protocol/url-data' target='https://a.example/a.jpg'/>";

    fn example(file: &str) -> Element {
        Element::parse(&testing_corpus::example(file).in_stream()).unwrap()
    }

    /// Proves: SFS-3.1-2, SFS-3.1-3, SFS-3.1-4, SFS-3.1-5.
    #[test]
    fn the_listing_has_metadata_and_two_sources_in_order() {
        let message = example("xep-0447/01-sharing-summit-jpg-with-juliet-shakespeare-lit.xml");
        let share = message.payload::<FileSharing>().unwrap().unwrap();
        assert_eq!((share.disposition, share.id.as_deref()), (Some(Disposition::Inline), None));
        assert_eq!(share.file.as_ref().unwrap().size, Some(3_032_449));
        let sources = share.sources.as_ref().unwrap();
        assert!(matches!(&sources[..], [SourceElement::Url(_), SourceElement::JinglePub(_)]));
        assert_eq!(share.dropped, []);
        assert_eq!(FileSharing::read(&share.write()).unwrap(), share);
    }

    #[test]
    fn attached_sources_are_read_and_written_back() {
        let message = example("xep-0447/05-2-sharing-a-file-and-attaching-the-primary-source-for-the-file.xml");
        let sources = message.payload::<Sources>().unwrap().unwrap();
        assert_eq!((sources.id.as_deref(), sources.sources.len()), (Some("file-sharing-id"), 1));
        assert_eq!(Sources::read(&sources.write()).unwrap(), sources);
    }

    #[test]
    fn dino_shares_first_and_says_where_later() {
        assert_eq!(read(FILE).unwrap().sources, None);
    }

    /// Decision 55.
    #[test]
    fn moxxy_wants_sources_even_when_there_are_none() {
        assert_eq!(read(&format!("{FILE}<sources/>")).unwrap().sources, Some(Vec::new()));
    }

    #[test]
    fn slixmpp_puts_sources_before_the_file() {
        let share = read(&format!("<sources>{URL}</sources>{FILE}")).unwrap();
        assert_eq!((share.sources.unwrap().len(), share.file.is_some()), (1, true));
    }

    #[test]
    fn libervia_gives_neither_hash_nor_disposition() {
        let share = read(&format!("{FILE}<sources>{URL}</sources>")).unwrap();
        assert_eq!((share.disposition, share.file.unwrap().hashes.len()), (None, 0));
    }

    /// Decision 61.
    #[test]
    fn xepher_lets_sources_inherit_namespaces() {
        let xml = "<file-sharing xmlns='urn:xmpp:sfs:0'><sources xmlns='urn:xmpp:sfs:0'><url-data target='https://a.example/1'/>\
                   <jinglepub id='1'/></sources></file-sharing>";
        let share = FileSharing::read(&Element::parse(xml).unwrap()).unwrap();
        assert!(matches!(&share.sources.unwrap()[..], [SourceElement::Url(_), SourceElement::JinglePub(_)]));
    }

    /// Decision 56.
    /// Proves: SFS-3.2-12.
    #[test]
    fn unknown_kinds_of_sources_keep_their_place() {
        let share = read(&format!("{FILE}<sources><torrent xmlns='urn:example' magnet='x'/>{URL}</sources>")).unwrap();
        let sources = share.sources.as_ref().unwrap();
        assert!(matches!(&sources[..], [SourceElement::Unknown(element), SourceElement::Url(_)] if element.ns() == "urn:example"));
        assert_eq!(FileSharing::read(&share.write()).unwrap(), share);
    }

    /// Decision 13.
    #[test]
    fn an_unknown_disposition_counts_as_none() {
        let element = FileSharing::element().with_attr("disposition", "sideways").with_attr("id", "");
        let share = FileSharing::read(&element).unwrap();
        assert_eq!((share.disposition, share.id, share.dropped.len()), (None, None, 1));
    }

    #[test]
    fn a_share_that_contradicts_itself_is_refused() {
        assert!(read(&format!("{FILE}{FILE}")).is_err());
        assert!(read(&format!("{FILE}<sources>{URL}</sources><sources/>")).is_err());
        assert!(read("").is_ok());
        assert!(FileSharing::read(&Element::new("file-sharing", "urn:xmpp:sfs:1")).is_err());
    }

    #[test]
    fn a_broken_source_costs_only_itself() {
        let share =
            read(&format!("{FILE}<x xmlns='urn:example'/><sources><url-data xmlns='http://jabber.org/protocol/url-data'/>{URL}</sources>"));
        let share = share.unwrap();
        assert_eq!((share.sources.unwrap().len(), share.dropped.len()), (1, 2));
    }

    /// Decision 56.
    #[test]
    fn hostile_numbers_of_sources_stay_bounded() {
        let share = read(&format!("{FILE}<sources>{}</sources>", URL.repeat(1000))).unwrap();
        assert_eq!(share.sources.unwrap().len(), MAX_SOURCES);
        assert_eq!(share.dropped, [Dropped::new("936 sources", "only the first 64 are kept")]);
    }
}
