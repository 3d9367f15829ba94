//! Plain links: a URL in XEP-0066 data, with or without metadata beside it, and `aesgcm:` URLs (XEP-0454 §3).
//!
//! XEP-0066 Out of band data, v1.5 <https://xmpp.org/extensions/xep-0066.html>
//! Status: partial: `jabber:x:oob` is read and written; requests by `jabber:iq:oob` are explained and answered as not understood.
//! XEP-0454 OMEMO media sharing, v0.1.0 <https://xmpp.org/extensions/xep-0454.html>
//! Status: partial: links are read and named in plans; nothing is decrypted.

use balcony_wire::encrypted_source::EncryptedSource;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::SourceElement;
use balcony_wire::thumbnails::Thumbnail;
use balcony_wire::url_data::UrlData;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Share;
use crate::{Source, Via};

/// A link, with the metadata that stands beside it (COMPAT: Fluux).
pub(super) fn share(url: &str, file: Option<FileMetadata>) -> Share {
    if let Some(encrypted) = aes_gcm(url) {
        return Share { file, sources: vec![Source::Encrypted(encrypted)], ..Share::blank(Via::AesGcm) };
    }
    let via = if file.is_some() { Via::BareFile } else { Via::OutOfBand };
    Share { file, sources: vec![Source::url(url)], ..Share::blank(via) }
}

/// The `aesgcm:` URL that a body is, and the small pictures that may follow it, one a line (XEP-0454 §3).
pub(super) fn aes_gcm_body(body: &str) -> Option<(&str, Vec<&str>)> {
    let mut lines = body.trim().lines();
    let url = lines.next().filter(|url| aes_gcm(url).is_some())?;
    let pictures: Vec<&str> = lines.collect();
    let is_picture = |line: &&str| line.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    pictures.iter().all(is_picture).then_some((url, pictures))
}

/// Metadata that holds nothing but small pictures.
pub(super) fn pictures(uris: &[&str]) -> Option<FileMetadata> {
    let thumbnail = |uri: &&str| {
        let media_type = uri.get(5..)?.split([';', ',']).next().filter(|media_type| !media_type.is_empty());
        Some(Thumbnail { uri: (*uri).to_owned(), media_type: media_type.map(str::to_owned), width: None, height: None })
    };
    let thumbnails: Vec<_> = uris.iter().filter_map(thumbnail).take(MAX_PICTURES).collect();
    (!thumbnails.is_empty()).then(|| FileMetadata { thumbnails, ..FileMetadata::default() })
}

/// More than anybody appends to a link.
const MAX_PICTURES: usize = 16;

/// Whether a text is one `aesgcm:` URL and nothing else: it carries a key, and is never shown as a link.
fn is_aes_gcm(text: &str) -> bool {
    text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("aesgcm:")) && !text.contains(char::is_whitespace)
}

/// Reads `aesgcm://HOST/PATH#IVKEY`: 12 or 16 bytes of IV, then 32 of key, hex in either case (decision 16).
fn aes_gcm(url: &str) -> Option<EncryptedSource> {
    if !is_aes_gcm(url) {
        return None;
    }
    let (place, fragment) = url.get(7..)?.split_once('#')?;
    let digits = fragment.as_bytes();
    let iv_digits = match digits.len() {
        88 => 24,
        96 => 32,
        _ => return None,
    };
    let bytes = |digits: &[u8]| -> Option<Vec<u8>> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digits.as_chunks::<2>().0.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
    };
    let (iv, key) = digits.split_at(iv_digits);
    Some(EncryptedSource {
        cipher: "urn:xmpp:ciphers:aes-256-gcm-nopadding:0".to_owned(),
        key: STANDARD.encode(bytes(key)?),
        iv: STANDARD.encode(bytes(iv)?),
        hashes: Vec::new(),
        sources: Some(vec![SourceElement::Url(UrlData::new(format!("https:{place}")))]),
        dropped: Vec::new(),
    })
}
