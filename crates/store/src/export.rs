//! Copies of stored files in a person's folders: under a safe name, below a directory handle, whole or not at all.
//!
//! Always a copy (shared blocks where the file system can): a hard link would let whoever edits the file edit the store.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use balcony_sharing::FileName;
use rustix::fs::Mode;

use crate::folder::Folder;
use crate::{BlobReader, BlobRef, JobId, Store, StoreError};

/// More files of one name than anybody wants in a folder.
const MAX_NUMBER: u32 = 9_999;

/// What to do when the name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnClash {
    /// Fail with [`StoreError::Taken`].
    #[default]
    Refuse,
    /// Take `name (1).ext`, or the next number that is free.
    Rename,
    /// Replace what is there, in one step: at every moment one of the two is there whole. A symlink is replaced, not followed.
    Overwrite,
}

impl Store {
    /// Copies a file into a folder that exists, and says where it is now.
    ///
    /// # Errors
    /// When the name is taken, the copy in the store is damaged, or the disk is full or fails. Nothing half-written is left, and
    /// nothing that was there is lost.
    pub fn export(&self, blob: &BlobRef, dir: &Path, name: &FileName, clash: OnClash) -> Result<PathBuf, StoreError> {
        let mut reader = self.open_blob(blob)?;
        let folder = Folder::open(dir)?;
        let temporary = Temporary::create(&folder)?;
        let fail = |error| StoreError::of_file("write", folder.path_of(name.as_str()), error);
        copy(&mut reader, &temporary.file).map_err(fail)?;
        temporary.file.sync_all().map_err(fail)?;
        let name = temporary.settle(name, clash)?;
        folder.sync()?;
        Ok(folder.path_of(name.as_str()))
    }
}

/// A file that is not yet what it will be; gone unless it gets its name.
struct Temporary<'a> {
    folder: &'a Folder,
    name: String,
    file: File,
    is_settled: bool,
}

impl<'a> Temporary<'a> {
    fn create(folder: &'a Folder) -> Result<Self, StoreError> {
        let name = format!(".balcony-{}.part", JobId::random());
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH; // less what the person's umask says
        match folder.create_new(&name, mode)? {
            Some(file) => Ok(Self { folder, name, file, is_settled: false }),
            None => Err(StoreError::Taken(folder.path_of(&name))),
        }
    }

    fn settle(mut self, name: &FileName, clash: OnClash) -> Result<FileName, StoreError> {
        let most = if clash == OnClash::Rename { MAX_NUMBER } else { 0 };
        if clash == OnClash::Overwrite {
            self.folder.rename(&self.name, self.folder, name.as_str())?;
            self.is_settled = true;
            return Ok(name.clone());
        }
        for number in 0..=most {
            let name = if number == 0 { name.clone() } else { name.numbered(number) };
            if self.folder.settle(&self.name, name.as_str())? {
                self.is_settled = true;
                return Ok(name);
            }
        }
        Err(StoreError::Taken(self.folder.path_of(name.as_str())))
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            let _ = self.folder.remove(&self.name); // the error that led here is the one to tell
        }
    }
}

/// Copies all bytes, by the system where it can.
fn copy(from: &mut BlobReader, mut to: &File) -> io::Result<()> {
    let copied = copy_by_system(from, to)?;
    io::Seek::seek(from, io::SeekFrom::Start(copied))?;
    io::Seek::seek(&mut to, io::SeekFrom::Start(copied))?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        to.write_all(&buffer[..read])?;
    }
    if to.metadata()?.len() == from.len() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stored copy got shorter meanwhile"))
    }
}

/// Copies within the system, sharing blocks where the file system can; says how far it got before it had to give up.
#[cfg(target_os = "linux")]
fn copy_by_system(from: &BlobReader, to: &File) -> io::Result<u64> {
    let (mut read_at, mut write_at) = (0, 0);
    while read_at < from.len() {
        let left = usize::try_from(from.len() - read_at).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from.file(), Some(&mut read_at), to, Some(&mut write_at), left) {
            Ok(0) => break,
            Ok(_) => {}
            // full: copying by hand would find the same
            Err(errno @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT | rustix::io::Errno::FBIG | rustix::io::Errno::IO)) => {
                return Err(errno.into());
            }
            Err(_) => break, // not between these file systems, or not at all
        }
    }
    Ok(write_at)
}

#[cfg(not(target_os = "linux"))]
fn copy_by_system(_: &BlobReader, _: &File) -> io::Result<u64> {
    Ok(0)
}
