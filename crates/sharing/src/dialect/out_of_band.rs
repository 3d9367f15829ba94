//! Plain links: a URL in XEP-0066 data, with or without metadata beside it, and `aesgcm:` URLs (XEP-0454 §3).

use balcony_wire::encrypted_source::EncryptedSource;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::SourceElement;
use balcony_wire::url_data::UrlData;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Share;
use crate::{Source, Via};

/// A link, with the metadata that stands beside it (COMPAT: Fluux).
pub(super) fn share(url: &str, file: Option<FileMetadata>) -> Share {
    if let Some(encrypted) = aes_gcm(url) {
        return Share { via: Via::AesGcm, sources: vec![Source::Encrypted(encrypted)], ..blank(Via::AesGcm, file) };
    }
    let via = if file.is_some() { Via::BareFile } else { Via::OutOfBand };
    Share { sources: vec![Source::url(url)], ..blank(via, file) }
}

fn blank(via: Via, file: Option<FileMetadata>) -> Share {
    Share { via, id: None, disposition: None, begin: None, end: None, file, sources: Vec::new() }
}

/// Whether a text is one `aesgcm:` URL and nothing else: it carries a key, and is never shown as a link.
pub(super) fn is_aes_gcm(text: &str) -> bool {
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
