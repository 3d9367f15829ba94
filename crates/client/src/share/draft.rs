//! What would be said of a file, without saying it to anybody.

use balcony_sharing::dialect::OutgoingFile;
use balcony_sharing::verify::SHARED_ALGOS;
use balcony_store::Store;

use super::looked_at::LookedAt;
use super::{FileToShare, ShareError, place};
use crate::blocking::blocking;

/// What a message would say of a file that lies at `url` already. Reads the file once for its digests; asks nobody, keeps nothing.
/// Safe to drop.
///
/// # Errors
/// When the file cannot be read, or is written to meanwhile.
pub async fn draft(file: impl Into<FileToShare>, url: &str) -> Result<OutgoingFile, ShareError> {
    let wanted = file.into();
    let store = Store::in_memory()?;
    let at = store.clone();
    let looked = blocking(move || LookedAt::look(wanted, &at)).await?;
    let hashed = place::hash(&store, &looked, SHARED_ALGOS).await?;
    Ok(looked.outgoing(Some(hashed.digests()), Some(url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decision 1.
    #[tokio::test]
    async fn a_draft_has_size_type_digests_and_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "hello\n").unwrap();
        let file = draft(FileToShare::new(&path).describe("notes"), "https://files.example/1").await.unwrap();
        assert_eq!((file.file.size, file.file.media_type.as_deref()), (Some(6), Some("text/plain")));
        assert_eq!((file.file.hashes.len(), file.sources.len(), file.file.descs.len()), (2, 1, 1));
        assert!(draft(folder.path(), "https://files.example/1").await.is_err());
    }
}
