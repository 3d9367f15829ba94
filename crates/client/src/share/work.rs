//! One sharing from the first look at the files to the last acknowledgement.

use std::time::SystemTime;

use balcony_sharing::dialect::{OutgoingFile, OutgoingShare, Written, write};
use balcony_sharing::transfer::upload::{UploadError, UploadJob};
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_sharing::{DigestSet, Hashed, Offer, Received, dialect};
use balcony_store::{FileRef, JobId, NewOffer, OutboxState, Outgoing, Store, StoreError, Upload};
use balcony_wire::file_sharing::FileSharing;
use balcony_wire::{BareJid, Element, Jid, Message, Stanza};

use super::looked_at::{LookedAt, Wanted};
use super::outbox::{self, Guard, dispatch};
use super::{FILES_IN_ONE_MESSAGE, Sent, SentFile, ShareError, ShareEvent, upload};
use crate::account::Account;
use crate::blocking::blocking;
use crate::events::Events;
use crate::http::source::{ReadFailure, Reading};

/// A message to be: for whom, under which id.
#[derive(Clone, Debug)]
struct Letter {
    to: Jid,
    id: String,
}

/// What one sharing works with.
struct Work {
    account: Account,
    store: Store,
    text: Option<String>,
    letters: Vec<Letter>,
    events: Events<ShareEvent>,
}

/// Shares files with people.
pub(super) async fn share(
    account: Account,
    files: Vec<Wanted>,
    text: Option<String>,
    to: Vec<Jid>,
    events: Events<ShareEvent>,
) -> Result<Sent, ShareError> {
    if files.is_empty() || to.is_empty() {
        return Err(ShareError::Nothing("there is nothing to share, or nobody to share it with"));
    }
    if files.len() > FILES_IN_ONE_MESSAGE {
        return Err(ShareError::TooMany(files.len()));
    }
    let store = account.store().clone();
    let letters = to.into_iter().map(|to| Letter { to, id: random_id() }).collect();
    let _guard = Guard::sending(&store).await?;
    let mut work = Work { account, store, text, letters, events };
    let (looked_at, jobs) = work.prepare(files).await?;
    work.write_down(&looked_at).await?;
    work.upload_and_send(looked_at, jobs).await
}

/// Goes on with a message of the outbox whose files were not all uploaded. The caller holds the outbox.
pub(super) async fn resume_one(account: Account, outgoing: Outgoing, events: Events<ShareEvent>) -> Result<Sent, ShareError> {
    let store = account.store().clone();
    let (files, text) = read_wanted(&outgoing)?;
    let letters = vec![Letter { to: outgoing.to, id: outgoing.origin_id }];
    let mut work = Work { account, store, text, letters, events };
    match work.prepare(files).await {
        Ok((looked_at, jobs)) => work.upload_and_send(looked_at, jobs).await,
        Err(error) => {
            work.gave_up(&error).await?;
            Err(error)
        }
    }
}

impl Work {
    /// Looks at the files and at the limits of the services, before a byte is read for sending.
    async fn prepare(&mut self, files: Vec<Wanted>) -> Result<(Vec<LookedAt>, Vec<Option<UploadJob>>), ShareError> {
        let store = self.store.clone();
        let looked_at: Vec<LookedAt> =
            blocking(move || files.into_iter().map(|wanted| LookedAt::look(wanted, &store)).collect::<Result<_, _>>()).await?;
        for (position, looked) in looked_at.iter().enumerate() {
            let (name, size, media_type) = (looked.name.clone(), looked.stamp.size(), looked.media_type.clone());
            self.events.tell(ShareEvent::Looked { position, name, size, media_type }).await;
        }
        let found = self.account.services().await?;
        let services = upload::services(&self.account, &found.uploads);
        let loopback = self.account.fetcher().rules().loopback_http;
        let mut jobs = Vec::with_capacity(looked_at.len());
        for looked in &looked_at {
            // XEP-0363 knows no empty files; their digests say all there is to say.
            let job = (looked.stamp.size() > 0).then(|| upload::begin(looked, services.clone(), loopback));
            jobs.push(job.transpose().map_err(|source| not_uploaded(looked, source))?);
        }
        Ok((looked_at, jobs))
    }

    /// Puts the messages into the outbox as far as they can be said by now.
    async fn write_down(&self, looked_at: &[LookedAt]) -> Result<(), ShareError> {
        let now = SystemTime::now();
        let mut rows = Vec::with_capacity(self.letters.len());
        for letter in &self.letters {
            let files = looked_at.iter().map(|looked| FileRef::Path(absolute(looked))).collect();
            let mut row = Outgoing::preparing(self.account.jid().clone(), letter.id.clone(), letter.to.clone(), files, now);
            let so_far = self.written(letter, looked_at.iter().map(|looked| looked.outgoing(None, None)).collect());
            row.stanza = Some(so_far.message.into_element().to_xml());
            rows.push(row);
        }
        let store = self.store.clone();
        Ok(blocking(move || rows.iter().try_for_each(|row| store.add_outgoing(row))).await?)
    }

    /// From uploads to acknowledgements. A failure that the caller is told of is the end of the messages as well, unless they
    /// are whole already: then they wait for the next connection.
    async fn upload_and_send(&mut self, looked_at: Vec<LookedAt>, jobs: Vec<Option<UploadJob>>) -> Result<Sent, ShareError> {
        let files = match self.upload_all(&looked_at, jobs).await {
            Ok(files) => files,
            Err(error) => {
                self.gave_up(&error).await?;
                return Err(error);
            }
        };
        let letters = self.letters.clone();
        let (mut ready, mut sent, mut untold) = (Vec::new(), Vec::new(), None);
        for letter in &letters {
            let outgoing = looked_at.iter().zip(&files).map(|(looked, file)| looked.outgoing(Some(&file.digests), file.url.as_deref()));
            let written = self.written(letter, outgoing.collect());
            match self.make_ready(letter, &written).await {
                // A person gave it up while the files went up; the others are to be told all the same, here and below.
                Err(error @ ShareError::GivenUp) => drop(untold.get_or_insert(error)),
                done => done.map(|()| ready.push((letter, written)))?,
            }
        }
        for (letter, written) in ready {
            for message in written.into_messages() {
                match dispatch(&self.account, message.id.as_deref().unwrap_or_default()).await {
                    Err(error @ (ShareError::Returned { .. } | ShareError::Elsewhere | ShareError::GivenUp)) => {
                        untold.get_or_insert(error);
                        continue;
                    }
                    done => done?,
                }
                self.remember_own(&message).await?;
                self.events.tell(ShareEvent::Offered { to: letter.to.clone(), message: Box::new(message.clone()) }).await;
                sent.push(message);
            }
        }
        match untold {
            Some(error) => Err(error),
            None => Ok(Sent { files, messages: sent }),
        }
    }

    async fn upload_all(&mut self, looked_at: &[LookedAt], jobs: Vec<Option<UploadJob>>) -> Result<Vec<SentFile>, ShareError> {
        let first = self.letters.first().map(|letter| letter.id.clone()).unwrap_or_default();
        let (store, account, id) = (self.store.clone(), self.account.jid().clone(), first.clone());
        let done = blocking(move || store.uploads(&account, &id)).await?;
        let mut files = Vec::with_capacity(looked_at.len());
        for (position, (looked, job)) in looked_at.iter().zip(jobs).enumerate() {
            let earlier = done.iter().find(|upload| upload.position == position && is_of(upload, looked));
            let began_at = SystemTime::now();
            let (url, digests) = match (job, earlier) {
                (None, _) => (None, self.digests(looked, position, None).await?),
                (Some(_), Some(earlier)) => (Some(earlier.get_url.clone()), self.digests(looked, position, None).await?),
                (Some(job), None) => {
                    let uploading = upload::upload(&self.account, job, looked, position, &mut self.events).await;
                    let (uploaded, hashed) = uploading.map_err(|source| not_uploaded(looked, source))?;
                    let digests = self.digests(looked, position, hashed).await?;
                    self.note_upload(&first, position, looked, &uploaded.get_url, began_at).await?;
                    (Some(uploaded.get_url), digests)
                }
            };
            if let Some(url) = url.clone() {
                self.events.tell(ShareEvent::Uploaded { position, url }).await;
            }
            let (name, size, media_type) = (looked.name.clone(), looked.stamp.size(), looked.media_type.clone());
            files.push(SentFile { name, size, media_type, digests, url });
        }
        Ok(files)
    }

    /// The digests of a file: just computed, known from earlier, or by reading it once more.
    async fn digests(&self, looked: &LookedAt, position: usize, hashed: Option<Hashed>) -> Result<DigestSet, ShareError> {
        let hashed = match (hashed, &looked.remembered) {
            (Some(hashed), _) => hashed,
            (None, Some(remembered)) => return Ok(remembered.clone()),
            (None, None) => {
                self.events.tell(ShareEvent::Hashing { position }).await;
                hash(looked).await?
            }
        };
        let (store, stamp, kept) = (self.store.clone(), looked.stamp, hashed.clone());
        blocking(move || store.remember_digests(&stamp, &kept, SystemTime::now())).await?;
        Ok(hashed.digests().clone())
    }

    /// So that a crash from here on does not upload it again. Only what is done is noted: a slot that was not used up by then is
    /// left to run out, and the right to write to it is never on the disk.
    async fn note_upload(
        &self,
        origin_id: &str,
        position: usize,
        looked: &LookedAt,
        get_url: &str,
        began_at: SystemTime,
    ) -> Result<(), ShareError> {
        let upload = Upload {
            account: self.account.jid().clone(),
            origin_id: origin_id.to_owned(),
            position,
            size: looked.stamp.size(),
            get_url: get_url.to_owned(),
            began_at,
        };
        let store = self.store.clone();
        Ok(blocking(move || store.save_upload(&upload)).await?)
    }

    /// The message is whole. Those that follow it are put into the outbox before it can go, or a crash would forget them.
    async fn make_ready(&self, letter: &Letter, written: &Written) -> Result<(), ShareError> {
        let (store, account, letter, written) = (self.store.clone(), self.account.jid().clone(), letter.clone(), written.clone());
        let ready = blocking(move || {
            for message in written.attaching {
                let id = message.id.clone().unwrap_or_default();
                let mut row = Outgoing::preparing(account.clone(), id, letter.to.clone(), Vec::new(), SystemTime::now());
                row.stanza = Some(message.into_element().to_xml());
                row.state = OutboxState::Ready;
                match store.add_outgoing(&row) {
                    // From before the crash that we go on after.
                    Ok(()) | Err(StoreError::Known(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            store.make_ready(&account, &letter.id, &written.message.into_element().to_xml())
        });
        ready.await.map_err(|error| match error {
            StoreError::Unknown(_) => ShareError::GivenUp,
            error => error.into(),
        })
    }

    /// Our own offer belongs into the catalogue as well.
    async fn remember_own(&self, message: &Message) -> Result<(), ShareError> {
        let (store, account, message) = (self.store.clone(), self.account.jid().clone(), message.clone());
        Ok(blocking(move || remember(&store, &account, message)).await?)
    }

    async fn gave_up(&self, error: &ShareError) -> Result<(), ShareError> {
        let (store, account, why) = (self.store.clone(), self.account.jid().clone(), error.to_string());
        let ids: Vec<String> = self.letters.iter().map(|letter| letter.id.clone()).collect();
        Ok(blocking(move || ids.iter().try_for_each(|id| store.mark_failed(&account, id, &why).map(drop))).await?)
    }

    fn written(&self, letter: &Letter, files: Vec<OutgoingFile>) -> Written {
        write(&OutgoingShare { to: letter.to.clone(), to_room: false, id: letter.id.clone(), text: self.text.clone(), files })
    }
}

/// Whether an earlier upload holds the file as it is now.
fn is_of(upload: &Upload, looked: &LookedAt) -> bool {
    let untouched = looked.modified_at.is_some_and(|modified| modified <= upload.began_at);
    upload.size == looked.stamp.size() && untouched
}

pub(super) fn remember(store: &Store, account: &BareJid, message: Message) -> Result<(), StoreError> {
    let stanza = message.clone().into_element().to_xml();
    let received = Received::own(message, account);
    let own = |offer: &Offer| NewOffer::new(offer, stanza.clone(), SystemTime::now()).own();
    let offers: Vec<NewOffer> = dialect::read(&received).offers.iter().map(own).collect();
    store.add_offers(&offers).map(drop)
}

pub(super) async fn hash(looked: &LookedAt) -> Result<Hashed, ShareError> {
    let unreadable = |source| ShareError::Unreadable { path: looked.wanted.path.clone(), source };
    let path = looked.wanted.path.clone();
    let file = blocking(move || std::fs::File::open(path)).await.map_err(unreadable)?;
    let (reading, mut pieces) = Reading::start(file, looked.stamp, Some(Hasher::new(SHARED_ALGOS)));
    while pieces.recv().await.is_some() {}
    match reading.finish().await {
        Ok(Some(hashed)) => Ok(hashed),
        Err(ReadFailure::Io(source)) => Err(unreadable(source)),
        Err(ReadFailure::Changed) => Err(not_uploaded(looked, UploadError::FileChanged("it was written to meanwhile".to_owned()))),
        Ok(None) | Err(ReadFailure::Lanes(_) | ReadFailure::Dropped) => Err(ShareError::Broken),
    }
}

/// What a message of the outbox was meant to say.
fn read_wanted(outgoing: &Outgoing) -> Result<(Vec<Wanted>, Option<String>), ShareError> {
    let message = outbox::message_of(outgoing)?;
    let shares = message.payloads_of::<FileSharing>().collect::<Result<Vec<_>, _>>().map_err(|_| ShareError::Record("a file in it"))?;
    if shares.len() != outgoing.files.len() {
        return Err(ShareError::Record("its files"));
    }
    let wanted = shares.into_iter().zip(&outgoing.files).map(|(share, file)| match file {
        FileRef::Path(path) => {
            let said = share.file.unwrap_or_default();
            let id = share.id.unwrap_or_else(random_id);
            Ok(Wanted { path: path.clone(), id, name: said.name, descriptions: said.descs, disposition: share.disposition })
        }
        FileRef::Blob(_) => Err(ShareError::Record("a file of the store")),
    });
    Ok((wanted.collect::<Result<_, _>>()?, message.body()))
}

/// The path from wherever the next start happens to be.
fn absolute(looked: &LookedAt) -> std::path::PathBuf {
    // Where the folder we are in cannot be told, the path as it was given is all there is.
    std::path::absolute(&looked.wanted.path).unwrap_or_else(|_| looked.wanted.path.clone())
}

fn not_uploaded(looked: &LookedAt, source: UploadError) -> ShareError {
    ShareError::Upload { name: looked.name.clone(), source }
}

/// A name for a share or a message that nobody can guess.
pub(super) fn random_id() -> String {
    JobId::random().to_string()
}

/// A stored stanza as a message.
pub(super) fn parse(stanza: &str) -> Option<Message> {
    match Stanza::read(Element::parse(stanza).ok()?) {
        Ok(Stanza::Message(message)) => Some(message),
        _ => None,
    }
}
