//! What would be said of a file, without saying it to anybody.

use std::path::PathBuf;

use balcony_sharing::Disposition;
use balcony_sharing::dialect::OutgoingFile;
use balcony_sharing::verify::SHARED_ALGOS;
use balcony_store::Store;
use balcony_wire::reading::LangText;

use super::looked_at::{LookedAt, Wanted};
use super::outbox::random_id;
use super::{FileFrom, ShareError, place};
use crate::blocking::blocking;

/// What a message would say of a file that lies at `url` already. Reads the file once for its digests; asks nobody, keeps nothing.
///
/// # Errors
/// When the file cannot be read, or is written to meanwhile.
pub async fn draft(
    path: impl Into<PathBuf>,
    url: &str,
    description: Option<&str>,
    disposition: Option<Disposition>,
) -> Result<OutgoingFile, ShareError> {
    let descriptions = description.map(LangText::plain).into_iter().collect();
    let wanted = Wanted { from: FileFrom::Path(path.into()), id: random_id(), name: None, descriptions, disposition, picture: None };
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
        let file = draft(&path, "https://files.example/1", Some("notes"), None).await.unwrap();
        assert_eq!((file.file.size, file.file.media_type.as_deref()), (Some(6), Some("text/plain")));
        assert_eq!((file.file.hashes.len(), file.sources.len(), file.file.descs.len()), (2, 1, 1));
        assert!(draft(folder.path(), "https://files.example/1", None, None).await.is_err());
    }
}
