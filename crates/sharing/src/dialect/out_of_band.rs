//! Plain links: a URL in XEP-0066 data, with or without metadata beside it, and `aesgcm:` URLs (XEP-0454 §3).
//!
//! XEP-0066 Out of band data, v1.5 <https://xmpp.org/extensions/xep-0066.html>
//! Status: partial: `jabber:x:oob` is read and written; requests by `jabber:iq:oob` are explained and answered as not understood.
//! XEP-0454 OMEMO media sharing, v0.1.0 <https://xmpp.org/extensions/xep-0454.html>
//! Status: partial: links are read and fetched; none is written, as OMEMO is not spoken.

use balcony_wire::bits_of_binary::ContentId;
use balcony_wire::encrypted_source::EncryptedSource;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::SourceElement;
use balcony_wire::thumbnails::Thumbnail;
use balcony_wire::url_data::UrlData;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::Share;
use crate::{Source, UnknownSource, Via};

/// A link, with the metadata that stands beside it (COMPAT: Fluux).
pub(super) fn share(url: &str, file: Option<FileMetadata>) -> Share {
    if let Some(encrypted) = aes_gcm(url) {
        return Share { file, sources: vec![Source::Encrypted(encrypted)], ..Share::blank(Via::AesGcm) };
    }
    let via = if file.is_some() { Via::BareFile } else { Via::OutOfBand };
    // COMPAT(Cheogram): bits of binary by their name; which ones they are is said where the whole message is known
    let is_bits = ContentId::from_uri(url).is_some();
    let source = if is_bits { Source::Unknown(UnknownSource::Uri(url.to_owned())) } else { Source::url(url) };
    Share { file, sources: vec![source], ..Share::blank(via) }
}

/// Whether an out-of-band address can be that of a file: places, people and telephones are none (XEP-0066 §5 allows any scheme).
pub(super) fn can_be_a_file(url: &str) -> bool {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    !NO_FILES.iter().any(|other| scheme.eq_ignore_ascii_case(other))
}

const NO_FILES: [&str; 11] = ["geo", "xmpp", "mailto", "tel", "sip", "sips", "sms", "im", "pres", "matrix", "javascript"];

/// The https URL that a body is, if its path ends as those of files do: how upload services were used before anybody marked such a
/// link, and how bridges and bots still do. Any other link is a text.
pub(super) fn bare_link(body: &str) -> Option<&str> {
    let url = body.trim();
    let parsed = Url::parse(url).ok().filter(|parsed| parsed.scheme() == "https" && !url.contains(char::is_whitespace))?;
    let (_, ending) = parsed.path_segments()?.next_back()?.rsplit_once('.')?;
    FILE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)).then_some(url)
}

#[rustfmt::skip]
const FILE_ENDINGS: [&str; 54] = [
    "jpg", "jpeg", "png", "gif", "webp", "avif", "heic", "heif", "bmp", "tif", "tiff", "svg",
    "mp3", "ogg", "oga", "opus", "m4a", "aac", "flac", "wav", "amr",
    "mp4", "m4v", "mov", "webm", "mkv", "ogv", "avi", "3gp",
    "pdf", "txt", "csv", "odt", "ods", "odp", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "epub", "ics", "vcf", "gpx",
    "zip", "gz", "xz", "zst", "7z", "tar", "apk", "deb", "iso",
];

/// The `aesgcm:` URL that a body is, and the small picture that may follow it after one line break; anything else in the body
/// makes it a text (XEP-0454 §5).
pub(super) fn aes_gcm_body(body: &str) -> Option<(&str, Option<&str>)> {
    let mut lines = body.trim().lines();
    let url = lines.next().filter(|url| aes_gcm(url).is_some())?;
    let picture = lines.next();
    let is_data = |line: &str| {
        let is_scheme = line.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        is_scheme && line.contains(',') && !line.contains(char::is_whitespace)
    };
    (lines.next().is_none() && picture.is_none_or(is_data)).then_some((url, picture))
}

/// Metadata that holds nothing but a small picture.
pub(super) fn picture(uri: &str) -> FileMetadata {
    let media_type = uri.get(5..).and_then(|rest| rest.split([';', ',']).next()).filter(|media_type| !media_type.is_empty());
    let thumbnail = Thumbnail { uri: uri.to_owned(), media_type: media_type.map(str::to_owned), width: None, height: None };
    FileMetadata { thumbnails: vec![thumbnail], ..FileMetadata::default() }
}

/// Reads `aesgcm://HOST/PATH#IVKEY`: 12 or 16 bytes of IV, then 32 of key, hex in either case (decision 16).
/// COMPAT(Conversations 1.x, ChatSecure 4): `https:` with such a fragment is the same; nothing else has one of that length in hex.
pub(crate) fn aes_gcm(url: &str) -> Option<EncryptedSource> {
    let (scheme, rest) = url.split_once(':')?;
    let is_known = scheme.eq_ignore_ascii_case("aesgcm") || scheme.eq_ignore_ascii_case("https");
    let (place, fragment) = rest.split_once('#').filter(|(place, _)| is_known && !place.contains(char::is_whitespace))?;
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
    let target = format!("https:{place}");
    Url::parse(&target).ok().filter(|url| place.starts_with("//") && url.host().is_some())?;
    Some(EncryptedSource {
        cipher: "urn:xmpp:ciphers:aes-256-gcm-nopadding:0".to_owned(),
        key: STANDARD.encode(bytes(key)?),
        iv: STANDARD.encode(bytes(iv)?),
        hashes: Vec::new(),
        sources: Some(vec![SourceElement::Url(UrlData::new(target))]),
        dropped: Vec::new(),
    })
}
