//! AES-GCM as a stream: CTR for the bytes, GHASH for the tag (NIST SP 800-38D). No crate of the tree does that piece by piece.

use aes::cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher, StreamCipherError};
use aes::{Aes128, Aes256, Block};
use ctr::Ctr32BE;
use ghash::GHash;
use ghash::universal_hash::UniversalHash as _;
use subtle::ConstantTimeEq as _;

use super::{Cipher, Secret};

/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// More than that under one IV would repeat the key stream (SP 800-38D §5.2.1.1).
pub(super) const MOST: u64 = (1 << 36) - 32;

/// Bytes that stay in the first cache of a processor between GHASH and CTR.
const STEP: usize = 16 * 1024;

/// One file on its way through.
pub(super) struct Gcm {
    stream: Box<dyn StreamCipher + Send>,
    ghash: GHash,
    /// Of a block that is not whole yet.
    partial: Vec<u8>,
    /// Encrypted bytes seen.
    seen: u64,
    /// What hides the tag.
    mask: Block,
    is_exhausted: bool,
}

impl Gcm {
    pub(super) fn new(secret: &Secret) -> Self {
        match secret.cipher() {
            Cipher::Aes128Gcm => Self::with(&new_cipher::<Aes128>(secret.key()), secret, |counter| {
                Box::new(Ctr32BE::<Aes128>::new_from_slices(secret.key(), counter).expect("the secret has the lengths of its cipher"))
            }),
            _ => Self::with(&new_cipher::<Aes256>(secret.key()), secret, |counter| {
                Box::new(Ctr32BE::<Aes256>::new_from_slices(secret.key(), counter).expect("the secret has the lengths of its cipher"))
            }),
        }
    }

    fn with<C>(cipher: &C, secret: &Secret, stream: impl FnOnce(&Block) -> Box<dyn StreamCipher + Send>) -> Self
    where
        C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>,
    {
        let mut hash_key = Block::default();
        cipher.encrypt_block(&mut hash_key);
        let ghash = GHash::new(&hash_key);
        let first = first_counter(secret.iv(), &ghash);
        let mut mask = first;
        cipher.encrypt_block(&mut mask);
        // The first block of the key stream hides the tag.
        let mut counter = first;
        let next = u32::from_be_bytes([counter[12], counter[13], counter[14], counter[15]]).wrapping_add(1);
        counter[12..].copy_from_slice(&next.to_be_bytes());
        Self { stream: stream(&counter), ghash, partial: Vec::with_capacity(TAG), seen: 0, mask, is_exhausted: false }
    }

    /// Opens bytes; `plain` is as long as `wire`.
    pub(super) fn open(&mut self, wire: &[u8], plain: &mut [u8]) {
        for (wire, plain) in wire.chunks(STEP).zip(plain.chunks_mut(STEP)) {
            self.absorb(wire);
            let done = self.stream.try_apply_keystream_b2b(wire, plain);
            self.note(done);
        }
    }

    /// Encrypts again what was opened before, in place: the tag is about encrypted bytes.
    pub(super) fn seal(&mut self, plain: &mut [u8]) {
        for piece in plain.chunks_mut(STEP) {
            let done = self.stream.try_apply_keystream(piece);
            self.note(done);
            self.absorb(piece);
        }
    }

    /// Takes encrypted bytes into the tag that nobody wants opened.
    pub(super) fn absorb(&mut self, mut wire: &[u8]) {
        self.seen += wire.len() as u64;
        if !self.partial.is_empty() {
            let (head, rest) = wire.split_at(wire.len().min(TAG - self.partial.len()));
            self.partial.extend_from_slice(head);
            wire = rest;
            if self.partial.len() < TAG {
                return;
            }
            self.ghash.update_padded(&self.partial);
            self.partial.clear();
        }
        let (whole, rest) = wire.split_at(wire.len() - wire.len() % TAG);
        self.ghash.update_padded(whole);
        self.partial.extend_from_slice(rest);
    }

    /// Whether this is the tag of all bytes seen.
    pub(super) fn ends_with(mut self, tag: &[u8]) -> bool {
        self.ghash.update_padded(&self.partial);
        let mut lengths = Block::default(); // nothing is authenticated beside the bytes
        lengths[8..].copy_from_slice(&(self.seen.wrapping_mul(8)).to_be_bytes());
        self.ghash.update(&[lengths]);
        let mut expected = self.ghash.finalize();
        expected.iter_mut().zip(self.mask).for_each(|(byte, mask)| *byte ^= mask);
        !self.is_exhausted && bool::from(expected.ct_eq(tag))
    }

    fn note(&mut self, done: Result<(), StreamCipherError>) {
        // Nobody is asked for that many bytes; should they come all the same, the tag is refused.
        self.is_exhausted |= done.is_err();
    }
}

fn new_cipher<C: KeyInit>(key: &[u8]) -> C {
    C::new_from_slice(key).expect("the secret has a key of the cipher's length")
}

/// SP 800-38D §7.1, step 2.
fn first_counter(iv: &[u8], ghash: &GHash) -> Block {
    let mut counter = Block::default();
    if iv.len() == 12 {
        counter[..12].copy_from_slice(iv);
        counter[15] = 1;
        return counter;
    }
    let mut ghash = ghash.clone();
    ghash.update_padded(iv);
    counter[8..].copy_from_slice(&(iv.len() as u64 * 8).to_be_bytes());
    ghash.update(&[counter]);
    ghash.finalize()
}
