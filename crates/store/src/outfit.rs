//! What a file is besides its bytes: whose, who may, and what the system keeps with it.

use std::fs::File;
use std::io;

use rustix::fs::{Mode, fstat};
use rustix::io::Errno;

/// Longer lists and values are not compared: such a file is copied.
const MAX_ATTRIBUTES: usize = 64 * 1024;

/// Everything about a file that a second name shares with the first.
#[derive(Debug)]
pub(crate) struct Outfit {
    pub(crate) mode: Mode,
    /// How many names it has.
    pub(crate) names: u64,
    owner: (u32, u32),
    /// Access lists, labels: each name and its value.
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Outfit {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let (stat, metadata) = (fstat(file)?, file.metadata()?);
        let mode = Mode::from_raw_mode(stat.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO);
        Ok(Self { mode, names: metadata.nlink(), owner: (metadata.uid(), metadata.gid()), attributes: attributes(file)? })
    }

    /// Whether a change of mode makes one of the other. An access list keeps its mask where the mode has the group, so one of those
    /// must be the same.
    pub(crate) fn differs_in_mode_only(&self, other: &Self) -> bool {
        self.owner == other.owner && self.attributes == other.attributes
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn attributes(file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut list = vec![0; MAX_ATTRIBUTES];
    let len = match rustix::fs::flistxattr(file, &mut list[..]) {
        Ok(len) => len,
        Err(Errno::NOTSUP | Errno::NOSYS) => 0, // a file system that keeps none
        Err(errno) => return Err(errno.into()),
    };
    let mut attributes = Vec::new();
    let mut value = vec![0; MAX_ATTRIBUTES];
    for name in list[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let len = rustix::fs::fgetxattr(file, name, &mut value[..])?;
        attributes.push((name.to_owned(), value[..len].to_owned()));
    }
    attributes.sort();
    Ok(attributes)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn attributes(_: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    Ok(Vec::new())
}
