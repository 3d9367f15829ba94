//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>
//!
//! Contents of a session: who made one, who sends, what (§7.3; XEP-0234 §5). The version of a file description is kept and
//! written back, so that a peer is answered in its own (decision 22).

use super::transport::Transport;
use crate::element::Element;
use crate::jingle_file::{JingleFile, Version};
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled};

/// One of the two sides of a session, as the maker of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Creator {
    /// Who began the session.
    Initiator,
    /// Who answered.
    Responder,
}

impl Creator {
    /// The attribute value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Responder => "responder",
        }
    }

    /// The creator in an attribute of an element, if it is there.
    pub(super) fn read(element: &Element) -> Result<Option<Self>, ReadError> {
        one_of(element, "creator", &[Self::Initiator, Self::Responder], Self::as_str)
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Senders {
    /// Both, which is what no word means.
    Both,
    /// Who began the session.
    Initiator,
    /// Nobody.
    None,
    /// Who answered.
    Responder,
}

impl Senders {
    /// The attribute value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Initiator => "initiator",
            Self::None => "none",
            Self::Responder => "responder",
        }
    }
}

impl From<Creator> for Senders {
    fn from(side: Creator) -> Self {
        match side {
            Creator::Initiator => Self::Initiator,
            Creator::Responder => Self::Responder,
        }
    }
}

fn one_of<T: Copy>(element: &Element, attribute: &str, values: &[T], name: impl Fn(T) -> &'static str) -> Result<Option<T>, ReadError> {
    let Some(text) = filled(element, attribute) else { return Ok(None) };
    let found = values.iter().copied().find(|value| name(*value) == text);
    found.map(Some).ok_or_else(|| ReadError::new(element, format!("{attribute} is nothing that is known")))
}

/// `<content/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Who made it; required, yet some leave it out.
    pub creator: Option<Creator>,
    /// Its name; required, yet some leave it out.
    pub name: Option<String>,
    /// Who sends, as written; without it both do. This, not `creator`, says in which direction a file goes.
    pub senders: Option<Senders>,
    /// What becomes of the content, if not `session`.
    pub disposition: Option<String>,
    /// What is sent.
    pub description: Option<Description>,
    /// How it is sent.
    pub transport: Option<Transport>,
    /// A precondition of the stream (§9), as it came.
    pub security: Option<Element>,
    /// Other children, as they came.
    pub others: Vec<Element>,
}

impl Content {
    /// A content without anything in it.
    pub fn new(creator: Creator, name: impl Into<String>) -> Self {
        Self { creator: Some(creator), name: Some(name.into()), ..Self::default() }
    }

    /// What identifies it in its session: maker and name. Without a maker the initiator counts; without a name there is none.
    pub fn id(&self) -> Option<(Creator, &str)> {
        Some((self.creator.unwrap_or(Creator::Initiator), self.name.as_deref()?))
    }

    /// Who sends.
    pub fn senders(&self) -> Senders {
        self.senders.unwrap_or(Senders::Both)
    }

    /// The file it is about, if it is about one.
    pub fn file(&self) -> Option<&JingleFile> {
        self.file_description()?.file.as_ref()
    }

    /// The description, if it is of a file transfer.
    pub fn file_description(&self) -> Option<&FileDescription> {
        match &self.description {
            Some(Description::File(description)) => Some(description),
            _ => None,
        }
    }

    pub(super) fn read(element: &Element) -> Result<Self, ReadError> {
        let own = |attribute| filled(element, attribute).map(str::to_owned);
        let senders = [Senders::Both, Senders::Initiator, Senders::None, Senders::Responder];
        let mut read = Self {
            creator: Creator::read(element)?,
            name: own("name"),
            senders: one_of(element, "senders", &senders, Senders::as_str)?,
            disposition: own("disposition"),
            ..Self::default()
        };
        for child in element.children() {
            match child.name() {
                "description" if read.description.is_none() => read.description = Some(Description::read(child)?),
                "transport" if read.transport.is_none() => read.transport = Some(Transport::read(child)?),
                "security" if read.security.is_none() => read.security = Some(child.clone()),
                _ => read.others.push(child.clone()),
            }
        }
        Ok(read)
    }

    pub(super) fn write(&self) -> Element {
        let description = self.description.as_ref().map(|description| match description {
            Description::File(description) => description.write(),
            Description::Other(element) => element.clone(),
        });
        Element::new("content", ns::JINGLE)
            .with_attr_opt("creator", self.creator.map(Creator::as_str))
            .with_attr_opt("name", self.name.as_deref())
            .with_attr_opt("senders", self.senders.map(Senders::as_str))
            .with_attr_opt("disposition", self.disposition.as_deref())
            .with_child_opt(description)
            .with_child_opt(self.transport.as_ref().map(Transport::write))
            .with_child_opt(self.security.clone())
            .with_children(self.others.iter().cloned())
    }
}

/// `<description/>`: an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    /// A file, of `file-transfer:5` or `:4`.
    File(Box<FileDescription>),
    /// Something else, as it came.
    Other(Element),
}

impl Description {
    fn read(element: &Element) -> Result<Self, ReadError> {
        Ok(match FileDescription::matches(element) {
            true => Self::File(Box::new(FileDescription::read(element)?)),
            false => Self::Other(element.clone()),
        })
    }
}

impl From<FileDescription> for Description {
    fn from(description: FileDescription) -> Self {
        Self::File(Box::new(description))
    }
}

/// `<description/>` of a file transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDescription {
    /// The version it came in, and is written in.
    pub version: Version,
    /// The file; an offer without one means nothing, yet is no reason to refuse the rest.
    pub file: Option<JingleFile>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

impl FileDescription {
    /// A file in a version.
    pub fn new(version: Version, file: JingleFile) -> Self {
        Self { version, file: Some(file), dropped: Vec::new() }
    }
}

impl Payload for FileDescription {
    const NAME: &'static str = "description";
    const NS: &'static str = ns::JINGLE_FILE_TRANSFER_5;

    fn matches(element: &Element) -> bool {
        element.name() == Self::NAME && Version::of(element.ns()).is_some()
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut read = Self { version: Version::of(element.ns()).unwrap_or_default(), ..Self::default() };
        for child in element.children() {
            match JingleFile::matches(child) {
                true if read.file.is_some() => return Err(ReadError::new(element, "two files in one description")),
                true => read.file = Some(JingleFile::read(child)?),
                false => read.dropped.push(Dropped::unknown(child)),
            }
        }
        Ok(read)
    }

    /// In the version it has.
    fn write(&self) -> Element {
        let file = self.file.as_ref().map(|file| file.write_in(self.version));
        Element::new(Self::NAME, self.version.ns()).with_child_opt(file)
    }
}
