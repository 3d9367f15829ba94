//! Whole files: found by any digest that we computed, read from the first byte to the last.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use balcony_sharing::{Agreement, DigestSet};
use balcony_wire::hashes::{Digest, HashAlgo};

use crate::stamp::{Stamp, Stamped, has_its_bytes};
use crate::{Store, StoreError};

/// A whole file in the store. Only [`Store`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    pub(crate) digests: DigestSet,
    pub(crate) is_proven: bool,
}

impl BlobRef {
    /// Its name in the store.
    pub fn sha256(&self) -> &Digest {
        &self.sha256
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All digests that we computed of it.
    pub fn digests(&self) -> &DigestSet {
        &self.digests
    }

    /// Whether it is our own file or was what an offer said; `false`: nothing could prove it, so say so and do not announce it.
    pub fn is_proven(&self) -> bool {
        self.is_proven
    }
}

impl Store {
    /// The file that has these digests. SHA-1 finds nothing, and one digest that differs is enough to be another file.
    /// A copy that vanished or has other bytes is taken out of the catalogue, and not found.
    ///
    /// # Errors
    /// When the disk or the catalogue fails.
    pub fn find(&self, wanted: &DigestSet) -> Result<Option<BlobRef>, StoreError> {
        for digest in wanted.iter().filter(|digest| digest.algo().is_proof()) {
            for blob in self.blobs_with(digest)? {
                if blob.digests.agreement(wanted) == Agreement::Same && self.is_whole(&blob)? {
                    return Ok(Some(blob));
                }
            }
        }
        Ok(None)
    }

    /// The file of that SHA-256.
    ///
    /// # Errors
    /// When the disk or the catalogue fails.
    pub fn blob(&self, sha256: &Digest) -> Result<Option<BlobRef>, StoreError> {
        if sha256.algo() != HashAlgo::Sha256 {
            return Ok(None);
        }
        match self.blob_row(sha256)? {
            Some(blob) if self.is_whole(&blob)? => Ok(Some(blob)),
            _ => Ok(None),
        }
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it vanished or has other bytes: it is out of the catalogue then.
    pub fn open_blob(&self, blob: &BlobRef) -> Result<BlobReader, StoreError> {
        Ok(self.open_checked(blob)?.0)
    }

    /// Opens it, with the stamp under which it has the right bytes.
    pub(crate) fn open_checked(&self, blob: &BlobRef) -> Result<(BlobReader, Stamp), StoreError> {
        let seen = self.stamped(&blob.sha256)?;
        let mut found = None;
        if let Some(file) = self.place().blob(&blob.sha256)? {
            self.place().keep_while_open(&file);
            let stamp = Stamp::of_file(&file, blob)?;
            let reader = BlobReader::new(file, blob.size);
            if self.is_sound(blob, &reader, seen, &stamp)? {
                self.note_use(&blob.sha256);
                return Ok((reader, stamp));
            }
            found = Some(stamp.file.size());
        }
        self.forget_blob(&blob.sha256, seen)?;
        Err(StoreError::Damaged { sha256: blob.sha256.to_string(), found, expected: blob.size })
    }

    /// Whether it is as it was, or else still has its bytes: a name more, another mode or a restored backup are no damage.
    fn is_sound(&self, blob: &BlobRef, reader: &BlobReader, seen: Stamped, stamp: &Stamp) -> Result<bool, StoreError> {
        let is_sound = stamp.file.size() == blob.size
            && match seen {
                Stamped::As(seen) if seen == *stamp => return Ok(true),
                Stamped::As(_) => has_its_bytes(reader.clone(), blob)?,
                Stamped::Never => true,
                Stamped::Unknown => false, // it was found damaged before
            };
        if is_sound {
            self.stamp(&blob.sha256, stamp)?;
        }
        Ok(is_sound)
    }

    fn is_whole(&self, blob: &BlobRef) -> Result<bool, StoreError> {
        match self.open_blob(blob) {
            Ok(_) => Ok(true),
            Err(StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Reads a file of the store; each reader has a place of its own in it. That its bytes are the right ones was so when it was opened:
/// a person may edit a copy that is the same file ([`Store::export`]) even while it is read.
#[derive(Clone, Debug)]
pub struct BlobReader {
    file: Arc<File>,
    len: u64,
    at: u64,
}

impl BlobReader {
    pub(crate) fn new(file: Arc<File>, len: u64) -> Self {
        Self { file, len, at: 0 }
    }

    /// Bytes of the whole file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..left], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the first byte"))?;
        Ok(self.at)
    }
}
