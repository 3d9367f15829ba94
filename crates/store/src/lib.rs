//! Files by digest and a catalogue of offers, on disk or in memory.
//!
//! Nothing gets in that nobody hashed: [`Store::commit`] wants a [`Witness`]. What a crash may leave behind, step by step, is in
//! `docs/formats/store.md`; opening a store repairs it. All calls block: call them on threads that may. Never reads names that
//! peers chose as paths. Names of files in the store are digests and our own job ids; exported ones are a `FileName`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod blob;
mod catalogue;
mod check;
mod commit;
mod error;
mod export;
mod flush;
mod folder;
mod job;
mod outfit;
mod past_cache;
mod place;
mod retention;
mod staging;
mod stamp;
mod sweep;

use std::fmt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use blob::{BlobReader, BlobRef};
pub use catalogue::attachments::{Attached, AttachmentKey, AttachmentRow, NewAttachment};
pub use catalogue::bits::{Bits, MAX_BITS};
pub use catalogue::bounds::Standing;
pub use catalogue::digest_memory::FileStamp;
pub use catalogue::links::Link;
pub use catalogue::live_shares::LiveShare;
pub use catalogue::offers::{Listing, NewOffer, OfferKey, OfferRow, OfferState};
pub use catalogue::outbox::{Change, FileRef, OutboxState, Outgoing};
pub use catalogue::uses::FileUse;
pub use check::Health;
pub use commit::{Step, Witness};
pub use error::StoreError;
pub use export::OnClash;
pub use flush::Flusher;
pub use job::{JobId, Sidecar};
pub use retention::{Retention, SizeClass};
pub use staging::{Staged, Staging};
pub use sweep::{KeptBack, Swept};

use catalogue::Catalogue;
use commit::Fault;
use folder::Folder;
use place::{Disk, Memory, Place};

/// How much of what others say is kept.
pub mod bounds {
    pub use crate::catalogue::bounds::{Bound, OF_SENDER, OF_STRANGERS};
}

/// The most rows that any list gives at once.
pub const MAX_ROWS: usize = 1_000;

/// A store. Cloning is cheap and shares it; several processes may open the same folder.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    dir: Option<PathBuf>,
    place: Box<dyn Place>,
    catalogue: Catalogue,
    fault: Fault,
}

impl Store {
    /// Opens the store in a folder, made if it is not there (for its owner only), and repairs what a crash left.
    ///
    /// # Errors
    /// When the disk or the catalogue fails, or the catalogue is from a newer Balcony.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        let dir = dir.as_ref();
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| StoreError::of_file("make the folder", dir, error))?;
        let place = Box::new(Disk::open(&Folder::open(dir)?)?);
        let catalogue = Catalogue::open(&dir.join("catalogue.sqlite"))?;
        let store = Self { inner: Arc::new(Inner { dir: Some(dir.to_owned()), place, catalogue, fault: Fault::default() }) };
        store.repair()?;
        Ok(store)
    }

    /// A store that goes with the process.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let (place, catalogue) = (Box::<Memory>::default(), Catalogue::in_memory()?);
        Ok(Self { inner: Arc::new(Inner { dir: None, place, catalogue, fault: Fault::default() }) })
    }

    /// Its folder; `None` in memory.
    pub fn dir(&self) -> Option<&Path> {
        self.inner.dir.as_deref()
    }

    fn place(&self) -> &dyn Place {
        &*self.inner.place
    }

    /// For words.
    fn path_of_job(&self, job: &JobId) -> PathBuf {
        self.inner.dir.as_deref().unwrap_or(Path::new("memory")).join("staging").join(job.as_str())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dir() {
            Some(dir) => write!(f, "Store in {}", dir.display()),
            None => f.write_str("Store in memory"),
        }
    }
}
