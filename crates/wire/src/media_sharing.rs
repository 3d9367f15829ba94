//! XEP-0385 Stateless inline media sharing (SIMS), v0.2.1 <https://xmpp.org/extensions/xep-0385.html>
//!
//! Stands inside a [`crate::references::Reference`]. The fields the document asks for are not asked for when reading
//! (decision 31). Written with `file-transfer:5` and `hashes:2`; `:4`, `:3` and `hashes:1` are read.

use crate::element::Element;
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
            if JingleFile::matches_any(child) {
                if share.file.is_some() {
                    return Err(ReadError::new(element, "two files in one share"));
                }
                share.file = Some(JingleFile::read_any(child).map_err(|error| ReadError::new(element, error.why()))?);
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
