//! Whether a file in the store can have changed since somebody looked at its bytes.
//!
//! A copy for a person may be the same file under a second name (`export.rs`), and a person may edit what is theirs.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use balcony_sharing::verify::Hasher;
use balcony_wire::hashes::HashAlgo;

use crate::{BlobReader, BlobRef, FileStamp, StoreError};

/// A file and its state. The last change of the inode is in it, which no program can put back: one that edits and restores the time
/// shows. It also changes with a name or a mode, so a stamp that differs says "look at the bytes", not "damaged".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) file: FileStamp,
    pub(crate) ctime_ns: i64,
}

/// What the catalogue says about a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamped {
    /// There is no such file in it.
    Unknown,
    /// It came before there were stamps.
    Never,
    /// So it was when its bytes were known to be right.
    As(Stamp),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let ctime_ns = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
        Self { file: FileStamp::of(metadata), ctime_ns }
    }

    pub(crate) fn of_file(file: &File, blob: &BlobRef) -> Result<Self, StoreError> {
        let metadata = file.metadata().map_err(|error| StoreError::of_file("look at", blob.sha256.to_hex(), error))?;
        Ok(Self::of(&metadata))
    }
}

/// Reads it all: whether the bytes are those it is named by.
pub(crate) fn has_its_bytes(mut reader: BlobReader, blob: &BlobRef) -> Result<bool, StoreError> {
    let mut hasher = Hasher::new([HashAlgo::Sha256]);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = reader.read(&mut buffer).map_err(|error| StoreError::of_file("read", blob.sha256.to_hex(), error))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let hashed = hasher.finish();
    Ok(hashed.size() == blob.size && hashed.digests().get(HashAlgo::Sha256) == Some(&blob.sha256))
}
