//! XEP-0372 References, v0.5.0 <https://xmpp.org/extensions/xep-0372.html>
//!
//! Points from a piece of text to a person or a thing. The one around [`MediaSharing`] has no `uri` of its own by the
//! document, yet Psi needs one, so it is written when given.

use crate::element::Element;
use crate::media_sharing::MediaSharing;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{filled, number};
use crate::text::CodePoints;

/// `<reference/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// What kind of thing it points to; `None` when not said.
    pub kind: Option<ReferenceKind>,
    /// What it points to.
    pub uri: Option<String>,
    /// An earlier message that contains the text.
    pub anchor: Option<String>,
    /// Start of the text, as written.
    pub begin: Option<String>,
    /// End of the text, as written.
    pub end: Option<String>,
    /// A shared medium.
    pub media_sharing: Option<MediaSharing>,
    /// Other children, as they came.
    pub others: Vec<Element>,
}

/// What a reference points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// A person.
    Mention,
    /// A thing.
    Data,
    /// Something else.
    Other(String),
}

impl ReferenceKind {
    /// The attribute value.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Mention => "mention",
            Self::Data => "data",
            Self::Other(kind) => kind,
        }
    }
}

impl From<&str> for ReferenceKind {
    fn from(text: &str) -> Self {
        match text {
            "mention" => Self::Mention,
            "data" => Self::Data,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Reference {
    /// The code points it speaks of, if both ends are numbers in order. Whether the text is that long is another question.
    pub fn range(&self) -> Option<CodePoints> {
        let (begin, end) = (number(self.begin.as_deref()?)?, number(self.end.as_deref()?)?);
        (begin <= end).then_some(begin..end)
    }
}

impl Payload for Reference {
    const NAME: &'static str = "reference";
    const NS: &'static str = ns::REFERENCE;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut read = Self {
            kind: filled(element, "type").map(ReferenceKind::from),
            uri: filled(element, "uri").map(str::to_owned),
            anchor: filled(element, "anchor").map(str::to_owned),
            begin: filled(element, "begin").map(str::to_owned),
            end: filled(element, "end").map(str::to_owned),
            media_sharing: None,
            others: Vec::new(),
        };
        for child in element.children() {
            if MediaSharing::matches(child) && read.media_sharing.is_none() {
                read.media_sharing = Some(MediaSharing::read(child)?);
            } else {
                read.others.push(child.clone());
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("type", self.kind.as_ref().map(ReferenceKind::as_str))
            .with_attr_opt("uri", self.uri.as_deref())
            .with_attr_opt("anchor", self.anchor.as_deref())
            .with_attr_opt("begin", self.begin.as_deref())
            .with_attr_opt("end", self.end.as_deref())
            .with_child_opt(self.media_sharing.as_ref().map(Payload::write))
            .with_children(self.others.iter().cloned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Reference {
        Reference::read(&Element::parse(xml).unwrap()).unwrap()
    }

    /// Proves: REF-3.1-1, REF-3.1-3, REF-3.2-1.
    #[test]
    fn mentions_and_data_are_read_and_written_back() {
        let xml =
            "<reference xmlns='urn:xmpp:reference:0' begin='72' end='78' type='mention' uri='xmpp:juliet@capulet.lit' anchor='xmpp:a'/>";
        let mention = read(xml);
        assert_eq!((mention.kind.clone(), mention.range()), (Some(ReferenceKind::Mention), Some(72..78)));
        assert_eq!(mention.write(), Element::parse(xml).unwrap());
        let other = read("<reference xmlns='urn:xmpp:reference:0' type='quote'><x xmlns='urn:example'/></reference>");
        assert_eq!((other.kind.as_ref().map(ReferenceKind::as_str), other.others.len()), (Some("quote"), 1));
    }

    /// Proves: SIMS-D-4.
    #[test]
    fn the_copy_beside_sfs_has_no_range_and_psi_needs_an_outer_uri() {
        let xml = "<reference xmlns='urn:xmpp:reference:0' type='data' uri='https://a.example/a.jpg'><media-sharing xmlns='urn:xmpp:sims:1'/></reference>";
        let reference = read(xml);
        assert_eq!((reference.range(), reference.uri.as_deref()), (None, Some("https://a.example/a.jpg")));
        assert!(reference.media_sharing.is_some());
        assert_eq!(reference.write(), Element::parse(xml).unwrap());
    }

    /// Proves: SIMS-4.1-5.
    #[test]
    fn ranges_are_kept_as_written_and_bad_ones_are_no_ranges() {
        for (begin, end) in [("x", "20"), ("20", "17"), ("-1", "3"), ("", "1")] {
            let bad = read(&format!("<reference xmlns='urn:xmpp:reference:0' begin='{begin}' end='{end}' type='data'/>"));
            assert_eq!((bad.range(), bad.end.as_deref()), (None, Some(end)));
        }
        let sims = read("<reference xmlns='urn:xmpp:reference:0' begin='17' end='20' type='data'/>");
        assert_eq!((sims.begin.as_deref(), sims.range()), (Some("17"), Some(17..20)));
    }

    #[test]
    fn everything_may_be_absent() {
        assert_eq!(read("<reference xmlns='urn:xmpp:reference:0'/>"), Reference::default());
        assert!(Reference::read(&Element::new("reference", "urn:xmpp:reference:1")).is_err());
        let refused = "<reference xmlns='urn:xmpp:reference:0'><media-sharing xmlns='urn:xmpp:sims:1'><sources/><sources/></media-sharing></reference>";
        assert!(Reference::read(&Element::parse(refused).unwrap()).is_err());
    }
}
