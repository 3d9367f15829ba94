//! XEP-0264 Jingle content thumbnails, v0.4.2 <https://xmpp.org/extensions/xep-0264.html>
//!
//! Points at a small picture. `urn:xmpp:thumbs:1` is written; `urn:xmpp:thumbs:0` with `cid` and `mime-type` is read too
//! (decision 30). Width and height are what the sender says: never size a buffer by them.

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{filled, number};

/// `<thumbnail uri=''/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Where it is: `cid:` for bits of binary, `data:`, `https:`.
    pub uri: String,
    /// Its media type.
    pub media_type: Option<String>,
    /// Intended width in pixels.
    pub width: Option<u32>,
    /// Intended height in pixels.
    pub height: Option<u32>,
}

impl Thumbnail {
    /// Whether nothing can be seen: no pixels, or a `data:` URI without bytes (decision 62).
    fn is_nothing(&self) -> bool {
        let no_pixels = self.width == Some(0) && self.height == Some(0);
        let is_data = self.uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        no_pixels || (is_data && self.uri.split_once(',').is_none_or(|(_, data)| data.is_empty()))
    }
}

impl Payload for Thumbnail {
    const NAME: &'static str = "thumbnail";
    const NS: &'static str = ns::THUMBS_1;

    fn matches(element: &Element) -> bool {
        element.name() == Self::NAME && matches!(element.ns(), ns::THUMBS_1 | ns::THUMBS_0)
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let old = element.ns() == ns::THUMBS_0;
        let uri = match filled(element, "uri") {
            Some(uri) => uri.to_owned(),
            None if old => format!("cid:{}", filled(element, "cid").ok_or_else(|| ReadError::new(element, "no cid"))?),
            None => return Err(ReadError::new(element, "no uri")),
        };
        let media_type = filled(element, if old { "mime-type" } else { "media-type" }).map(str::to_owned);
        let (width, height) = (element.attr("width").and_then(number), element.attr("height").and_then(number));
        let thumbnail = Self { uri, media_type, width, height };
        if thumbnail.is_nothing() { Err(ReadError::new(element, "a picture of nothing")) } else { Ok(thumbnail) }
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("uri", &self.uri)
            .with_attr_opt("media-type", self.media_type.as_deref())
            .with_attr_opt("width", self.width.map(|width| width.to_string()))
            .with_attr_opt("height", self.height.map(|height| height.to_string()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn thumbnail() -> Element {
        Thumbnail::element()
            .with_attr("uri", "cid:sha1+ffd7c8d28e9c5e82afea41f97108c6b4@bob.xmpp.org")
            .with_attr("media-type", "image/png")
            .with_attr("width", "128")
            .with_attr("height", "96")
    }

    /// Proves: THMB-4-1, THMB-4-2, THMB-4-3.
    #[test]
    fn the_listing_is_read_and_written_back() {
        let read = Thumbnail::read(&thumbnail()).unwrap();
        assert_eq!((read.width, read.height, read.media_type.as_deref()), (Some(128), Some(96), Some("image/png")));
        assert_eq!(read.write(), thumbnail());
    }

    /// Decision 30.
    /// Proves: THMB-D-1.
    #[test]
    fn the_old_namespace_is_read_and_never_written() {
        let old = Element::new("thumbnail", ns::THUMBS_0).with_attr("cid", "sha1+aa@bob.xmpp.org").with_attr("mime-type", "image/png");
        let read = Thumbnail::read(&old).unwrap();
        assert_eq!((read.uri.as_str(), read.media_type.as_deref()), ("cid:sha1+aa@bob.xmpp.org", Some("image/png")));
        assert_eq!(read.write().ns(), ns::THUMBS_1);
    }

    /// Decision 62.
    #[test]
    fn kaidan_sends_pictures_of_nothing() {
        let nothing = thumbnail().with_attr("width", "0").with_attr("height", "0");
        assert!(Thumbnail::read(&nothing).is_err());
        assert!(Thumbnail::read(&thumbnail().with_attr("uri", "data:image/png;base64,")).is_err());
    }

    #[test]
    fn slidge_puts_a_thumbhash_into_a_data_uri() {
        let read = Thumbnail::read(&thumbnail().with_attr("uri", "data:image/thumbhash,3OcRJYB4d3h_iIeHeEh3eIhw-j2w")).unwrap();
        assert!(read.uri.starts_with("data:image/thumbhash,"));
    }

    #[test]
    fn absent_bad_and_unknown_parts_cost_only_themselves() {
        let bare = Thumbnail::element().with_attr("uri", "https://montague.lit/t.png").with_child(Element::new("x", "urn:example"));
        let read = Thumbnail::read(&bare).unwrap();
        assert_eq!((read.media_type, read.width, read.height), (None, None, None));
        let bad = thumbnail().with_attr("width", "-1").with_attr("height", "99999999999999999999");
        let read = Thumbnail::read(&bad).unwrap();
        assert_eq!((read.width, read.height), (None, None));
        assert!(Thumbnail::read(&Thumbnail::element()).is_err());
        assert!(Thumbnail::read(&Thumbnail::element().with_attr("uri", "")).is_err());
        assert!(Thumbnail::read(&Element::new("thumbnail", "urn:xmpp:thumbs:2")).is_err());
    }
}
