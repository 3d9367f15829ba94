//! XEP-0221 Data forms media element, v1.0 <https://xmpp.org/extensions/xep-0221.html>

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled, number, trimmed_text};

/// `<media/>` in a form field: one medium in several encodings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaElement {
    /// Recommended width in pixels.
    pub width: Option<u32>,
    /// Recommended height in pixels.
    pub height: Option<u32>,
    /// Where it is; all show the same.
    pub uris: Vec<MediaUri>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

/// `<uri type=''/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaUri {
    /// Media type, with parameters.
    pub media_type: Option<String>,
    /// The URI; white space around it is removed, as the listings break lines there.
    pub uri: String,
}

impl Payload for MediaElement {
    const NAME: &'static str = "media";
    const NS: &'static str = ns::MEDIA_ELEMENT;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut read =
            Self { width: element.attr("width").and_then(number), height: element.attr("height").and_then(number), ..Self::default() };
        for child in element.children() {
            match trimmed_text(child) {
                Some(uri) if child.is("uri", Self::NS) && read.uris.len() < MAX_URIS => {
                    read.uris.push(MediaUri { media_type: filled(child, "type").map(str::to_owned), uri });
                }
                _ if child.is("uri", Self::NS) => read.dropped.push(Dropped::new("uri", "empty or one of too many")),
                _ => read.dropped.push(Dropped::unknown(child)),
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        let uri = |uri: &MediaUri| Element::new("uri", Self::NS).with_attr_opt("type", uri.media_type.as_deref()).with_text(&uri.uri);
        Self::element()
            .with_attr_opt("width", self.width.map(|width| width.to_string()))
            .with_attr_opt("height", self.height.map(|height| height.to_string()))
            .with_children(self.uris.iter().map(uri))
    }
}

/// More encodings than anybody offers.
const MAX_URIS: usize = 32;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn uri(media_type: &str, text: &str) -> Element {
        Element::new("uri", ns::MEDIA_ELEMENT).with_attr("type", media_type).with_text(text)
    }

    #[test]
    fn the_listing_breaks_lines_around_its_uris() {
        let element = MediaElement::element()
            .with_attr("width", "290")
            .with_attr("height", "80")
            .with_child(uri("audio/ogg; codecs=speex", "\n    cid:sha1+a15a505e360702b79c75a5f67773072ed392f52a@bob.xmpp.org\n  "));
        let read = MediaElement::read(&element).unwrap();
        assert_eq!(read.uris[0].uri, "cid:sha1+a15a505e360702b79c75a5f67773072ed392f52a@bob.xmpp.org");
        assert_eq!((read.width, read.height), (Some(290), Some(80)));
        assert_eq!(MediaElement::read(&read.write()).unwrap(), read);
    }

    #[test]
    fn empty_unknown_and_surplus_children_are_dropped() {
        let many = (0..100).map(|_| uri("image/png", "https://a.example"));
        let element = MediaElement::element()
            .with_attr("width", "-1")
            .with_child(Element::new("uri", ns::MEDIA_ELEMENT))
            .with_child(Element::new("x", "urn:example"))
            .with_children(many);
        let read = MediaElement::read(&element).unwrap();
        assert_eq!((read.width, read.uris.len(), read.dropped.len()), (None, MAX_URIS, 100 - MAX_URIS + 2));
        assert!(MediaElement::read(&Element::new("media", "urn:example")).is_err());
    }
}
