//! XEP-0300 Use of cryptographic hash functions, v1.0.0 <https://xmpp.org/extensions/xep-0300.html>
//!
//! Algorithm names, digests of the right length, and the `hash` and `hash-used` elements. Written in `urn:xmpp:hashes:2`;
//! `urn:xmpp:hashes:1` is read too, where the text may be hex. Nothing is computed here. A hash that is no use (unknown
//! algorithm, wrong length, bad base64) is kept with the reason: it counts as not given, and never spoils the file it stands in.

use std::fmt;

use crate::base64;
use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::is_xml_space;

/// A hash function by its registered name. Ordered by how much it is trusted, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgo {
    /// `md5`: known by name, never used (XEP-0414 §5).
    Md5,
    /// `sha-1`: a mismatch counts, a match proves nothing (XEP-0414 §5).
    Sha1,
    /// `blake2b-160`
    Blake2b160,
    /// `sha-224`
    Sha224,
    /// `sha3-224`
    Sha3_224,
    /// `sha-256`
    Sha256,
    /// `sha3-256`
    Sha3_256,
    /// `blake2b-256`
    Blake2b256,
    /// `sha-384`
    Sha384,
    /// `sha3-384`
    Sha3_384,
    /// `blake2b-384`
    Blake2b384,
    /// `sha-512`
    Sha512,
    /// `sha3-512`
    Sha3_512,
    /// `blake2b-512`
    Blake2b512,
}

impl HashAlgo {
    /// All of them, the least trusted first.
    pub const ALL: [Self; 14] = [
        Self::Md5,
        Self::Sha1,
        Self::Blake2b160,
        Self::Sha224,
        Self::Sha3_224,
        Self::Sha256,
        Self::Sha3_256,
        Self::Blake2b256,
        Self::Sha384,
        Self::Sha3_384,
        Self::Blake2b384,
        Self::Sha512,
        Self::Sha3_512,
        Self::Blake2b512,
    ];

    /// The name that is written (XEP-0300 §3; decision 1 for BLAKE2b).
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha-1",
            Self::Blake2b160 => "blake2b-160",
            Self::Sha224 => "sha-224",
            Self::Sha3_224 => "sha3-224",
            Self::Sha256 => "sha-256",
            Self::Sha3_256 => "sha3-256",
            Self::Blake2b256 => "blake2b-256",
            Self::Sha384 => "sha-384",
            Self::Sha3_384 => "sha3-384",
            Self::Blake2b384 => "blake2b-384",
            Self::Sha512 => "sha-512",
            Self::Sha3_512 => "sha3-512",
            Self::Blake2b512 => "blake2b-512",
        }
    }

    /// Reads a name: without case, and `sha256`, `BLAKE2b256`, `id-blake2b256` and the like as what they mean (decisions 1, 53).
    pub fn from_name(name: &str) -> Option<Self> {
        if name.len() > 24 {
            return None;
        }
        if let Some(exact) = Self::ALL.into_iter().find(|algo| algo.name() == name) {
            return Some(exact);
        }
        let bare = match name.get(..3) {
            Some(start) if start.eq_ignore_ascii_case("id-") => &name[3..],
            _ => name,
        };
        Self::ALL.into_iter().find(|algo| folded(algo.name()).eq(folded(bare)))
    }

    /// Bytes of a digest.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 | Self::Blake2b160 => 20,
            Self::Sha224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 | Self::Blake2b256 => 32,
            Self::Sha384 | Self::Sha3_384 | Self::Blake2b384 => 48,
            Self::Sha512 | Self::Sha3_512 | Self::Blake2b512 => 64,
        }
    }

    /// How much it is trusted: higher is more. The order of the type.
    pub fn rank(self) -> u8 {
        self as u8
    }

    /// Whether a digest of it may be looked at at all; only `md5` may not.
    pub fn is_usable(self) -> bool {
        self != Self::Md5
    }

    /// Whether a match proves that two files are the same; not so for SHA-1 (decision 35).
    pub fn is_proof(self) -> bool {
        self > Self::Sha1
    }

    /// The disco features that announce it (XEP-0300 §5; both spellings of BLAKE2b, decision 1).
    pub fn features(self) -> Vec<String> {
        let plain = format!("{}{}", ns::HASH_FUNCTION_PREFIX, self.name());
        match self.name().strip_prefix("blake2b-") {
            Some(bits) => vec![plain, format!("{}id-blake2b{bits}", ns::HASH_FUNCTION_PREFIX)],
            None => vec![plain],
        }
    }
}

impl fmt::Display for HashAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Letters and digits of a name in lower case: what is left when people disagree about dashes.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase())
}

/// A digest of the length its algorithm has. Ordered by trust in the algorithm, then by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algo: HashAlgo,
    bytes: Vec<u8>,
}

impl Digest {
    /// Checks the length.
    ///
    /// # Errors
    /// When it does not fit, or the algorithm must not be used.
    pub fn new(algo: HashAlgo, bytes: impl Into<Vec<u8>>) -> Result<Self, Unusable> {
        let bytes = bytes.into();
        if !algo.is_usable() {
            return Err(Unusable::Forbidden);
        }
        if bytes.len() != algo.digest_len() {
            return Err(Unusable::Length { found: bytes.len(), expected: algo.digest_len() });
        }
        Ok(Self { algo, bytes })
    }

    /// From hex digits in either case.
    ///
    /// # Errors
    /// As [`Digest::new`], and when it is not hex.
    pub fn from_hex(algo: HashAlgo, hex: &str) -> Result<Self, Unusable> {
        Self::new(algo, decode_hex(hex.as_bytes()).ok_or(Unusable::NotHex)?)
    }

    /// The algorithm.
    pub fn algo(&self) -> HashAlgo {
        self.algo
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lower-case hex.
    pub fn to_hex(&self) -> String {
        encode_hex(&self.bytes)
    }

    /// Base64 as XEP-0300 wants it.
    pub fn to_base64(&self) -> String {
        base64::encode(&self.bytes)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `sha-256:hex`
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algo)?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a hash counts as not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No `algo` attribute.
    #[error("no algo attribute")]
    NoAlgorithm,
    /// A name nobody here knows.
    #[error("unknown algorithm")]
    UnknownAlgorithm,
    /// `md5`.
    #[error("the algorithm must not be used")]
    Forbidden,
    /// No text: the algorithm is only announced, as `hash-used` does today.
    #[error("no digest")]
    Empty,
    /// Not base64 with padding, or a foreign alphabet.
    #[error("not base64")]
    NotBase64,
    /// Not hex digits.
    #[error("not hex")]
    NotHex,
    /// A digest of another length.
    #[error("{found} bytes instead of {expected}")]
    Length {
        /// bytes there
        found: usize,
        /// bytes the algorithm has
        expected: usize,
    },
}

/// `<hash algo=''>digest</hash>` as it was read, usable or not.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    algo: Option<String>,
    canonical: Option<HashAlgo>,
    reading: Result<Digest, (Unusable, String)>,
}

impl Hash {
    /// The algorithm as written.
    pub fn algo(&self) -> Option<&str> {
        self.algo.as_deref()
    }

    /// The algorithm that is meant, if it is known.
    pub fn canonical(&self) -> Option<HashAlgo> {
        self.canonical
    }

    /// The digest, if the hash is of use.
    pub fn digest(&self) -> Option<&Digest> {
        self.reading.as_ref().ok()
    }

    /// Whether the hash is of use.
    pub fn is_usable(&self) -> bool {
        self.reading.is_ok()
    }

    /// Why it is not.
    pub fn why(&self) -> Option<Unusable> {
        self.reading.as_ref().err().map(|(why, _)| *why)
    }

    /// Whether it only announces an algorithm (old form of `hash-used`).
    pub fn is_announcement(&self) -> bool {
        self.why() == Some(Unusable::Empty)
    }

    /// As [`Payload::read`] but by local name alone: for parents whose namespace their children inherited (decision 61).
    pub(crate) fn read_inherited(element: &Element) -> Self {
        Self::from_text(element.attr("algo"), element.text(), element.ns() == ns::HASHES_1)
    }

    fn from_text(algo: Option<&str>, text: String, hex_allowed: bool) -> Self {
        let canonical = algo.and_then(HashAlgo::from_name);
        let reading = match (algo, canonical) {
            (None, _) => Err(Unusable::NoAlgorithm),
            (Some(_), None) => Err(Unusable::UnknownAlgorithm),
            (Some(_), Some(canonical)) => read_digest(canonical, &text, hex_allowed),
        };
        Self { algo: algo.map(str::to_owned), canonical, reading: reading.map_err(|why| (why, text)) }
    }
}

impl From<Digest> for Hash {
    fn from(digest: Digest) -> Self {
        Self { algo: Some(digest.algo.name().to_owned()), canonical: Some(digest.algo), reading: Ok(digest) }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reading {
            Ok(digest) => write!(f, "{digest}"),
            Err((why, _)) => write!(f, "{:?} ({why})", self.algo.as_deref().unwrap_or_default()),
        }
    }
}

impl Payload for Hash {
    const NAME: &'static str = "hash";
    const NS: &'static str = ns::HASHES_2;

    fn matches(element: &Element) -> bool {
        element.name() == Self::NAME && matches!(element.ns(), ns::HASHES_2 | ns::HASHES_1)
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self::read_inherited(element))
    }

    /// A usable hash is written under its registered name; one that is no use goes on as it came.
    fn write(&self) -> Element {
        match &self.reading {
            Ok(digest) => Self::element().with_attr("algo", digest.algo.name()).with_text(digest.to_base64()),
            Err((_, text)) => Self::element().with_attr_opt("algo", self.algo.as_deref()).with_text(text.as_str()),
        }
    }
}

/// `<hash-used algo=''/>`: a hash that is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashUsed {
    /// The algorithm as written.
    pub algo: String,
}

impl HashUsed {
    /// The algorithm that is meant, if it is known.
    pub fn canonical(&self) -> Option<HashAlgo> {
        HashAlgo::from_name(&self.algo)
    }
}

impl From<HashAlgo> for HashUsed {
    fn from(algo: HashAlgo) -> Self {
        Self { algo: algo.name().to_owned() }
    }
}

impl Payload for HashUsed {
    const NAME: &'static str = "hash-used";
    const NS: &'static str = ns::HASHES_2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { algo: element.required("algo")?.to_owned() })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("algo", &self.algo)
    }
}

/// The first algorithm that has two different usable digests among `hashes`: whoever sent them cannot mean one file (decision 60).
pub fn contradiction<'a>(hashes: impl IntoIterator<Item = &'a Hash>) -> Option<HashAlgo> {
    let mut seen: Vec<&Digest> = Vec::new();
    for digest in hashes.into_iter().filter_map(Hash::digest) {
        match seen.iter().find(|known| known.algo == digest.algo) {
            Some(known) if *known != digest => return Some(digest.algo),
            Some(_) => {}
            None => seen.push(digest),
        }
    }
    None
}

/// Reads the text of a hash element: base64, or hex where the namespace allows it, or base64 of hex (decisions 2, 3, 34, 54).
fn read_digest(algo: HashAlgo, text: &str, hex_allowed: bool) -> Result<Digest, Unusable> {
    if !algo.is_usable() {
        return Err(Unusable::Forbidden);
    }
    let compact = text.contains(is_xml_space).then(|| text.replace(is_xml_space, ""));
    let text = compact.as_deref().unwrap_or(text);
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    let length = algo.digest_len();
    if hex_allowed
        && text.len() == 2 * length
        && let Some(bytes) = decode_hex(text.as_bytes())
    {
        return Digest::new(algo, bytes);
    }
    let bytes = base64::decode(text).map_err(|_| Unusable::NotBase64)?;
    if bytes.len() == 2 * length
        && let Some(inner) = decode_hex(&bytes)
    {
        return Digest::new(algo, inner); // COMPAT(libervia 0.9): base64 of the hex digits
    }
    Digest::new(algo, bytes)
}

/// Decodes an even number of hex digits in either case.
pub(crate) fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Lower-case hex digits.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn hash(ns: &'static str, algo: Option<&str>, text: &str) -> Hash {
        Hash::read(&Element::new("hash", ns).with_attr_opt("algo", algo).with_text(text)).unwrap()
    }

    /// Decisions 2 and 34.
    /// Proves: HASH-3-1, HASH-3-D1, HASH-3-D2, HASH-3-D3, HASH-3-D4.
    #[test]
    fn reads_every_hash_element_of_the_vectors_as_they_say() {
        for case in testing_corpus::cases("hash-elements") {
            let ns = if case["ns"] == ns::HASHES_1 { ns::HASHES_1 } else { ns::HASHES_2 };
            if case["element"] == "hash-used" {
                let used = HashUsed::read(&Element::new("hash-used", ns).with_attr("algo", case["algo"].as_str().unwrap())).unwrap();
                assert_eq!(used.canonical().map(HashAlgo::name), case["canonical"].as_str(), "{case}");
                continue;
            }
            let read = hash(ns, case["algo"].as_str(), case["text"].as_str().unwrap());
            assert_eq!(read.algo(), case["algo"].as_str(), "{case}");
            assert_eq!(read.is_usable(), case["usable"], "{case}");
            assert_eq!(read.canonical().map(HashAlgo::name), case["canonical"].as_str(), "{case}");
            assert_eq!(read.digest().map(Digest::to_hex).as_deref(), case["digest_hex"].as_str(), "{case}");
            assert_eq!(read.why().is_none(), read.is_usable());
        }
    }

    /// Proves: HASH-3-3, HASH-3-4, HASH-3-5.
    #[test]
    fn writes_registered_names_and_padded_base64_without_white_space() {
        let read = hash(ns::HASHES_1, Some("ID-BLAKE2b256"), "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
        let written = read.write();
        assert_eq!((written.ns(), written.attr("algo")), (ns::HASHES_2, Some("blake2b-256")));
        assert_eq!(written.text(), "p//G+L8e12ZRwUdWoGHWYvWA/03kO0n6gtgKS4D4Q0o=");
        let spaced = hash(ns::HASHES_2, Some("sha-1"), " w0mcJylzCn+\n AfvuGdqkty2+KP48=\t");
        assert_eq!(spaced.write().text(), "w0mcJylzCn+AfvuGdqkty2+KP48=");
    }

    /// Decisions 1 and 53.
    /// Proves: HASH-9.3-1, HREC-5-4.
    #[test]
    fn knows_lengths_aliases_and_features_of_all_algorithms() {
        let table = testing_corpus::vector("hashes");
        let algorithms = table["algorithms"].as_object().unwrap();
        assert_eq!(algorithms.len(), HashAlgo::ALL.len());
        for (name, entry) in algorithms {
            let algo = HashAlgo::from_name(name).unwrap();
            assert_eq!(algo.name(), name);
            assert_eq!(algo.digest_len() as u64, entry["digest_bytes"].as_u64().unwrap());
            for alias in entry["aliases"].as_array().unwrap() {
                assert_eq!(HashAlgo::from_name(alias.as_str().unwrap()), Some(algo), "{alias}");
            }
            let features: Vec<_> = entry["disco_features"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
            assert_eq!(algo.features(), features);
            assert_eq!(algo.is_usable(), entry["xep0414"] != "MUST NOT");
        }
        assert_eq!(HashAlgo::from_name("whirlpool"), None);
        assert_eq!(HashAlgo::from_name("blake2b"), None);
    }

    /// Decision 53.
    #[test]
    fn slixmpp_and_profanity_spell_names_their_own_way() {
        assert_eq!(HashAlgo::from_name("BLAKE2b256"), Some(HashAlgo::Blake2b256)); // slixmpp
        assert_eq!(HashAlgo::from_name("sha256"), Some(HashAlgo::Sha256)); // cids of several clients
        assert_eq!(HashAlgo::from_name("SHA3_512"), Some(HashAlgo::Sha3_512));
    }

    /// Decision 54.
    #[test]
    fn libervia_sends_base64_of_the_hex_digits() {
        let hex = "c3499c2729730a7f807efb8676a92dcb6f8a3f8f";
        let read = hash(ns::HASHES_2, Some("sha-1"), &base64::encode(hex));
        assert_eq!(read.digest().unwrap().to_hex(), hex);
    }

    #[test]
    fn a_hash_without_text_announces_an_algorithm() {
        // file-transfer:4 offers of older Gajim and Conversations: the digest follows in a checksum
        let read = hash(ns::HASHES_1, Some("sha-1"), "");
        assert!(read.is_announcement() && !read.is_usable());
        assert_eq!(read.canonical(), Some(HashAlgo::Sha1));
    }

    #[test]
    fn a_hash_of_no_use_says_why_and_goes_on_as_it_came() {
        let read = hash(ns::HASHES_2, Some("id-blake2b256"), "2AfMGH8O7UNPTvUVAM9aK13mpCY=");
        assert_eq!(read.why().unwrap().to_string(), "20 bytes instead of 32");
        assert_eq!(read.write().attr("algo"), Some("id-blake2b256"));
        assert_eq!(read.write().text(), "2AfMGH8O7UNPTvUVAM9aK13mpCY=");
    }

    /// Decision 3.
    #[test]
    fn hostile_texts_are_unusable_and_nothing_more() {
        for text in ["\u{0}", "=", "====", "\u{fe0f}\u{200d}", &"A".repeat(100_000), &"f".repeat(64)] {
            assert!(!hash(ns::HASHES_2, Some("sha-256"), text).is_usable());
        }
        assert!(!hash(ns::HASHES_2, Some(&"x".repeat(100_000)), "AAAA").is_usable());
        assert!(!hash(ns::HASHES_2, Some("é-"), "AAAA").is_usable());
        assert!(HashUsed::read(&HashUsed::element()).is_err());
        assert!(Hash::read(&Element::new("hash", "urn:xmpp:hashes:3")).is_err());
    }

    #[test]
    fn two_values_of_one_algorithm_contradict_each_other() {
        let one = Hash::from(Digest::new(HashAlgo::Sha1, [1; 20]).unwrap());
        let other = Hash::from(Digest::new(HashAlgo::Sha1, [2; 20]).unwrap());
        let broken = hash(ns::HASHES_2, Some("sha-1"), "AAAA");
        assert_eq!(contradiction([&one, &one, &broken]), None);
        assert_eq!(contradiction([&one, &broken, &other]), Some(HashAlgo::Sha1));
    }

    #[test]
    fn digests_have_the_length_of_their_algorithm() {
        assert_eq!(Digest::new(HashAlgo::Sha256, [0; 20]), Err(Unusable::Length { found: 20, expected: 32 }));
        assert_eq!(Digest::new(HashAlgo::Md5, [0; 16]), Err(Unusable::Forbidden));
        assert!(Digest::from_hex(HashAlgo::Sha1, "zz").is_err());
        assert!(HashAlgo::Blake2b512.rank() > HashAlgo::Sha256.rank() && HashAlgo::Sha256.rank() > HashAlgo::Sha1.rank());
    }
}
