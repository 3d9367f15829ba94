//! Files straight to a device: looked at, offered in a session each, given when the other side says yes, and given on where it broke off.

use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use balcony_sharing::plan::{Abilities, Devices};
use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::jingle::EndReason;
use balcony_sharing::verify::{Hashed, Hasher, SHARED_ALGOS};
use balcony_sharing::{DigestSet, MediaType};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::jingle_file::JingleFile;
use balcony_wire::{FullJid, Jid};
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::give::Gift;
use super::proposing::{self, Agreed};
use super::publish::random_id;
use super::{Desk, DirectError, GiveEvent, Stage, WayTaken, si};
use crate::account::Account;
use crate::blocking::blocking;
use crate::events::Events;
use crate::http::source::Reading;
use crate::share::{FileToShare, LookedAt};

/// Events that may wait for whoever watches.
const EVENTS: usize = 64;
/// Files that are offered at once; the others follow.
const AT_ONCE: usize = 8;
/// Files up to that size are read for their digests before they are offered, if those are not known; of others the digests are told
/// behind the bytes.
const HASHED_FIRST: u64 = 64 << 20;
/// How often a file goes on in a new session after its way broke.
const RETRIES: u32 = 5;
/// How long to wait before all devices are asked again.
const BETWEEN: Duration = Duration::from_secs(5);
/// How long to wait for a device that has too much to do.
const BUSY: Duration = Duration::from_secs(1);
/// How long a device that went away may take to come back.
const BACK: Duration = Duration::from_secs(120);
/// How long the server may take to tell who is there, right after login.
const PRESENT: Duration = Duration::from_secs(3);

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

/// What went out.
#[derive(Clone, Debug)]
pub struct SentDirectly {
    /// Files that arrived, in the order in which they were named.
    pub files: Vec<DirectFile>,
    /// Those that did not, by name, and why.
    pub failed: Vec<(String, DirectError)>,
}

/// A file that arrived: the other side says that it has it.
#[derive(Clone, Debug)]
pub struct DirectFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its type.
    pub media_type: MediaType,
    /// Its digests; empty where they were told behind the bytes only.
    pub digests: DigestSet,
    /// Which device has it.
    pub device: Jid,
    /// Which way the bytes took, the last one if there were several; `None`: they had the file already.
    pub way: Option<WayTaken>,
    /// Whether addresses of ours were shown to that device.
    pub address_shown: bool,
}

/// What happens while files go to a device. `position` counts the files, from 0.
#[derive(Debug)]
#[non_exhaustive]
pub enum DirectEvent {
    /// A file was looked at.
    Looked {
        /// which
        position: usize,
        /// its name
        name: String,
        /// its bytes
        size: u64,
        /// its type
        media_type: MediaType,
    },
    /// Nobody, or more than one device, is to be seen: all are asked which of them takes it.
    Looking {
        /// whose devices
        person: Jid,
    },
    /// Its digests are taken before it is offered.
    Hashing {
        /// which
        position: usize,
    },
    /// It is offered; their answer is waited for.
    Offered {
        /// which
        position: usize,
        /// to which device
        device: Jid,
    },
    /// They take it; a way for the bytes is looked for.
    Accepted {
        /// which
        position: usize,
    },
    /// A way did not work; the next one is tried.
    FellBack {
        /// which
        position: usize,
        /// why
        why: String,
    },
    /// Bytes begin to flow.
    Begins {
        /// which
        position: usize,
        /// which way they take
        way: WayTaken,
        /// the first of them; more than 0 where something is there already
        from_byte: u64,
        /// whether addresses of ours were shown to the device
        address_shown: bool,
    },
    /// Bytes went out. Not every piece is told.
    Progress {
        /// which
        position: usize,
        /// up to which byte
        sent: u64,
        /// bytes of the file
        size: u64,
    },
    /// It broke off; it goes on in a new session when they are there again.
    Again {
        /// which
        position: usize,
        /// why
        why: DirectError,
    },
    /// They say that they have it.
    Delivered {
        /// which
        position: usize,
        /// what and how
        file: DirectFile,
    },
    /// A file did not get there.
    NotSent {
        /// which
        position: usize,
        /// why
        why: DirectError,
    },
    /// The end; the last one.
    Ended(Result<SentDirectly, DirectError>),
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
        let (sender, events) = channel(EVENTS);
        let task = tokio::spawn(async move {
            let sent = send(self, Events::to(sender.clone())).await;
            let _ = sender.send(DirectEvent::Ended(sent)).await; // nobody watches any more
        });
        DirectProgress { events, task }
    }
}

/// A sending under way. Dropping it ends its sessions.
#[derive(Debug)]
pub struct DirectProgress {
    events: Receiver<DirectEvent>,
    task: JoinHandle<()>,
}

impl DirectProgress {
    /// What happened next; `None` after [`DirectEvent::Ended`]. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<DirectEvent> {
        self.events.recv().await
    }
}

impl Drop for DirectProgress {
    fn drop(&mut self) {
        self.task.abort();
    }
}

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

/// How far a file came in a session.
#[derive(Default)]
struct Trip {
    way: Option<WayTaken>,
    address_shown: bool,
}

impl Work {
    /// Offers a file, and offers it again where its way broke.
    async fn file(&self, position: usize, looked: &LookedAt) -> Result<DirectFile, DirectError> {
        let done = self.until_there(position, looked).await;
        match &done {
            Ok(file) => self.events.tell(DirectEvent::Delivered { position, file: file.clone() }).await,
            Err(why) => self.events.tell(DirectEvent::NotSent { position, why: why.clone() }).await,
        }
        done
    }

    async fn until_there(&self, position: usize, looked: &LookedAt) -> Result<DirectFile, DirectError> {
        let gift = self.gift(position, looked).await?;
        // The same each time: on the other side it is the same offer, which goes on.
        let (mut named, sid) = match position {
            0 => self.lock().as_ref().map(|agreed| (agreed.device.clone(), agreed.sid.clone())).unzip(),
            _ => (self.lock().as_ref().map(|agreed| agreed.device.clone()), None),
        };
        let sid = sid.unwrap_or_else(random_id);
        let mut trip = Trip::default();
        for retry in 0.. {
            let device = match named.take() {
                Some(device) => device,
                None => self.device().await?,
            };
            let ended = self.trip(position, device.clone(), &sid, gift.clone(), &mut trip).await;
            match ended {
                Ok(()) => {
                    return Ok(DirectFile {
                        name: looked.name.clone(),
                        size: looked.size,
                        media_type: looked.media_type.clone(),
                        digests: gift.digests,
                        device: device.into(),
                        way: trip.way,
                        address_shown: trip.address_shown,
                    });
                }
                Err(why) if retry < RETRIES && why.is_busy() => sleep(BUSY).await,
                Err(why) if retry < RETRIES && trip.way.is_some() && why.is_passing() => {
                    self.events.tell(DirectEvent::Again { position, why }).await;
                    named = Some(self.back(&device, &gift.file).await?);
                }
                Err(why) => return Err(why),
            }
        }
        Err(DirectError::Inside)
    }

    /// One session.
    async fn trip(&self, position: usize, device: FullJid, sid: &str, gift: Gift, trip: &mut Trip) -> Result<(), DirectError> {
        let (sender, mut steps) = channel(EVENTS);
        let (size, leaves) = (gift.size, Leaves::new(&self.desk, &device, sid));
        let abilities = self.account.abilities(&device).await.unwrap_or_default();
        // What was spoken before Jingle is for those who know nothing better (XEP-0234 §10.3).
        match abilities.file_transfer.is_none() && abilities.stream_initiation {
            true => si::offer(&self.desk, device.clone(), sid.to_owned(), gift, Some(sender))?,
            false => self.desk.give(device.clone(), sid.to_owned(), gift, Some(sender))?,
        }
        self.events.tell(DirectEvent::Offered { position, device: device.into() }).await;
        let mut bytes = self.events.another();
        while let Some(step) = steps.recv().await {
            match step {
                GiveEvent::Accepted => self.events.tell(DirectEvent::Accepted { position }).await,
                GiveEvent::FellBack { why } => self.events.tell(DirectEvent::FellBack { position, why }).await,
                GiveEvent::Begins { way, address_shown, from_byte } => {
                    trip.way = Some(way.clone());
                    trip.address_shown |= address_shown;
                    let address_shown = trip.address_shown;
                    self.events.tell(DirectEvent::Begins { position, way, from_byte, address_shown }).await;
                }
                GiveEvent::Sent { to_byte } => bytes.bytes(|| DirectEvent::Progress { position, sent: to_byte, size }),
                GiveEvent::Ended(end) => {
                    leaves.not_any_more();
                    return end;
                }
            }
        }
        Err(DirectError::Inside)
    }

    /// What is given: with its digests, unless they are told behind the bytes.
    async fn gift(&self, position: usize, looked: &LookedAt) -> Result<Gift, DirectError> {
        let digests = match &looked.remembered {
            Some(known) => known.clone(),
            None if looked.size <= HASHED_FIRST => {
                self.events.tell(DirectEvent::Hashing { position }).await;
                self.hash(looked).await?.digests().clone()
            }
            None => DigestSet::new(),
        };
        let said = looked.outgoing(Some(&digests), None);
        Ok(Gift {
            from: looked.wanted.from.clone(),
            stamp: looked.stamp,
            file: said.file,
            size: looked.size,
            digests,
            reach: self.reach,
            rate: None,
            share: None,
        })
    }

    /// Reads a file for its digests, which are remembered.
    async fn hash(&self, looked: &LookedAt) -> Result<Hashed, DirectError> {
        let _turn = self.hashing.lock().await;
        let unreadable = |why: String| DirectError::File(why);
        let (store, to_open) = (self.account.store().clone(), looked.clone());
        let input = blocking(move || to_open.open(&store)).await.map_err(|error| unreadable(error.to_string()))?;
        let (reading, mut pieces) = Reading::start(input, Some(Hasher::new(SHARED_ALGOS)));
        while pieces.recv().await.is_some() {}
        let hashed = reading.finish().await.map_err(|error| unreadable(error.to_string()))?.ok_or(DirectError::Inside)?;
        if let Some(stamp) = looked.stamp {
            let (store, kept) = (self.account.store().clone(), hashed.clone());
            // What is not remembered is computed again.
            let _ = blocking(move || store.remember_digests(&stamp, &kept, SystemTime::now())).await;
        }
        Ok(hashed)
    }

    /// Looks for the device it goes to: the one that was named, the only one that is there, else the one that says that it takes it.
    async fn choose(&self, first: Option<&LookedAt>) -> Result<Option<Agreed>, DirectError> {
        let nobody = || DirectError::NoDevice { jid: self.to.clone() };
        match self.device().await {
            Err(DirectError::NoDevice { .. }) => {}
            Err(error) => return Err(error),
            // One that had to be asked what it can do is not counted, and is alone as well.
            Ok(_) if !self.to.is_bare() || self.takers() <= 1 => return Ok(None),
            Ok(_) => {}
        }
        let file = JingleFile::from(first.ok_or_else(nobody)?.outgoing(None, None).file);
        self.events.tell(DirectEvent::Looking { person: self.to.bare().into() }).await;
        match proposing::propose(&self.desk, &self.to.bare(), &file).await {
            Ok(agreed) => Ok(Some(agreed)),
            // None of them knows proposals: the first will do.
            Err(DirectError::NoDevice { .. }) if self.takers() > 0 => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Agreed>> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken out at the end.
    fn agreed(&self) -> Option<Agreed> {
        self.lock().take()
    }

    /// Devices of theirs that are there and take files.
    fn takers(&self) -> usize {
        self.desk.devices.borrow().of(&self.to.bare()).filter(|(_, abilities)| takes_files(*abilities)).count()
    }

    /// Whether one of them is to be asked by message.
    fn hears_proposals(&self) -> bool {
        self.desk.devices.borrow().of(&self.to.bare()).any(|(_, abilities)| abilities.message_initiation)
    }

    /// A device that is there and takes files, or the one that was named.
    async fn device(&self) -> Result<FullJid, DirectError> {
        if let Ok(named) = self.to.clone().into_full() {
            return Ok(named);
        }
        let nobody = || DirectError::NoDevice { jid: self.to.clone() };
        timeout(PRESENT, self.taker()).await.map_err(|_| nobody())?
    }

    /// The first of their devices that takes files; Jingle counts more than what was before. Old programs announce nothing, so they are
    /// asked.
    async fn taker(&self) -> Result<FullJid, DirectError> {
        let person = self.to.bare();
        let (mut devices, mut asked) = (self.desk.devices.clone(), BTreeSet::new());
        loop {
            let there = Arc::clone(&devices.borrow_and_update());
            let takers = || there.of(&person).filter(|(_, abilities)| takes_files(*abilities));
            let best = takers().find(|(_, abilities)| abilities.gives_files()).or_else(|| takers().next());
            if let Some(best) = best.and_then(|(device, _)| device.clone().into_full().ok()) {
                return Ok(best);
            }
            let silent = there.of(&person).find(|(device, abilities)| *abilities == Abilities::default() && !asked.contains(*device));
            match silent.and_then(|(device, _)| device.clone().into_full().ok()) {
                Some(silent) => {
                    asked.insert(Jid::from(silent.clone()));
                    if self.account.abilities(&silent).await.is_some_and(takes_files) {
                        return Ok(silent);
                    }
                }
                None => devices.changed().await.map_err(|_| DirectError::Offline)?,
            }
        }
    }

    /// Waits for a device of theirs after one went away, and for ourselves. They are asked by message: a server may take a device that is
    /// gone for one that is there.
    async fn back(&self, gone: &FullJid, file: &FileMetadata) -> Result<FullJid, DirectError> {
        if !self.desk.is_back(BACK).await {
            return Err(DirectError::Offline);
        }
        if !self.to.is_bare() {
            return Ok(gone.clone());
        }
        // An old program knows no proposals, and shows when it is there.
        let is_old = |devices: &Arc<Devices>| devices.get(gone).is_some_and(|abilities| abilities == Abilities::default());
        if is_old(&self.desk.devices.borrow()) {
            return Ok(gone.clone());
        }
        let until = Instant::now() + BACK;
        loop {
            match proposing::propose(&self.desk, &self.to.bare(), &JingleFile::from(file.clone())).await {
                Ok(agreed) => {
                    let device = agreed.device.clone();
                    *self.lock() = Some(agreed);
                    return Ok(device);
                }
                // None of those that are there knows proposals.
                Err(DirectError::NoDevice { .. }) if self.takers() > 0 && !self.hears_proposals() => return self.device().await,
                Err(DirectError::NoDevice { .. }) if Instant::now() < until => sleep(BETWEEN).await,
                Err(DirectError::NoDevice { .. }) => return Err(DirectError::Silent { peer: gone.clone().into(), stage: Stage::Moving }),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a device takes files that are offered to it, by whatever way.
fn takes_files(abilities: Abilities) -> bool {
    abilities.gives_files() || abilities.stream_initiation
}

/// Ends a session that nobody waits for any more.
struct Leaves {
    desk: Arc<Desk>,
    key: super::Key,
    is_over: bool,
}

impl Leaves {
    fn new(desk: &Arc<Desk>, device: &FullJid, sid: &str) -> Self {
        let key = super::Key { peer: device.clone(), sid: sid.to_owned() };
        Self { desk: Arc::clone(desk), key, is_over: false }
    }

    fn not_any_more(mut self) {
        self.is_over = true;
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        if !self.is_over {
            self.desk.leave(&self.key);
        }
    }
}
