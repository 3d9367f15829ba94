//! Where the bytes of a file to share come from.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use balcony_store::{BlobReader, BlobRef, FileRef, FileStamp, Store, StoreError};

use super::ShareError;

/// Where a file to share is: on the person's disk, or in the store.
#[derive(Clone, Debug)]
pub enum FileFrom {
    /// On the disk. A symbolic link is followed: the person named it.
    Path(PathBuf),
    /// In the store: what was read from standard input, or fetched.
    Store(BlobRef),
}

/// An open file whose bytes are to be sent.
pub(crate) enum Input {
    /// The person's, who may write to it meanwhile.
    File(File, FileStamp),
    /// The store's, checked when it was opened.
    Blob(BlobReader),
}

impl FileFrom {
    /// How the outbox remembers it: from wherever the next start happens to be.
    pub(super) fn to_record(&self) -> FileRef {
        match self {
            // Where the folder we are in cannot be told, the path as it was given is all there is.
            Self::Path(path) => FileRef::Path(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            Self::Store(blob) => FileRef::Blob(blob.sha256().clone()),
        }
    }

    /// What the outbox remembers; blocks.
    pub(super) fn from_record(record: &FileRef, store: &Store) -> Result<Self, ShareError> {
        match record {
            FileRef::Path(path) => Ok(Self::Path(path.clone())),
            FileRef::Blob(sha256) => store.blob(sha256)?.map(Self::Store).ok_or(ShareError::Gone),
        }
    }

    /// For words.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Store(_) => Path::new("the file in the store"),
        }
    }

    /// Opens it; blocks. `expected` is what it was when it was looked at.
    pub(crate) fn open(&self, expected: Option<FileStamp>, store: &Store) -> io::Result<Input> {
        match self {
            Self::Path(path) => {
                let file = File::open(path)?;
                let stamp = match expected {
                    Some(stamp) => stamp,
                    None => FileStamp::of(&file.metadata()?),
                };
                Ok(Input::File(file, stamp))
            }
            Self::Store(blob) => store.open_blob(blob).map(Input::Blob).map_err(|error| match error {
                StoreError::Damaged { .. } => io::Error::new(io::ErrorKind::NotFound, error),
                error => io::Error::other(error),
            }),
        }
    }
}

impl Input {
    /// Bytes it is to give.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::File(_, stamp) => stamp.size(),
            Self::Blob(reader) => reader.len(),
        }
    }

    /// Goes on from this byte.
    pub(crate) fn seek(&mut self, to: u64) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.seek(SeekFrom::Start(to)).map(drop),
            Self::Blob(reader) => reader.seek(SeekFrom::Start(to)).map(drop),
        }
    }

    /// Whether nobody wrote to it since it was looked at.
    pub(crate) fn has_same_stamp(&self) -> io::Result<bool> {
        match self {
            Self::File(file, expected) => Ok(FileStamp::of(&file.metadata()?) == *expected),
            Self::Blob(_) => Ok(true),
        }
    }

    /// Whether it still is what was announced, once all of it was read.
    pub(crate) fn is_unchanged(&mut self) -> io::Result<bool> {
        match self {
            Self::File(file, expected) => {
                let now = FileStamp::of(&file.metadata()?);
                Ok(now == *expected && file.read(&mut [0])? == 0)
            }
            Self::Blob(_) => Ok(true),
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.read(buffer),
            Self::Blob(reader) => reader.read(buffer),
        }
    }
}

impl From<PathBuf> for FileFrom {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&PathBuf> for FileFrom {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<&Path> for FileFrom {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&str> for FileFrom {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl From<String> for FileFrom {
    fn from(path: String) -> Self {
        Self::Path(path.into())
    }
}

impl From<BlobRef> for FileFrom {
    fn from(blob: BlobRef) -> Self {
        Self::Store(blob)
    }
}
