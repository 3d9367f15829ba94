//! Messages that are to go out. Each is sent by one process, once: only [`Store::claim`] lets it go, and it says yes once.
//!
//! `Preparing` (files are hashed and uploaded) → `Ready` (the stanza is whole) → `Sending` (handed to the stream) → `Sent`
//! (acknowledged), or `Failed`. What is `Sending` when a process dies may have arrived or not: [`Store::outbox`] lists it, and
//! whoever resumes the session says which: [`Store::mark_sent`], or [`Store::unclaim`] for a session that is lost. A second copy has
//! the same origin-id, so that who gets both can tell.

pub(super) mod batches;
mod changes;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::SystemTime;

use balcony_wire::hashes::{Digest, HashAlgo};
use balcony_wire::{BareJid, Jid};
use rusqlite::params;

use super::{bounded, known, to_time};
use crate::{Store, StoreError};

pub use changes::Change;

/// A message that is to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// From which account.
    pub account: BareJid,
    /// Its origin-id (XEP-0359), chosen by us.
    pub origin_id: String,
    /// To whom.
    pub to: Jid,
    /// The message as XML, once it is whole.
    pub stanza: Option<String>,
    /// The files it speaks of.
    pub files: Vec<FileRef>,
    /// How far it is.
    pub state: OutboxState,
    /// Why it failed.
    pub why: Option<String>,
    /// When the person sent it.
    pub created_at: SystemTime,
}

/// A file that a message speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileRef {
    /// One of the person's files, where it was.
    Path(PathBuf),
    /// One in the store, by SHA-256.
    Blob(Digest),
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// Its files are hashed and uploaded.
    Preparing,
    /// It can go.
    Ready,
    /// It went into a stream, and nobody said yet that it arrived.
    Sending,
    /// The server has it.
    Sent,
    /// It will not go; `why` says why.
    Failed,
}

const OF_STATE: &str = "SELECT origin_id, addressee, stanza, state, why, created_at FROM outbox
    WHERE account = ?1 AND state = ?2 ORDER BY created_at, origin_id LIMIT ?3";
const BY_ID: &str = "SELECT origin_id, addressee, stanza, state, why, created_at FROM outbox WHERE account = ?1 AND origin_id = ?2";
const NOT_OUT: &str = "SELECT origin_id, addressee, stanza, state, why, created_at FROM outbox
    WHERE account = ?1 AND state <> 'sent' ORDER BY origin_id LIMIT 1000";
const FILES: &str = "SELECT kind, value FROM outbox_files WHERE account = ?1 AND origin_id = ?2 ORDER BY position LIMIT 1000";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OF_STATE, BY_ID, NOT_OUT, FILES];

impl OutboxState {
    const ALL: [Self; 5] = [Self::Preparing, Self::Ready, Self::Sending, Self::Sent, Self::Failed];

    /// The word that the catalogue and programs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    fn from_record(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl Outgoing {
    /// A message whose files are still to be prepared.
    #[must_use]
    pub fn preparing(account: BareJid, origin_id: String, to: Jid, files: Vec<FileRef>, created_at: SystemTime) -> Self {
        Self { account, origin_id, to, stanza: None, files, state: OutboxState::Preparing, why: None, created_at }
    }
}

impl Store {
    /// Puts a message into the outbox.
    ///
    /// # Errors
    /// [`StoreError::Known`] if there is one of that origin-id; when the disk is full or the catalogue fails.
    pub fn add_outgoing(&self, outgoing: &Outgoing) -> Result<(), StoreError> {
        let is_new = self.change_outgoing(&outgoing.account, Change::Add { outgoing, batch: None })?;
        if is_new { Ok(()) } else { Err(StoreError::Known("a message of that origin-id")) }
    }

    /// Its stanza is whole now: it can go. Only for what is [`OutboxState::Preparing`] or [`OutboxState::Ready`].
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for a message in another state; when the disk is full or the catalogue fails.
    pub fn make_ready(&self, account: &BareJid, origin_id: &str, stanza: &str) -> Result<(), StoreError> {
        let is_ready = self.change_outgoing(account, Change::Ready { id: origin_id, stanza, followers: &[] })?;
        if is_ready { Ok(()) } else { Err(StoreError::Unknown("a message to be prepared")) }
    }

    /// Asks for the right to send what is ready. `true` goes to one caller only, whichever process asks.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails: then it must not be sent.
    pub fn claim(&self, account: &BareJid, origin_id: &str) -> Result<bool, StoreError> {
        self.change_outgoing(account, Change::Claim(origin_id))
    }

    /// Gives the right back: it was not sent, or the session is lost and its server never had it. `false` if it was not being sent.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn unclaim(&self, account: &BareJid, origin_id: &str) -> Result<bool, StoreError> {
        self.change_outgoing(account, Change::Unclaim(origin_id))
    }

    /// The server has it. `false` if it was not being sent.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn mark_sent(&self, account: &BareJid, origin_id: &str) -> Result<bool, StoreError> {
        self.change_outgoing(account, Change::Sent(origin_id))
    }

    /// It will not go, from whichever state but [`OutboxState::Sent`]. `false` if it was sent.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn mark_failed(&self, account: &BareJid, origin_id: &str, why: &str) -> Result<bool, StoreError> {
        self.change_outgoing(account, Change::Failed { id: origin_id, why })
    }

    /// What was sent came back. `false` if it was not sent.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn mark_returned(&self, account: &BareJid, origin_id: &str, why: &str) -> Result<bool, StoreError> {
        self.change_outgoing(account, Change::Returned { id: origin_id, why })
    }

    /// Tries once more what failed. `false` if it did not fail.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn retry_outgoing(&self, account: &BareJid, origin_id: &str) -> Result<bool, StoreError> {
        self.change_outgoing(account, Change::Retry(origin_id))
    }

    /// Messages of an account in a state, the oldest first. One that cannot be read is left out, so that it stops no other:
    /// [`Store::unreadable_outgoing`] tells of it.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn outbox(&self, account: &BareJid, state: OutboxState, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let rows: Vec<RawOutgoing> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OF_STATE)?;
            statement.query_map(params![account.as_str(), state.as_str(), bounded(limit)], RawOutgoing::read)?.collect()
        })?;
        let readable = |row| match self.outgoing_of(account, row) {
            Err(StoreError::Record { .. }) => None,
            read => Some(read),
        };
        rows.into_iter().filter_map(readable).collect()
    }

    /// Origin-ids of messages that are not out and that nobody here wrote so: another program did.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn unreadable_outgoing(&self, account: &BareJid) -> Result<Vec<String>, StoreError> {
        let rows: Vec<RawOutgoing> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(NOT_OUT)?;
            statement.query_map([account.as_str()], RawOutgoing::read)?.collect()
        })?;
        let mut unreadable = Vec::new();
        for row in rows {
            let id = row.origin_id.clone();
            match self.outgoing_of(account, row) {
                Ok(_) => {}
                Err(StoreError::Record { .. }) => unreadable.push(id),
                Err(error) => return Err(error),
            }
        }
        Ok(unreadable)
    }

    /// One message.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn outgoing(&self, account: &BareJid, origin_id: &str) -> Result<Option<Outgoing>, StoreError> {
        let mut rows: Vec<RawOutgoing> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(BY_ID)?;
            statement.query_map([account.as_str(), origin_id], RawOutgoing::read)?.collect()
        })?;
        rows.pop().map(|row| self.outgoing_of(account, row)).transpose()
    }

    /// One change by itself: whether the message was in a state that allows it.
    fn change_outgoing(&self, account: &BareJid, change: Change<'_>) -> Result<bool, StoreError> {
        Ok(self.change_outbox(account, &[change])? == [true])
    }

    fn outgoing_of(&self, account: &BareJid, row: RawOutgoing) -> Result<Outgoing, StoreError> {
        let files: Vec<(String, Vec<u8>)> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(FILES)?;
            statement.query_map([account.as_str(), &row.origin_id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        let files = files.into_iter().map(|(kind, value)| known(FileRef::from_columns(&kind, value), "message to send"));
        Ok(Outgoing {
            account: account.clone(),
            files: files.collect::<Result<_, _>>()?,
            to: known(Jid::from_server(&row.to).ok(), "message to send")?,
            state: known(OutboxState::from_record(&row.state), "message to send")?,
            origin_id: row.origin_id,
            stanza: row.stanza,
            why: row.why,
            created_at: to_time(row.created_at),
        })
    }
}

impl FileRef {
    pub(super) fn to_columns(&self) -> (&'static str, &[u8]) {
        match self {
            Self::Path(path) => ("path", path.as_os_str().as_bytes()),
            Self::Blob(digest) => ("blob", digest.as_bytes()),
        }
    }

    pub(super) fn from_columns(kind: &str, value: Vec<u8>) -> Option<Self> {
        match kind {
            "path" => Some(Self::Path(OsString::from_vec(value).into())),
            "blob" => Digest::new(HashAlgo::Sha256, value).ok().map(Self::Blob),
            _ => None,
        }
    }
}

/// A row before its words are understood.
struct RawOutgoing {
    origin_id: String,
    to: String,
    stanza: Option<String>,
    state: String,
    why: Option<String>,
    created_at: i64,
}

impl RawOutgoing {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            origin_id: row.get(0)?,
            to: row.get(1)?,
            stanza: row.get(2)?,
            state: row.get(3)?,
            why: row.get(4)?,
            created_at: row.get(5)?,
        })
    }
}
