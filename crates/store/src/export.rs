//! Copies of stored files in a person's folders: under a safe name, below a directory handle, whole or not at all.
//!
//! Blocks are shared where the file system can. Where it cannot, the first copy is a second name of the file in the store, so that
//! nothing is written twice; if its owner edits it, its stamp tells, and the store has lost its copy. Any more are copied.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use balcony_sharing::FileName;
use rustix::fs::Mode;

use crate::folder::Folder;
use crate::outfit::Outfit;
use crate::stamp::Stamp;
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
    /// Puts a copy of a file into a folder that exists, and says where it is now. The copy is its owner's: they may edit it.
    ///
    /// # Errors
    /// When the name is taken, the copy in the store is damaged, or the disk is full or fails. Nothing half-written is left, and
    /// nothing that was there is lost.
    pub fn export(&self, blob: &BlobRef, dir: &Path, name: &FileName, clash: OnClash) -> Result<PathBuf, StoreError> {
        let (mut reader, stamp) = self.open_checked(blob)?;
        let folder = Folder::open(dir)?;
        let (temporary, file) = Temporary::create(&folder)?;
        if !share_blocks(&reader, &file) {
            if let Some(link) = self.link_out(blob, &reader, &folder, &file) {
                drop(temporary);
                let settled = link.settle(name, clash);
                self.keep_stamp(blob, &reader, &stamp);
                return arrived(&folder, &settled?);
            }
            copy(&mut reader, &file).map_err(|error| StoreError::of_file("write", folder.path_of(name.as_str()), error))?;
        }
        file.sync_all().map_err(|error| StoreError::of_file("write", folder.path_of(name.as_str()), error))?;
        arrived(&folder, &temporary.settle(name, clash)?)
    }

    /// A second name for the file in the store, with the mode of a fresh one; `None` if it has one already, cannot have one there,
    /// or would not be what a fresh file there is. Its bytes were synced when they were committed.
    fn link_out<'a>(&self, blob: &BlobRef, reader: &BlobReader, folder: &'a Folder, fresh: &File) -> Option<Temporary<'a>> {
        let (wanted, own) = (Outfit::of(fresh).ok()?, Outfit::of(reader.file()).ok()?);
        if own.names > 1 || !wanted.differs_in_mode_only(&own) {
            return None;
        }
        let name = temporary_name();
        if !self.place().link(&blob.sha256, folder, &name) {
            return None;
        }
        let link = Temporary { folder, name, is_settled: false };
        // meanwhile another process may have committed it anew, or linked it out
        let is_ours = folder.holds(&link.name, reader.file()).ok()? && Outfit::of(reader.file()).ok()?.names <= 2;
        let is_dressed = is_ours && rustix::fs::fchmod(reader.file(), wanted.mode).is_ok();
        is_dressed.then_some(link)
    }

    /// A name and a mode more are no reason to read the bytes again. If this fails, that is all that happens.
    fn keep_stamp(&self, blob: &BlobRef, reader: &BlobReader, before: &Stamp) {
        if let Ok(stamp) = Stamp::of_file(reader.file(), blob)
            && stamp.file == before.file
        {
            let _ = self.stamp(&blob.sha256, &stamp);
        }
    }
}

fn arrived(folder: &Folder, name: &FileName) -> Result<PathBuf, StoreError> {
    folder.sync()?;
    Ok(folder.path_of(name.as_str()))
}

fn temporary_name() -> String {
    format!(".balcony-{}.part", JobId::random())
}

/// A file that is not yet what it will be; gone unless it gets its name.
struct Temporary<'a> {
    folder: &'a Folder,
    name: String,
    is_settled: bool,
}

impl<'a> Temporary<'a> {
    fn create(folder: &'a Folder) -> Result<(Self, File), StoreError> {
        let name = temporary_name();
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH; // less what the person's umask says
        match folder.create_new(&name, mode)? {
            Some(file) => Ok((Self { folder, name, is_settled: false }, file)),
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

/// Both files have the same blocks from now on, until one of them is edited. `false` where the file system cannot.
#[cfg(all(target_os = "linux", not(any(target_arch = "sparc", target_arch = "sparc64"))))]
fn share_blocks(from: &BlobReader, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from.file()).is_ok()
}

#[cfg(not(all(target_os = "linux", not(any(target_arch = "sparc", target_arch = "sparc64")))))]
fn share_blocks(_: &BlobReader, _: &File) -> bool {
    false
}
