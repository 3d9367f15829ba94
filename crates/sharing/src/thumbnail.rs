//! Small pictures of a file that somebody offers, as typed data: where each one is, and how large it claims to be.
//!
//! XEP-0264 Jingle content thumbnails, v0.4.2 <https://xmpp.org/extensions/xep-0264.html>
//! XEP-0385 Stateless inline media sharing (SIMS), v0.2.1 <https://xmpp.org/extensions/xep-0385.html>
//!
//! Pixels are what the sender says: never size a buffer by them. Bytes in a `data:` URI are the sender's words and proven by nothing.

use balcony_wire::bits_of_binary::ContentId;
use balcony_wire::thumbnails as wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::MediaType;

/// A small picture of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Where its bytes are.
    pub at: ThumbnailAt,
    /// What they are, as far as anybody says.
    pub media_type: Option<MediaType>,
    /// Pixels from left to right, as the sender says.
    pub width: Option<u32>,
    /// Pixels from top to bottom, as the sender says.
    pub height: Option<u32>,
}

/// Where the bytes of a small picture are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThumbnailAt {
    /// Bits of binary (XEP-0231): in the same stanza, kept from before, or to be asked for.
    Bits(ContentId),
    /// Here: the bytes of a `data:` URI, at most [`Thumbnail::MAX_DATA`].
    Data(Vec<u8>),
    /// On the web, encrypted on the way.
    Url(Url),
}

impl Thumbnail {
    /// More bytes in a `data:` URI than any small picture has (XEP-0454 §4 thinks of 5 KiB).
    pub const MAX_DATA: usize = 64 << 10;

    /// Reads what a sharing element says; `None` for places that nobody here looks at, for plain http among them.
    pub(crate) fn read(said: &wire::Thumbnail) -> Option<Self> {
        let (at, type_of_uri) = read_place(said.uri.trim())?;
        let media_type = said.media_type.as_deref().map(MediaType::from_peer).or(type_of_uri);
        Some(Self { at, media_type, width: said.width, height: said.height })
    }
}

fn read_place(uri: &str) -> Option<(ThumbnailAt, Option<MediaType>)> {
    let (scheme, rest) = uri.split_once(':')?;
    match scheme.to_ascii_lowercase().as_str() {
        "cid" => Some((ThumbnailAt::Bits(ContentId::from_uri(uri)?), None)),
        "data" => read_data(rest).map(|(data, media_type)| (ThumbnailAt::Data(data), media_type)),
        "https" => Some((ThumbnailAt::Url(Url::parse(uri).ok().filter(|url| url.host().is_some())?), None)),
        _ => None,
    }
}

/// `[type][;parameter]*[;base64],bytes` (RFC 2397). A data URI without type is text, which is no picture, so none is invented.
pub(crate) fn read_data(rest: &str) -> Option<(Vec<u8>, Option<MediaType>)> {
    let (head, body) = rest.split_once(',')?;
    if body.len() / 4 > Thumbnail::MAX_DATA {
        return None;
    }
    let (essence, parameters) = head.split_once(';').unwrap_or((head, ""));
    let is_base64 = parameters.split(';').any(|parameter| parameter.trim().eq_ignore_ascii_case("base64"));
    let plain = percent_decoded(body)?;
    let data = if is_base64 { decode_base64(&plain)? } else { plain };
    let media_type = Some(essence.trim()).filter(|essence| !essence.is_empty()).map(MediaType::from_peer);
    (!data.is_empty() && data.len() <= Thumbnail::MAX_DATA).then_some((data, media_type))
}

/// With or without padding, white space left out: data URIs come from many hands.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').collect();
    text.resize(text.len().next_multiple_of(4), b'=');
    STANDARD.decode(text).ok() // what is no base64 is no picture
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            bytes.push(u8::try_from(digit(0)? << 4 | digit(1)?).ok()?);
            rest = behind.get(2..)?;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> Option<Thumbnail> {
        Thumbnail::read(&wire::Thumbnail { uri: uri.to_owned(), media_type: None, width: Some(128), height: None })
    }

    /// Proves: THMB-4-1, THMB-4-3.
    #[test]
    fn small_pictures_are_in_bits_in_the_stanza_or_on_the_web() {
        let bits = read("cid:sha1+ffd7c8d28e9c5e82afea41f97108c6b4@bob.xmpp.org").unwrap();
        assert_eq!(bits.at, ThumbnailAt::Bits(ContentId::new("sha1+ffd7c8d28e9c5e82afea41f97108c6b4@bob.xmpp.org")));
        assert_eq!((bits.width, bits.height), (Some(128), None));
        let data = read("data:image/jpeg;base64,Zm9v").unwrap();
        assert_eq!((data.at, data.media_type.unwrap().as_str()), (ThumbnailAt::Data(b"foo".to_vec()), "image/jpeg"));
        let web = read("https://upload.montague.lit/t.png").unwrap();
        assert!(matches!(web.at, ThumbnailAt::Url(url) if url.path() == "/t.png"));
        assert_eq!(
            read("data:image/thumbhash,3OcRJYB4d3h_iIeHeEh3eIhw-j2w").unwrap().at,
            ThumbnailAt::Data(b"3OcRJYB4d3h_iIeHeEh3eIhw-j2w".to_vec())
        );
        assert_eq!(read("data:image/svg+xml,%3Csvg/%3E").unwrap().at, ThumbnailAt::Data(b"<svg/>".to_vec()));
    }

    #[test]
    fn places_that_nobody_looks_at_are_none() {
        let huge = format!("data:image/png;base64,{}", "A".repeat(8 * Thumbnail::MAX_DATA));
        for uri in [
            "http://a.lit/t.png",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "cid:",
            "data:",
            "data:image/png;base64,",
            "data:,%zz",
            "https://",
            "x",
            &huge,
        ] {
            assert_eq!(read(uri), None, "{uri:.60}");
        }
    }
}
