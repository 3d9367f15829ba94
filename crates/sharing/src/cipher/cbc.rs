//! AES-256-CBC as a stream, with the padding of PKCS #7 at its end.

use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use aes::{Aes256, Block};

use super::Secret;

/// Bytes of a block.
pub(super) const BLOCK: usize = 16;

/// One file on its way through.
pub(super) struct Cbc {
    opener: cbc::Decryptor<Aes256>,
    /// Encrypts again what was opened before.
    sealer: cbc::Encryptor<Aes256>,
    secret: Secret,
    /// Of a block that is not whole yet.
    partial: Vec<u8>,
    /// The last block, opened.
    last: Option<Block>,
}

impl Cbc {
    pub(super) fn new(secret: &Secret) -> Self {
        let lengths = "the secret has the lengths of its cipher";
        Self {
            opener: cbc::Decryptor::new_from_slices(secret.key(), secret.iv()).expect(lengths),
            sealer: cbc::Encryptor::new_from_slices(secret.key(), secret.iv()).expect(lengths),
            secret: secret.clone(),
            partial: Vec::with_capacity(BLOCK),
            last: None,
        }
    }

    /// Opens whole blocks; the rest waits. `plain` is longer than `wire` by a block. Tells how many bytes were opened.
    pub(super) fn open(&mut self, mut wire: &[u8], plain: &mut [u8]) -> usize {
        let mut opened = 0;
        if !self.partial.is_empty() {
            let (head, rest) = wire.split_at(wire.len().min(BLOCK - self.partial.len()));
            self.partial.extend_from_slice(head);
            wire = rest;
            if self.partial.len() < BLOCK {
                return 0;
            }
            let block = std::mem::take(&mut self.partial);
            opened = self.open_blocks(&block, plain);
        }
        let (whole, rest) = wire.split_at(wire.len() - wire.len() % BLOCK);
        opened += self.open_blocks(whole, &mut plain[opened..]);
        self.partial.extend_from_slice(rest);
        opened
    }

    fn open_blocks(&mut self, wire: &[u8], plain: &mut [u8]) -> usize {
        let plain = &mut plain[..wire.len()];
        plain.copy_from_slice(wire);
        let (blocks, _) = Array::slice_as_chunks_mut(plain);
        self.opener.decrypt_blocks(blocks);
        if let Some(last) = blocks.last() {
            self.last = Some(*last);
        }
        wire.len()
    }

    /// Encrypts again what was opened before, in place: each block hangs on the one before it. Whole blocks only.
    pub(super) fn seal(&mut self, plain: &mut [u8]) {
        let (blocks, _) = Array::slice_as_chunks_mut(plain);
        self.sealer.encrypt_blocks(blocks);
        if let Some(last) = blocks.last() {
            self.opener = cbc::Decryptor::new_from_slices(self.secret.key(), last).expect("a block is as long as an IV");
        }
    }

    /// Bytes of padding at the end, if there is a proper one.
    pub(super) fn padding(&self) -> Option<usize> {
        let last = self.last.filter(|_| self.partial.is_empty())?;
        let count = usize::from(last[BLOCK - 1]);
        let is_proper = (1..=BLOCK).contains(&count) && last[BLOCK - count..].iter().all(|byte| usize::from(*byte) == count);
        is_proper.then_some(count)
    }
}
