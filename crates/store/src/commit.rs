//! From staging into the store, in an order that survives a crash after every step, and the repair at start-up.
//!
//! write → fsync file → row in `moves` → rename → fsync folders → row in `blobs`. `docs/formats/store.md` has the table of
//! what each crash leaves and what the next start does.

use std::sync::{Mutex, PoisonError};

use balcony_sharing::{Hashed, Unproven, Verified};
use balcony_wire::hashes::{Digest, HashAlgo};

use crate::stamp::{Stamp, has_its_bytes};
use crate::{BlobReader, BlobRef, JobId, Staging, Store, StoreError};

/// What was proven about staged bytes. Nothing gets into the store without one.
#[derive(Clone, Copy, Debug)]
pub enum Witness<'a> {
    /// A file of our own, hashed by us: there is no offer to compare it with.
    Own(&'a Hashed),
    /// What an offer says it is.
    Verified(&'a Verified),
    /// Nothing could prove it; the person agreed. Marked as such until somebody proves it.
    Unproven(&'a Unproven),
}

/// The steps of a commit, and of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// All bytes are written.
    Written,
    /// They survive a loss of power.
    FileSynced,
    /// The catalogue knows that they are whole and what they are.
    MoveNoted,
    /// They have their final name.
    Renamed,
    /// That name survives a loss of power.
    FolderSynced,
    /// They can be found.
    Catalogued,
    /// Of a sweep: the catalogue knows which files it takes.
    RemovalNoted,
    /// Of a sweep: the bytes of one of them are gone.
    FileRemoved,
}

impl Step {
    /// All steps of a commit, in order.
    pub const ALL: [Self; 6] = [Self::Written, Self::FileSynced, Self::MoveNoted, Self::Renamed, Self::FolderSynced, Self::Catalogued];

    /// All steps of a sweep, in order.
    pub const SWEEP: [Self; 2] = [Self::RemovalNoted, Self::FileRemoved];
}

/// Where tests want a commit to stop, as if the process had died there.
#[derive(Debug, Default)]
pub(crate) struct Fault(Mutex<Option<Step>>);

/// A move that was begun: what `moves` knows.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) job: JobId,
    pub(crate) blob: BlobRef,
}

impl Witness<'_> {
    fn hashed(&self) -> &Hashed {
        match self {
            Self::Own(hashed) => hashed,
            Self::Verified(verified) => verified.hashed(),
            Self::Unproven(unproven) => unproven.hashed(),
        }
    }

    fn sha256(&self) -> Result<&Digest, StoreError> {
        self.hashed().digests().get(HashAlgo::Sha256).ok_or(StoreError::NoSha256)
    }
}

impl<'a> From<&'a Hashed> for Witness<'a> {
    fn from(hashed: &'a Hashed) -> Self {
        Self::Own(hashed)
    }
}

impl<'a> From<&'a Verified> for Witness<'a> {
    fn from(verified: &'a Verified) -> Self {
        Self::Verified(verified)
    }
}

impl<'a> From<&'a Unproven> for Witness<'a> {
    fn from(unproven: &'a Unproven) -> Self {
        Self::Unproven(unproven)
    }
}

impl Store {
    /// Takes staged bytes into the store. They must be those that the witness is about; SHA-256 must be among its digests.
    ///
    /// # Errors
    /// When they are not, or the disk or the catalogue fails: then the bytes stay in staging, or the next start finishes the move.
    pub fn commit<'a>(&self, staging: Staging, witness: impl Into<Witness<'a>>) -> Result<BlobRef, StoreError> {
        debug_assert!(staging.is_of(self), "staged in another store");
        let witness = witness.into();
        let (hashed, sha256) = (witness.hashed(), witness.sha256()?.clone());
        if staging.len() != hashed.size() {
            return Err(StoreError::NotWhatWasHashed { staged: staging.len(), hashed: hashed.size() });
        }
        let is_proven = !matches!(witness, Witness::Unproven(_));
        let blob = BlobRef { sha256, size: hashed.size(), digests: hashed.digests().clone(), is_proven };
        let moving = Move { job: staging.job().clone(), blob };
        self.stop_at(Step::Written)?;
        staging.sync_whole()?;
        self.stop_at(Step::FileSynced)?;
        self.note_move(&moving)?;
        self.stop_at(Step::MoveNoted)?;
        self.finish(moving)
    }

    /// Only for tests: the next commit or sweep stops after that step as if the process had died, with [`StoreError::Stopped`].
    pub fn stop_after(&self, step: Step) {
        *self.inner.fault.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
    }

    /// From a noted move to the end. The caller holds the job.
    fn finish(&self, moving: Move) -> Result<BlobRef, StoreError> {
        self.place().publish(&moving.job, &moving.blob.sha256)?;
        self.stop_at(Step::Renamed)?;
        self.catalogue_moved(&moving)
    }

    fn catalogue_moved(&self, moving: &Move) -> Result<BlobRef, StoreError> {
        self.place().sync_move(&moving.blob.sha256)?;
        self.stop_at(Step::FolderSynced)?;
        let stamp = match self.place().blob(&moving.blob.sha256)? {
            Some(file) => Some(Stamp::of_file(&file, &moving.blob)?),
            None => None, // somebody removed it at once: whoever looks for it will see
        };
        let blob = self.end_move(moving, stamp.as_ref())?;
        self.stop_at(Step::Catalogued)?;
        self.place().drop_note(&moving.job)?;
        Ok(blob)
    }

    /// What a crash left: moves that were begun are finished, notes without bytes go. What another process is at is left alone.
    pub(crate) fn repair(&self) -> Result<(), StoreError> {
        for moving in self.moves()? {
            match self.place().hold(&moving.job) {
                Ok(Some(held)) => {
                    let found =
                        held.file.metadata().map_err(|error| StoreError::of_file("look at", self.path_of_job(&moving.job), error))?;
                    if found.len() == moving.blob.size {
                        self.finish(moving)?;
                    } else {
                        self.forget_move(&moving.job)?; // somebody else's hand: not what was hashed
                    }
                }
                Ok(None) => self.repair_moved(&moving)?,
                Err(StoreError::Busy(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.repair_removals()?;
        self.place().drop_stray_notes()
    }

    /// The file is not in staging any more: it was renamed, or is gone.
    fn repair_moved(&self, moving: &Move) -> Result<(), StoreError> {
        if self.place().blob(&moving.blob.sha256)?.is_none() {
            return self.forget_move(&moving.job);
        }
        match self.place().settled_blob(&moving.blob.sha256)? {
            Some(file) => {
                // not the copy that was there before, if a person edited that
                let reader = BlobReader::new(file, moving.blob.size);
                if has_its_bytes(reader, &moving.blob)? { self.catalogue_moved(moving).map(drop) } else { self.forget_move(&moving.job) }
            }
            None => Ok(()), // another process is just finishing it
        }
    }

    pub(crate) fn stop_at(&self, step: Step) -> Result<(), StoreError> {
        let mut fault = self.inner.fault.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *fault {
            Some(wanted) if wanted == step => {
                *fault = None;
                Err(StoreError::Stopped(step))
            }
            _ => Ok(()),
        }
    }
}
