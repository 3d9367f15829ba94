//! Opens an encrypted file as its bytes come in.
//!
//! Encrypted bytes lie at the same place of the file as the plain ones, so a fetch that was interrupted asks for those behind what it
//! has. Tag and padding stand at the end, behind whatever a sender put there to hide the length (decision 11):
//!
//! - GCM: as many bytes as the file has: no tag. 16 more: the tag. Still more: surplus, then the tag. Anything between is wrong.
//! - CBC: whole blocks, and a padding that is proper.

use super::cbc::{BLOCK, Cbc};
use super::gcm::{Gcm, MOST, TAG};
use super::{Envelope, Secret};

/// Opens one file, piece by piece.
pub struct Decipher {
    engine: Engine,
    size: Option<u64>,
    /// Encrypted bytes seen.
    wire: u64,
    /// Plain bytes of the file given out, now or before.
    plain: u64,
    /// The last bytes seen, which may be the tag.
    held: Vec<u8>,
}

enum Engine {
    Gcm(Box<Gcm>),
    Cbc(Box<Cbc>),
}

/// Why encrypted bytes are not the file, whatever was given out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// They do not bear the tag of their key, or what stands in its place is none.
    #[error("its encrypted bytes do not bear the right tag")]
    Tag,
    /// The end is no proper padding.
    #[error("its encrypted bytes do not end in a proper padding")]
    Padding,
    /// They end before the file does.
    #[error("its encrypted bytes end after {got} of {expected} bytes")]
    Truncated {
        /// bytes there
        got: u64,
        /// bytes that should have been
        expected: u64,
    },
}

/// The whole file went through, and its end was right. Only [`Decipher::finish`] makes one.
///
/// ```compile_fail
/// let forged = balcony_sharing::cipher::Opened { is_authentic: true, wire: 0 };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    is_authentic: bool,
    wire: u64,
}

impl Opened {
    /// Whether a tag proves that the bytes are those of whoever made the key.
    pub fn is_authentic(&self) -> bool {
        self.is_authentic
    }

    /// Encrypted bytes seen.
    pub fn wire(&self) -> u64 {
        self.wire
    }
}

impl Envelope {
    /// How many of these staged bytes a later fetch can go on behind: all that are of the file, for CBC in whole blocks.
    #[must_use]
    pub fn keeps(&self, staged: u64) -> u64 {
        let of_the_file = self.size.map_or(staged, |size| staged.min(size));
        if self.secret.cipher().has_tag() { of_the_file } else { of_the_file - of_the_file % BLOCK as u64 }
    }

    /// Encrypted bytes that are taken at most: the file, as much again to hide its length, a tag or a padding. `unannounced` counts
    /// where no size is known.
    #[must_use]
    pub fn limit(&self, unannounced: u64) -> u64 {
        let size = self.size.unwrap_or(unannounced);
        let surplus = if self.size.is_some() { size.saturating_add(LEAST_SURPLUS) } else { 0 };
        let limit = size.saturating_add(surplus).saturating_add(TAG as u64);
        if self.secret.cipher().has_tag() { limit.min(MOST + TAG as u64) } else { limit }
    }
}

/// Small files may be hidden among larger ones.
const LEAST_SURPLUS: u64 = 64 * 1024;

impl Decipher {
    /// Begins with the first byte.
    #[must_use]
    pub fn new(envelope: &Envelope) -> Self {
        let secret: &Secret = &envelope.secret;
        let engine =
            if secret.cipher().has_tag() { Engine::Gcm(Box::new(Gcm::new(secret))) } else { Engine::Cbc(Box::new(Cbc::new(secret))) };
        Self { engine, size: envelope.size, wire: 0, plain: 0, held: Vec::with_capacity(TAG) }
    }

    /// Takes in plain bytes that an earlier fetch gave out, in order and before anything else, and turns them into the encrypted bytes
    /// they were, in place. All together as many as [`Envelope::keeps`] says; in pieces of whole blocks of 16 bytes, but for the last.
    pub fn relearn(&mut self, plain: &mut [u8]) {
        self.wire += plain.len() as u64;
        self.plain += plain.len() as u64;
        match &mut self.engine {
            Engine::Gcm(gcm) => gcm.seal(plain),
            Engine::Cbc(cbc) => cbc.seal(plain),
        }
    }

    /// Opens the next bytes into `plain`, which has room for 16 more than `wire`; tells how many bytes of the file stand there now.
    /// What is behind the end of the file is cut off (XEP-0448 §3.2).
    ///
    /// # Panics
    /// When `plain` is too short.
    pub fn update(&mut self, wire: &[u8], plain: &mut [u8]) -> usize {
        self.wire += wire.len() as u64;
        let wanted = usize::try_from(self.size.map_or(u64::MAX, |size| size - self.plain)).unwrap_or(usize::MAX);
        let given = match &mut self.engine {
            Engine::Cbc(cbc) => cbc.open(wire, plain).min(wanted),
            Engine::Gcm(gcm) if self.size.is_some() => {
                let (file, rest) = wire.split_at(wire.len().min(wanted));
                gcm.open(file, &mut plain[..file.len()]);
                hold(&mut self.held, rest, |surplus| gcm.absorb(surplus));
                file.len()
            }
            Engine::Gcm(gcm) => {
                let mut given = 0;
                hold(&mut self.held, wire, |file| {
                    gcm.open(file, &mut plain[given..given + file.len()]);
                    given += file.len();
                });
                given
            }
        };
        self.plain += given as u64;
        given
    }

    /// Encrypted bytes seen so far, those of an earlier fetch among them.
    pub fn wire(&self) -> u64 {
        self.wire
    }

    /// All bytes are there.
    ///
    /// # Errors
    /// When they are not the file, see [`Fault`].
    pub fn finish(self) -> Result<Opened, Fault> {
        let opened = |is_authentic| Ok(Opened { is_authentic, wire: self.wire });
        if let Some(expected) = self.size.filter(|size| self.plain < *size) {
            return Err(Fault::Truncated { got: self.plain, expected });
        }
        match self.engine {
            Engine::Gcm(_) if self.held.is_empty() && self.size.is_some() => opened(false),
            Engine::Gcm(_) if self.size.is_none() && self.held.len() < TAG => {
                Err(Fault::Truncated { got: self.wire, expected: TAG as u64 })
            }
            Engine::Gcm(gcm) => {
                if self.held.len() == TAG && gcm.ends_with(&self.held) {
                    opened(true)
                } else {
                    Err(Fault::Tag)
                }
            }
            Engine::Cbc(cbc) => match cbc.padding() {
                // The padding is no part of the file.
                Some(count) if self.size.is_some_and(|size| self.wire - count as u64 >= size) => opened(false),
                _ => Err(Fault::Padding),
            },
        }
    }
}

/// Keeps back the last bytes, which may be the tag, and hands on those that cannot be.
fn hold(held: &mut Vec<u8>, bytes: &[u8], mut hand_on: impl FnMut(&[u8])) {
    let excess = (held.len() + bytes.len()).saturating_sub(TAG);
    if excess == 0 {
        return held.extend_from_slice(bytes);
    }
    let of_held = excess.min(held.len());
    if of_held > 0 {
        hand_on(&held[..of_held]);
        held.drain(..of_held);
    }
    let (first, last) = bytes.split_at(excess - of_held);
    if !first.is_empty() {
        hand_on(first);
    }
    held.extend_from_slice(last);
}

impl std::fmt::Debug for Decipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} encrypted bytes, {} plain ones", self.wire, self.plain)
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::base64;

    use super::*;
    use crate::DigestSet;
    use crate::cipher::{Cipher, SecretError};
    use crate::verify::Hasher;
    use balcony_wire::hashes::HashAlgo;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn envelope(cipher: &str, key: &[u8], iv: &[u8], size: Option<u64>) -> Option<Result<Envelope, SecretError>> {
        let secret = Secret::new(Cipher::from_namespace(cipher)?, key.to_vec(), iv.to_vec());
        Some(secret.map(|secret| Envelope { secret, size, ciphertext: DigestSet::new() }))
    }

    /// All at once, or in pieces; `relearnt` bytes are known already.
    fn open(envelope: &Envelope, wire: &[u8], piece: usize, relearnt: &[u8]) -> (Vec<u8>, Result<Opened, Fault>) {
        let mut decipher = Decipher::new(envelope);
        let mut known = relearnt.to_vec();
        decipher.relearn(&mut known);
        assert_eq!(known, wire[..known.len()], "encrypted again, it is what it was");
        let mut plain = relearnt.to_vec();
        for piece in wire[known.len()..].chunks(piece) {
            let mut room = vec![0; piece.len() + 16];
            let given = decipher.update(piece, &mut room);
            plain.extend_from_slice(&room[..given]);
        }
        (plain, decipher.finish())
    }

    fn sha3(bytes: &[u8]) -> String {
        let mut hasher = Hasher::new([HashAlgo::Sha3_256]);
        hasher.update(bytes);
        base64::encode(hasher.finish().digests().get(HashAlgo::Sha3_256).unwrap().as_bytes())
    }

    /// Proves: ESFS-3.2-1, ESFS-3.2-2, ESFS-3.2-3, ESFS-3.2-D2, ESFS-4-3.
    #[test]
    fn every_vector_opens_or_is_refused_however_it_is_cut_and_wherever_it_is_taken_up() {
        for case in testing_corpus::vector("esfs")["cases"].as_array().unwrap() {
            let text = |name: &str| case[name].as_str().unwrap();
            let bytes = |name: &str| base64::decode(text(name)).unwrap();
            let (note, size, wire) = (text("note"), case["size"].as_u64().unwrap(), hex(text("blob_hex")));
            assert_eq!(sha3(&wire), text("blob_sha3_256"), "{note}");
            let envelope = match envelope(text("cipher"), &bytes("key_base64"), &bytes("iv_base64"), Some(size)) {
                Some(Ok(envelope)) => envelope,
                refused => {
                    assert!(!case["ok"].as_bool().unwrap(), "{note}: {refused:?}");
                    continue;
                }
            };
            for piece in [1, 7, 15, 16, 17, 4096, 1 << 20] {
                let (plain, end) = open(&envelope, &wire, piece, &[]);
                let is_ok = end.is_ok() && sha3(&plain) == text("plain_sha3_256");
                assert_eq!(is_ok, case["ok"].as_bool().unwrap(), "{note}, in pieces of {piece}: {end:?}");
                if let Some(expected) = case["plain_hex"].as_str() {
                    assert_eq!(plain, hex(expected), "{note}");
                    for staged in (0..=size).step_by(1 + size as usize / 40) {
                        let kept = envelope.keeps(staged) as usize;
                        assert!(staged - kept as u64 <= 15);
                        assert_eq!(open(&envelope, &wire, piece, &plain[..kept]), (plain.clone(), end), "{note} from {kept} on");
                    }
                }
            }
        }
    }

    fn tagged(iv: usize) -> (Envelope, Vec<u8>, Vec<u8>) {
        let secret = Secret::new(Cipher::Aes256Gcm, (0..32).collect(), (7..).take(iv).collect()).unwrap();
        let envelope = Envelope { secret, size: None, ciphertext: DigestSet::new() };
        let plain: Vec<u8> = (0..100_u32).map(|n| (n * 7 % 256) as u8).collect();
        (envelope, plain, hex(if iv == 12 { OF_12 } else { OF_16 }))
    }

    /// Computed with PyCA cryptography 48.0.0: key 00..1f, IV 07.., byte n of the file is 7n mod 256; then the tag.
    const OF_12: &str = "5064258934713ba13a148632e0d3215a7128f9195a4afc43e545bb752f87e7efbfaafdb62bb98fa710ba1d4858d1c1d0f733ae3415b890a8d064\
        d00a70b7e6054154530b6d9ffcf284dd928ccd114f4aa08dad379b0a02ea86cd0ca0ddbf717a06aae9d9d9f8edfba91c31d7ad7142dd49469689";
    const OF_16: &str = "8bea023906bec10992c23fcb557adae774f704ec2af6a1dd4eb7a3d46e0b3636e7ae29f7a1c74b9c0f5b065ac6f2524f5f6b3643788319b4c6f6\
        2618e3318fed7335bd2e370488ba6849d691879f5a8200f16642ee0fc545b159ddf002db18fb87a7853faa704aeaa345402625feaf6df9132f7f";

    /// Decision 16.
    /// Proves: AES-D-1.
    #[test]
    fn an_iv_of_16_bytes_opens_what_another_library_encrypted() {
        for iv in [12, 16] {
            let (envelope, plain, wire) = tagged(iv);
            for piece in [1, 5, 16, 100] {
                let (opened, end) = open(&envelope, &wire, piece, &[]);
                assert_eq!(opened, plain, "IV of {iv}");
                assert!(end.unwrap().is_authentic());
                assert!(open(&envelope, &wire, piece, &plain[..33]).1.unwrap().is_authentic());
            }
        }
    }

    #[test]
    fn a_changed_bit_anywhere_is_a_wrong_tag_and_a_cut_is_one_too() {
        let (envelope, _, wire) = tagged(12);
        for at in (0..wire.len()).step_by(7).chain(wire.len() - 16..wire.len()) {
            let mut changed = wire.clone();
            changed[at] ^= 0x10;
            assert_eq!(open(&envelope, &changed, 100, &[]).1, Err(Fault::Tag), "bit of byte {at}");
        }
        for length in 0..wire.len() {
            let expected = if length < 16 { Fault::Truncated { got: length as u64, expected: 16 } } else { Fault::Tag };
            assert_eq!(open(&envelope, &wire[..length], 100, &[]).1, Err(expected), "{length} bytes");
        }
    }

    /// Decision 11.
    #[test]
    fn between_no_tag_and_a_whole_tag_there_is_nothing() {
        let (mut envelope, _, wire) = tagged(12);
        envelope.size = Some(100);
        assert!(!open(&envelope, &wire[..100], 64, &[]).1.unwrap().is_authentic());
        for length in 101..116 {
            assert_eq!(open(&envelope, &wire[..length], 64, &[]).1, Err(Fault::Tag), "{length} bytes");
        }
        assert_eq!(open(&envelope, &wire[..99], 64, &[]).1, Err(Fault::Truncated { got: 99, expected: 100 }));
        assert!(open(&envelope, &wire, 64, &[]).1.unwrap().is_authentic());
    }

    /// Decision 11.
    #[test]
    fn cbc_without_a_proper_padding_is_refused() {
        let cases = testing_corpus::vector("esfs");
        let case = cases["cases"].as_array().unwrap().iter().find(|case| case["note"] == "CBC, full block of padding").unwrap();
        let bytes = |name: &str| base64::decode(case[name].as_str().unwrap()).unwrap();
        let wire = hex(case["blob_hex"].as_str().unwrap());
        let envelope = envelope(case["cipher"].as_str().unwrap(), &bytes("key_base64"), &bytes("iv_base64"), Some(32)).unwrap().unwrap();
        for length in 0..wire.len() {
            let expected = if length < 32 { Fault::Truncated { got: length as u64 / 16 * 16, expected: 32 } } else { Fault::Padding };
            assert_eq!(open(&envelope, &wire[..length], 64, &[]).1, Err(expected), "{length} bytes");
        }
        let mut changed = wire.clone();
        changed[20] ^= 1; // turns a bit of the padding
        assert_eq!(open(&envelope, &changed, 64, &[]).1, Err(Fault::Padding));
        let longer = Envelope { size: Some(33), ..envelope };
        assert!(open(&longer, &wire, 64, &[]).1.is_err(), "the padding is no part of the file");
    }
}
