//! What formatted text and forms show: pictures in the text that may be files of the same message, media that a form asks about.
//!
//! XEP-0071 XHTML-IM, v1.5.4 <https://xmpp.org/extensions/xep-0071.html>
//! Status: partial: names of files in `img` and `a` are understood; formatted text itself is neither shown nor written.
//! XEP-0385 Stateless inline media sharing (SIMS), v0.2.1 <https://xmpp.org/extensions/xep-0385.html>
//! XEP-0221 Data forms media element, v1.0 <https://xmpp.org/extensions/xep-0221.html>
//! Status: partial: media of forms are read as data; none is fetched or shown.

use balcony_wire::bits_of_binary::ContentId;
use balcony_wire::media_element::MediaElement;
use balcony_wire::ni::NiUri;
use balcony_wire::{Element, Payload as _, ns};
use url::Url;

use crate::Offer;
#[cfg(doc)]
use crate::Thumbnail;
use crate::thumbnail::read_data;

/// A picture in formatted text, or a link there to a file by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What it is.
    pub at: PictureAt,
    /// What is shown, and told to screen readers, where the picture is not (XEP-0385 §5.6).
    pub alt: Option<String>,
}

/// Where a picture is. Anything else is nowhere: only the words for it are shown (decision 42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureAt {
    /// The file of an offer of the same message, by its index: the `ni:` URI is that of one of its hashes (decision 32).
    Offer(usize),
    /// Bits of binary.
    Bits(ContentId),
    /// The bytes of a `data:` URI, at most [`Thumbnail::MAX_DATA`].
    Data(Vec<u8>),
    /// On the web, for what may be fetched from there at all (decision 41).
    Url(Url),
    /// Nowhere: no file of the message has this name, or nobody looks at such places.
    Nowhere,
}

/// Finds the pictures in the formatted text of a message.
pub(super) fn in_text(payloads: &[Element], offers: &[Offer]) -> Vec<Picture> {
    let mut pictures = Vec::new();
    for html in payloads.iter().filter(|payload| payload.is("html", XHTML_IM)) {
        walk(html, &mut |element| {
            if pictures.len() < MAX_PICTURES && element.ns() == XHTML {
                pictures.extend(picture(element, offers));
            }
        });
    }
    pictures
}

fn picture(element: &Element, offers: &[Offer]) -> Option<Picture> {
    let alt = || element.attr("alt").filter(|alt| !alt.is_empty()).map(str::to_owned);
    match element.name() {
        "img" => Some(Picture { at: place(element.attr("src").unwrap_or_default().trim(), offers), alt: alt() }),
        "a" => {
            let index = by_hash(element.attr("href")?.trim(), offers)?;
            let words = element.text();
            Some(Picture { at: PictureAt::Offer(index), alt: Some(words).filter(|words| !words.trim().is_empty()) })
        }
        _ => None,
    }
}

fn place(src: &str, offers: &[Offer]) -> PictureAt {
    let (scheme, rest) = src.split_once(':').unwrap_or_default();
    let found = match scheme.to_ascii_lowercase().as_str() {
        "ni" | "nih" => by_hash(src, offers).map(PictureAt::Offer),
        "cid" => ContentId::from_uri(src).map(PictureAt::Bits),
        "data" => read_data(rest)
            .filter(|(_, kind)| kind.as_ref().is_some_and(|kind| kind.kind() == "image"))
            .map(|(data, _)| PictureAt::Data(data)),
        "https" => Url::parse(src).ok().filter(|url| url.host().is_some()).map(PictureAt::Url),
        _ => None,
    };
    found.unwrap_or(PictureAt::Nowhere)
}

/// The offer that has a digest of this name. An authority in the name is never asked.
fn by_hash(uri: &str, offers: &[Offer]) -> Option<usize> {
    let name = NiUri::parse(uri)?;
    offers.iter().position(|offer| offer.digests().iter().any(|digest| name.names(digest)))
}

/// Finds the media of forms, in the message itself and in the challenge of a captcha.
pub(super) fn in_forms(payloads: &[Element]) -> Vec<MediaElement> {
    let mut media = Vec::new();
    for form in payloads.iter().filter(|payload| matches!(payload.ns(), ns::DATA_FORM | CAPTCHA)) {
        add_media(form, &mut media);
    }
    media
}

/// The same in an element that is no message, wherever the forms stand, and for a medium by itself.
pub(super) fn in_forms_anywhere(element: &Element) -> Vec<MediaElement> {
    let mut media = Vec::new();
    add_media(element, &mut media);
    media
}

fn add_media(form: &Element, media: &mut Vec<MediaElement>) {
    walk(form, &mut |element| {
        if media.len() < MAX_PICTURES && MediaElement::matches(element) {
            media.extend(MediaElement::read(element));
        }
    });
}

fn walk<'a>(element: &'a Element, visit: &mut impl FnMut(&'a Element)) {
    visit(element);
    element.children().for_each(|child| walk(child, visit));
}

/// More than any text shows.
const MAX_PICTURES: usize = 64;

/// XEP-0071
const XHTML_IM: &str = "http://jabber.org/protocol/xhtml-im";
/// XHTML
const XHTML: &str = "http://www.w3.org/1999/xhtml";
/// XEP-0158
const CAPTCHA: &str = "urn:xmpp:captcha";
