//! What can be said of a file before it is sent: size, type, dimensions, time of change. Reads its first bytes, not the file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::dimensions::{HEAD, dimensions};
use crate::http::source::FileState;

/// A file about to be shared.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) state: FileState,
    pub(crate) media_type: String,
    pub(crate) dimensions: Option<(u32, u32)>,
}

/// Why a path cannot be shared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DraftError {
    /// A folder, a pipe, a device.
    #[error("it is no file")]
    NoFile,
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Draft {
    /// Looks at a file; blocks. Follows a symbolic link: the person named it.
    pub(crate) fn look(path: &Path, name: Option<String>) -> Result<Self, DraftError> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(DraftError::NoFile);
        }
        let state = FileState::of(&metadata);
        if state.size == 0 {
            return Err(DraftError::Empty);
        }
        let mut head = Vec::with_capacity(HEAD.min(usize::try_from(state.size).unwrap_or(HEAD)));
        (&mut file).take(HEAD as u64).read_to_end(&mut head)?;
        let name = name.unwrap_or_else(|| path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned());
        let media_type = media_type(&head, &name);
        let dimensions = if media_type.starts_with("image/") { dimensions(&head) } else { None };
        Ok(Self { path: path.to_owned(), name, state, media_type, dimensions })
    }
}

/// From the bytes, then from the name.
fn media_type(head: &[u8], name: &str) -> String {
    let by_name = mime_guess::from_path(name).first_raw();
    let by_bytes = infer::get(head).map(|kind| kind.mime_type());
    match (by_bytes, by_name) {
        // Many formats are archives inside; the name knows which.
        (Some("application/zip"), Some(named)) if named.starts_with("application/") => named,
        (Some(found), _) => found,
        (None, Some(named)) => named,
        (None, None) => "application/octet-stream",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0";

    #[test]
    fn the_bytes_say_what_it_is_and_the_name_only_when_they_do_not() {
        assert_eq!(media_type(PNG, "holiday.txt"), "image/png");
        assert_eq!(media_type(b"just words", "notes.txt"), "text/plain");
        assert_eq!(media_type(b"just words", "notes"), "application/octet-stream");
        assert_eq!(media_type(b"PK\x03\x04\x14\0\0\0\0\0", "game.jar"), "application/java-archive");
    }

    #[test]
    fn a_draft_knows_size_type_and_dimensions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("très cool.png");
        std::fs::write(&path, PNG).unwrap();
        let draft = Draft::look(&path, None).unwrap();
        assert_eq!((draft.name.as_str(), draft.state.size), ("très cool.png", PNG.len() as u64));
        assert_eq!((draft.media_type.as_str(), draft.dimensions), ("image/png", Some((640, 480))));
    }

    #[test]
    fn folders_and_empty_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Draft::look(folder.path(), None).is_err());
        let path = folder.path().join("empty");
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(Draft::look(&path, None), Err(DraftError::Empty)));
        assert!(matches!(Draft::look(&folder.path().join("none"), None), Err(DraftError::Io(_))));
    }
}
