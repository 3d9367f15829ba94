//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>
//!
//! What is told while a session runs (§8): a file arrived, or the hash that was promised.

use super::content::Creator;
use crate::element::Element;
use crate::jingle_file::{JingleFile, Version};
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::filled;

/// What a session is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionInfo {
    /// A file arrived.
    Received(Received),
    /// The hash of a file, or of a part of it.
    Checksum(Box<Checksum>),
    /// Something else, as it came.
    Other(Element),
}

impl SessionInfo {
    pub(super) fn read(element: &Element) -> Result<Self, ReadError> {
        Ok(if Received::matches(element) {
            Self::Received(Received::read(element)?)
        } else if Checksum::matches(element) {
            Self::Checksum(Box::new(Checksum::read(element)?))
        } else {
            Self::Other(element.clone())
        })
    }

    pub(super) fn write(&self) -> Element {
        match self {
            Self::Received(received) => received.write(),
            Self::Checksum(checksum) => checksum.write(),
            Self::Other(element) => element.clone(),
        }
    }
}

/// `<received/>`: everything of a content is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The version it came in, and is written in.
    pub version: Version,
    /// Who made the content.
    pub creator: Option<Creator>,
    /// The name of the content; without one a session of a single content is meant.
    pub name: Option<String>,
}

impl Payload for Received {
    const NAME: &'static str = "received";
    const NS: &'static str = ns::JINGLE_FILE_TRANSFER_5;

    fn matches(element: &Element) -> bool {
        element.name() == Self::NAME && Version::of(element.ns()).is_some()
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let version = Version::of(element.ns()).unwrap_or_default();
        Ok(Self { version, creator: Creator::read(element)?, name: filled(element, "name").map(str::to_owned) })
    }

    fn write(&self) -> Element {
        Element::new(Self::NAME, self.version.ns())
            .with_attr_opt("creator", self.creator.map(Creator::as_str))
            .with_attr_opt("name", self.name.as_deref())
    }
}

/// `<checksum/>`: the hash of what is being sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// The version it came in, and is written in.
    pub version: Version,
    /// Who made the content.
    pub creator: Option<Creator>,
    /// The name of the content; without one a session of a single content is meant.
    pub name: Option<String>,
    /// Hashes of the file, and of a part in its `range`.
    pub file: JingleFile,
}

impl Payload for Checksum {
    const NAME: &'static str = "checksum";
    const NS: &'static str = ns::JINGLE_FILE_TRANSFER_5;

    fn matches(element: &Element) -> bool {
        element.name() == Self::NAME && Version::of(element.ns()).is_some()
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let file = element.payload::<JingleFile>().ok_or_else(|| ReadError::new(element, "no file"))??;
        let version = Version::of(element.ns()).unwrap_or_default();
        Ok(Self { version, creator: Creator::read(element)?, name: filled(element, "name").map(str::to_owned), file })
    }

    fn write(&self) -> Element {
        Element::new(Self::NAME, self.version.ns())
            .with_attr_opt("creator", self.creator.map(Creator::as_str))
            .with_attr_opt("name", self.name.as_deref())
            .with_child(self.file.write_in(self.version))
    }
}
