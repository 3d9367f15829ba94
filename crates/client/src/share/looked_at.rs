//! A file that was looked at: what can be said of it before it is sent: size, type, dimensions, time of change. Reads its first bytes, not the file.
//!
//! XEP-0446 File metadata element, v0.2.0 <https://xmpp.org/extensions/xep-0446.html>

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use balcony_sharing::dialect::OutgoingFile;
use balcony_sharing::verify::SHARED_ALGOS;
use balcony_sharing::{DigestSet, Disposition, MediaType, Source};
use balcony_store::{FileStamp, Store};
use balcony_wire::datetime::DateTime;
use balcony_wire::file_metadata::{FileDate, FileMetadata};
use balcony_wire::hashes::Hash;
use balcony_wire::hashes::HashAlgo;

use super::dimensions::{HEAD, dimensions};
use super::file_from::Input;
use super::outbox::random_id;
use super::{FileFrom, FileToShare, ShareError};
use crate::bits::SmallPicture;
use crate::blocking::blocking;

/// A file that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct LookedAt {
    pub(crate) wanted: FileToShare,
    /// Names the share within its message.
    pub(super) id: String,
    pub(crate) name: String,
    pub(crate) size: u64,
    /// The state it is in; `None` in the store, where nothing changes.
    pub(crate) stamp: Option<FileStamp>,
    pub(crate) media_type: MediaType,
    dimensions: Option<(u32, u32)>,
    /// When it was written to last, if the system tells.
    pub(crate) modified_at: Option<SystemTime>,
    /// Digests from an earlier time, if the file did not change since.
    pub(super) remembered: Option<DigestSet>,
}

impl LookedAt {
    /// Looks at a file; blocks. Follows a symbolic link: the person named it. A small picture that goes along is kept in the store.
    pub(crate) fn look(wanted: FileToShare, store: &Store) -> Result<Self, ShareError> {
        let unreadable = |source: io::Error| ShareError::Unreadable { path: wanted.from.path().to_owned(), source };
        if let FileFrom::Path(path) = &wanted.from
            && !std::fs::metadata(path).map_err(unreadable)?.is_file()
        {
            // Before it is opened: a pipe would keep us waiting.
            return Err(ShareError::NoFile { path: path.clone() });
        }
        let mut input = wanted.from.open(None, store).map_err(unreadable)?;
        // Before anybody is told of it.
        wanted.picture.as_ref().map(|picture| picture.keep(store)).transpose()?;
        let size = input.size();
        let mut head = Vec::with_capacity(HEAD.min(usize::try_from(size).unwrap_or(HEAD)));
        (&mut input).take(HEAD as u64).read_to_end(&mut head).map_err(unreadable)?;
        let name = wanted.name.clone().unwrap_or_else(|| name_of(wanted.from.path()));
        let media_type = MediaType::from_peer(media_type(&head, &name));
        let dimensions = if media_type.kind() == "image" { dimensions(&head) } else { None };
        let (stamp, modified_at, known) = match (&input, &wanted.from) {
            (Input::File(file, stamp), _) => {
                let metadata = file.metadata().map_err(unreadable)?;
                (Some(*stamp), metadata.modified().ok(), store.remembered_digests(&metadata)?)
            }
            (Input::Blob(_), FileFrom::Store(blob)) => (None, None, Some(blob.digests().clone())),
            (Input::Blob(_), FileFrom::Path(_)) => (None, None, None),
        };
        let id = wanted.id.clone().unwrap_or_else(random_id);
        Ok(Self { id, name, size, stamp, media_type, dimensions, modified_at, remembered: known, wanted })
    }

    /// Its digests from an earlier time, if those are among them.
    pub(crate) fn remembered(&self, algos: &[HashAlgo]) -> Option<&DigestSet> {
        self.remembered.as_ref().filter(|known| algos.iter().all(|algo| known.get(*algo).is_some()))
    }

    /// Looks at all of them.
    pub(crate) async fn look_at_all(files: Vec<FileToShare>, store: &Store) -> Result<Vec<Self>, ShareError> {
        let store = store.clone();
        blocking(move || files.into_iter().map(|wanted| Self::look(wanted, &store)).collect()).await
    }

    /// Opens it again, as it was when it was looked at; blocks.
    pub(crate) fn open(&self, store: &Store) -> io::Result<Input> {
        self.wanted.from.open(self.stamp, store)
    }

    /// What is said about it; without digests and place as long as those are not known.
    pub(crate) fn outgoing(&self, digests: Option<&DigestSet>, url: Option<&str>) -> OutgoingFile {
        let usual = if self.media_type.can_be_inline() { Disposition::Inline } else { Disposition::Attachment };
        let hashes = digests.into_iter().flatten().filter(|digest| SHARED_ALGOS.contains(&digest.algo()));
        OutgoingFile {
            id: self.id.clone(),
            disposition: Some(self.wanted.disposition.unwrap_or(usual)),
            file: FileMetadata {
                name: Some(self.name.clone()),
                media_type: Some(self.media_type.to_string()),
                size: Some(self.size),
                date: self.modified_at.and_then(date_time).map(FileDate::from),
                descs: self.wanted.descriptions.clone(),
                width: self.dimensions.map(|(width, _)| width.into()),
                height: self.dimensions.map(|(_, height)| height.into()),
                hashes: hashes.cloned().map(Hash::from).collect(),
                thumbnails: self.wanted.picture.iter().map(SmallPicture::thumbnail).collect(),
                ..FileMetadata::default()
            },
            sources: url.map(Source::url).into_iter().collect(),
            carried: self.wanted.picture.as_ref().map(|picture| picture.bits().clone()),
        }
    }
}

fn date_time(at: SystemTime) -> Option<DateTime> {
    DateTime::from_unix(i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned()
}

/// From the bytes, then from the name.
fn media_type(head: &[u8], name: &str) -> &'static str {
    let by_name = mime_guess::from_path(name).first_raw();
    let by_bytes = infer::get(head).map(|kind| kind.mime_type());
    match (by_bytes, by_name) {
        // Many formats are archives inside; the name knows which.
        (Some("application/zip"), Some(named)) if named.starts_with("application/") => named,
        (Some(found), _) => found,
        (None, Some(named)) => named,
        (None, None) => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0";

    fn look(path: &Path) -> Result<LookedAt, ShareError> {
        LookedAt::look(path.into(), &Store::in_memory().unwrap())
    }

    #[test]
    fn the_bytes_say_what_it_is_and_the_name_only_when_they_do_not() {
        assert_eq!(media_type(PNG, "holiday.txt"), "image/png");
        assert_eq!(media_type(b"just words", "notes.txt"), "text/plain");
        assert_eq!(media_type(b"just words", "notes"), "application/octet-stream");
        assert_eq!(media_type(b"PK\x03\x04\x14\0\0\0\0\0", "game.jar"), "application/java-archive");
    }

    #[test]
    fn a_file_that_was_looked_at_has_size_type_dimensions_and_how_it_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("très cool.png");
        std::fs::write(&path, PNG).unwrap();
        let file = look(&path).unwrap().outgoing(None, Some("https://files.example/1"));
        assert_eq!(file.file.name.as_deref(), Some("très cool.png"));
        assert_eq!((file.file.size, file.file.width, file.file.height), (Some(PNG.len() as u64), Some(640), Some(480)));
        assert_eq!(file.file.media_type.as_deref(), Some("image/png"));
        assert_eq!(file.disposition, Some(Disposition::Inline));
        assert!(file.file.date.is_some() && file.file.hashes.is_empty());
    }

    #[test]
    fn folders_and_what_is_not_there_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(look(folder.path()), Err(ShareError::NoFile { .. })));
        assert!(matches!(look(&folder.path().join("none")), Err(ShareError::Unreadable { .. })));
    }
}
