//! Uploaded bytes on the disk: `incoming/` for what is on its way, `AB/ABcd…` for what is whole.
//!
//! Write → fsync → link under the final name (fails when it is taken: creating is all a PUT can do) → fsync of the folder.
//! What a crash leaves in `incoming/` is deleted at the next start. No name from outside reaches this file: objects are
//! named by [`ObjectName`] alone. All functions block.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::name::ObjectName;

/// Room that uploads leave on the disk for everything else.
const RESERVE: u64 = 64 << 20;

#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    incoming: PathBuf,
}

impl Folder {
    /// Makes the folders and throws away what was on its way.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        let incoming = root.join("incoming");
        private_folder(&root)?;
        private_folder(&incoming)?;
        for entry in fs::read_dir(&incoming)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Self { root, incoming })
    }

    fn shelf(&self, object: &ObjectName) -> PathBuf {
        self.root.join(&object.as_str()[..2])
    }

    fn path(&self, object: &ObjectName) -> PathBuf {
        self.shelf(object).join(object.as_str())
    }

    /// Whether the object is there, and whole.
    pub(crate) fn holds(&self, object: &ObjectName) -> bool {
        self.path(object).exists()
    }

    /// Opens an object to read.
    pub(crate) fn get(&self, object: &ObjectName) -> io::Result<File> {
        File::open(self.path(object))
    }

    /// Begins an object. Dropping the handle throws the bytes away.
    pub(crate) fn begin(&self, object: &ObjectName, size: u64) -> io::Result<Incoming> {
        let room = rustix::fs::statvfs(&self.incoming)?;
        if room.f_bavail.saturating_mul(room.f_frsize) < size.saturating_add(RESERVE) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let path = self.incoming.join(object.as_str());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Incoming { file: file.into(), path })
    }

    /// Makes a begun object whole. `AlreadyExists` when another request was faster.
    pub(crate) fn finish(&self, incoming: Incoming, object: &ObjectName) -> io::Result<()> {
        incoming.file.sync_all()?;
        let shelf = self.shelf(object);
        if !shelf.exists() {
            private_folder(&shelf)?;
            File::open(&self.root)?.sync_all()?;
        }
        fs::hard_link(&incoming.path, self.path(object))?;
        File::open(&shelf)?.sync_all()
    }

    /// Deletes an object; one that is not there is no error.
    pub(crate) fn remove(&self, object: &ObjectName) -> io::Result<()> {
        match fs::remove_file(self.path(object)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// An object on its way.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) file: std::sync::Arc<File>,
    path: PathBuf,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "an unfinished upload could not be deleted; the next start does it");
        }
    }
}

fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path().join("uploads")).unwrap();
        (temporary, folder)
    }

    fn files_in(folder: &Folder) -> usize {
        fs::read_dir(&folder.incoming).unwrap().count()
    }

    #[test]
    fn an_object_is_there_only_when_it_is_whole_and_only_once() {
        let (_temporary, folder) = folder();
        let object = ObjectName::random().unwrap();
        let incoming = folder.begin(&object, 5).unwrap();
        (&*incoming.file).write_all(b"hello").unwrap();
        assert!(!folder.holds(&object));
        assert_eq!(folder.begin(&object, 5).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        folder.finish(incoming, &object).unwrap();
        assert_eq!(io::read_to_string(folder.get(&object).unwrap()).unwrap(), "hello");
        assert_eq!(files_in(&folder), 0);
        let again = folder.begin(&object, 5).unwrap();
        assert_eq!(folder.finish(again, &object).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(io::read_to_string(folder.get(&object).unwrap()).unwrap(), "hello");
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_a_start_sweeps_what_a_crash_left() {
        let (_temporary, folder) = folder();
        drop(folder.begin(&ObjectName::random().unwrap(), 5).unwrap());
        assert_eq!(files_in(&folder), 0);
        std::mem::forget(folder.begin(&ObjectName::random().unwrap(), 5).unwrap());
        assert_eq!(files_in(&folder), 1);
        assert_eq!(files_in(&Folder::open(folder.root.clone()).unwrap()), 0);
    }

    #[test]
    fn more_than_the_disk_holds_is_refused_before_a_byte_came() {
        let (_temporary, folder) = folder();
        let refused = folder.begin(&ObjectName::random().unwrap(), u64::MAX).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        assert_eq!(files_in(&folder), 0);
    }
}
