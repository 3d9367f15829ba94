//! Files below a directory handle: one component at a time, no symlinks followed, nothing opened that was not asked for.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, fsync, linkat, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::StoreError;

/// A folder held open. Its path is for words only.
#[derive(Debug)]
pub(crate) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder that a person named; symlinks on the way to it are theirs.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let handle = openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self { handle: handle.map_err(|errno| StoreError::of_file("open the folder", path, errno))?, path: path.to_owned() })
    }

    /// A folder in this one, made if it is not there so that it survives a loss of power.
    pub(crate) fn child(&self, name: &str) -> Result<Self, StoreError> {
        let path = self.path.join(name);
        match mkdirat(&self.handle, name, Mode::RWXU) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(StoreError::of_file("make the folder", path, errno)),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle =
            openat(&self.handle, name, flags, Mode::empty()).map_err(|errno| StoreError::of_file("open the folder", &path, errno))?;
        Ok(Self { handle, path })
    }

    /// Where a file of that name would be, for words.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new file; `None` if something of that name is there.
    pub(crate) fn create_new(&self, name: &str, mode: Mode) -> Result<Option<File>, StoreError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.handle, name, flags, mode) {
            Ok(handle) => Ok(Some(handle.into())),
            Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(StoreError::of_file("create", self.path_of(name), errno)),
        }
    }

    /// A regular file; `None` if nothing of that name is there.
    pub(crate) fn open_file(&self, name: &str, access: OFlags) -> Result<Option<File>, StoreError> {
        let fail = |errno: Errno| StoreError::of_file("open", self.path_of(name), errno);
        // NONBLOCK: somebody may have put a pipe here, and opening must not wait for its other end
        let handle = match openat(&self.handle, name, access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(fail(errno)),
        };
        let kind = FileType::from_raw_mode(fstat(&handle).map_err(fail)?.st_mode);
        if kind != FileType::RegularFile {
            return Err(StoreError::of_file("open", self.path_of(name), io::Error::other("it is not a regular file")));
        }
        Ok(Some(handle.into()))
    }

    /// Moves a file, replacing what is there.
    pub(crate) fn rename(&self, name: &str, to: &Self, new_name: &str) -> Result<(), StoreError> {
        renameat(&self.handle, name, &to.handle, new_name).map_err(|errno| StoreError::of_file("write", to.path_of(new_name), errno))
    }

    /// Gives a file a second name in another folder. `false` if it cannot have one: another file system, none of its kind, too many.
    pub(crate) fn link(&self, name: &str, to: &Self, new_name: &str) -> bool {
        linkat(&self.handle, name, &to.handle, new_name, AtFlags::empty()).is_ok()
    }

    /// Gives a file of this folder its final name, only if that is free. `false` if it is not.
    pub(crate) fn settle(&self, name: &str, new_name: &str) -> Result<bool, StoreError> {
        let outcome = match self.rename_noreplace(name, new_name) {
            // a file system without it, or a system: a second name does the same, if it can have one
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => linkat(&self.handle, name, &self.handle, new_name, AtFlags::empty())
                .and_then(|()| unlinkat(&self.handle, name, AtFlags::empty())),
            other => other,
        };
        match outcome {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(StoreError::of_file("write", self.path_of(new_name), errno)),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn rename_noreplace(&self, name: &str, new_name: &str) -> Result<(), Errno> {
        rustix::fs::renameat_with(&self.handle, name, &self.handle, new_name, rustix::fs::RenameFlags::NOREPLACE)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn rename_noreplace(&self, _: &str, _: &str) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    /// Removes a file; one that is not there is fine.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        match unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(StoreError::of_file("remove", self.path_of(name), errno)),
        }
    }

    /// Makes names in it survive a loss of power.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        match fsync(&self.handle) {
            // network file systems that have no such thing say so
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(errno) => Err(StoreError::of_file("write the folder", &self.path, errno)),
        }
    }

    /// All names in it that are UTF-8, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        let fail = |errno: Errno| StoreError::of_file("list the folder", &self.path, errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            names.extend(entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Whether the file held is still the one of that name.
    pub(crate) fn holds(&self, name: &str, file: &File) -> Result<bool, StoreError> {
        let fail = |errno: Errno| StoreError::of_file("open", self.path_of(name), errno);
        let held = fstat(file).map_err(fail)?;
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(fail(errno)),
        }
    }
}
