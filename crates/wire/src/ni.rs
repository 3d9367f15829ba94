//! RFC 6920 Naming things with hashes: `ni:` and `nih:` URIs.
//! Status: partial: never fetched from an authority.
//!
//! Two names are equal when algorithm and digest are; the authority is a hint (§2). Truncated forms below 128 bits name no file
//! (decision 32).

use ::base64::Engine as _;
use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::bits_of_binary::{percent_decode, percent_encode};
use crate::hashes::{Digest, HashAlgo, decode_hex, encode_hex};

/// A name made of a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NiUri {
    /// Who may have it; often empty.
    pub authority: String,
    algo: NiAlgo,
    digest: Vec<u8>,
    /// Parameters of the query, such as `ct` for the media type.
    pub query: Vec<(String, String)>,
}

/// A hash function, perhaps cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NiAlgo {
    /// The function.
    pub hash: HashAlgo,
    /// Bits of it that are kept.
    pub bits: usize,
}

impl NiAlgo {
    /// The whole of a hash.
    pub fn whole(hash: HashAlgo) -> Self {
        Self { hash, bits: hash.digest_len() * 8 }
    }

    /// Reads a name of the registry (RFC 6920 §9.4), or the aliases that XEP-0300 hashes go by.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(hash) = HashAlgo::from_name(name).filter(|hash| hash.is_usable()) {
            return Some(Self::whole(hash));
        }
        let (hash, bits) = name.rsplit_once('-')?;
        let hash = HashAlgo::from_name(hash).filter(|hash| *hash == HashAlgo::Sha256)?;
        let bits = bits.parse().ok().filter(|bits| TRUNCATIONS.contains(bits))?;
        Some(Self { hash, bits })
    }

    /// The name: `sha-256-120`.
    pub fn name(self) -> String {
        if self == Self::whole(self.hash) { self.hash.name().to_owned() } else { format!("{}-{}", self.hash.name(), self.bits) }
    }

    fn from_suite(suite: u8) -> Option<Self> {
        SUITES.get(usize::from(suite).checked_sub(1)?).copied()
    }

    fn read(name: &str) -> Option<Self> {
        Self::from_name(name).or_else(|| Self::from_suite(name.parse().ok()?))
    }
}

/// What SHA-256 may be cut to.
const TRUNCATIONS: [usize; 5] = [128, 120, 96, 64, 32];

/// The suites of the binary form, from 1 (RFC 6920 §9.4 and its registry).
const SUITES: [NiAlgo; 12] = [
    NiAlgo { hash: HashAlgo::Sha256, bits: 256 },
    NiAlgo { hash: HashAlgo::Sha256, bits: 128 },
    NiAlgo { hash: HashAlgo::Sha256, bits: 120 },
    NiAlgo { hash: HashAlgo::Sha256, bits: 96 },
    NiAlgo { hash: HashAlgo::Sha256, bits: 64 },
    NiAlgo { hash: HashAlgo::Sha256, bits: 32 },
    NiAlgo { hash: HashAlgo::Sha384, bits: 384 },
    NiAlgo { hash: HashAlgo::Sha512, bits: 512 },
    NiAlgo { hash: HashAlgo::Sha3_224, bits: 224 },
    NiAlgo { hash: HashAlgo::Sha3_256, bits: 256 },
    NiAlgo { hash: HashAlgo::Sha3_384, bits: 384 },
    NiAlgo { hash: HashAlgo::Sha3_512, bits: 512 },
];

impl NiUri {
    /// The name of bytes with this digest.
    pub fn of(digest: &Digest) -> Self {
        Self { authority: String::new(), algo: NiAlgo::whole(digest.algo()), digest: digest.as_bytes().to_vec(), query: Vec::new() }
    }

    /// Reads an `ni:` or `nih:` URI; `None` for everything that names nothing.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        if scheme.eq_ignore_ascii_case("ni") {
            Self::parse_ni(rest)
        } else if scheme.eq_ignore_ascii_case("nih") {
            Self::parse_nih(rest)
        } else {
            None
        }
    }

    /// Reads the binary form (§6): a suite and the digest.
    pub fn from_binary(bytes: &[u8]) -> Option<Self> {
        let (suite, digest) = bytes.split_first()?;
        Self::checked(NiAlgo::from_suite(suite & 0x3f)?, digest.to_vec())
    }

    fn parse_ni(rest: &str) -> Option<Self> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = path.strip_prefix("//")?.split_once('/')?;
        let (algo, value) = path.split_once(';')?;
        let name = Self::checked(NiAlgo::read(algo)?, URL_SAFE_NO_PAD.decode(value).ok()?)?;
        let query = query.split('&').filter(|part| !part.is_empty()).take(MAX_QUERY).filter_map(read_param).collect();
        Some(Self { authority: authority.to_owned(), query, ..name })
    }

    fn parse_nih(rest: &str) -> Option<Self> {
        let mut parts = rest.split(';');
        let algo = NiAlgo::read(parts.next()?)?;
        let hex = parts.next()?.replace('-', "");
        let check = parts.next();
        if parts.next().is_some() || check.is_some_and(|check| Some(check.to_ascii_lowercase()) != check_digit(&hex).map(String::from)) {
            return None;
        }
        Self::checked(algo, decode_hex(hex.as_bytes())?)
    }

    fn checked(algo: NiAlgo, digest: Vec<u8>) -> Option<Self> {
        (digest.len() * 8 == algo.bits).then_some(Self { authority: String::new(), algo, digest, query: Vec::new() })
    }

    /// The algorithm.
    pub fn algo(&self) -> NiAlgo {
        self.algo
    }

    /// The bytes, perhaps cut short.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Whether a file with this digest is what the name means; never for less than 128 bits.
    pub fn names(&self, digest: &Digest) -> bool {
        self.algo.bits >= 128 && self.algo.hash == digest.algo() && digest.as_bytes().starts_with(&self.digest)
    }

    /// Where the authority may have it (§4), with `http` or `https`; `None` without an authority.
    pub fn well_known(&self, scheme: &str) -> Option<String> {
        let value = URL_SAFE_NO_PAD.encode(&self.digest);
        (!self.authority.is_empty()).then(|| format!("{scheme}://{}/.well-known/ni/{}/{value}", self.authority, self.algo.name()))
    }

    /// The form people can read out, with its check digit (§7).
    pub fn to_speakable(&self) -> String {
        let hex = encode_hex(&self.digest);
        let check = check_digit(&hex).map(String::from).unwrap_or_default();
        format!("nih:{};{hex};{check}", self.algo.name())
    }
}

impl std::fmt::Display for NiUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ni://{}/{};{}", self.authority, self.algo.name(), URL_SAFE_NO_PAD.encode(&self.digest))?;
        for (index, (key, value)) in self.query.iter().enumerate() {
            let (key, value) = (percent_encode(key, "&=#"), percent_encode(value, "&#"));
            write!(f, "{}{key}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// More parameters than any name has.
const MAX_QUERY: usize = 16;

fn read_param(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Some((percent_decode(key)?, percent_decode(value)?))
}

/// Luhn mod 16 over hex digits.
fn check_digit(hex: &str) -> Option<char> {
    let mut sum = 0;
    for (index, digit) in hex.chars().rev().enumerate() {
        let addend = digit.to_digit(16)? * if index % 2 == 0 { 2 } else { 1 };
        sum += addend / 16 + addend % 16;
    }
    char::from_digit((16 - sum % 16) % 16, 16)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// Found by fuzzing.
    #[test]
    fn parameters_with_signs_in_them_read_the_same_when_they_are_written() {
        let odd = NiUri::parse("ni:///sha-256-32;f4OxZQ?a%25%3D%26=%2Fb%26%25zz&c").unwrap();
        assert_eq!(odd.query, [("a%=&".to_owned(), "/b&%zz".to_owned()), ("c".to_owned(), String::new())]);
        assert_eq!(NiUri::parse(&odd.to_string()), Some(odd));
    }

    /// Proves: NI-3-1, NI-3-2, NI-3-3, NI-3-4, NI-4-1, NI-7-1, NI-D-1.
    #[test]
    fn every_name_of_the_vectors_means_what_they_say() {
        for case in testing_corpus::cases("ni") {
            let read = NiUri::parse(case["uri"].as_str().unwrap());
            if case["valid"] == false {
                assert_eq!(read, None, "{case}");
                continue;
            }
            let read = read.unwrap_or_else(|| panic!("{case}"));
            assert_eq!(read.algo().name(), case["algo"], "{case}");
            assert_eq!(encode_hex(read.digest()), case["digest_hex"], "{case}");
            if let Some(authority) = case["authority"].as_str() {
                assert_eq!(read.authority, authority);
                assert_eq!(NiUri::parse(&read.to_string()), Some(read.clone()), "{case}");
            }
            if let Some(url) = case["well_known"].as_str() {
                assert_eq!(read.well_known("http").unwrap(), url);
            }
            if let Some(check) = case["check"].as_str() {
                assert!(read.to_speakable().ends_with(&format!(";{check}")));
            }
            for (key, value) in case["query"].as_object().into_iter().flatten() {
                assert!(read.query.contains(&(key.clone(), value.as_str().unwrap().to_owned())));
            }
        }
    }

    #[test]
    fn the_binary_form_of_the_vectors_is_read() {
        for case in testing_corpus::vector("ni")["binary"].as_array().unwrap() {
            let read = NiUri::from_binary(&decode_hex(case["hex"].as_str().unwrap().as_bytes()).unwrap()).unwrap();
            assert_eq!(read.algo().name(), case["algo"]);
        }
        assert_eq!(NiUri::from_binary(&[]), None);
        assert_eq!(NiUri::from_binary(&[0, 1]), None);
        assert_eq!(NiUri::from_binary(&[63, 1]), None);
    }

    /// Decision 32.
    /// Proves: NI-2-1, NI-D-2.
    #[test]
    fn a_short_prefix_names_no_file() {
        let digest = Digest::from_hex(HashAlgo::Sha256, "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069").unwrap();
        assert!(NiUri::parse("ni://a.example/sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk").unwrap().names(&digest));
        assert!(NiUri::parse("ni:///sha-256-128;f4OxZX_x_FO5LcGBSKHWXQ").unwrap().names(&digest));
        assert!(!NiUri::parse("ni:///sha-256-32;f4OxZQ").unwrap().names(&digest));
        assert!(NiUri::of(&digest).names(&digest));
    }

    #[test]
    fn hostile_names_name_nothing() {
        for uri in [
            "",
            "ni:",
            "ni://",
            "ni:///",
            "ni:///;",
            "ni:///md5;AAAA",
            "nih:;;",
            "nih:1;zz;0",
            "nih:sha-256-7;00;0",
            "ni:///sha-256-9999999999999999999999;AA",
        ] {
            assert_eq!(NiUri::parse(uri), None, "{uri}");
        }
    }
}
