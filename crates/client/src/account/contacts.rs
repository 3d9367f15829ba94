//! Whom the person knows: the roster, asked for right after each login and changed by what the server pushes, remembered for the
//! time offline.
//!
//! RFC 6121 §2, §3

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use balcony_session::client::{Ask, SendError};
use balcony_session::iq_table::RequestError;
use balcony_sharing::plan::Contacts;
use balcony_store::Store;
use balcony_wire::roster::{Roster, RosterItem, Subscription};
use balcony_wire::stanza::{Presence, PresenceKind};
use balcony_wire::{BareJid, Element, IqKind, Payload as _};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Account;
use crate::blocking::blocking;
use crate::error::Class;
use crate::fetch::standing::{self, Standing};

/// How long the server may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How long the push of a change may take after the answer to it.
const PUSH: Duration = Duration::from_secs(2);

/// The contacts as the connection's task keeps them.
pub(super) struct Book {
    contacts: watch::Sender<Arc<Contacts>>,
    /// The last session whose roster came, or did not come in time.
    settled: watch::Sender<u64>,
    approved: Approved,
}

/// What the handles see of it.
#[derive(Clone)]
pub(super) struct BookView {
    pub(super) contacts: watch::Receiver<Arc<Contacts>>,
    settled: watch::Receiver<u64>,
    approved: Approved,
}

/// Who may see when the person is there as soon as they ask for it. Many servers do not remember that (RFC 6121 §3.4).
#[derive(Clone, Default)]
struct Approved(Arc<Mutex<BTreeSet<BareJid>>>);

impl Approved {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<BareJid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // no step leaves it half changed
    }
}

impl Book {
    /// Begins with what is remembered.
    pub(super) fn new(remembered: &Standing) -> (Self, BookView) {
        let (contacts, seen) = watch::channel(Arc::clone(&remembered.contacts));
        let (settled, is_settled) = watch::channel(0);
        let approved = Approved(Arc::new(Mutex::new(remembered.approved.clone())));
        let view = BookView { contacts: seen, settled: is_settled, approved: approved.clone() };
        (Self { contacts, settled, approved }, view)
    }

    /// The answer to somebody who asks to see when the person is there, if the person has said so already. Whoever else asks hears nothing.
    pub(super) fn approval(&self, asked: &Presence) -> Option<Presence> {
        let asker = asked.from.as_ref().filter(|_| asked.kind == PresenceKind::Subscribe)?.bare();
        let is_approved = self.approved.lock().contains(&asker);
        is_approved.then(|| Presence::new(PresenceKind::Subscribed, Some(asker.into())))
    }

    /// What the server is asked right after login.
    pub(super) fn question() -> Ask {
        Ask::Get(Roster::default().write())
    }

    /// What it answered in a session; where that is no roster, what is remembered goes on to hold.
    pub(super) fn answered(&self, session: u64, answer: Result<Option<Element>, RequestError>) {
        match answer.ok().flatten().map(|element| Roster::read(&element)) {
            Some(Ok(roster)) => {
                let contacts = Contacts::from_items(roster.items);
                self.contacts.send_if_modified(|known| {
                    let is_new = **known != contacts;
                    *known = Arc::new(contacts);
                    is_new
                });
            }
            Some(Err(_)) | None => tracing::info!("the server gives no roster"),
        }
        self.settled.send_replace(session);
    }

    /// A change that the server pushes; only its own are handed in here.
    pub(super) fn pushed(&self, kind: &IqKind) {
        let IqKind::Set(payload) = kind else { return };
        let Ok(roster) = Roster::read(payload) else { return };
        self.contacts.send_modify(|known| roster.items.into_iter().for_each(|item| Arc::make_mut(known).apply(item)));
    }
}

/// Writes every change into the store, until the connection's task is gone.
pub(super) async fn keep(store: Store, account: BareJid, mut contacts: watch::Receiver<Arc<Contacts>>) {
    while contacts.changed().await.is_ok() {
        let (store, account, known) = (store.clone(), account.clone(), Arc::clone(&contacts.borrow_and_update()));
        if let Err(error) = blocking(move || standing::remember_contacts(&store, &account, &known)).await {
            tracing::warn!(%error, "the contacts could not be remembered");
        }
    }
}

impl Account {
    /// Remembers the contacts as they are now: the task that does so may not come to it any more.
    pub(super) async fn remember_contacts(&self) {
        let (store, account, known) = (self.store().clone(), self.jid().clone(), Arc::clone(&self.inner.book.contacts.borrow()));
        if let Err(error) = blocking(move || standing::remember_contacts(&store, &account, &known)).await {
            tracing::warn!(%error, "the contacts could not be remembered");
        }
    }

    /// Whom the person knows: as the server said on this connection, else as it said last. Waits a while for a roster that is on
    /// its way. Safe to drop.
    pub async fn contacts(&self) -> Arc<Contacts> {
        if let Ok(online) = self.online().await {
            let mut settled = self.inner.book.settled.clone();
            // A server that says nothing in time leaves us with what is remembered.
            let _ = timeout(ANSWER, settled.wait_for(|session| *session >= online.session)).await;
        }
        Arc::clone(&self.inner.book.contacts.borrow())
    }

    /// The roster as the server has it just now. Safe to drop.
    ///
    /// # Errors
    /// See [`ContactError`].
    pub async fn roster(&self) -> Result<Vec<RosterItem>, ContactError> {
        let answer = self.request(None, Book::question(), ANSWER).await?.ok_or(ContactError::NoRoster)?;
        Ok(Roster::read(&answer).map_err(|_| ContactError::NoRoster)?.items)
    }

    /// Puts somebody into the roster, or into further groups of it; a name replaces the old one. With `mutual` they are asked to show
    /// when they are there, and may see when the person is: they learn of it. Dropping the future may or may not do it.
    ///
    /// # Errors
    /// See [`ContactError`].
    pub async fn add_contact(&self, jid: &BareJid, name: Option<String>, groups: Vec<String>, mutual: bool) -> Result<(), ContactError> {
        let known = self.roster().await?.into_iter().find(|item| item.jid.bare() == *jid);
        let mut item = known.unwrap_or_else(|| RosterItem::new(jid.clone().into()));
        item.name = name.or(item.name);
        for group in groups {
            if !item.groups.contains(&group) {
                item.groups.push(group);
            }
        }
        let is_seen = (item.subscription.user_sees_contact(), item.subscription.contact_sees_user());
        self.change_roster(item).await?;
        if mutual {
            self.approve(jid, true).await;
        }
        for (is_so, kind) in [(is_seen.0, PresenceKind::Subscribe), (is_seen.1, PresenceKind::Subscribed)] {
            if mutual && !is_so {
                self.send(Presence { to: Some(jid.clone().into()), kind, ..Presence::default() }).await?;
            }
        }
        Ok(())
    }

    /// Takes somebody out of the roster; neither sees any more when the other is there. `false` if they were not in it. Dropping the
    /// future may or may not do it.
    ///
    /// # Errors
    /// See [`ContactError`].
    pub async fn remove_contact(&self, jid: &BareJid) -> Result<bool, ContactError> {
        let known = self.roster().await?.into_iter().find(|item| item.jid.bare() == *jid);
        let Some(item) = known else { return Ok(false) };
        self.approve(jid, false).await;
        self.change_roster(RosterItem { subscription: Subscription::Remove, ..RosterItem::new(item.jid) }).await?;
        Ok(true)
    }

    /// Remembers whether somebody may see when the person is there, whenever they ask for it.
    async fn approve(&self, jid: &BareJid, may_see: bool) {
        let approved = {
            let mut approved = self.inner.book.approved.lock();
            let is_new = if may_see { approved.insert(jid.clone()) } else { approved.remove(jid) };
            is_new.then(|| approved.clone())
        };
        let Some(approved) = approved else { return };
        let (store, account) = (self.store().clone(), self.jid().clone());
        if let Err(error) = blocking(move || standing::remember_approved(&store, &account, &approved)).await {
            tracing::warn!(%error, "who may see when the person is there could not be remembered");
        }
    }

    /// Changes one item, and waits until what is decided here knows of it.
    async fn change_roster(&self, item: RosterItem) -> Result<(), ContactError> {
        let (jid, is_removed) = (item.jid.bare(), item.subscription == Subscription::Remove);
        let groups = item.groups.clone();
        let change = Ask::Set(Roster { items: vec![item], ..Roster::default() }.write());
        self.request(None, change, ANSWER).await?;
        let mut contacts = self.inner.book.contacts.clone();
        let is_told = |known: &Arc<Contacts>| match known.groups(&jid) {
            Some(told) => !is_removed && told == groups,
            None => is_removed,
        };
        // A server that pushes nothing has done it all the same; the next roster says so.
        let _ = timeout(PUSH, contacts.wait_for(is_told)).await;
        Ok(())
    }
}

/// Why the roster could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContactError {
    /// The server did not answer, or refused.
    #[error("the server did not take it: {0}")]
    Request(#[from] RequestError),
    /// The server answered with something else than a roster.
    #[error("the server gives no list of contacts")]
    NoRoster,
    /// The contact could not be told.
    #[error("the contact could not be asked: {0}")]
    Send(#[from] SendError),
}

impl ContactError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::Request(RequestError::Refused { .. } | RequestError::TooLarge { .. }) | Self::NoRoster => Class::Server,
            Self::Request(RequestError::TimedOut) => Class::Timeout,
            Self::Request(_) | Self::Send(_) => Class::Network,
        }
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::Jid;

    use super::*;

    #[test]
    fn only_who_was_let_see_before_they_asked_is_let_see_when_they_ask() {
        let store = Store::in_memory().unwrap();
        let account = "romeo@montague.example".parse().unwrap();
        let nurse: BareJid = "nurse@capulet.example".parse().unwrap();
        standing::remember_approved(&store, &account, &BTreeSet::from([nurse.clone()])).unwrap();
        let (book, view) = Book::new(&Standing::remembered(&store, &account).unwrap());
        let asks = |from: &str, kind| Presence { from: Some(Jid::parse(from).unwrap()), ..Presence::new(kind, None) };

        let answer = book.approval(&asks("nurse@capulet.example", PresenceKind::Subscribe)).unwrap();
        assert_eq!((answer.kind, answer.to), (PresenceKind::Subscribed, Some(nurse.clone().into())));
        assert!(book.approval(&asks("nurse@capulet.example", PresenceKind::Available)).is_none());
        assert!(book.approval(&asks("tybalt@capulet.example", PresenceKind::Subscribe)).is_none());
        view.approved.lock().remove(&nurse);
        assert!(book.approval(&asks("nurse@capulet.example", PresenceKind::Subscribe)).is_none(), "it was taken back");
    }
}
