//! A file that is here.

use std::path::{Path, PathBuf};

use balcony_sharing::{FileName, MediaType, Offer};
use balcony_store::{BlobReader, BlobRef, OnClash, Store, StoreError};

use crate::blocking::blocking;
use crate::error::Class;

/// A file that is here: in the store, whole, and what the offer says it is (or [`SharedFile::is_proven`] says no).
#[derive(Clone, Debug)]
pub struct SharedFile {
    store: Store,
    blob: BlobRef,
    name: FileName,
    media_type: MediaType,
}

/// Why a file could not be saved. Nothing half-written is left, nothing that was there is lost.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SaveError(#[from] pub StoreError);

impl SaveError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        Class::Local
    }
}

impl SharedFile {
    pub(crate) fn new(store: Store, blob: BlobRef, offer: &Offer) -> Self {
        Self { store, blob, name: offer.name(), media_type: offer.media_type() }
    }

    /// Its name: safe for a file system, not for a terminal.
    pub fn name(&self) -> &FileName {
        &self.name
    }

    /// What its sender says it is.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Size and digests as we computed them.
    pub fn blob(&self) -> &BlobRef {
        &self.blob
    }

    /// Whether its bytes were proven to be those offered; if not, say so wherever it is shown.
    pub fn is_proven(&self) -> bool {
        self.blob.is_proven()
    }

    /// Opens it for reading; blocks.
    ///
    /// # Errors
    /// When the store's copy vanished or is damaged.
    pub fn open(&self) -> Result<BlobReader, StoreError> {
        self.store.open_blob(&self.blob)
    }

    /// Saves a copy in a folder, under its own name. Dropping the future lets the copy be finished.
    ///
    /// # Errors
    /// When the name is taken and `on_clash` says so, or the disk fails.
    pub async fn save_in(&self, folder: impl AsRef<Path>, on_clash: OnClash) -> Result<PathBuf, SaveError> {
        let (file, folder) = (self.clone(), folder.as_ref().to_owned());
        Ok(blocking(move || file.store.export(&file.blob, &folder, &file.name, on_clash)).await?)
    }
}
