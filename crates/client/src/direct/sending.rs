//! Files straight to a device: looked at, offered in a session each, given when the other side says yes, and given on where it broke off.

mod choosing;
mod events;
mod one_file;

pub use events::{DirectEvent, DirectFile, SentDirectly};

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::jingle::EndReason;
use balcony_wire::Jid;
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::proposing::Agreed;
use super::{Desk, DirectError};
use crate::account::Account;
use crate::events::{Events, Progress};
use crate::share::{FileToShare, LookedAt};

/// Files that are offered at once; the others follow.
const AT_ONCE: usize = 8;

/// Files about to go straight to a device of somebody.
#[must_use = "nothing is sent before it is sent to somebody"]
#[derive(Clone, Debug)]
pub struct DirectShare {
    account: Account,
    files: Vec<FileToShare>,
    reach: Reach,
}

/// Files about to be sent: await it, or watch its [`DirectSending::progress`].
///
/// Shows the device that we are there, names, sizes and digests of the files, and, unless [`DirectShare::relay_only`] was said, our
/// addresses. Dropping it ends the sessions; nothing stays behind.
#[must_use = "nothing is sent before it is awaited or watched"]
#[derive(Clone, Debug)]
pub struct DirectSending {
    share: DirectShare,
    to: Jid,
}

impl Account {
    /// Begins to send a file straight to somebody's device; say to whom, then await or watch it. They have to be online. Only its name
    /// and what is in it are told: a session has no place for the rest.
    pub fn send_direct(&self, file: impl Into<FileToShare>) -> DirectShare {
        DirectShare { account: self.clone(), files: vec![file.into()], reach: Reach::Direct }
    }
}

impl DirectShare {
    /// One more file, in a session of its own.
    pub fn and(mut self, file: impl Into<FileToShare>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Shows nobody an address of ours but the servers and their proxies: slower, where there is no proxy.
    pub fn relay_only(mut self) -> Self {
        self.reach = Reach::Relay;
        self
    }

    /// Whom to: a person, or one device of theirs by its full address. Nothing happens before the result is awaited or watched.
    pub fn to(self, jid: &Jid) -> DirectSending {
        DirectSending { share: self, to: jid.clone() }
    }
}

impl IntoFuture for DirectSending {
    type Output = Result<SentDirectly, DirectError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(send(self, Events::nobody()))
    }
}

impl DirectSending {
    /// Begins, and tells what happens. Must be called within a tokio runtime.
    pub fn progress(self) -> DirectProgress {
        Progress::of(|events| async { DirectEvent::Ended(send(self, events).await) })
    }
}

/// A sending under way, until [`DirectEvent::Ended`]. Dropping it ends its sessions.
pub type DirectProgress = Progress<DirectEvent>;

async fn send(sending: DirectSending, events: Events<DirectEvent>) -> Result<SentDirectly, DirectError> {
    let DirectSending { share: DirectShare { account, files, reach }, to } = sending;
    let looked_at = look_at(&account, files, &events).await?;
    let desk = account.direct().desk().cloned().ok_or(DirectError::Offline)?;
    let hashing = tokio::sync::Mutex::default();
    let mut work = Work { account, desk, to, reach, events, hashing, agreed: Mutex::default() };
    // Before anything is hashed: perhaps nobody is there.
    let agreed = work.choose(looked_at.first()).await?;
    work.agreed = Mutex::new(agreed);
    let all = stream::iter(looked_at.into_iter().enumerate()).map(|(position, looked)| {
        let work = &work;
        async move { (looked.name.clone(), work.file(position, &looked).await) }
    });
    let done: Vec<_> = all.buffered(AT_ONCE).collect().await;
    if let Some(agreed) = work.agreed() {
        agreed.finish(EndReason::Done);
    }
    let mut sent = SentDirectly { files: Vec::new(), failed: Vec::new() };
    for (name, done) in done {
        match done {
            Ok(file) => sent.files.push(file),
            Err(error) => sent.failed.push((name, error)),
        }
    }
    match sent.failed.pop() {
        // Of a single file there is nothing else to say.
        Some((_, error)) if sent.files.is_empty() && sent.failed.is_empty() => Err(error),
        last => {
            sent.failed.extend(last);
            Ok(sent)
        }
    }
}

async fn look_at(account: &Account, files: Vec<FileToShare>, events: &Events<DirectEvent>) -> Result<Vec<LookedAt>, DirectError> {
    // Nobody could ask for a picture that no message told of.
    let files = files.into_iter().map(|file| FileToShare { picture: None, ..file }).collect();
    let looked_at = LookedAt::look_at_all(files, account.store()).await.map_err(|error| DirectError::File(error.to_string()))?;
    for (position, looked) in looked_at.iter().enumerate() {
        let (name, size, media_type) = (looked.name.clone(), looked.size, looked.media_type.clone());
        events.tell(DirectEvent::Looked { position, name, size, media_type }).await;
    }
    Ok(looked_at)
}

/// What one sending works with.
struct Work {
    account: Account,
    desk: Arc<Desk>,
    to: Jid,
    reach: Reach,
    events: Events<DirectEvent>,
    /// Held while a file is read for its digests: each takes all there is of processors, and its share of memory.
    hashing: tokio::sync::Mutex<()>,
    /// The device that was asked by message, and the id that its first session gets; then there is nothing to see of it otherwise.
    agreed: Mutex<Option<Agreed>>,
}
