//! Looks at every byte: bits turn on disks without any write, and only hashing shows it.

use std::path::PathBuf;

use balcony_wire::hashes::Digest;

use crate::stamp::has_its_bytes;
use crate::{BlobReader, BlobRef, FileUse, Store, StoreError};

/// How a whole file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has its bytes.
    Whole,
    /// It had other bytes. They are in that file now, and out of the catalogue: the offers can be fetched again.
    Damaged(PathBuf),
    /// It was not there any more. It is out of the catalogue: the offers can be fetched again.
    Missing,
    /// It is not in the catalogue any more, or somebody was just changing it.
    Passed,
}

impl Store {
    /// Hashes a whole file anew. Costs as much as reading it; whatever else is done with it meanwhile is fine.
    ///
    /// # Errors
    /// When the disk or the catalogue fails.
    pub fn check(&self, sha256: &Digest) -> Result<Health, StoreError> {
        let seen = self.stamped(sha256)?;
        let Some(blob) = self.blob_row(sha256)? else { return Ok(Health::Passed) };
        let Some(file) = self.place().blob(sha256)? else {
            self.forget_blob(sha256, seen)?;
            return Ok(Health::Missing);
        };
        self.place().keep_while_open(&file);
        let len = file.metadata().map_err(|error| StoreError::of_file("look at", sha256.to_hex(), error))?.len();
        if len == blob.size && has_its_bytes(BlobReader::new(file.clone(), blob.size), &blob)? {
            return Ok(Health::Whole);
        }
        // what somebody reads at this moment stays where it is: the name is moved, not the file
        Ok(self.take_aside(sha256, &file)?.map_or(Health::Passed, Health::Damaged))
    }

    /// What the catalogue says of a whole file, without a look at it: a list is no use of it.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn file(&self, sha256: &Digest) -> Result<Option<BlobRef>, StoreError> {
        self.blob_row(sha256)
    }

    /// All whole files, to be checked or counted one after the other.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn all_files(&self) -> Result<Vec<FileUse>, StoreError> {
        let mut all: Vec<FileUse> = Vec::new();
        loop {
            let page = self.files(all.last(), crate::MAX_ROWS)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}
