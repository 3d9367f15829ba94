//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>
//!
//! The `file` element: here in sessions ([`crate::jingle`]), and in the shares of XEP-0385. Written in `file-transfer:5`, inside a
//! session in the version the session speaks; `:4` is read everywhere and `:3` inside `media-sharing` (decisions 22, 51).

use crate::element::Element;
use crate::file_metadata::FileMetadata;
use crate::hashes::{Hash, HashUsed};
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, number};

/// A version of Jingle file transfer that is spoken here. Ordered: the later is more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// `file-transfer:4`: hashes are hex, and one still to come is an empty `hash` (decision 22).
    V4,
    /// `file-transfer:5`
    #[default]
    V5,
}

impl Version {
    /// Its namespace, which is its disco feature too.
    #[must_use]
    pub fn ns(self) -> &'static str {
        match self {
            Self::V4 => ns::JINGLE_FILE_TRANSFER_4,
            Self::V5 => ns::JINGLE_FILE_TRANSFER_5,
        }
    }

    /// The version of a namespace.
    #[must_use]
    pub fn of(ns: &str) -> Option<Self> {
        [Self::V4, Self::V5].into_iter().find(|version| version.ns() == ns)
    }
}

/// `<file/>` of Jingle file transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JingleFile {
    /// What is said about the file.
    pub metadata: FileMetadata,
    /// The part that is meant, or an empty one: "ranges are understood".
    pub range: Option<FileRange>,
}

/// `<range/>`: a part of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRange {
    /// First byte; 0 if not said.
    pub offset: Option<u64>,
    /// Bytes; to the end if not said.
    pub length: Option<u64>,
    /// Hashes of that part.
    pub hashes: Vec<Hash>,
}

impl FileRange {
    fn read(element: &Element, dropped: &mut Vec<Dropped>) -> Self {
        let mut field = |name: &str| {
            let text = element.attr(name)?;
            let value = number(text);
            if value.is_none() {
                dropped.push(Dropped::new(format!("range {name}"), "not a number"));
            }
            value
        };
        let (offset, length) = (field("offset"), field("length"));
        let hashes =
            element.children().filter(|child| Hash::matches(child)).filter_map(|child| Hash::read(child).ok()).take(MAX_HASHES).collect();
        Self { offset, length, hashes }
    }

    fn write_in(&self, version: Version) -> Element {
        let hash = |hash: &Hash| if version == Version::V4 { old_hash(hash) } else { hash.write() };
        Element::new("range", version.ns())
            .with_attr_opt("offset", self.offset.map(|offset| offset.to_string()))
            .with_attr_opt("length", self.length.map(|length| length.to_string()))
            .with_children(self.hashes.iter().map(hash))
    }
}

/// A hash as version 4 has it.
fn old_hash(hash: &Hash) -> Element {
    let mut element = Element::new(Hash::NAME, ns::HASHES_1);
    match hash.digest() {
        Some(digest) => element.with_attr("algo", digest.algo().name()).with_text(digest.to_hex()),
        None => {
            element = hash.write();
            element.rename_ns(ns::HASHES_2, ns::HASHES_1);
            element
        }
    }
}

/// More hashes than there are algorithms help nobody.
const MAX_HASHES: usize = 32;

impl From<FileMetadata> for JingleFile {
    fn from(metadata: FileMetadata) -> Self {
        Self { metadata, range: None }
    }
}

impl JingleFile {
    /// Whether `element` is a `file` of `:5`, `:4` or `:3`; the last only counts inside `media-sharing`.
    pub(crate) fn matches_any(element: &Element) -> bool {
        Self::matches(element) || element.is(Self::NAME, ns::JINGLE_FILE_TRANSFER_3)
    }

    /// Writes the element as a version has it.
    #[must_use]
    pub fn write_in(&self, version: Version) -> Element {
        let mut element = Element::new(Self::NAME, version.ns());
        self.metadata.write_fields(&mut element, version.ns());
        if version == Version::V4 {
            let is_hash = |child: &Element| Hash::matches(child) || HashUsed::matches(child);
            element.take_children(is_hash);
            element.extend(self.metadata.hashes.iter().filter(|hash| !hash.is_announcement()).map(old_hash));
            let empty = |used: &HashUsed| Element::new(Hash::NAME, ns::HASHES_1).with_attr("algo", &used.algo);
            element.extend(self.metadata.hash_used.iter().map(empty));
        }
        element.with_child_opt(self.range.as_ref().map(|range| range.write_in(version)))
    }

    pub(crate) fn read_any(element: &Element) -> Result<Self, ReadError> {
        let mut range_element = None;
        let mut metadata = FileMetadata::read_fields_and(element, |child| {
            let is_range = child.name() == "range" && range_element.is_none();
            if is_range {
                range_element = Some(child.clone());
            }
            is_range
        })?;
        let range = range_element.map(|range| FileRange::read(&range, &mut metadata.dropped));
        Ok(Self { metadata, range })
    }
}

impl Payload for JingleFile {
    const NAME: &'static str = "file";
    const NS: &'static str = ns::JINGLE_FILE_TRANSFER_5;

    fn matches(element: &Element) -> bool {
        element.name() == Self::NAME && matches!(element.ns(), ns::JINGLE_FILE_TRANSFER_5 | ns::JINGLE_FILE_TRANSFER_4)
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Self::read_any(element)
    }

    /// Pixels and length have no place in this element and are left out.
    fn write(&self) -> Element {
        self.write_in(Version::V5)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn file(ns: &str, children: &str) -> Element {
        Element::parse(&format!("<file xmlns='{ns}'>{children}</file>")).unwrap()
    }

    #[test]
    fn an_offer_says_that_ranges_are_understood() {
        let element = file(ns::JINGLE_FILE_TRANSFER_5, "<name>test.txt</name><range/><size>6144</size>");
        let read = JingleFile::read(&element).unwrap();
        assert_eq!((read.range.clone(), read.metadata.size), (Some(FileRange::default()), Some(6144)));
        assert_eq!(JingleFile::read(&read.write()).unwrap(), read);
    }

    #[test]
    fn a_range_has_bounds_and_hashes_of_its_own() {
        let hash = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>kHp5RSzW/h7Gm1etSf90Mr5PC/k=</hash>";
        let read =
            JingleFile::read(&file(ns::JINGLE_FILE_TRANSFER_5, &format!("<range offset='2048' length='1024'>{hash}</range>"))).unwrap();
        let range = read.range.clone().unwrap();
        assert_eq!((range.offset, range.length, range.hashes.len()), (Some(2048), Some(1024), 1));
        assert_eq!(read.metadata.hashes, []);
        assert_eq!(JingleFile::read(&read.write()).unwrap(), read);
        let bad = JingleFile::read(&file(ns::JINGLE_FILE_TRANSFER_5, "<range offset='-1'/><range/>")).unwrap();
        assert_eq!((bad.range.unwrap().offset, bad.metadata.dropped.len()), (None, 2));
    }

    #[test]
    fn movim_still_offers_by_version_4() {
        let hash = "<hash xmlns='urn:xmpp:hashes:1' algo='sha-1'>2fd4e1c67a2d28fced849ee1bb76e7391b93eb12</hash>";
        let used = "<hash xmlns='urn:xmpp:hashes:1' algo='sha-256'/>";
        let element = file(ns::JINGLE_FILE_TRANSFER_4, &format!("<name>a</name><size>1</size>{hash}{used}"));
        let answered = JingleFile::read(&element).unwrap().write_in(Version::V4);
        assert_eq!(answered, element);
        let read = JingleFile::read(&file(ns::JINGLE_FILE_TRANSFER_4, "<name>a</name><size>1</size>")).unwrap();
        assert_eq!(read.metadata.name.as_deref(), Some("a"));
        assert_eq!(read.write().ns(), ns::JINGLE_FILE_TRANSFER_5);
    }

    /// Decision 51.
    #[test]
    fn version_3_counts_inside_shared_media_only() {
        let old = file(ns::JINGLE_FILE_TRANSFER_3, "<name>a</name>");
        assert!(JingleFile::read(&old).is_err() && !JingleFile::matches(&old));
        assert!(JingleFile::matches_any(&old));
        assert_eq!(JingleFile::read_any(&old).unwrap().metadata.name.as_deref(), Some("a"));
    }
}
