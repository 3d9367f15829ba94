//! What can go wrong in a store, in sentences that say what, where and what next. No error leaves half a file under a final name.

use std::io;
use std::path::{Path, PathBuf};

use crate::{JobId, Step};

/// Why the store could not do something. What was there before is still there.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Disk, quota or limit of file sizes.
    #[error("no room left to {doing} {path}: free some space and try again, nothing that was there is lost")]
    DiskFull {
        /// what was being done
        doing: &'static str,
        /// to what
        path: PathBuf,
        /// the system's words
        #[source]
        source: io::Error,
    },
    /// The system does not let us.
    #[error("no permission to {doing} {path}: check who owns the folder, or choose another one")]
    Denied {
        /// what was being done
        doing: &'static str,
        /// to what
        path: PathBuf,
        /// the system's words
        #[source]
        source: io::Error,
    },
    /// A folder that is not there, or is none.
    #[error("cannot {doing} {path}: there is no such folder; make it, or choose another one")]
    NoFolder {
        /// what was being done
        doing: &'static str,
        /// to what
        path: PathBuf,
        /// the system's words
        #[source]
        source: io::Error,
    },
    /// Anything else that the system says about files.
    #[error("cannot {doing} {path}: {source}")]
    Files {
        /// what was being done
        doing: &'static str,
        /// to what
        path: PathBuf,
        /// the system's words
        #[source]
        source: io::Error,
    },
    /// A file of that name is there.
    #[error("{0} exists already: choose another name, or allow it to be replaced")]
    Taken(PathBuf),
    /// Somebody holds the job.
    #[error("another Balcony is working on transfer {0}: wait for it, or stop it")]
    Busy(JobId),
    /// A job of that name was begun before.
    #[error("transfer {0} was begun before: resume it or discard it")]
    JobExists(JobId),
    /// The bytes of a blob are not there, or not those that they should be.
    #[error("the stored copy of {sha256} is {}: fetch the file again", harm(*found, *expected))]
    Damaged {
        /// which blob
        sha256: String,
        /// bytes there; `None` if there is no file
        found: Option<u64>,
        /// bytes that should be there
        expected: u64,
    },
    /// What was hashed is not what is staged: a mistake of the caller.
    #[error("{staged} bytes are staged and {hashed} were hashed: the transfer must be hashed again")]
    NotWhatWasHashed {
        /// bytes staged
        staged: u64,
        /// bytes hashed
        hashed: u64,
    },
    /// Blobs are named by SHA-256: a mistake of the caller.
    #[error("the bytes were not hashed with sha-256, by which they are stored")]
    NoSha256,
    /// Something else of that name is in the catalogue: a mistake of the caller.
    #[error("{0} is in the catalogue already")]
    Known(&'static str),
    /// Something that ought to be in the catalogue is not.
    #[error("{0} is not in the catalogue any more")]
    Unknown(&'static str),
    /// A catalogue from the future.
    #[error(
        "the catalogue {path} was written by a newer Balcony (version {found}, this one knows {known}): use that one, nothing was changed"
    )]
    TooNew {
        /// the catalogue
        path: PathBuf,
        /// its version
        found: i64,
        /// ours
        known: i64,
    },
    /// Another process held the catalogue for too long.
    #[error("the catalogue {0} is in use by another process: try again in a moment")]
    CatalogueBusy(PathBuf),
    /// Anything else that the catalogue says.
    #[error("the catalogue {path} failed: {source}")]
    Catalogue {
        /// the catalogue
        path: PathBuf,
        /// SQLite's words
        #[source]
        source: rusqlite::Error,
    },
    /// A row that nobody here wrote.
    #[error("the catalogue holds a {what} that cannot be read; it may have been changed by another program")]
    Record {
        /// what kind of row
        what: &'static str,
    },
    /// Only in tests: the store was told to stop here.
    #[error("stopped after {0:?}, as a test asked")]
    Stopped(Step),
}

fn harm(found: Option<u64>, expected: u64) -> String {
    match found {
        None => "gone".to_owned(),
        Some(found) if found == expected => "changed".to_owned(),
        Some(found) => format!("damaged ({found} bytes instead of {expected})"),
    }
}

impl StoreError {
    /// Sorts what the system says about a file by who can mend it.
    pub(crate) fn of_file(doing: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.as_ref().to_owned(), source.into());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { doing, path, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied { doing, path, source },
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NoFolder { doing, path, source },
            _ => Self::Files { doing, path, source },
        }
    }

    /// Whether the person can mend it by making room.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn every_error_of_the_system_says_what_where_and_what_next() {
        let say = |errno: Errno| StoreError::of_file("write", "/home/juliet/summit.jpg", errno).to_string();
        for full in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert_eq!(
                say(full),
                "no room left to write /home/juliet/summit.jpg: free some space and try again, nothing that was there is lost"
            );
        }
        for denied in [Errno::ACCESS, Errno::PERM, Errno::ROFS] {
            assert!(say(denied).starts_with("no permission to write /home/juliet/summit.jpg: "), "{}", say(denied));
        }
        assert!(say(Errno::NOENT).contains("no such folder"));
        assert!(say(Errno::IO).starts_with("cannot write /home/juliet/summit.jpg: "), "{}", say(Errno::IO));
    }
}
