//! The mailbox of one session, stream or proposal: what came for it, in order, each with the room that it takes until it is looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use balcony_sharing::transfer::jingle::JingleRefusal;
use balcony_wire::{BareJid, Element, Iq};
use tokio::sync::mpsc;

use super::room::Held;
use super::{InBand, Key, Mail, Table, lock, unknown_session};

/// Devices of which that is remembered.
const SLOW: usize = 64;

/// What lies in a mailbox, with the room that it takes.
pub(super) type Letter<T> = (T, Option<Held>);

/// A mailbox. Dropping it takes it out of the table.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    pub(super) mail: mpsc::Receiver<Letter<T>>,
    pub(super) table: Arc<Mutex<Table>>,
    pub(super) entry: Entry,
    /// What a session takes.
    pub(super) held: Option<Held>,
}

/// The mailbox of an in-band stream.
pub(crate) type InBandMail = Mailbox<InBand>;

#[derive(Debug)]
pub(super) enum Entry {
    Session(Key),
    InBand(Key),
    Proposal(BareJid, String),
}

impl<T> Mailbox<T> {
    /// What came next; `None` once it is closed. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Option<T> {
        self.mail.recv().await.map(|(mail, _)| mail)
    }
}

impl Mailbox<Mail> {
    /// Something is added to the session by this, and stays as long as the session does.
    pub(crate) fn hold(&mut self, added: &Element) -> Result<(), JingleRefusal> {
        let Some(held) = &mut self.held else { return Ok(()) };
        Ok(held.more(0, added.weight())?)
    }

    /// Takes nothing more, and gives the answers to what came too late: nobody is left without one.
    pub(crate) fn close(&mut self) -> Vec<Iq> {
        self.mail.close();
        let left = std::iter::from_fn(|| self.mail.try_recv().ok().map(|(mail, _)| mail));
        left.filter_map(Option::<Iq>::from).map(|request| unknown_session(&request)).collect()
    }
}

impl Mailbox<InBand> {
    /// Whether the peer is known to take blocks only one by one.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(&self.entry, Entry::InBand(key) if lock(&self.table).slow.contains(&key.peer))
    }

    /// The peer refused a block while others were under way: its next stream gets one at a time.
    pub(crate) fn remember_slow(&self) {
        let Entry::InBand(key) = &self.entry else { return };
        let slow = &mut lock(&self.table).slow;
        slow.retain(|peer| *peer != key.peer);
        slow.push_back(key.peer.clone());
        while slow.len() > SLOW {
            slow.pop_front();
        }
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        // Before its entry goes: one that took its place under the same name stays.
        self.mail.close();
        let mut table = lock(&self.table);
        match &self.entry {
            Entry::Session(key) => {
                table.open.end(&key.peer, &key.sid);
                remove_closed(&mut table.sessions, key);
            }
            Entry::InBand(key) => remove_closed(&mut table.in_band, key),
            Entry::Proposal(to, id) => drop(table.proposals.remove(&(to.clone(), id.clone()))),
        }
    }
}

fn remove_closed<T>(mailboxes: &mut HashMap<Key, mpsc::Sender<T>>, key: &Key) {
    if mailboxes.get(key).is_some_and(mpsc::Sender::is_closed) {
        mailboxes.remove(key);
    }
}

/// Puts something into a mailbox; gives the answer where that cannot be.
pub(super) fn put<T: Into<Option<Iq>>>(mailbox: &mpsc::Sender<Letter<T>>, mail: T, held: Option<Held>) -> Option<Iq> {
    match mailbox.try_send((mail, held)) {
        Ok(()) => None,
        Err(mpsc::error::TrySendError::Full((mail, _))) => mail.into().map(|request| request.refuse(JingleRefusal::Busy.error())),
        // It ended a moment ago.
        Err(mpsc::error::TrySendError::Closed((mail, _))) => mail.into().map(|request| unknown_session(&request)),
    }
}
