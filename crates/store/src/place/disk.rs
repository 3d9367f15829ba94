//! Bytes on a disk: `staging/<job>`, `staging/<job>.json`, `blobs/ab/abcdef…`. A job is held by `flock` on its file.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::sync::Arc;

use balcony_wire::hashes::Digest;
use rustix::fs::{Mode, OFlags};

use super::{Held, Place};
use crate::folder::Folder;
use crate::{JobId, StoreError};

/// A longer note is none of ours.
const MAX_NOTE: u64 = 64 * 1024;

/// A folder of a store.
#[derive(Debug)]
pub(crate) struct Disk {
    staging: Folder,
    blobs: Folder,
}

impl Disk {
    /// The folders of a store in `root`, made if they are not there.
    pub(crate) fn open(root: &Folder) -> Result<Self, StoreError> {
        let disk = Self { staging: root.child("staging")?, blobs: root.child("blobs")? };
        root.sync()?;
        Ok(disk)
    }

    fn locked(&self, job: &JobId, file: File) -> Result<Option<Held>, StoreError> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy(job.clone())),
            Err(TryLockError::Error(error)) => return Err(StoreError::of_file("lock", self.staging.path_of(job.as_str()), error)),
        }
        // whoever held it until now may have moved or removed it
        let is_there = self.staging.holds(job.as_str(), &file)?;
        Ok(is_there.then(|| Held { file: Arc::new(file), _lock: None }))
    }
}

impl Place for Disk {
    fn begin(&self, job: &JobId) -> Result<Held, StoreError> {
        let exists = || StoreError::JobExists(job.clone());
        let file = self.staging.create_new(job.as_str(), Mode::RUSR | Mode::WUSR)?.ok_or_else(exists)?;
        self.locked(job, file)?.ok_or_else(exists)
    }

    fn hold(&self, job: &JobId) -> Result<Option<Held>, StoreError> {
        match self.staging.open_file(job.as_str(), OFlags::RDWR)? {
            Some(file) => self.locked(job, file),
            None => Ok(None),
        }
    }

    fn staged_len(&self, job: &JobId) -> Result<Option<u64>, StoreError> {
        let Some(file) = self.staging.open_file(job.as_str(), OFlags::RDONLY)? else { return Ok(None) };
        let metadata = file.metadata().map_err(|error| StoreError::of_file("look at", self.staging.path_of(job.as_str()), error))?;
        Ok(Some(metadata.len()))
    }

    fn jobs(&self) -> Result<Vec<JobId>, StoreError> {
        Ok(self.staging.names()?.iter().filter_map(|name| JobId::from_record(name)).collect())
    }

    fn write_note(&self, job: &JobId, note: &[u8]) -> Result<(), StoreError> {
        let (name, fresh) = (note_name(job), format!("{job}.json.new"));
        self.staging.remove(&fresh)?; // left by a crash; only the holder of the job gets here
        let fail = |error| StoreError::of_file("write", self.staging.path_of(&name), error);
        let mut file = self.staging.create_new(&fresh, Mode::RUSR | Mode::WUSR)?.ok_or_else(|| StoreError::Busy(job.clone()))?;
        let written = file.write_all(note).and_then(|()| file.sync_all()).map_err(fail);
        written.and_then(|()| self.staging.rename(&fresh, &self.staging, &name)).inspect_err(|_| {
            let _ = self.staging.remove(&fresh); // the first error is the one to tell
        })?;
        self.staging.sync()
    }

    fn read_note(&self, job: &JobId) -> Result<Option<Vec<u8>>, StoreError> {
        let name = note_name(job);
        let Some(file) = self.staging.open_file(&name, OFlags::RDONLY)? else { return Ok(None) };
        let mut note = Vec::new();
        file.take(MAX_NOTE).read_to_end(&mut note).map_err(|error| StoreError::of_file("read", self.staging.path_of(&name), error))?;
        Ok(Some(note))
    }

    fn drop_note(&self, job: &JobId) -> Result<(), StoreError> {
        self.staging.remove(&note_name(job))
    }

    fn drop_stray_notes(&self) -> Result<(), StoreError> {
        for name in self.staging.names()? {
            let Some(job) = name.split_once(".json").and_then(|(job, _)| JobId::from_record(job)) else { continue };
            // looked up anew: while names are listed, another process may begin a job
            if self.staging.open_file(job.as_str(), OFlags::RDONLY)?.is_none() {
                self.staging.remove(&name)?;
            }
        }
        Ok(())
    }

    fn discard(&self, job: &JobId) -> Result<(), StoreError> {
        self.staging.remove(job.as_str())?;
        self.drop_note(job)
    }

    fn publish(&self, job: &JobId, sha256: &Digest) -> Result<(), StoreError> {
        let hex = sha256.to_hex();
        self.staging.rename(job.as_str(), &self.blobs.child(&hex[..2])?, &hex)
    }

    fn sync_move(&self, sha256: &Digest) -> Result<(), StoreError> {
        self.blobs.child(&sha256.to_hex()[..2])?.sync()?;
        self.blobs.sync()?;
        self.staging.sync()
    }

    fn blob(&self, sha256: &Digest) -> Result<Option<Arc<File>>, StoreError> {
        let hex = sha256.to_hex();
        Ok(self.blobs.child(&hex[..2])?.open_file(&hex, OFlags::RDONLY)?.map(Arc::new))
    }

    fn settled_blob(&self, sha256: &Digest) -> Result<Option<Arc<File>>, StoreError> {
        let Some(file) = self.blob(sha256)? else { return Ok(None) };
        // whoever moved it here holds the lock until the row is written
        Ok(file.try_lock_shared().is_ok().then_some(file))
    }

    fn link(&self, sha256: &Digest, folder: &Folder, name: &str) -> bool {
        let hex = sha256.to_hex();
        self.blobs.child(&hex[..2]).is_ok_and(|blobs| blobs.link(&hex, folder, name))
    }

    fn boot(&self) -> Option<String> {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|boot| boot.trim().to_owned())
    }
}

fn note_name(job: &JobId) -> String {
    format!("{job}.json")
}
