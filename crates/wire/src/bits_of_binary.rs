//! XEP-0231 Bits of binary, v1.1 <https://xmpp.org/extensions/xep-0231.html>
//!
//! Small data in a stanza, named by a content id that usually holds its hash. Whether the bytes have that hash is checked where
//! they are kept, never here (decision 29).

use crate::base64;
use crate::element::Element;
use crate::hashes::{Digest, HashAlgo};
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{filled, number};

/// `<data cid=''/>`: data, or without bytes a request for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitsOfBinary {
    /// Its name.
    pub cid: ContentId,
    /// Its media type.
    pub media_type: Option<String>,
    /// Seconds it may be kept; 0 means it is not to be.
    pub max_age: Option<u64>,
    /// The bytes; `None` in a request, and where the text is not base64.
    pub data: Option<Vec<u8>>,
}

impl BitsOfBinary {
    /// A request for data.
    pub fn request(cid: ContentId) -> Self {
        Self { cid, media_type: None, max_age: None, data: None }
    }
}

impl Payload for BitsOfBinary {
    const NAME: &'static str = "data";
    const NS: &'static str = ns::BOB;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let cid = filled(element, "cid").ok_or_else(|| ReadError::new(element, "no cid"))?;
        Ok(Self {
            cid: ContentId::new(cid),
            media_type: filled(element, "type").map(str::to_owned),
            max_age: element.attr("max-age").and_then(number),
            data: base64::decode(&element.text()).ok().filter(|data| !data.is_empty()),
        })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("cid", self.cid.as_str())
            .with_attr_opt("type", self.media_type.as_deref())
            .with_attr_opt("max-age", self.max_age.map(|seconds| seconds.to_string()))
            .with_text(self.data.as_ref().map(base64::encode).unwrap_or_default())
    }
}

/// The name of a bit of binary: `sha1+HEX@bob.xmpp.org`, or anything else that its sender understands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(String);

impl ContentId {
    /// A name as it stands in `cid` attributes.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The name of bytes with this digest.
    pub fn of(digest: &Digest) -> Self {
        let algo = if digest.algo() == HashAlgo::Sha1 { "sha1" } else { digest.algo().name() };
        Self(format!("{algo}+{}@bob.xmpp.org", digest.to_hex()))
    }

    /// The name in a `cid:` URI, percent-encoding undone; `None` for other schemes.
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (scheme, name) = uri.split_once(':')?;
        let name = Self(percent_decode(name)?);
        (scheme.eq_ignore_ascii_case("cid") && !name.0.is_empty()).then_some(name)
    }

    /// As it stands in `cid` attributes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a URI, the way XEP-0231 prints it; what would be read as an escape, or ends a word, is escaped.
    pub fn to_uri(&self) -> String {
        format!("cid:{}", percent_encode(&self.0, ""))
    }

    /// The digest its bytes must have; `None` for opaque names and for hashes of a wrong length.
    pub fn digest(&self) -> Option<Digest> {
        let (name, domain) = self.0.split_once('@')?;
        let (algo, hex) = name.split_once('+')?;
        if !domain.eq_ignore_ascii_case("bob.xmpp.org") {
            return None;
        }
        Digest::from_hex(HashAlgo::from_name(algo)?, hex).ok()
    }
}

/// Percent-encodes the sign itself, what ends a word, and the characters in `also` (ASCII ones); the rest stays readable.
pub(crate) fn percent_encode(text: &str, also: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '\0'..=' ' | '\u{7f}') || also.contains(c) {
            encoded.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            encoded.push(c);
        }
    }
    encoded
}

/// Undoes percent-encoding; `None` if the result is no UTF-8 or an escape is broken.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let (digits, behind) = behind.split_at_checked(2)?;
            bytes.extend(crate::hashes::decode_hex(digits)?);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// Proves: BOB-2.5-2, BOB-2.6-1.
    #[test]
    fn content_ids_of_the_vectors_hold_the_digests_they_say() {
        for case in testing_corpus::cases("bob") {
            let cid = match case["uri"].as_str() {
                Some(uri) => ContentId::from_uri(uri).unwrap(),
                None => ContentId::new(case["cid"].as_str().unwrap()),
            };
            assert_eq!(cid.as_str(), case["cid"], "{case}");
            if case.get("digest_hex").is_some() {
                assert_eq!(cid.digest().map(|digest| digest.to_hex()).as_deref(), case["digest_hex"].as_str(), "{case}");
            }
        }
        let digest = Digest::from_hex(HashAlgo::Sha1, "4a5eb7171b58e08a6881721e3b43d5a44419a2be").unwrap();
        assert_eq!(ContentId::of(&digest).to_uri(), "cid:sha1+4a5eb7171b58e08a6881721e3b43d5a44419a2be@bob.xmpp.org");
        let odd = ContentId::new("100%41 of\nit");
        assert_eq!((odd.to_uri().as_str(), ContentId::from_uri(&odd.to_uri())), ("cid:100%2541%20of%0Ait", Some(odd)));
    }

    /// Hash names as they stand in the names of others: XEP-0231 itself, Kaidan and Psi, Cheogram, slixmpp (decision 53).
    #[test]
    fn cheogram_slixmpp_and_psi_spell_the_hash_in_a_cid_their_own_way() {
        let hex = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33";
        for algo in ["sha1", "sha-1", "SHA-1"] {
            assert_eq!(
                ContentId::new(format!("{algo}+{hex}@bob.xmpp.org")).digest().map(|digest| digest.algo()),
                Some(HashAlgo::Sha1),
                "{algo}"
            );
        }
        let long = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        for (algo, known) in [
            ("sha256", HashAlgo::Sha256),
            ("sha-256", HashAlgo::Sha256),
            ("BLAKE2b256", HashAlgo::Blake2b256),
            ("id-blake2b256", HashAlgo::Blake2b256),
        ] {
            let cid = ContentId::from_uri(&format!("cid:{algo}+{}@bob.xmpp.org", long.to_uppercase())).unwrap();
            assert_eq!(cid.digest().map(|digest| (digest.algo(), digest.to_hex())), Some((known, long.to_owned())), "{algo}");
        }
        assert_eq!(ContentId::new(format!("sha256+{hex}@bob.xmpp.org")).digest(), None);
    }

    /// Proves: BOB-2.5-1.
    #[test]
    fn white_space_inside_base64_is_read_and_never_written() {
        let element = BitsOfBinary::element().with_attr("cid", "a@b").with_attr("max-age", "86400").with_text("\n  Zm9v\n  YmFy\n");
        let read = BitsOfBinary::read(&element).unwrap();
        assert_eq!((read.data.as_deref(), read.max_age), (Some(&b"foobar"[..]), Some(86400)));
        assert_eq!(read.write().text(), "Zm9vYmFy");
    }

    #[test]
    fn kaidan_sends_data_without_a_type() {
        let read = BitsOfBinary::read(&BitsOfBinary::element().with_attr("cid", "a@b").with_text("Zm9v")).unwrap();
        assert_eq!((read.media_type, read.data), (None, Some(b"foo".to_vec())));
    }

    /// Proves: BOB-2.3-1.
    #[test]
    fn without_bytes_it_is_a_request() {
        let request = BitsOfBinary::request(ContentId::new("sha1+8f35fef110ffc5df08d579a50083ff9308fb6242@bob.xmpp.org"));
        assert_eq!(request.write().nodes().len(), 0);
        assert_eq!(BitsOfBinary::read(&request.write()).unwrap(), request);
    }

    #[test]
    fn hostile_data_has_no_bytes_and_hostile_names_no_digest() {
        let hostile = BitsOfBinary::element().with_attr("cid", "%zz+@").with_attr("max-age", "-1").with_text("=AAA");
        let read = BitsOfBinary::read(&hostile.with_child(Element::new("x", "urn:example"))).unwrap();
        assert_eq!((read.data, read.max_age, read.cid.digest()), (None, None, None));
        assert!(BitsOfBinary::read(&BitsOfBinary::element()).is_err());
        assert_eq!(ContentId::from_uri("cid:%"), None);
        assert_eq!(ContentId::from_uri("cid:%ff%fe"), None);
        assert_eq!(ContentId::from_uri("data:,x"), None);
        assert_eq!(ContentId::from_uri("cid:"), None);
        assert_eq!(ContentId::new("sha1+zz@bob.xmpp.org").digest(), None);
        assert_eq!(ContentId::new("sha1+4a5eb7171b58e08a6881721e3b43d5a44419a2be@evil.example").digest(), None);
    }
}
