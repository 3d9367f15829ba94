//! Bytes in memory: files without a name. They go with the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use balcony_wire::hashes::Digest;

use super::{Held, Hold, Place};
use crate::folder::Folder;
use crate::{JobId, StoreError};

/// Files without a name.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    staged: BTreeMap<JobId, Staged>,
    blobs: BTreeMap<Digest, Arc<File>>,
}

#[derive(Debug)]
struct Staged {
    file: Arc<File>,
    /// Somebody holds the job while there is a second one of these.
    lock: Arc<()>,
    note: Option<Vec<u8>>,
}

impl Memory {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner) // nothing in here is left half-changed
    }
}

impl Place for Memory {
    fn begin(&self, job: &JobId) -> Result<Held, StoreError> {
        let mut inner = self.inner();
        if inner.staged.contains_key(job) {
            return Err(StoreError::JobExists(job.clone()));
        }
        let file = Arc::new(nameless().map_err(|error| StoreError::of_file("create", job.as_str(), error))?);
        let lock = Arc::new(());
        inner.staged.insert(job.clone(), Staged { file: file.clone(), lock: lock.clone(), note: None });
        Ok(Held { file, _lock: Some(lock) })
    }

    fn hold(&self, job: &JobId) -> Result<Option<Held>, StoreError> {
        let inner = self.inner();
        let Some(staged) = inner.staged.get(job) else { return Ok(None) };
        if Arc::strong_count(&staged.lock) > 1 {
            return Err(StoreError::Busy(job.clone()));
        }
        Ok(Some(Held { file: staged.file.clone(), _lock: Some(staged.lock.clone()) }))
    }

    fn past_cache(&self, _: &JobId, _: &File) -> Option<File> {
        None
    }

    fn staged_len(&self, job: &JobId) -> Result<Option<u64>, StoreError> {
        let Some(file) = self.inner().staged.get(job).map(|staged| staged.file.clone()) else { return Ok(None) };
        Ok(Some(file.metadata().map_err(|error| StoreError::of_file("look at", job.as_str(), error))?.len()))
    }

    fn jobs(&self) -> Result<Vec<JobId>, StoreError> {
        Ok(self.inner().staged.keys().cloned().collect())
    }

    fn write_note(&self, job: &JobId, note: &[u8], _: bool) -> Result<(), StoreError> {
        if let Some(staged) = self.inner().staged.get_mut(job) {
            staged.note = Some(note.to_owned());
        }
        Ok(())
    }

    fn read_note(&self, job: &JobId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.inner().staged.get(job).and_then(|staged| staged.note.clone()))
    }

    fn drop_note(&self, job: &JobId) -> Result<(), StoreError> {
        if let Some(staged) = self.inner().staged.get_mut(job) {
            staged.note = None;
        }
        Ok(())
    }

    fn drop_stray_notes(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn discard(&self, job: &JobId) -> Result<(), StoreError> {
        self.inner().staged.remove(job);
        Ok(())
    }

    fn publish(&self, job: &JobId, sha256: &Digest) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if let Some(staged) = inner.staged.remove(job) {
            inner.blobs.insert(sha256.clone(), staged.file);
        }
        Ok(())
    }

    fn sync_move(&self, _: &Digest) -> Result<(), StoreError> {
        Ok(())
    }

    fn blob(&self, sha256: &Digest) -> Result<Option<Arc<File>>, StoreError> {
        Ok(self.inner().blobs.get(sha256).cloned())
    }

    fn settled_blob(&self, sha256: &Digest) -> Result<Option<Arc<File>>, StoreError> {
        self.blob(sha256)
    }

    fn hold_blob(&self, sha256: &Digest) -> Result<Hold, StoreError> {
        let inner = self.inner();
        let Some(file) = inner.blobs.get(sha256) else { return Ok(Hold::Absent) };
        Ok(if Arc::strong_count(file) == 1 { Hold::Held(file.clone()) } else { Hold::InUse })
    }

    fn remove_blob(&self, sha256: &Digest, held: &File) -> Result<bool, StoreError> {
        let mut inner = self.inner();
        let is_it = inner.blobs.get(sha256).is_some_and(|file| std::ptr::eq(&raw const **file, held));
        if is_it {
            inner.blobs.remove(sha256);
        }
        Ok(is_it)
    }

    fn set_aside(&self, sha256: &Digest, held: &File) -> Result<Option<PathBuf>, StoreError> {
        Ok(self.remove_blob(sha256, held)?.then(|| PathBuf::from("memory").join(sha256.to_hex())))
    }

    fn blob_names(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(self.inner().blobs.keys().cloned().collect())
    }

    fn keep_while_open(&self, _: &File) {}

    fn staged_at(&self, job: &JobId) -> Result<Option<SystemTime>, StoreError> {
        let Some(file) = self.inner().staged.get(job).map(|staged| staged.file.clone()) else { return Ok(None) };
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        modified.map(Some).map_err(|error| StoreError::of_file("look at", job.as_str(), error))
    }

    fn link(&self, _: &Digest, _: &Folder, _: &str) -> bool {
        false
    }

    fn boot(&self) -> Option<String> {
        Some("this one".to_owned())
    }
}

#[cfg(target_os = "linux")]
fn nameless() -> std::io::Result<File> {
    Ok(rustix::fs::memfd_create("balcony", rustix::fs::MemfdFlags::CLOEXEC)?.into())
}

/// Where memory cannot be a file: one in the folder for temporary files, without its name from the start.
#[cfg(not(target_os = "linux"))]
fn nameless() -> std::io::Result<File> {
    let path = std::env::temp_dir().join(format!("balcony-{}", JobId::random()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
