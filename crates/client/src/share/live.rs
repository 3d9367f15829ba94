//! Shared live: a file is offered with this device as its source, and given to those who were told for as long as somebody here says so.
//! With a link as well it is one offer with both.
//!
//! In the store a live share is a row that lives for a few minutes and is renewed while the program runs: killed at any moment, it is
//! soon nobody's. Before the first message goes out the rows are there, so that nobody asks in vain.
//!
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html> (§3.2, §3.3)

use std::future::IntoFuture;
use std::time::{Duration, SystemTime};

use balcony_sharing::dialect::OutgoingFile;
use balcony_sharing::transfer::Reach;
use balcony_store::{LiveShare, OutboxState, StoreError};
use balcony_wire::{FullJid, Jid, Message, Payload as _};
use futures_core::future::BoxFuture;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::batch::{Letter, Part, parts};
use super::lent::{Keeper, Lent, Told, life, send, source, strangers};
use super::outbox::{Guard, random_id};
use super::place::{Digests, Placed, digests, place};
use super::sending::{Work, look, look_at, written, xml};
use super::{FileToShare, SentFile, ShareError, ShareEvent};
use crate::account::Account;
use crate::blocking::blocking;
use crate::direct::give::GivingEvent;
use crate::events::Events;

/// Files about to be shared live.
#[must_use = "nothing is shared before somebody is told"]
#[derive(Clone, Debug)]
pub struct ShareLive {
    account: Account,
    files: Vec<FileToShare>,
    text: Option<String>,
    reach: Reach,
    links: bool,
    lasts: Option<Duration>,
}

impl ShareLive {
    pub(crate) fn new(account: Account, file: FileToShare) -> Self {
        Self { account, files: vec![file], text: None, reach: Reach::Direct, links: false, lasts: None }
    }

    /// One more file.
    pub fn and(mut self, file: impl Into<FileToShare>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Words that go with the files.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into()).filter(|text: &String| !text.is_empty());
        self
    }

    /// Whoever takes it never sees our address: the bytes go through proxies, or in band. Else those who were told see it when they
    /// take the file, unless a rule of giving keeps it from them.
    pub fn relay_only(mut self) -> Self {
        self.reach = Reach::Relay;
        self
    }

    /// Uploads the files as well, so that they can be had when this device is gone.
    pub fn with_links(mut self) -> Self {
        self.links = true;
        self
    }

    /// Ends by itself after this time.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasts = Some(time);
        self
    }

    /// Who is told, and may have it; nothing happens before the result is awaited.
    pub fn to(self, jid: &Jid) -> LiveSending {
        LiveSending { share: self, to: vec![jid.clone()] }
    }
}

/// Files about to be shared live with somebody: await it.
///
/// Reveals to those who are told, and to whoever keeps their messages, what was said about the files and the full address of this
/// device; to those who take them then, its network address, unless it was [`ShareLive::relay_only`]. Dropping it before the end
/// shares nothing.
#[must_use = "nobody is told before it is awaited"]
#[derive(Clone, Debug)]
pub struct LiveSending {
    share: ShareLive,
    to: Vec<Jid>,
}

impl LiveSending {
    /// One more who is told.
    pub fn also_to(mut self, jid: &Jid) -> Self {
        if !self.to.contains(jid) {
            self.to.push(jid.clone());
        }
        self
    }

    /// The same, and tells what happens until they are told. Dropping the future ends what is shared so far; who was told already finds
    /// nothing.
    ///
    /// # Errors
    /// See [`ShareError`].
    pub async fn watched(self, tell: tokio::sync::mpsc::Sender<ShareEvent>) -> Result<LiveShares, ShareError> {
        share(self, Events::to(tell)).await
    }
}

impl IntoFuture for LiveSending {
    type Output = Result<LiveShares, ShareError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(share(self, Events::nobody()))
    }
}

/// Files that are shared live. Dropping it ends that as soon as the runtime comes to it; [`LiveShares::stop`] waits for it.
#[derive(Debug)]
pub struct LiveShares {
    files: Vec<SentFile>,
    messages: Vec<Message>,
    lent: Lent,
    events: broadcast::Receiver<GivingEvent>,
    keeper: JoinHandle<()>,
}

impl LiveShares {
    pub(super) fn new(
        files: Vec<SentFile>,
        messages: Vec<Message>,
        lent: Lent,
        events: broadcast::Receiver<GivingEvent>,
        keeper: Keeper,
    ) -> Self {
        Self { files, messages, lent, events, keeper: tokio::spawn(keeper.keep()) }
    }

    /// The files, in order.
    pub fn files(&self) -> &[SentFile] {
        &self.files
    }

    /// The messages that told of them.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// What happened to them next; `None` once the time they last is over. Whoever is slow misses some of it. Safe to drop and call
    /// again.
    pub async fn next(&mut self) -> Option<GivingEvent> {
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Ok(event) if event.share.as_ref().is_some_and(|share| self.lent.ids.contains(share)) => return Some(event),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                _ = &mut self.keeper, if !self.keeper.is_finished() => return None,
                () = std::future::ready(()), if self.keeper.is_finished() => return None,
            }
        }
    }

    /// Ends it: whoever asks from here on hears that there is nothing, and who was just getting one is told that it is not shared
    /// any more. Dropping the future may leave them untold, and those it was shown to with the word that this device is there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn stop(mut self) -> Result<(), StoreError> {
        self.keeper.abort();
        let lent = self.lent.take();
        lent.end().await
    }
}

impl Drop for LiveShares {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// A file on its way to being shared.
struct Ready {
    outgoing: OutgoingFile,
    placed: Placed,
    published: String,
}

async fn share(sending: LiveSending, events: Events<ShareEvent>) -> Result<LiveShares, ShareError> {
    let LiveSending { share, to } = sending;
    let ShareLive { account, files, text, reach, links, lasts } = share;
    if files.is_empty() || to.is_empty() {
        return Err(ShareError::Nothing("there is nothing to share, or nobody to share it with"));
    }
    let store = account.store().clone();
    let _guard = Guard::sending(&store).await?;
    let looked_at = if links { look_at(&account, files, &events).await? } else { look(&account, files, &events).await? };
    let work = Work { account: account.clone(), store, looked_at, when: Digests::First, events };
    let online = account.online().await?;
    let mut ready = Vec::with_capacity(work.looked_at.len());
    for position in 0..work.looked_at.len() {
        ready.push(prepare(&work, position, links, &online.jid).await?);
    }
    let events = account.giver().events();
    let ends_at = lasts.map(|lasts| SystemTime::now() + lasts);
    let mut lent = lend(&work, &ready, &to, Some(reach), ends_at).await?;
    lent.shown = strangers(&account, &to).await;
    lent.show(true).await;
    let (messages, told) = tell(&work, &ready, &to, text.as_deref()).await?;
    let keeper = Keeper::new(&account, &lent, told, online.jid.clone(), ends_at);
    let files = ready.iter().enumerate().map(|(position, file)| work.sent_file(position, &file.placed)).collect();
    Ok(LiveShares::new(files, messages, lent, events, keeper))
}

/// Its digests, its link if there is to be one, and this device as a source.
async fn prepare(work: &Work, position: usize, link: bool, own: &FullJid) -> Result<Ready, ShareError> {
    let looked = &work.looked_at[position];
    let placed = if link {
        place(&work.account, looked, position, Digests::First, &mut work.events.another()).await?
    } else {
        let digests = digests(&work.account, looked, position, &work.events).await?;
        Placed { digests, size: looked.size, url: None }
    };
    let published = random_id();
    let mut outgoing = looked.outgoing(Some(&placed.digests), placed.url.as_deref());
    if looked.size > 0 {
        outgoing.sources.push(source(own, &published));
    }
    Ok(Ready { outgoing, placed, published })
}

/// Puts the shares into the store. Should anything fail from here on, they are taken out again.
async fn lend(work: &Work, ready: &[Ready], to: &[Jid], reach: Option<Reach>, ends_at: Option<SystemTime>) -> Result<Lent, StoreError> {
    let now = SystemTime::now();
    let told: Vec<_> = to.iter().map(Jid::bare).collect();
    let share = |(position, file): (usize, &Ready)| LiveShare {
        account: work.account.jid().clone(),
        published: file.published.clone(),
        file: work.looked_at[position].wanted.from.to_record(),
        stamp: work.looked_at[position].stamp,
        size: file.placed.size,
        description: file.outgoing.file.write().to_xml(),
        digests: file.placed.digests.clone(),
        reach,
        told: told.clone(),
        made_at: now,
        lives_until: life(now, ends_at),
    };
    // A file without bytes is told whole by its digests.
    let shares: Vec<LiveShare> = ready.iter().enumerate().filter(|(_, file)| file.placed.size > 0).map(share).collect();
    let lent = Lent::new(&work.account, shares.iter().map(|share| share.published.clone()).collect());
    let store = work.store.clone();
    blocking(move || shares.iter().try_for_each(|share| store.share_live(share))).await?;
    Ok(lent)
}

/// Offers the files to everybody.
async fn tell(work: &Work, ready: &[Ready], to: &[Jid], text: Option<&str>) -> Result<(Vec<Message>, Vec<Told>), ShareError> {
    let (mut rows, mut whole, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts(ready.len(), to, text, |_, _| false, random_id) {
        for letter in &part.letters {
            let files = part.files.iter().map(|position| ready[*position].outgoing.clone()).collect();
            let written = written(letter, part.text.as_deref(), files);
            told.push(told_to(letter, &part, ready));
            for (message, files) in
                std::iter::once((written.message, &part.files[..])).chain(written.attaching.into_iter().map(|message| (message, &[][..])))
            {
                let of = Letter { to: letter.to.clone(), id: message.id.clone().unwrap_or_default() };
                let mut row = work.row(&of, files, SystemTime::now());
                (row.stanza, row.state) = (Some(xml(message.clone())), OutboxState::Ready);
                rows.push(row);
                whole.push((letter.to.clone(), message));
            }
        }
    }
    send(&work.account, rows).await?;
    let mut messages = Vec::with_capacity(whole.len());
    for (to, message) in whole {
        work.events.tell(ShareEvent::Offered { to, message: Box::new(message.clone()) }).await;
        messages.push(message);
    }
    Ok((messages, told))
}

fn told_to(letter: &Letter, part: &Part, ready: &[Ready]) -> Told {
    let live = part.files.iter().map(|position| &ready[*position]).filter(|file| file.placed.size > 0);
    let shares = live.map(|file| (Some(file.outgoing.id.clone()), file.published.clone())).collect();
    Told { to: letter.to.clone(), to_room: false, message: letter.id.clone(), shares }
}
