//! Announce first: the offer goes out as soon as the digests are known, the upload follows, and its link is attached.
//!
//! In the outbox an announcement is one message that goes like any other, and a message for each file that waits for its upload
//! (`Preparing`, or it would go). Both are written down at once, so after a crash at any point the next start finds
//!
//! | crash | in the outbox | what the next start does |
//! |---|---|---|
//! | while the digests are taken | the draft of an offer | uploads, and sends one whole message |
//! | before the announcement went | it is ready, its files wait | announces, uploads, attaches |
//! | while the announcement goes | it is being sent, its files wait | sends it again under the same id, uploads, attaches |
//! | while a file goes up | its file waits | uploads, attaches |
//! | when a file is up | its file waits, the link is known | attaches |
//!
//! What is attached, or whether one whole message goes instead, is decided by `balcony_sharing::transfer::announce`. An upload that
//! fails leaves the file waiting: each next start tries it again, until somebody gives it up.

use std::time::SystemTime;

use balcony_sharing::dialect::{Lives, OutgoingFile, OutgoingShare, OutgoingSources, Written, write, write_sources};
use balcony_sharing::transfer::announce::{Announcement, FollowUp, Stands};
use balcony_sharing::{DigestSet, Source};
use balcony_store::{Change, OutboxState, Outgoing, Store};
use balcony_wire::attaching::AttachTo;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::{FileSharing, Sources};
use balcony_wire::hashes::Hash;
use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Jid, Message};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::Semaphore;

use super::batch::{Letter, Part};
use super::place::{self, Digests, Placed, digests, place};
use super::sending::{AT_ONCE, Outcome, Work, give_up, look_at, written, xml};
use super::{FileFrom, FileToShare, Sent, ShareError, ShareEvent};
use crate::account::Account;
use crate::blocking::blocking;
use crate::events::Events;

/// Announces, uploads, attaches: one message after the other.
pub(super) async fn announce(mut work: Work, parts: Vec<Part>) -> Result<Sent, ShareError> {
    let mut outcome = Outcome::default();
    for part in parts {
        announce_one(&mut work, part, &mut outcome).await?;
    }
    outcome.into_sent()
}

/// A file of a part whose digests are known.
struct Known {
    position: usize,
    digests: DigestSet,
    /// Where it lies already, if it does.
    url: Option<String>,
}

async fn announce_one(work: &mut Work, part: Part, outcome: &mut Outcome) -> Result<(), ShareError> {
    let known = match know(work, &part).await {
        Ok(known) => known,
        Err(error) => {
            give_up(&work.account, &part.ids(), &error.to_string()).await?;
            return Err(error);
        }
    };
    let missing: Vec<&Known> = known.iter().filter(|file| file.url.is_none() && work.looked_at[file.position].size > 0).collect();
    let files: Vec<OutgoingFile> =
        known.iter().map(|file| work.looked_at[file.position].outgoing(Some(&file.digests), file.url.as_deref())).collect();
    let said = say(work, &part, &files, &missing).await;
    let (store, account) = (work.store.clone(), work.account.jid().clone());
    let texts: Vec<(String, String)> = said.iter().map(|(id, message)| (id.clone(), xml(message.clone()))).collect();
    let rows: Vec<Vec<Outgoing>> = part.letters.iter().map(|letter| promises(work, letter, &files, &missing)).collect();
    let made = blocking(move || {
        let ready = texts.iter().zip(&rows).map(|((id, stanza), followers)| Change::Ready { id, stanza, followers });
        store.change_outbox(&account, &ready.collect::<Vec<_>>())
    });
    let ready: Vec<(Jid, Message)> = part
        .letters
        .iter()
        .zip(said)
        .zip(made.await?)
        .filter_map(|((letter, (_, message)), is_ready)| is_ready.then(|| (letter.to.clone(), message)))
        .collect();
    if ready.len() < part.letters.len() {
        outcome.untold.get_or_insert(ShareError::GivenUp);
    }
    keep_promises(work, &part, (ready, &files, &missing), outcome).await
}

/// One read for the digests.
async fn know(work: &mut Work, part: &Part) -> Result<Vec<Known>, ShareError> {
    let mut known = Vec::with_capacity(part.files.len());
    for position in part.files.iter().copied() {
        let looked = &work.looked_at[position];
        let digests = digests(&work.account, looked, position, &work.events).await?;
        let url = if looked.size > 0 { place::link_of(&work.account, &digests, looked.size).await? } else { None };
        // It is not read for them once more when it goes up.
        work.looked_at[position].remembered = Some(digests.clone());
        known.push(Known { position, digests, url });
    }
    Ok(known)
}

/// The announcements. Where nothing is missing they are whole messages, and nothing follows.
async fn say(work: &Work, part: &Part, files: &[OutgoingFile], missing: &[&Known]) -> Vec<(String, Message)> {
    let text = part.text.as_deref();
    let message = |letter: &Letter| (letter.id.clone(), written(letter, text, files.to_vec()).message);
    for file in missing {
        let looked = &work.looked_at[file.position];
        work.events.tell(ShareEvent::Announcing { position: file.position, name: looked.name.clone() }).await;
    }
    part.letters.iter().map(message).collect()
}

/// What waits for the uploads: a draft for each file that is missing.
fn promises(work: &Work, letter: &Letter, files: &[OutgoingFile], missing: &[&Known]) -> Vec<Outgoing> {
    let mut rows = Vec::with_capacity(missing.len());
    for (number, file) in missing.iter().enumerate() {
        let Some(said) = files.iter().find(|said| said.id == work.looked_at[file.position].id) else { continue };
        let id = promise_id(letter, number);
        let draft = Promise { target: letter.id.clone(), share: Some(said.id.clone()), kind: Kind::Own(Box::new(said.clone())) };
        let promised = Letter { to: letter.to.clone(), id: id.clone() };
        let mut row = work.row(&promised, &[file.position], SystemTime::now());
        row.stanza = Some(xml(draft.to_message(&letter.to, &id)));
        rows.push(row);
    }
    rows
}

fn promise_id(letter: &Letter, number: usize) -> String {
    format!("{}.{}", letter.id, number + 1)
}

/// Sends the announcements while the files go up, then what keeps their promise.
async fn keep_promises(
    work: &Work,
    part: &Part,
    (ready, files, missing): (Vec<(Jid, Message)>, &[OutgoingFile], &[&Known]),
    outcome: &mut Outcome,
) -> Result<(), ShareError> {
    let permits = Semaphore::new(AT_ONCE);
    let positions: Vec<usize> = missing.iter().map(|file| file.position).collect();
    let placing = stream::iter(positions).map(|position| work.place(position, &permits)).buffered(AT_ONCE).collect::<Vec<_>>();
    let mut told = Outcome::default();
    let placed = {
        let mut saying = std::pin::pin!(work.send_out(ready, &mut told));
        let mut placing = std::pin::pin!(placing);
        let mut said = None;
        let placed = loop {
            tokio::select! {
                done = &mut saying, if said.is_none() => said = Some(done),
                placed = &mut placing => break placed,
            }
        };
        match said {
            Some(said) => said?,
            None => {
                // Nobody was told yet, for want of a connection: then it can be said all at once.
                say_whole_instead(work, part, files, &placed).await?;
                saying.await?;
            }
        }
        placed
    };
    outcome.messages.append(&mut told.messages);
    outcome.untold = outcome.untold.take().or(told.untold);
    for (file, position) in files.iter().zip(&part.files).filter(|(file, _)| !file.sources.is_empty() || file.file.size == Some(0)) {
        let placed =
            Placed { digests: digests_of(&file.file), size: file.file.size.unwrap_or_default(), url: file.plain_url().map(str::to_owned) };
        outcome.files.insert(*position, work.sent_file(*position, &placed));
    }
    attach(work, part, placed, outcome).await
}

type PlacedFiles = Vec<(usize, Result<Placed, ShareError>)>;

/// Puts a whole message in the place of an announcement that is not out, if all of its files are up by now.
async fn say_whole_instead(work: &Work, part: &Part, files: &[OutgoingFile], placed: &PlacedFiles) -> Result<(), ShareError> {
    let mut whole = files.to_vec();
    for (position, placed) in placed {
        let Ok(Placed { url: Some(url), .. }) = placed else { return Ok(()) };
        let id = &work.looked_at[*position].id;
        whole.iter_mut().filter(|file| file.id == *id).for_each(|file| file.sources = vec![Source::url(url.as_str())]);
    }
    for letter in &part.letters {
        let (store, account, letter) = (work.store.clone(), work.account.jid().clone(), letter.clone());
        let stanza = xml(written(&letter, part.text.as_deref(), whole.clone()).message);
        let promised: Vec<String> = (0..placed.len()).map(|number| promise_id(&letter, number)).collect();
        blocking(move || {
            let ready = [Change::Ready { id: &letter.id, stanza: &stanza, followers: &[] }];
            let kept = promised.iter().map(|id| Change::Remove(id));
            store.change_outbox_together(&account, &ready.into_iter().chain(kept).collect::<Vec<_>>())
        })
        .await?;
    }
    Ok(())
}

/// Attaches what is up. What is not stays in the outbox, and the next start goes on with it.
async fn attach(work: &Work, part: &Part, placed: PlacedFiles, outcome: &mut Outcome) -> Result<(), ShareError> {
    let mut whole = Vec::new();
    for (number, (position, placed)) in placed.into_iter().enumerate() {
        let placed = match placed {
            Ok(placed) => placed,
            Err(error) => {
                work.events.tell(ShareEvent::NotSent { position, why: error.to_string() }).await;
                outcome.untold.get_or_insert(ShareError::Promised(Box::new(error)));
                continue;
            }
        };
        outcome.files.insert(position, work.sent_file(position, &placed));
        for letter in &part.letters {
            let id = promise_id(letter, number);
            let (store, account) = (work.store.clone(), work.account.jid().clone());
            let Some(row) = blocking(move || store.outgoing(&account, &id)).await? else { continue };
            if row.state == OutboxState::Preparing
                && let Some(kept) = keep(&work.account, &row, &placed).await?
            {
                whole.push((Letter { to: letter.to.clone(), id: row.origin_id }, kept));
            }
        }
    }
    let ready = work.make_ready(whole, outcome).await?;
    work.send_out(ready, outcome).await
}

/// What a message of the outbox that waits for an upload is to become.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    /// Id of the message that it belongs to.
    pub(super) target: String,
    /// Id of the share in it.
    pub(super) share: Option<String>,
    pub(super) kind: Kind,
}

/// Whose promise it is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// We announced the file; as it was announced.
    Own(Box<OutgoingFile>),
    /// A person asked for it: a further source for what was offered once, by whomever.
    Asked(Box<FileMetadata>, MessageKind),
}

impl Promise {
    /// As a draft for the outbox: never sent as it is.
    pub(super) fn to_message(&self, to: &Jid, id: &str) -> Message {
        let kind = match &self.kind {
            Kind::Own(_) => MessageKind::Chat,
            Kind::Asked(_, kind) => *kind,
        };
        let message = Message { id: Some(id.to_owned()), ..Message::new(kind, Some(to.clone())) };
        let message = message.with(&AttachTo { id: self.target.clone() });
        match &self.kind {
            Kind::Own(file) => message.with(&FileSharing {
                id: Some(file.id.clone()),
                disposition: file.disposition,
                file: Some(file.file.clone()),
                ..FileSharing::default()
            }),
            Kind::Asked(file, _) => message.with(&Sources { id: self.share.clone(), ..Sources::default() }).with(&**file),
        }
    }

    /// From such a draft; `None` if it is none.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let target = message.payload::<AttachTo>()?.ok()?.id;
        if let Some(Ok(share)) = message.payload::<FileSharing>() {
            let id = share.id?;
            let file =
                OutgoingFile { id: id.clone(), disposition: share.disposition, file: share.file?, sources: Vec::new(), carried: None };
            return Some(Self { target, share: Some(id), kind: Kind::Own(Box::new(file)) });
        }
        let (sources, file) = (message.payload::<Sources>()?.ok()?, message.payload::<FileMetadata>()?.ok()?);
        Some(Self { target, share: sources.id, kind: Kind::Asked(Box::new(file), message.kind) })
    }

    fn file(&self) -> &FileMetadata {
        match &self.kind {
            Kind::Own(file) => &file.file,
            Kind::Asked(file, _) => file,
        }
    }

    /// What is to be looked at to go on with it.
    pub(super) fn wanted(&self, from: FileFrom) -> FileToShare {
        let (id, disposition) = match &self.kind {
            Kind::Own(file) => (Some(file.id.clone()), file.disposition),
            Kind::Asked(..) => (None, None),
        };
        let file = self.file().clone();
        // The picture went along with the announcement.
        FileToShare { from, id, name: file.name, descriptions: file.descs, disposition, picture: None }
    }
}

/// The usable digests of what was announced.
fn digests_of(file: &FileMetadata) -> DigestSet {
    file.hashes.iter().filter_map(Hash::digest).cloned().collect()
}

/// What keeps a promise, now that its file is up. `None` when there is nothing to say: what was to be followed never went out.
pub(super) async fn keep(account: &Account, row: &Outgoing, placed: &Placed) -> Result<Option<Written>, ShareError> {
    let promise = super::outbox::message_of(row)?;
    let promise = Promise::of(&promise).ok_or(ShareError::Record("what it belongs to"))?;
    let url = placed.url.clone().ok_or(ShareError::Broken)?;
    let stands = match &promise.kind {
        Kind::Asked(..) => Stands::WithPerson(promise.target.clone()),
        Kind::Own(_) => match stands(account.store(), account.jid(), &promise.target).await? {
            Ok(stands) => stands,
            Err(why) => {
                give_up(account, std::slice::from_ref(&row.origin_id), &why).await?;
                return Ok(None);
            }
        },
    };
    let asked = matches!(promise.kind, Kind::Asked(..));
    let (at, now) = (if asked { SystemTime::now() } else { row.created_at }, SystemTime::now());
    let announcement = Announcement { at: Some(at), stands, digests: digests_of(promise.file()) };
    let source = Source::url(url.as_str());
    match (announcement.follow_up(&placed.digests, now), promise.kind) {
        (FollowUp::Attach(target), kind) => {
            let attached = OutgoingSources {
                to: row.to.clone(),
                to_room: matches!(kind, Kind::Asked(_, MessageKind::Groupchat)),
                id: row.origin_id.clone(),
                target,
                share: promise.share,
                sources: vec![source],
                lives: Lives::Long,
            };
            Ok(Some(Written { message: write_sources(&attached), attaching: Vec::new() }))
        }
        (FollowUp::Whole(_), Kind::Own(file)) => {
            let mut file = *file;
            file.file.size = Some(placed.size);
            file.file.hashes = placed.digests.iter().cloned().map(Hash::from).collect();
            file.sources = vec![source];
            let share = OutgoingShare { to: row.to.clone(), to_room: false, id: row.origin_id.clone(), text: None, files: vec![file] };
            Ok(Some(write(&share)))
        }
        (FollowUp::Whole(_), Kind::Asked(..)) => {
            let why = "it is not the file that was offered";
            give_up(account, std::slice::from_ref(&row.origin_id), why).await?;
            Err(ShareError::OtherFile)
        }
        // Only rooms are waited for.
        (FollowUp::Wait(_), _) => Ok(None),
    }
}

/// Where our announcement stands; the reason why nothing is to follow it, if there is one.
async fn stands(store: &Store, account: &BareJid, id: &str) -> Result<Result<Stands, String>, ShareError> {
    let (store, account, wanted) = (store.clone(), account.clone(), id.to_owned());
    let row = blocking(move || store.outgoing(&account, &wanted)).await?;
    Ok(match row {
        Some(row) if row.state == OutboxState::Sent => Ok(Stands::WithPerson(id.to_owned())),
        Some(row) if row.state == OutboxState::Failed => Err(format!("its announcement did not go out: {}", row.why.unwrap_or_default())),
        Some(_) => Ok(Stands::Unsaid),
        // It was sent so long ago that the outbox forgot it.
        None => Ok(Stands::WithPerson(id.to_owned())),
    })
}

/// Goes on with a message of the outbox that waits for an upload.
pub(super) async fn resume_promise(account: &Account, row: Outgoing, promise: &Promise, from: FileFrom) -> Result<Sent, ShareError> {
    let mut events = Events::nobody();
    let id = row.origin_id.clone();
    let looked_at = match look_at(account, vec![promise.wanted(from)], &events).await {
        Ok(looked_at) => looked_at,
        Err(error @ (ShareError::Unreadable { .. } | ShareError::NoFile { .. } | ShareError::Gone)) => {
            give_up(account, &[id], &error.to_string()).await?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let Some(looked) = looked_at.first() else { return Err(ShareError::Record("its file")) };
    let placed = place(account, looked, 0, Digests::First, &mut events).await.map_err(|error| ShareError::Promised(Box::new(error)))?;
    let Some(kept) = keep(account, &row, &placed).await? else { return Ok(Sent::default()) };
    let mut outcome = Outcome::default();
    let work = Work { account: account.clone(), store: account.store().clone(), looked_at, when: Digests::First, events };
    let letter = Letter { to: row.to.clone(), id: row.origin_id };
    let ready = work.make_ready(vec![(letter, kept)], &mut outcome).await?;
    work.send_out(ready, &mut outcome).await?;
    outcome.files.insert(0, work.sent_file(0, &placed));
    outcome.into_sent()
}
