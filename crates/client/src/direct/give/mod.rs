//! The one door through which files of ours go to others: whatever they ask by, here it is decided whether they may have it, by
//! which way and how fast. The rules are in `balcony_sharing::give`.
//!
//! To whom a file was not offered it does not exist, unless a rule says otherwise: they hear the same as for what is not there, after
//! the same time.
//!
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html> (§6.4, §9.1, §12)
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>

mod events;
mod look;
mod rules;
#[cfg(test)]
mod tests;

pub use events::{GivingEvent, GivingStep};
pub(crate) use look::NotGiven;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use balcony_sharing::DigestSet;
use balcony_sharing::plan::Contacts;
use balcony_sharing::transfer::Reach;
use balcony_store::{FileStamp, Store};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::{BareJid, Jid};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::{Instant, sleep_until};

use crate::blocking::blocking;
use crate::share::{FileFrom, Input};

/// A refusal takes a multiple of this: how long we looked tells nothing about what there is.
const EVEN: Duration = Duration::from_millis(50);
/// Requests that are looked at at once; the others wait for their turn.
const AT_ONCE: usize = 8;
/// Shares that ended and whose sessions have not heard of it yet; no more can be.
const ENDED: usize = 1_024;
/// What happened and was not looked at yet; whoever is slow misses some of it.
const EVENTS: usize = 256;

/// What somebody asks by.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// What they say about the file: a hash, else name, size and the like (decision 44).
    ByFile(Box<FileMetadata>),
    /// The id of a published session.
    Published(String),
}

/// A file that may be given, and how.
#[derive(Clone, Debug)]
pub(crate) struct Gift {
    /// Where it is.
    pub(crate) from: FileFrom,
    /// The state in which it is the file that was asked for; `None` in the store, where nothing changes.
    pub(crate) stamp: Option<FileStamp>,
    /// What is said about it, with its digests.
    pub(crate) file: FileMetadata,
    /// Bytes.
    pub(crate) size: u64,
    /// All digests of it that are known.
    pub(crate) digests: DigestSet,
    /// Whether they may see our address.
    pub(crate) reach: Reach,
    /// At most so many bytes a second.
    pub(crate) rate: Option<u64>,
    /// The live share that it belongs to: when that ends, so does giving it.
    pub(crate) share: Option<String>,
}

impl Gift {
    /// Opens it as it was when it was found; blocks.
    pub(crate) fn open(&self, store: &Store) -> io::Result<Input> {
        self.from.open(self.stamp, store)
    }
}

/// Decides about everything that others ask of an account. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Giver {
    store: Store,
    account: BareJid,
    contacts: watch::Receiver<Arc<Contacts>>,
    ended: broadcast::Sender<String>,
    events: broadcast::Sender<GivingEvent>,
    turns: Arc<Semaphore>,
}

impl Giver {
    pub(crate) fn new(store: Store, account: BareJid, contacts: watch::Receiver<Arc<Contacts>>) -> Self {
        let (ended, events) = (broadcast::channel(ENDED).0, broadcast::channel(EVENTS).0);
        Self { store, account, contacts, ended, events, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The file that somebody asks for, if they may have it. A refusal comes after an even time.
    pub(crate) async fn find(&self, asker: &Jid, asked: Asked) -> Option<Gift> {
        self.look(asker, asked).await.ok()
    }

    /// As [`Giver::find`], and why not: for whoever may tell.
    pub(crate) async fn look(&self, asker: &Jid, asked: Asked) -> Result<Gift, NotGiven> {
        let turn = self.turns.acquire().await;
        let began = Instant::now();
        let (giver, asker) = (self.clone(), asker.clone());
        let found = blocking(move || giver.look_now(&asker, &asked)).await;
        drop(turn);
        let found = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "what may be given cannot be read");
            Err(NotGiven::Unknown)
        });
        if found.is_err() {
            sleep_until(evenly(began, Instant::now())).await;
        }
        found
    }

    /// Whether there is anything of ours that somebody could be given: then they may learn that this device is there.
    pub(crate) async fn has_something_for(&self, asker: &Jid) -> bool {
        let (giver, asker) = (self.clone(), asker.clone());
        blocking(move || giver.has_something_now(&asker)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what may be given cannot be read");
            false
        })
    }

    /// Returns when this is not shared any more; never, for what is no live share.
    pub(crate) fn unshared(&self, gift: &Gift) -> impl Future<Output = ()> + Send + 'static {
        let (mut ended, share) = (self.ended.subscribe(), gift.share.clone());
        let (store, account) = (self.store.clone(), self.account.clone());
        async move {
            let Some(share) = share else { return std::future::pending().await };
            // It may have ended between being found and being heard of here.
            let id = share.clone();
            if matches!(blocking(move || store.live_share(&account, &id)).await, Ok(None)) {
                return;
            }
            loop {
                match ended.recv().await {
                    Ok(id) if id == share => return,
                    Ok(_) => {}
                    // So many ended at once that this one may be among them.
                    Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
                }
            }
        }
    }

    /// What is given from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<GivingEvent> {
        self.events.subscribe()
    }

    /// Sessions that give this share end.
    pub(crate) fn end(&self, published: &str) {
        let _ = self.ended.send(published.to_owned()); // nobody is giving it just now
    }
}

/// When to refuse what began then.
fn evenly(began: Instant, now: Instant) -> Instant {
    let passed = now.saturating_duration_since(began);
    let times = passed.as_nanos() / EVEN.as_nanos() + 1;
    began + EVEN * u32::try_from(times).unwrap_or(u32::MAX)
}
