//! One sending from the first look at the files to the last acknowledgement.
//!
//! All messages are in the outbox before the first upload. Files go up a few at a time; each message goes out when its last file
//! is up, while the next files go up. A file that fails for a reason of its own is left out of its message, which goes all the
//! same, and stays in the outbox as a message of its own that failed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use balcony_sharing::dialect::{OutgoingFile, OutgoingShare, Written, write};
use balcony_store::{Change, FileRef, OutboxState, Outgoing, Store};
use balcony_wire::{BareJid, Jid, Message};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::batch::{Letter, Part, parts};
use super::looked_at::LookedAt;
use super::outbox::{Guard, dispatch, random_id};
use super::place::{Digests, Placed, not_uploaded, place};
use super::{FileToShare, KEPT_MESSAGES, Sent, SentFile, ShareError, ShareEvent, Unfinished, announced, upload};
use crate::account::Account;
use crate::blocking::blocking;
use crate::error::Class;
use crate::events::Events;

/// Small files that go up at once.
pub(super) const AT_ONCE: usize = 8;
/// A file of that size goes up alone.
const LARGE: u64 = 1 << 20;
/// Messages whose files are up and that wait for those before.
const READY: usize = 2;

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) files: Vec<FileToShare>,
    pub(super) text: Option<String>,
    pub(super) to: Vec<Jid>,
    pub(super) announces: bool,
    /// Names it: `identity`, then a random end.
    pub(super) batch: String,
    pub(super) goes_on: Option<Unfinished>,
}

/// What one sending works with.
pub(super) struct Work {
    pub(super) account: Account,
    pub(super) store: Store,
    pub(super) looked_at: Vec<LookedAt>,
    pub(super) when: Digests,
    pub(super) events: Events<ShareEvent>,
}

/// What became of the files of a part.
type Places = BTreeMap<usize, Result<Placed, Arc<ShareError>>>;

/// What is out so far, and the first failure that somebody must be told.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) files: BTreeMap<usize, SentFile>,
    pub(super) messages: Vec<Message>,
    pub(super) untold: Option<ShareError>,
}

/// Shares files with people.
pub(super) async fn share(account: Account, order: Order, events: Events<ShareEvent>) -> Result<Sent, ShareError> {
    if order.files.is_empty() || order.to.is_empty() {
        return Err(ShareError::Nothing("there is nothing to share, or nobody to share it with"));
    }
    let store = account.store().clone();
    let _guard = Guard::sending(&store).await?;
    let looked_at = look_at(&account, order.files, &events).await?;
    let (out, batch) = match order.goes_on {
        Some(unfinished) => (out_by_now(&account, &unfinished, &looked_at).await?, unfinished.batch),
        None => (HashSet::new(), order.batch),
    };
    let is_out = |jid: &Jid, file: usize| out.contains(&(jid.clone(), file));
    let parts = parts(looked_at.len(), &order.to, order.text.as_deref(), is_out, random_id);
    let work = Work { account, store, looked_at, when: Digests::OnTheWay, events };
    work.write_down(&parts, &batch).await?;
    if order.announces { announced::announce(work, parts).await } else { work.send(parts).await }
}

/// Goes on with a message of the outbox whose files were not all uploaded. The caller holds the outbox.
pub(super) async fn resume_one(
    account: &Account,
    outgoing: Outgoing,
    files: Vec<FileToShare>,
    text: Option<String>,
) -> Result<Sent, ShareError> {
    let events = Events::nobody();
    let letter = Letter { to: outgoing.to, id: outgoing.origin_id };
    let all = (0..files.len()).collect();
    match look_at(account, files, &events).await {
        Ok(looked_at) => {
            let work = Work { account: account.clone(), store: account.store().clone(), looked_at, when: Digests::First, events };
            work.send(vec![Part { files: all, letters: vec![letter], text }]).await
        }
        Err(error @ (ShareError::Offline(_) | ShareError::Store(_))) => Err(error),
        Err(error) => {
            give_up(account, &[letter.id], &error.to_string()).await?;
            Err(error)
        }
    }
}

/// Looks at the files; nobody is asked whether they could be uploaded.
pub(super) async fn look(account: &Account, files: Vec<FileToShare>, events: &Events<ShareEvent>) -> Result<Vec<LookedAt>, ShareError> {
    let looked_at = LookedAt::look_at_all(files, account.store()).await?;
    for (position, looked) in looked_at.iter().enumerate() {
        let (name, size, media_type) = (looked.name.clone(), looked.size, looked.media_type.clone());
        events.tell(ShareEvent::Looked { position, name, size, media_type }).await;
    }
    Ok(looked_at)
}

/// Looks at the files and at the limits of the services, before a byte is read for sending.
pub(super) async fn look_at(account: &Account, files: Vec<FileToShare>, events: &Events<ShareEvent>) -> Result<Vec<LookedAt>, ShareError> {
    let looked_at = look(account, files, events).await?;
    let found = account.services().await?;
    let services = upload::services(account, &found.uploads);
    for looked in looked_at.iter().filter(|looked| looked.size > 0) {
        upload::begin(looked, services.clone(), false).map_err(|source| not_uploaded(looked, source))?;
    }
    Ok(looked_at)
}

/// Which files are out for whom. What somebody else is sending just now counts; what failed is taken out, to be sent anew. A file
/// that was written to after it went out is another one.
async fn out_by_now(account: &Account, unfinished: &Unfinished, looked_at: &[LookedAt]) -> Result<HashSet<(Jid, usize)>, ShareError> {
    let (store, jid, earlier) = (account.store().clone(), account.jid().clone(), unfinished.clone());
    let files: Vec<(FileRef, Option<SystemTime>)> =
        looked_at.iter().map(|looked| (looked.wanted.from.to_record(), looked.modified_at)).collect();
    blocking(move || {
        let (mut out, mut failed) = (HashSet::new(), HashSet::new());
        let mut after = String::new();
        loop {
            let page = store.of_batch(&jid, &earlier.batch, &after, super::PAGE)?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.origin_id);
            for row in page {
                let was_out = earlier.out.contains(&row.origin_id);
                let is_same = |modified: &Option<SystemTime>| !was_out || modified.is_none_or(|modified| modified <= row.created_at);
                let among = |(file, modified): &(FileRef, _)| row.files.contains(file) && is_same(modified);
                let positions = files.iter().enumerate().filter(|(_, file)| among(file)).map(|(position, _)| (row.to.clone(), position));
                if row.state == OutboxState::Failed {
                    failed.extend(positions);
                    store.change_outbox(&jid, &[Change::Remove(&row.origin_id)])?;
                } else {
                    out.extend(positions);
                }
            }
        }
        // What was announced and then failed is not out, whatever the announcement says.
        Ok(&out - &failed)
    })
    .await
}

impl Work {
    /// Puts the messages into the outbox as far as they can be said by now, all at once.
    async fn write_down(&self, parts: &[Part], batch: &str) -> Result<(), ShareError> {
        let now = SystemTime::now();
        let mut rows = Vec::new();
        for part in parts {
            for letter in &part.letters {
                let so_far = part.files.iter().map(|position| self.looked_at[*position].outgoing(None, None)).collect();
                let mut row = self.row(letter, &part.files, now);
                row.stanza = Some(xml(written(letter, part.text.as_deref(), so_far).message));
                rows.push(row);
            }
        }
        let (store, account, batch) = (self.store.clone(), self.account.jid().clone(), batch.to_owned());
        blocking(move || {
            let changes: Vec<Change<'_>> = rows.iter().map(|outgoing| Change::Add { outgoing, batch: Some(&batch) }).collect();
            store.change_outbox(&account, &changes)
        })
        .await?;
        Ok(())
    }

    pub(super) fn row(&self, letter: &Letter, files: &[usize], now: SystemTime) -> Outgoing {
        let files = files.iter().map(|position| self.looked_at[*position].wanted.from.to_record()).collect();
        Outgoing::preparing(self.account.jid().clone(), letter.id.clone(), letter.to.clone(), files, now)
    }

    /// From uploads to acknowledgements. A failure that the caller is told of is the end of the messages as well, unless they
    /// are whole already: then they wait for the next connection.
    pub(super) async fn send(&self, parts: Vec<Part>) -> Result<Sent, ShareError> {
        let (ready, finished) = channel(READY);
        let (uploaded, sent) = tokio::join!(self.upload_all(parts, ready), self.send_finished(finished));
        let mut outcome = sent?;
        if let Some(failure) = uploaded? {
            outcome.untold.get_or_insert(failure);
        }
        outcome.into_sent()
    }

    /// Uploads what the parts need, in order, and hands each over when its last file is up. Gives what stopped all of it.
    async fn upload_all(&self, mut parts: Vec<Part>, ready: Sender<(Part, Places)>) -> Result<Option<ShareError>, ShareError> {
        parts.sort_by_key(Part::last);
        let wanted: BTreeSet<usize> = parts.iter().flat_map(|part| part.files.iter().copied()).collect();
        let permits = Semaphore::new(AT_ONCE);
        let mut placing = stream::iter(wanted).map(|position| self.place(position, &permits)).buffered(AT_ONCE);
        let mut places = Places::new();
        let mut left = parts.into_iter().peekable();
        while let Some((position, placed)) = placing.next().await {
            let stops = placed.as_ref().err().is_some_and(is_for_all);
            if let (true, Err(error)) = (stops, &placed) {
                let ids: Vec<String> = left.flat_map(|part| part.ids()).collect();
                give_up(&self.account, &ids, &error.to_string()).await?;
                return Ok(placed.err());
            }
            places.insert(position, placed.map_err(Arc::new));
            while let Some(part) = left.next_if(|part| part.last() == position) {
                let of_part = part.files.iter().filter_map(|file| Some((*file, places.get(file)?.clone()))).collect();
                if ready.send((part, of_part)).await.is_err() {
                    return Ok(None); // whoever sends them has failed and says why
                }
            }
        }
        Ok(None)
    }

    /// One file, with as many others as there is room for. Small ones share what a large one takes for itself.
    pub(super) async fn place(&self, position: usize, permits: &Semaphore) -> (usize, Result<Placed, ShareError>) {
        let looked = &self.looked_at[position];
        let room = if looked.size >= LARGE { AT_ONCE } else { 1 };
        let _room = permits.acquire_many(u32::try_from(room).unwrap_or(1)).await.ok(); // it is never closed
        (position, place(&self.account, looked, position, self.when, &mut self.events.another()).await)
    }

    async fn send_finished(&self, mut finished: Receiver<(Part, Places)>) -> Result<Outcome, ShareError> {
        let mut outcome = Outcome::default();
        while let Some((part, places)) = finished.recv().await {
            self.finish(part, places, &mut outcome).await?;
        }
        Ok(outcome)
    }

    /// The files of a part are up: its messages are made whole and go out.
    async fn finish(&self, part: Part, places: Places, outcome: &mut Outcome) -> Result<(), ShareError> {
        let part = self.without_failed(part, &places, outcome).await?;
        let mut files = Vec::with_capacity(part.files.len());
        for (position, placed) in part.files.iter().filter_map(|file| Some((*file, places.get(file)?.as_ref().ok()?))) {
            files.push(self.looked_at[position].outgoing(Some(&placed.digests), placed.url.as_deref()));
            outcome.files.insert(position, self.sent_file(position, placed));
        }
        if files.is_empty() {
            return Ok(());
        }
        let whole = part.letters.iter().map(|letter| (letter.clone(), written(letter, part.text.as_deref(), files.clone()))).collect();
        let ready = self.make_ready(whole, outcome).await?;
        self.send_out(ready, outcome).await
    }

    /// Takes files that failed out of their messages: those go without, and what failed stays behind to be tried again.
    async fn without_failed(&self, mut part: Part, places: &Places, outcome: &mut Outcome) -> Result<Part, ShareError> {
        let failed: Vec<(usize, Arc<ShareError>)> =
            places.iter().filter_map(|(position, placed)| Some((*position, placed.as_ref().err()?.clone()))).collect();
        if failed.is_empty() {
            return Ok(part);
        }
        for (position, error) in &failed {
            self.events.tell(ShareEvent::NotSent { position: *position, why: error.to_string() }).await;
        }
        let kept: Vec<usize> = (0..part.files.len()).filter(|at| failed.iter().all(|(position, _)| *position != part.files[*at])).collect();
        let (store, account, ids) = (self.store.clone(), self.account.jid().clone(), part.ids());
        if kept.is_empty() {
            let why = failed.iter().map(|(_, error)| error.to_string()).collect::<Vec<_>>().join("; ");
            give_up(&self.account, &ids, &why).await?;
        } else {
            let mut rows = Vec::new();
            for letter in &part.letters {
                for (position, error) in &failed {
                    let behind = Letter { to: letter.to.clone(), id: random_id() };
                    let mut row = self.row(&behind, &[*position], SystemTime::now());
                    row.stanza = Some(xml(written(&behind, None, vec![self.looked_at[*position].outgoing(None, None)]).message));
                    (row.state, row.why) = (OutboxState::Failed, Some(error.to_string()));
                    rows.push((letter.id.clone(), row));
                }
            }
            let (kept, left) =
                (kept.clone(), kept.iter().map(|at| self.looked_at[part.files[*at]].outgoing(None, None)).collect::<Vec<_>>());
            let draft = |letter: &Letter| (letter.id.clone(), xml(written(letter, part.text.as_deref(), left.clone()).message));
            let drafts: Vec<(String, String)> = part.letters.iter().map(draft).collect();
            blocking(move || {
                let keep = drafts.iter().map(|(id, stanza)| Change::Keep { id, files: &kept, stanza });
                let behind = rows.iter().map(|(of, outgoing)| Change::AddBeside { outgoing, of });
                store.change_outbox(&account, &keep.chain(behind).collect::<Vec<_>>())
            })
            .await?;
        }
        part.files = kept.iter().map(|at| part.files[*at]).collect();
        if let Some((_, error)) = failed.into_iter().next() {
            // Nobody else holds it once the places are gone; where somebody does, its words are what is needed.
            outcome.untold.get_or_insert_with(|| Arc::try_unwrap(error).unwrap_or_else(ShareError::NotAll));
        }
        Ok(part)
    }

    /// The messages are whole. Those that follow them are put into the outbox before they can go, or a crash would forget them.
    pub(super) async fn make_ready(&self, whole: Vec<(Letter, Written)>, outcome: &mut Outcome) -> Result<Vec<(Jid, Message)>, ShareError> {
        let (store, account) = (self.store.clone(), self.account.jid().clone());
        let rows: Vec<(String, String, Vec<Outgoing>)> = whole
            .iter()
            .map(|(letter, written)| {
                let followers = written.attaching.iter().map(|message| follower(&account, letter, message)).collect();
                (letter.id.clone(), xml(written.message.clone()), followers)
            })
            .collect();
        let made = blocking(move || {
            let ready = rows.iter().map(|(id, stanza, followers)| Change::Ready { id, stanza, followers }).collect::<Vec<_>>();
            store.change_outbox(&account, &ready)
        });
        let mut ready = Vec::new();
        for ((letter, written), is_ready) in whole.into_iter().zip(made.await?) {
            if is_ready {
                ready.extend(written.into_messages().map(|message| (letter.to.clone(), message)));
            } else {
                // A person gave it up while the files went up; the others are to be told all the same.
                outcome.untold.get_or_insert(ShareError::GivenUp);
            }
        }
        Ok(ready)
    }

    /// Sends what is ready.
    pub(super) async fn send_out(&self, ready: Vec<(Jid, Message)>, outcome: &mut Outcome) -> Result<(), ShareError> {
        let ids: Vec<String> = ready.iter().map(|(_, message)| message.id.clone().unwrap_or_default()).collect();
        let fates = dispatch(&self.account, &ids).await?;
        let mut out = Vec::new();
        for ((to, message), fate) in ready.into_iter().zip(fates) {
            match fate {
                Ok(()) => out.push((to, message)),
                Err(error) => drop(outcome.untold.get_or_insert(error)),
            }
        }
        for (to, message) in out {
            self.events.tell(ShareEvent::Offered { to, message: Box::new(message.clone()) }).await;
            if outcome.messages.len() < KEPT_MESSAGES {
                outcome.messages.push(message);
            }
        }
        Ok(())
    }

    pub(super) fn sent_file(&self, position: usize, placed: &Placed) -> SentFile {
        let looked = &self.looked_at[position];
        SentFile {
            name: looked.name.clone(),
            size: looked.size,
            media_type: looked.media_type.clone(),
            digests: placed.digests.clone(),
            url: placed.url.clone(),
        }
    }
}

impl Outcome {
    pub(super) fn into_sent(self) -> Result<Sent, ShareError> {
        match self.untold {
            Some(error) => Err(error),
            None => Ok(Sent { files: self.files.into_values().collect(), messages: self.messages }),
        }
    }
}

/// Whether a failure says that no other file will do better.
fn is_for_all(error: &ShareError) -> bool {
    matches!(error.class(), Class::Network | Class::Certificate | Class::Login) || matches!(error, ShareError::Store(_))
}

/// A message behind the one that offers the files.
fn follower(account: &BareJid, letter: &Letter, message: &Message) -> Outgoing {
    let id = message.id.clone().unwrap_or_default();
    let mut row = Outgoing::preparing(account.clone(), id, letter.to.clone(), Vec::new(), SystemTime::now());
    row.stanza = Some(xml(message.clone()));
    row.state = OutboxState::Ready;
    row
}

pub(super) async fn give_up(account: &Account, ids: &[String], why: &str) -> Result<(), ShareError> {
    let (store, jid, ids, why) = (account.store().clone(), account.jid().clone(), ids.to_vec(), why.to_owned());
    let failing = move || {
        let changes: Vec<Change<'_>> = ids.iter().map(|id| Change::Failed { id, why: &why }).collect();
        store.change_outbox(&jid, &changes)
    };
    Ok(blocking(failing).await.map(drop)?)
}

pub(super) fn written(letter: &Letter, text: Option<&str>, files: Vec<OutgoingFile>) -> Written {
    write(&OutgoingShare { to: letter.to.clone(), to_room: false, id: letter.id.clone(), text: text.map(str::to_owned), files })
}

pub(super) fn xml(message: Message) -> String {
    message.into_element().to_xml()
}
