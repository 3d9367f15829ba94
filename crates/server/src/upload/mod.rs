//! XEP-0363 HTTP File Upload, v1.2.0 <https://xmpp.org/extensions/xep-0363.html>
//!
//! The service `upload.DOMAIN`: slots over XMPP ([`slot`]), bytes over HTTPS ([`http`]). A slot is a signed token
//! ([`token`]) and a PUT only ever creates ([`folder`]); rows behind quota and expiry are in [`ledger`].

mod folder;
mod http;
mod ledger;
mod media_type;
mod name;
mod put;
mod range;
mod slot;
mod token;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::folder::Folder;
use self::ledger::Ledger;
use self::name::ObjectName;
pub(crate) use self::slot::Slots;
use self::token::Signer;
use crate::database::{Database, DatabaseError};
use crate::settings::UploadSettings;

/// How often expired files are looked for, at least.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The service, both sides of it.
pub(crate) struct Uploads {
    settings: UploadSettings,
    /// What URLs begin with, no slash at the end.
    base: String,
    folder: Folder,
    ledger: Ledger,
    signer: Signer,
    /// Objects that are being written now.
    busy: Mutex<HashSet<ObjectName>>,
}

impl Uploads {
    /// Opens the folder (blocking, shortly) and settles what the last end left open.
    pub(crate) async fn open(
        settings: UploadSettings,
        base: String,
        root: PathBuf,
        database: Database,
        secret: &[u8; 32],
    ) -> Result<Arc<Self>, UploadsError> {
        let folder = Folder::open(root)?;
        let uploads = Self { settings, base, folder, ledger: Ledger::new(database), signer: Signer::new(secret), busy: Mutex::default() };
        uploads.settle().await?;
        Ok(Arc::new(uploads))
    }

    /// A file that was whole when the server was killed counts as stored, though nobody was told.
    async fn settle(&self) -> Result<(), UploadsError> {
        for object in self.ledger.open_grants().await? {
            if self.folder.holds(&object) {
                self.ledger.stored(object).await?;
            }
        }
        Ok(())
    }

    /// Deletes what has expired, again and again, until the task is dropped.
    pub(crate) async fn sweep(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY.min(self.settings.expiry.max(Duration::from_secs(1))));
        loop {
            ticks.tick().await;
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(%error, "expired files could not be deleted, to be tried again");
            }
        }
    }

    async fn sweep_once(&self) -> Result<(), UploadsError> {
        for object in self.ledger.sweep(unix_now()).await? {
            let folder = self.folder.clone();
            blocking(move || folder.remove(&object)).await?;
        }
        Ok(())
    }

    /// How long a peer may make no progress.
    pub(crate) fn stall(&self) -> Duration {
        self.settings.stall
    }

    /// Marks an object as being written; `None` when it is already.
    fn occupy(&self, object: &ObjectName) -> Option<Busy<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(object.clone()).then(|| Busy { uploads: self, object: object.clone() })
    }
}

/// An object that is being written.
struct Busy<'a> {
    uploads: &'a Uploads,
    object: ObjectName,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.uploads.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.object);
    }
}

/// Why the service cannot do its own work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadsError {
    #[error("the folder of uploads: {0}")]
    Folder(#[from] std::io::Error),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Runs file work on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// Seconds since 1970.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
