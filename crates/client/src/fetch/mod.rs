//! Fetching what was offered: to staging, hashed on the way, checked, then into the store. Nothing has a final name before.

mod error;
mod fetcher;
mod file;
mod sink;
mod work;

pub use error::FetchError;
pub use fetcher::{Fetch, FetchProgress, Fetcher, Wish};
pub use file::{SaveError, SharedFile};

use std::time::{Duration, Instant};

use balcony_sharing::plan::Outcome;
use balcony_sharing::transfer::fetch::Progress;
use tokio::sync::mpsc::Sender;

/// What happens during a fetch, for showing.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchEvent {
    /// A host is asked.
    Asking {
        /// which
        host: String,
        /// The first byte asked for; more than 0 when something is there already.
        from_byte: u64,
    },
    /// Bytes came in. Not every chunk is told.
    Received(Progress),
    /// A source did not give the file; others may follow.
    SourceEnded(Outcome),
    /// All bytes are there and are being checked.
    Checking,
    /// The end; always the last one.
    Ended(Result<SharedFile, FetchError>),
}

/// Where events go, if anybody watches.
pub(crate) struct Events {
    to: Option<Sender<FetchEvent>>,
    told: Option<Instant>,
}

impl Events {
    /// At most that often are bytes told.
    const PAUSE: Duration = Duration::from_millis(50);

    pub(crate) fn nobody() -> Self {
        Self { to: None, told: None }
    }

    pub(crate) fn to(to: Sender<FetchEvent>) -> Self {
        Self { to: Some(to), told: None }
    }

    async fn tell(&self, event: FetchEvent) {
        if let Some(to) = &self.to {
            let _ = to.send(event).await; // nobody watches any more
        }
    }

    fn bytes(&mut self, progress: Progress) {
        let Some(to) = &self.to else { return };
        if self.told.is_none_or(|told| told.elapsed() >= Self::PAUSE) {
            self.told = Some(Instant::now());
            let _ = to.try_send(FetchEvent::Received(progress)); // who is slow to watch sees the next one
        }
    }
}
