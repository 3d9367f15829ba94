//! Small data that is asked of a device over XMPP or came along in a message: what to ask, what to believe of the answer, what
//! to keep of it and for how long.
//!
//! A [`BitsJob`] fetches an offer that is bits of binary; a [`BitsCache`] keeps what was seen; [`Bits`] are bytes that fit their
//! name as far as the name can tell. The media type stays what the sender says: who shows the bytes looks at them first.
//!
//! XEP-0231 Bits of binary, v1.1 <https://xmpp.org/extensions/xep-0231.html>
//! Status: partial: asked for, handed out, kept and saved; those in presence are not looked at.

mod cache;
mod job;
mod thumbnail;

pub use cache::BitsCache;
pub use job::{Action, BitsJob, NoAnswer, is_for_bits};
pub use thumbnail::as_offer;

use std::time::Duration;

use balcony_wire::bits_of_binary::{BitsOfBinary, ContentId};
use balcony_wire::hashes::{Digest, HashAlgo};
use balcony_wire::{Element, Payload as _};

use crate::{Hasher, MediaType};

/// Bytes that we put into one bit of binary: what is larger goes another way (XEP-0231 §2.1).
pub const MAX_WRITTEN: usize = 8 * 1024;

/// Bytes that are taken from others. More than the 8 KiB that XEP-0231 wishes for, since pictures of some clients are a little
/// larger, and no more than a server's limit for a stanza lets through in any case.
pub const MAX_READ: usize = 64 * 1024;

/// Small data that fits its name. Where the name holds a hash that we know, the bytes have it (decision 29).
#[derive(Clone, PartialEq, Eq)]
pub struct Bits {
    cid: ContentId,
    media_type: Option<MediaType>,
    max_age: Option<Duration>,
    bytes: Vec<u8>,
}

/// Why data is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BitsError {
    /// The other side has nothing of that name, or not for us.
    #[error("it has nothing of that name for us")]
    Unknown,
    /// What came goes by another name.
    #[error("it answered with something else than it was asked for")]
    OtherName,
    /// What came holds no bytes.
    #[error("it answered without any bytes")]
    Empty,
    /// More than anybody takes.
    #[error("it answered with {0} bytes, more than the {MAX_READ} that are taken")]
    TooLarge(usize),
    /// The name says which hash the bytes have, and they have another.
    #[error("its bytes do not have the hash that their name says")]
    WrongBytes,
}

impl Bits {
    /// Judges what came under a name, asked for or in a message.
    ///
    /// # Errors
    /// See [`BitsError`].
    pub fn judge(asked: &ContentId, came: BitsOfBinary) -> Result<Self, BitsError> {
        if !is_same(asked, &came.cid) {
            return Err(BitsError::OtherName);
        }
        let bytes = came.data.filter(|bytes| !bytes.is_empty()).ok_or(BitsError::Empty)?;
        if bytes.len() > MAX_READ {
            return Err(BitsError::TooLarge(bytes.len()));
        }
        if hash_in(asked).is_some_and(|hash| !has_hash(&bytes, &hash)) {
            return Err(BitsError::WrongBytes);
        }
        let media_type = came.media_type.as_deref().map(MediaType::from_peer);
        Ok(Self { cid: asked.clone(), media_type, max_age: came.max_age.map(Duration::from_secs), bytes })
    }

    /// Judges the answer to [`request`].
    ///
    /// # Errors
    /// See [`BitsError`].
    pub fn judge_answer(asked: &ContentId, answer: Option<&Element>) -> Result<Self, BitsError> {
        let data = answer.filter(|element| BitsOfBinary::matches(element)).ok_or(BitsError::Empty)?;
        Self::judge(asked, BitsOfBinary::read(data).map_err(|_| BitsError::OtherName)?) // only a missing name cannot be read
    }

    /// Data of our own, named by its SHA-1: the one hash that every client looks for here. `None` for none and for more than
    /// [`MAX_WRITTEN`] bytes.
    #[must_use]
    pub fn of_ours(bytes: Vec<u8>, media_type: MediaType) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > MAX_WRITTEN {
            return None;
        }
        let cid = ContentId::of(&digest_of(&bytes, HashAlgo::Sha1)?);
        Some(Self { cid, media_type: Some(media_type), max_age: None, bytes })
    }

    /// Its name.
    pub fn cid(&self) -> &ContentId {
        &self.cid
    }

    /// What its sender says it is.
    pub fn media_type(&self) -> Option<&MediaType> {
        self.media_type.as_ref()
    }

    /// For how long its sender wants it kept; nothing for not at all.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, taken out.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// As it is handed out.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let media_type = self.media_type.as_ref().map(ToString::to_string);
        let max_age = self.max_age.map(|age| age.as_secs());
        BitsOfBinary { cid: self.cid.clone(), media_type, max_age, data: Some(self.bytes.clone()) }.write()
    }
}

/// Says how many, not which.
impl std::fmt::Debug for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bits({} bytes)", self.bytes.len())
    }
}

/// The payload that asks for data, in an iq of type get to the device that named it (XEP-0231 §2.3).
#[must_use]
pub fn request(cid: &ContentId) -> Element {
    BitsOfBinary::request(cid.clone()).write()
}

/// The hash in a name, if it is one that we can compute: one of a wrong length is none, nor is MD5 (decision 29).
pub fn hash_in(cid: &ContentId) -> Option<Digest> {
    cid.digest().filter(|digest| digest.algo().is_usable())
}

/// Whether two names mean the same data: to the letter, or by the same hash (`sha-1+` and `sha1+`).
fn is_same(a: &ContentId, b: &ContentId) -> bool {
    a == b || hash_in(a).is_some_and(|hash| Some(hash) == hash_in(b))
}

fn has_hash(bytes: &[u8], hash: &Digest) -> bool {
    digest_of(bytes, hash.algo()).as_ref() == Some(hash)
}

fn digest_of(bytes: &[u8], algo: HashAlgo) -> Option<Digest> {
    let mut hasher = Hasher::new([algo]);
    hasher.update(bytes);
    hasher.finish().digests().get(algo).cloned()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn came(cid: &ContentId, bytes: &[u8]) -> BitsOfBinary {
        BitsOfBinary { cid: cid.clone(), media_type: None, max_age: None, data: Some(bytes.to_vec()) }
    }

    /// Decision 29.
    /// Proves: BOB-D-1, BOB-2.5-2, BOB-2.6-1, SEC-4-4.
    #[test]
    fn bytes_must_have_the_hash_in_their_name_and_a_name_without_one_is_taken() {
        let mut judged = 0;
        for case in testing_corpus::cases("bob") {
            let cid = ContentId::new(case["cid"].as_str().unwrap());
            let bytes = case["data_base64"].as_str().map(|text| STANDARD.decode(text).unwrap());
            let Some(matches) = case["matches"].as_bool() else {
                assert!(hash_in(&cid).is_none() || bytes.is_none(), "{case}");
                assert!(case.get("uri").is_some() || Bits::judge(&cid, came(&cid, b"anything")).is_ok(), "{case}");
                continue;
            };
            let verdict = Bits::judge(&cid, came(&cid, &bytes.unwrap()));
            assert_eq!(verdict.is_ok(), matches, "{case}");
            assert!(matches || verdict == Err(BitsError::WrongBytes), "{case}");
            judged += 1;
        }
        assert!(judged >= 5, "{judged}");
    }

    #[test]
    fn other_names_no_bytes_and_too_many_are_refused() {
        let (cid, other) = (ContentId::new("foo@example.org"), ContentId::new("bar@example.org"));
        assert_eq!(Bits::judge(&cid, came(&other, b"x")), Err(BitsError::OtherName));
        assert_eq!(Bits::judge(&cid, BitsOfBinary::request(cid.clone())), Err(BitsError::Empty));
        assert_eq!(Bits::judge(&cid, came(&cid, &[0; MAX_READ + 1])), Err(BitsError::TooLarge(MAX_READ + 1)));
        assert!(Bits::judge(&cid, came(&cid, &[0; MAX_READ])).is_ok());
        assert_eq!(Bits::judge_answer(&cid, None), Err(BitsError::Empty));
        assert_eq!(Bits::judge_answer(&cid, Some(&Element::new("query", "urn:example"))), Err(BitsError::Empty));
        assert_eq!(Bits::judge_answer(&cid, Some(&Element::new("data", balcony_wire::ns::BOB))), Err(BitsError::OtherName));
    }

    #[test]
    fn the_same_hash_under_another_label_is_the_same_name() {
        let case = testing_corpus::cases("bob").into_iter().find(|case| case["source"] == "derived").unwrap();
        let asked = ContentId::new(case["cid"].as_str().unwrap());
        let bytes = STANDARD.decode(case["data_base64"].as_str().unwrap()).unwrap();
        let today = ContentId::of(&hash_in(&asked).unwrap());
        assert_ne!(asked, today);
        assert!(Bits::judge(&asked, came(&today, &bytes)).is_ok());
    }

    /// Proves: BOB-2.1-2, BOB-2.5-1.
    #[test]
    fn what_we_hand_out_is_small_and_named_by_its_hash() {
        let png: MediaType = MediaType::from_peer("image/png");
        let bits = Bits::of_ours(vec![7; MAX_WRITTEN], png.clone()).unwrap();
        assert!(bits.cid().as_str().starts_with("sha1+") && bits.cid().as_str().ends_with("@bob.xmpp.org"));
        let handed_out = bits.to_element();
        assert_eq!(handed_out.attr("type"), Some("image/png"));
        assert!(!handed_out.text().contains(char::is_whitespace));
        assert_eq!(Bits::judge_answer(bits.cid(), Some(&handed_out)).unwrap().bytes(), bits.bytes());
        assert!(Bits::of_ours(vec![7; MAX_WRITTEN + 1], png.clone()).is_none() && Bits::of_ours(Vec::new(), png).is_none());
    }
}
