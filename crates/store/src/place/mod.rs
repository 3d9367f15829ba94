//! Where bytes lie: staged ones by job, whole ones by SHA-256. Two kinds, one behaviour.

mod disk;
mod memory;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use balcony_wire::hashes::Digest;

pub(crate) use disk::Disk;
pub(crate) use memory::Memory;

use crate::folder::Folder;
use crate::{JobId, StoreError};

/// A place for bytes. Knows nothing of digests but their names.
pub(crate) trait Place: Send + Sync {
    /// A new, empty file for a job, held by us alone.
    fn begin(&self, job: &JobId) -> Result<Held, StoreError>;

    /// The file of a job, held by us alone; `None` if there is none.
    fn hold(&self, job: &JobId) -> Result<Option<Held>, StoreError>;

    /// The file of a job that we hold once more, for writing past the page cache; `None` where that cannot be.
    fn past_cache(&self, job: &JobId, held: &File) -> Option<File>;

    /// Bytes staged, whoever holds them.
    fn staged_len(&self, job: &JobId) -> Result<Option<u64>, StoreError>;

    /// Jobs with a file, sorted.
    fn jobs(&self) -> Result<Vec<JobId>, StoreError>;

    /// Replaces the note beside a staged file, whole or not at all; a dear one survives a loss of power.
    fn write_note(&self, job: &JobId, note: &[u8], is_dear: bool) -> Result<(), StoreError>;

    /// The note beside a staged file.
    fn read_note(&self, job: &JobId) -> Result<Option<Vec<u8>>, StoreError>;

    /// Removes the note, and notes that have no file.
    fn drop_note(&self, job: &JobId) -> Result<(), StoreError>;

    /// Removes notes whose file is gone.
    fn drop_stray_notes(&self) -> Result<(), StoreError>;

    /// Removes file and note.
    fn discard(&self, job: &JobId) -> Result<(), StoreError>;

    /// Moves a staged file to its final name, replacing a copy there: ours was hashed just now.
    fn publish(&self, job: &JobId, sha256: &Digest) -> Result<(), StoreError>;

    /// Makes that move survive a loss of power.
    fn sync_move(&self, sha256: &Digest) -> Result<(), StoreError>;

    /// A whole file; `None` if it is not there.
    fn blob(&self, sha256: &Digest) -> Result<Option<Arc<File>>, StoreError>;

    /// A whole file that nobody is just moving; `None` if it is not there.
    fn settled_blob(&self, sha256: &Digest) -> Result<Option<Arc<File>>, StoreError>;

    /// A whole file that nobody reads, exports or moves, kept so until it is dropped.
    fn hold_blob(&self, sha256: &Digest) -> Result<Hold, StoreError>;

    /// Removes a whole file if that name is still the file held; says whether it was.
    fn remove_blob(&self, sha256: &Digest, held: &File) -> Result<bool, StoreError>;

    /// Moves a file that has not its bytes to where nobody looks for it, if that name is still the file held; says where.
    fn set_aside(&self, sha256: &Digest, held: &File) -> Result<Option<PathBuf>, StoreError>;

    /// The names of all whole files, sorted, whatever the catalogue says.
    fn blob_names(&self) -> Result<Vec<Digest>, StoreError>;

    /// Tells sweeps that somebody reads it, until the file is dropped.
    fn keep_while_open(&self, file: &File);

    /// When staged bytes were last written.
    fn staged_at(&self, job: &JobId) -> Result<Option<SystemTime>, StoreError>;

    /// Gives a whole file a second name in a person's folder. `false` if it cannot have one there.
    fn link(&self, sha256: &Digest, folder: &Folder, name: &str) -> bool;

    /// Which run of the machine this is, to know whether unsynced bytes can have been lost.
    fn boot(&self) -> Option<String>;
}

/// A staged file held by us alone until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) file: Arc<File>,
    /// In memory this is what is held; on disk the lock is on the file.
    _lock: Option<Arc<()>>,
}

/// Whether a whole file could be held.
#[derive(Debug)]
pub(crate) enum Hold {
    /// It is not there.
    Absent,
    /// Somebody uses it.
    InUse,
    /// Nobody else has it.
    Held(Arc<File>),
}
