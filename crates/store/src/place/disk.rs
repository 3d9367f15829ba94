//! Bytes on a disk: `staging/<job>`, `staging/<job>.json`, `blobs/ab/abcdef…`. A job is held by `flock` on its file; who reads a whole
//! file has a shared one on it.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use balcony_wire::hashes::{Digest, HashAlgo};
use rustix::fs::{Mode, OFlags};

use super::{Held, Hold, Place};
use crate::folder::Folder;
use crate::{JobId, StoreError};

/// A longer note is none of ours.
const MAX_NOTE: u64 = 64 * 1024;

/// A folder of a store.
#[derive(Debug)]
pub(crate) struct Disk {
    staging: Folder,
    blobs: Folder,
    damaged: Folder,
}

impl Disk {
    /// The folders of a store in `root`, made if they are not there.
    pub(crate) fn open(root: &Folder) -> Result<Self, StoreError> {
        Ok(Self { staging: root.child("staging")?, blobs: root.child("blobs")?, damaged: root.child("damaged")? })
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

    #[cfg(target_os = "linux")]
    fn past_cache(&self, job: &JobId, held: &File) -> Option<File> {
        let file = self.staging.open_file(job.as_str(), OFlags::WRONLY | OFlags::DIRECT).ok()??;
        // The name leads to one and the same file, whoever may have touched it.
        let is_it = self.staging.holds(job.as_str(), held).ok()? && self.staging.holds(job.as_str(), &file).ok()?;
        is_it.then_some(file)
    }

    #[cfg(not(target_os = "linux"))]
    fn past_cache(&self, _: &JobId, _: &File) -> Option<File> {
        None
    }

    fn staged_len(&self, job: &JobId) -> Result<Option<u64>, StoreError> {
        let Some(file) = self.staging.open_file(job.as_str(), OFlags::RDONLY)? else { return Ok(None) };
        let metadata = file.metadata().map_err(|error| StoreError::of_file("look at", self.staging.path_of(job.as_str()), error))?;
        Ok(Some(metadata.len()))
    }

    fn jobs(&self) -> Result<Vec<JobId>, StoreError> {
        Ok(self.staging.names()?.iter().filter_map(|name| JobId::from_record(name)).collect())
    }

    fn write_note(&self, job: &JobId, note: &[u8], is_dear: bool) -> Result<(), StoreError> {
        let (name, fresh) = (note_name(job), format!("{job}.json.new"));
        self.staging.remove(&fresh)?; // left by a crash; only the holder of the job gets here
        let fail = |error| StoreError::of_file("write", self.staging.path_of(&name), error);
        let mut file = self.staging.create_new(&fresh, Mode::RUSR | Mode::WUSR)?.ok_or_else(|| StoreError::Busy(job.clone()))?;
        let written = file.write_all(note).and_then(|()| if is_dear { file.sync_all() } else { Ok(()) }).map_err(fail);
        written.and_then(|()| self.staging.rename(&fresh, &self.staging, &name)).inspect_err(|_| {
            let _ = self.staging.remove(&fresh); // the first error is the one to tell
        })?;
        if is_dear { self.staging.sync() } else { Ok(()) }
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
        // The old name may come back after a loss of power, and is then a transfer that nobody knows.
        self.blobs.child(&sha256.to_hex()[..2])?.sync()
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

    fn hold_blob(&self, sha256: &Digest) -> Result<Hold, StoreError> {
        let Some(file) = self.blob(sha256)? else { return Ok(Hold::Absent) };
        // where nothing can be locked, nothing is said to be free
        Ok(if file.try_lock().is_ok() { Hold::Held(file) } else { Hold::InUse })
    }

    fn remove_blob(&self, sha256: &Digest, held: &File) -> Result<bool, StoreError> {
        let hex = sha256.to_hex();
        let folder = self.blobs.child(&hex[..2])?;
        let is_it = folder.holds(&hex, held)?;
        if is_it {
            folder.remove(&hex)?;
        }
        Ok(is_it)
    }

    fn set_aside(&self, sha256: &Digest, held: &File) -> Result<Option<PathBuf>, StoreError> {
        let hex = sha256.to_hex();
        let folder = self.blobs.child(&hex[..2])?;
        if !folder.holds(&hex, held)? {
            return Ok(None);
        }
        folder.rename(&hex, &self.damaged, &hex)?;
        Ok(Some(self.damaged.path_of(&hex)))
    }

    fn blob_names(&self) -> Result<Vec<Digest>, StoreError> {
        let mut names = Vec::new();
        for start in self.blobs.names()? {
            if start.len() != 2 || !start.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                continue;
            }
            let found = self.blobs.child(&start)?.names()?;
            let named = found.iter().filter(|name| name.starts_with(&start));
            names.extend(named.filter_map(|name| Digest::from_hex(HashAlgo::Sha256, name).ok()));
        }
        Ok(names)
    }

    fn keep_while_open(&self, file: &File) {
        // Whoever commits or sweeps it holds it for a moment. A program of the person may hold a copy that is the same file for as
        // long as it likes; a sweep does not take that one either.
        for _ in 0..10 {
            match file.try_lock_shared() {
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
                _ => return,
            }
        }
    }

    fn staged_at(&self, job: &JobId) -> Result<Option<SystemTime>, StoreError> {
        let Some(file) = self.staging.open_file(job.as_str(), OFlags::RDONLY)? else { return Ok(None) };
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        modified.map(Some).map_err(|error| StoreError::of_file("look at", self.staging.path_of(job.as_str()), error))
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
