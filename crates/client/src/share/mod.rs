//! Sharing files: look at them, upload them while their digests are taken, say so in one message that every client understands.
//! `account.share` begins in `sending.rs`, `account.share_live` in `live.rs` (where nothing is uploaded unless a link is wanted as well),
//! `account.attach` in `attach.rs`. Files that go straight to a device (`account.send_direct`) are in `direct/`.
//!
//! The outbox has the message from the start: after a crash [`crate::Account::resume_outbox`] goes on where it stopped, and
//! what is sent twice for want of knowledge has the same id both times.

mod announced;
mod attach;
mod batch;
mod dimensions;
mod draft;
mod error;
mod file_from;
mod file_to_share;
mod here_too;
mod keep;
mod lent;
mod live;
mod looked_at;
mod outbox;
mod own;
mod place;
mod reuse;
mod sending;
mod upload;

pub(crate) use attach::attach;
pub use attach::{AttachError, AttachedSource, Place};
pub(crate) use dimensions::dimensions;
pub use draft::draft;
pub use error::ShareError;
pub use file_from::FileFrom;
pub(crate) use file_from::Input;
pub use file_to_share::FileToShare;
pub use keep::KeepError;
pub use live::{LiveSending, LiveShares, ShareLive};
pub(crate) use looked_at::LookedAt;
pub use outbox::Resumed;
pub(crate) use outbox::resume;

use std::collections::HashSet;
use std::future::IntoFuture;
use std::time::Duration;

use balcony_sharing::{DigestSet, MediaType};
use balcony_store::{OutboxState, StoreError};
use balcony_wire::{Jid, Message};
use futures_core::future::BoxFuture;

use crate::account::Account;
use crate::blocking::blocking;
use crate::events::{Events, Progress};
use outbox::random_id;
use sending::Order;

/// Files that go into one message at most: servers bound the size of a message, readers the number of files they take from one.
pub const FILES_IN_ONE_MESSAGE: usize = 16;
/// Messages that [`Sent`] holds at most; all of them are told as [`ShareEvent::Offered`].
const KEPT_MESSAGES: usize = 128;
/// Messages of one sending that are read at once.
const PAGE: usize = 200;

/// Files about to be shared.
#[must_use = "nothing is shared before it is sent to somebody"]
#[derive(Clone, Debug)]
pub struct Share {
    account: Account,
    files: Vec<FileToShare>,
    text: Option<String>,
    announces: bool,
}

impl Share {
    pub(crate) fn new(account: Account, file: FileToShare) -> Self {
        Self { account, files: vec![file], text: None, announces: false }
    }

    /// One more file in the same message. Of more than [`FILES_IN_ONE_MESSAGE`] the others go in further messages.
    pub fn and(mut self, file: impl Into<FileToShare>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Says what is coming before it is uploaded: the file is read once for its digests, the offer goes out without a place, the
    /// upload follows, and its link is attached. Should the offer not have gone out by then, one whole message takes its place.
    pub fn announce_first(mut self) -> Self {
        self.announces = true;
        self
    }

    /// Words that go with the files.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into()).filter(|text: &String| !text.is_empty());
        self
    }

    /// Whom to; nothing happens before the result is awaited or watched.
    pub fn to(self, jid: &Jid) -> Sending {
        Sending { share: self, to: vec![jid.clone()], goes_on: None }
    }
}

/// Files about to be sent: await it, or watch its [`Sending::progress`].
///
/// Reveals the files, their names and our address to the account's upload service, and to the recipients (and whoever keeps
/// their messages) what was said about them. Dropping it before the end leaves the message in the outbox, from where
/// [`crate::Account::resume_outbox`] goes on.
#[must_use = "nothing is sent before it is awaited or watched"]
#[derive(Clone, Debug)]
pub struct Sending {
    share: Share,
    to: Vec<Jid>,
    goes_on: Option<Unfinished>,
}

/// An earlier run of the same sending of which not all is out.
#[derive(Clone, Debug)]
pub struct Unfinished {
    batch: String,
    /// Messages that were out when it was looked for.
    out: HashSet<String>,
}

impl Sending {
    /// One more recipient: uploaded once, a message to each.
    pub fn also_to(mut self, jid: &Jid) -> Self {
        if !self.to.contains(jid) {
            self.to.push(jid.clone());
        }
        self
    }

    /// An earlier run of the same sending (the same files in order, the same people, the same words) that did not get to its end.
    /// Look for it before [`crate::Account::resume_outbox`] does what it left. Safe to drop.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unfinished(&self) -> Result<Option<Unfinished>, StoreError> {
        let (store, jid, identity) = (self.share.account.store().clone(), self.share.account.jid().clone(), self.identity());
        blocking(move || {
            let Some(batch) = store.unfinished_batch(&jid, &identity)? else { return Ok(None) };
            let (mut out, mut after) = (HashSet::new(), String::new());
            loop {
                let page = store.of_batch(&jid, &batch, &after, PAGE)?;
                let Some(last) = page.last() else { return Ok(Some(Unfinished { batch, out })) };
                after.clone_from(&last.origin_id);
                out.extend(page.into_iter().filter(|row| row.state == OutboxState::Sent).map(|row| row.origin_id));
            }
        })
        .await
    }

    /// Goes on with an earlier run: what is out by now is not sent again, unless its file was written to since; what failed is
    /// tried anew.
    pub fn go_on(mut self, unfinished: Unfinished) -> Self {
        self.goes_on = Some(unfinished);
        self
    }

    fn identity(&self) -> String {
        let Share { account, files, text, announces } = &self.share;
        batch::identity(account.jid(), &self.to, text.as_deref(), *announces, files)
    }

    /// Begins, and tells what happens. Must be called within a tokio runtime.
    pub fn progress(self) -> ShareProgress {
        Progress::of(|events| async { ShareEvent::Ended(self.run(events).await) })
    }

    async fn run(self, events: Events<ShareEvent>) -> Result<Sent, ShareError> {
        let batch = format!("{}.{}", self.identity(), random_id());
        let Share { account, files, text, announces } = self.share;
        sending::share(account, Order { files, text, to: self.to, announces, batch, goes_on: self.goes_on }, events).await
    }
}

impl IntoFuture for Sending {
    type Output = Result<Sent, ShareError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run(Events::nobody()))
    }
}

/// Files that were shared.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The files, in order; without those that an earlier run of the same sending had sent.
    pub files: Vec<SentFile>,
    /// The messages that the account's server has, one or more for each recipient; of a large sending the first ones.
    pub messages: Vec<Message>,
}

/// A file that was shared.
#[derive(Clone, Debug)]
pub struct SentFile {
    /// The name it was offered under.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub media_type: MediaType,
    /// Its digests, as offered.
    pub digests: DigestSet,
    /// Where it can be had; `None` for a file without bytes, which needs no place.
    pub url: Option<String>,
}

/// What happens while files are shared, for showing. `position` counts the files from 0.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShareEvent {
    /// A file was looked at.
    Looked {
        /// which
        position: usize,
        /// the name it will be offered under
        name: String,
        /// bytes
        size: u64,
        /// what it is
        media_type: MediaType,
    },
    /// A service is asked whether it takes the file.
    AskingForSlot {
        /// which file
        position: usize,
        /// which service
        service: Jid,
    },
    /// The service takes no more just now, and said when to ask again.
    Pausing {
        /// which file
        position: usize,
        /// which service
        service: Jid,
        /// for how long
        pause: Duration,
    },
    /// The upload begins; after a failure, again.
    Uploading {
        /// which file
        position: usize,
        /// where to
        host: String,
        /// bytes
        size: u64,
    },
    /// Bytes went out.
    Progress {
        /// which file
        position: usize,
        /// bytes on their way
        sent: u64,
        /// bytes in all
        size: u64,
    },
    /// The file lies where everybody who is told can fetch it.
    Uploaded {
        /// which file
        position: usize,
        /// where
        url: String,
    },
    /// The file is offered before it is uploaded.
    Announcing {
        /// which file
        position: usize,
        /// the name it is offered under
        name: String,
    },
    /// The file failed and the others go on. It is in the outbox.
    NotSent {
        /// which file
        position: usize,
        /// why
        why: String,
    },
    /// The file is read for its digests alone.
    Hashing {
        /// which file
        position: usize,
    },
    /// The account's server has the message.
    Offered {
        /// for whom
        to: Jid,
        /// the message
        message: Box<Message>,
    },
    /// The end; always the last one.
    Ended(Result<Sent, ShareError>),
}

/// Sharing under way, until [`ShareEvent::Ended`]. Dropping it stops it; the message stays in the outbox.
pub type ShareProgress = Progress<ShareEvent>;
