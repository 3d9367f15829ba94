//! XEP-0505 Data forms file input element, v0.1.1 <https://xmpp.org/extensions/xep-0505.html>
//! Status: partial: the element; forms with files are not filled in yet.

use crate::element::Element;
use crate::file_metadata::FileMetadata;
use crate::file_sharing::FileSharing;
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, boolean, trimmed_text};

/// `<file-input/>` in a form field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileInput {
    /// Whether several files may be given.
    pub multiple: bool,
    /// Media types for the file dialog, as written; none means any.
    pub accept: Vec<String>,
    /// Whom to send the file to, best one first.
    pub uses: Vec<Jid>,
    /// Files given already, or handed in.
    pub files: Vec<InputFile>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

/// A file in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputFile {
    /// Today's form: with sources.
    Shared(FileSharing),
    /// The form of the first draft: metadata only, so nobody can fetch it (decision 20). Written as a share without sources.
    Bare(FileMetadata),
}

impl FileInput {
    /// Whether a file of this media type fits (decision 26): without case, parameters do not count, `type/*`, `*/*` and `*`.
    /// A file without a type counts as `application/octet-stream`.
    pub fn accepts(&self, media_type: Option<&str>) -> bool {
        let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is = essence(media_type.unwrap_or("application/octet-stream"));
        self.accept.is_empty()
            || self.accept.iter().map(|accept| essence(accept)).any(|accept| match accept.as_str() {
                "*" | "*/*" => true,
                accept => match accept.strip_suffix("/*") {
                    Some(kind) => is.split_once('/').is_some_and(|(start, _)| start == kind),
                    None => is == accept,
                },
            })
    }

    fn read_child(&mut self, child: &Element) -> Result<(), Dropped> {
        let note = |why: &str| Dropped::new(child.name(), why);
        if self.accept.len() + self.uses.len() + self.files.len() >= MAX_CHILDREN {
            return Err(note("too many"));
        }
        match child.name() {
            "accept" if child.ns() == Self::NS => self.accept.push(trimmed_text(child).ok_or_else(|| note("empty"))?),
            "use" if child.ns() == Self::NS => {
                let jid = Jid::parse(&trimmed_text(child).unwrap_or_default());
                self.uses.push(jid.map_err(|error| note(&error.to_string()))?);
            }
            _ if FileSharing::matches(child) => {
                self.files.push(InputFile::Shared(FileSharing::read(child).map_err(|error| note(error.why()))?));
            }
            _ if FileMetadata::matches(child) => {
                self.files.push(InputFile::Bare(FileMetadata::read(child).map_err(|error| note(error.why()))?));
            }
            _ => return Err(Dropped::unknown(child)),
        }
        Ok(())
    }
}

impl Payload for FileInput {
    const NAME: &'static str = "file-input";
    const NS: &'static str = ns::FILE_INPUT;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut read = Self::default();
        if let Some(multiple) = element.attr("multiple") {
            match boolean(multiple) {
                Some(multiple) => read.multiple = multiple,
                None => read.dropped.push(Dropped::new("multiple", "not a boolean")),
            }
        }
        for child in element.children() {
            if let Err(dropped) = read.read_child(child) {
                read.dropped.push(dropped);
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        let text = |name, text: &str| Element::new(name, Self::NS).with_text(text);
        let file = |file: &InputFile| match file {
            InputFile::Shared(share) => share.write(),
            InputFile::Bare(file) => FileSharing { file: Some(file.clone()), ..FileSharing::default() }.write(),
        };
        Self::element()
            .with_attr("multiple", self.multiple.to_string())
            .with_children(self.accept.iter().map(|accept| text("accept", accept)))
            .with_children(self.uses.iter().map(|jid| text("use", jid.as_str())))
            .with_children(self.files.iter().map(file))
    }
}

/// More children than any form needs.
const MAX_CHILDREN: usize = 256;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn child(name: &str, text: &str) -> Element {
        Element::new(name, ns::FILE_INPUT).with_text(text)
    }

    /// Decision 26.
    /// Proves: FIN-D-4, FIN-3-4, FIN-3-5.
    #[test]
    fn media_types_of_the_vectors_fit_as_they_say() {
        for case in testing_corpus::cases("media-accept") {
            let input = FileInput { accept: vec![case["accept"].as_str().unwrap().to_owned()], ..FileInput::default() };
            assert_eq!(input.accepts(case["media_type"].as_str()), case["match"], "{case}");
        }
        assert!(FileInput::default().accepts(None));
    }

    /// Proves: FIN-3-3.
    #[test]
    fn both_spellings_of_a_boolean_are_read() {
        for (text, multiple) in [("true", true), ("1", true), ("false", false), ("0", false), ("yes", false)] {
            assert_eq!(FileInput::read(&FileInput::element().with_attr("multiple", text)).unwrap().multiple, multiple, "{text}");
        }
        assert!(!FileInput::read(&FileInput::element()).unwrap().multiple);
    }

    /// Decision 20.
    /// Proves: FIN-D-1.
    #[test]
    fn bare_files_of_the_first_draft_are_read_and_written_as_shares() {
        let element = FileInput::element()
            .with_attr("multiple", "true")
            .with_child(child("use", "upload.example.org"))
            .with_child(FileMetadata::element().with_text_child("name", "serenade.odt"));
        let read = FileInput::read(&element).unwrap();
        assert!(matches!(&read.files[..], [InputFile::Bare(file)] if file.name.as_deref() == Some("serenade.odt")));
        assert_eq!(read.uses[0].as_str(), "upload.example.org");
        assert!(read.write().children().any(FileSharing::matches));
    }

    #[test]
    fn bad_and_surplus_children_are_dropped() {
        let element = FileInput::element()
            .with_attr("multiple", "yes")
            .with_child(child("accept", "  "))
            .with_child(child("use", "@"))
            .with_child(Element::new("x", "urn:example"))
            .with_children((0..1000).map(|_| child("accept", "image/*")));
        let read = FileInput::read(&element).unwrap();
        assert!(!read.multiple && read.dropped[0].what == "multiple");
        assert!(read.accept.len() <= MAX_CHILDREN);
        assert!(read.dropped.len() >= 2 + 1000 - MAX_CHILDREN);
        assert!(FileInput::read(&Element::new("file-input", "urn:example")).is_err());
    }
}
