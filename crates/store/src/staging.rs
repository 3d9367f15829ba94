//! Bytes that are not whole yet: appended, cut, synced, taken up again after a crash, thrown away.
//!
//! Dropping a [`Staging`] keeps what is there. The state of the digests is not kept: whoever resumes reads the bytes again
//! ([`Staging::reader`]), which is quick and trusts nothing but the bytes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::job::Note;
use crate::past_cache::PastCache;
use crate::place::Held;
use crate::{BlobReader, JobId, Sidecar, Store, StoreError};

/// The bytes of one transfer, held by us alone.
#[derive(Debug)]
pub struct Staging {
    store: Store,
    job: JobId,
    pub(crate) held: Held,
    sidecar: Sidecar,
    len: u64,
    synced: u64,
    past_cache: PastCache,
    cached: u64,
}

/// A transfer that lies in staging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Which.
    pub job: JobId,
    /// Bytes there.
    pub len: u64,
    /// Its note; `None` if it cannot be read, and then the transfer cannot be resumed.
    pub sidecar: Option<Sidecar>,
}

impl Store {
    /// Begins a transfer.
    ///
    /// # Errors
    /// [`StoreError::JobExists`] if it was begun before; else when the disk fails.
    pub fn stage(&self, job: JobId, sidecar: Sidecar) -> Result<Staging, StoreError> {
        let held = self.place().begin(&job)?;
        let mut staging = Staging::new(self, job, held, sidecar, 0);
        match staging.write_note() {
            Ok(()) => Ok(staging),
            Err(error) => {
                let _ = staging.discard(); // the first error is the one to tell
                Err(error)
            }
        }
    }

    /// Takes up a transfer; `None` if nothing usable is there. After a loss of power only bytes that were synced are kept.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while somebody else is at it; else when the disk fails.
    pub fn resume(&self, job: &JobId) -> Result<Option<Staging>, StoreError> {
        let Some(held) = self.place().hold(job)? else { return Ok(None) };
        self.forget_move(job)?; // bytes may change from here on
        let Some(note) = self.note_of(job)? else {
            self.place().discard(job)?;
            return Ok(None);
        };
        let len = length(&held.file, job)?;
        let reliable = note.reliable(len, self.place().boot().as_deref());
        let mut staging = Staging::new(self, job.clone(), held, note.sidecar, len);
        staging.synced = note.synced.min(len);
        if reliable < len {
            staging.truncate(reliable)?;
        }
        Ok(Some(staging))
    }

    /// All transfers in staging, also those that somebody is at.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn staged(&self) -> Result<Vec<Staged>, StoreError> {
        let mut staged = Vec::new();
        for job in self.place().jobs()? {
            if let Some(len) = self.place().staged_len(&job)? {
                let sidecar = self.note_of(&job)?.map(|note| note.sidecar);
                staged.push(Staged { job, len, sidecar });
            }
        }
        Ok(staged)
    }

    fn note_of(&self, job: &JobId) -> Result<Option<Note>, StoreError> {
        let note = self.place().read_note(job)?;
        Ok(note.and_then(|note| serde_json::from_slice(&note).ok())) // one that cannot be read is none
    }
}

impl Staging {
    fn new(store: &Store, job: JobId, held: Held, sidecar: Sidecar, len: u64) -> Self {
        Self { store: store.clone(), job, held, sidecar, len, synced: 0, past_cache: PastCache::default(), cached: 0 }
    }

    /// Which transfer.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// Bytes there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The note.
    pub fn sidecar(&self) -> &Sidecar {
        &self.sidecar
    }

    /// Adds bytes at the end: all of them, or none if it fails. Those of a large file go past the page cache, if they begin and end at
    /// multiples of 4,096 bytes, in memory and in the file.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let past_cache = self.past_cache.write(self.store.place(), &self.job, &self.held, self.len, bytes);
        let (cached, at) = (&bytes[past_cache..], self.len + past_cache as u64);
        if let Err(error) = self.held.file.write_all_at(cached, at) {
            let _ = self.held.file.set_len(self.len); // what is behind `len` would be overwritten or cut anyway
            return Err(self.fail("write", error));
        }
        self.len += bytes.len() as u64;
        self.cached += cached.len() as u64;
        Ok(())
    }

    /// How many bytes were left to the page cache so far: they are on their way to the disk, or will be.
    #[must_use]
    pub fn cached(&self) -> u64 {
        self.cached
    }

    /// Cuts to the first `len` bytes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn truncate(&mut self, len: u64) -> Result<(), StoreError> {
        if len < self.len {
            self.held.file.set_len(len).map_err(|error| self.fail("cut", error))?;
            self.len = len;
            self.synced = self.synced.min(len);
            self.write_note()?; // a later, longer file must not count as synced beyond the cut
        }
        Ok(())
    }

    /// Makes what is there survive a loss of power.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.held.file.sync_data().map_err(|error| self.fail("write", error))?;
        self.synced = self.len;
        self.write_note()
    }

    /// Replaces the note. To be called before bytes of another source are added.
    ///
    /// # Errors
    /// When the disk is full or fails; then the old note stands.
    pub fn note(&mut self, sidecar: Sidecar) -> Result<(), StoreError> {
        let before = std::mem::replace(&mut self.sidecar, sidecar);
        self.write_note().inspect_err(|_| self.sidecar = before)
    }

    /// Reads from the first byte on what is there now.
    #[must_use]
    pub fn reader(&self) -> BlobReader {
        BlobReader::new(self.held.file.clone(), self.len)
    }

    /// Throws it all away.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn discard(self) -> Result<(), StoreError> {
        self.store.forget_move(&self.job)?;
        self.store.place().discard(&self.job)
    }

    pub(crate) fn sync_whole(&self) -> Result<(), StoreError> {
        // what the file has must be what was counted, whoever else may have touched it
        let found = length(&self.held.file, &self.job)?;
        if found != self.len {
            return Err(StoreError::NotWhatWasHashed { staged: found, hashed: self.len });
        }
        self.held.file.sync_all().map_err(|error| self.fail("write", error))
    }

    pub(crate) fn is_of(&self, store: &Store) -> bool {
        Arc::ptr_eq(&self.store.inner, &store.inner)
    }

    fn write_note(&mut self) -> Result<(), StoreError> {
        let note = Note { sidecar: self.sidecar.clone(), synced: self.synced, boot: self.store.place().boot() };
        let text = serde_json::to_vec_pretty(&note).map_err(|error| self.fail("write", error.into()))?;
        // While nothing is synced there is nothing that a note could save: without it the transfer starts over, as it would with it.
        let is_dear = self.synced > 0;
        self.store.place().write_note(&self.job, &text, is_dear)
    }

    fn fail(&self, doing: &'static str, error: std::io::Error) -> StoreError {
        StoreError::of_file(doing, self.store.path_of_job(&self.job), error)
    }
}

fn length(file: &File, job: &JobId) -> Result<u64, StoreError> {
    Ok(file.metadata().map_err(|error| StoreError::of_file("look at", job.as_str(), error))?.len())
}
