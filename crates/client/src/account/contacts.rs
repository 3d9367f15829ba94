//! Whom the person knows: the roster, asked for right after each login and changed by what the server pushes, remembered for the
//! time offline.
//!
//! RFC 6121 §2, §3

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use balcony_session::client::{Ask, SendError};
use balcony_session::iq_table::RequestError;
use balcony_sharing::plan::Contacts;
use balcony_store::Store;
use balcony_wire::roster::{Roster, RosterItem, Subscription};
use balcony_wire::stanza::{Presence, PresenceKind};
use balcony_wire::{BareJid, Element, IqKind, Jid, Payload as _};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::Account;
use crate::blocking::blocking;
use crate::direct::Courier;
use crate::error::Class;
use crate::fetch::standing;

/// How long the server may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// Contacts who ask to see when the person is there, and were not looked at yet.
const ASKING: usize = 16;
/// People who asked and were told nothing, as far as they are named.
const NAMED: usize = 100;
/// How long the push of a change may take after the answer to it.
const PUSH: Duration = Duration::from_secs(2);

/// The contacts as the connection's task keeps them.
pub(super) struct Book {
    contacts: watch::Sender<Arc<Contacts>>,
    /// The last session whose roster came, or did not come in time.
    settled: watch::Sender<u64>,
}

/// What the handles see of it.
#[derive(Clone)]
pub(super) struct BookView {
    pub(super) contacts: watch::Receiver<Arc<Contacts>>,
    settled: watch::Receiver<u64>,
}

impl Book {
    /// Begins with what is remembered.
    pub(super) fn new(remembered: Arc<Contacts>) -> (Self, BookView) {
        let (contacts, seen) = watch::channel(remembered);
        let (settled, is_settled) = watch::channel(0);
        (Self { contacts, settled }, BookView { contacts: seen, settled: is_settled })
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
        let known = Arc::clone(&contacts.borrow_and_update());
        remember(&store, &account, Arc::clone(&known)).await;
        // An approval is used up by whoever sees us now, and over for whoever is no contact any more, whichever program did that.
        let still = move |approved: &mut BTreeSet<BareJid>| approved.retain(|jid| known.groups(jid).is_some() && !known.sees_us(jid));
        change_approved(&store, &account, still).await;
    }
}

async fn remember(store: &Store, account: &BareJid, known: Arc<Contacts>) {
    let (store, account) = (store.clone(), account.clone());
    if let Err(error) = blocking(move || standing::remember_contacts(&store, &account, &known)).await {
        tracing::warn!(%error, "the contacts could not be remembered");
    }
}

async fn change_approved(store: &Store, account: &BareJid, change: impl FnOnce(&mut BTreeSet<BareJid>) + Send + 'static) {
    let (store, account) = (store.clone(), account.clone());
    if let Err(error) = blocking(move || standing::change_approved(&store, &account, change)).await {
        tracing::warn!(%error, "who may see when the person is there could not be remembered");
    }
}

/// Answers contacts who ask to see when the person is there, if the person agreed to that when they added them: many servers do not remember
/// it (RFC 6121 §3.4). Whoever else asks hears nothing, and is named to the person.
#[derive(Clone)]
pub(super) struct Approver {
    asked: mpsc::Sender<BareJid>,
    contacts: watch::Receiver<Arc<Contacts>>,
    unanswered: watch::Sender<Vec<BareJid>>,
}

impl Approver {
    pub(super) fn start(store: Store, account: BareJid, courier: Courier, contacts: watch::Receiver<Arc<Contacts>>) -> Self {
        let (asked, mut asking) = mpsc::channel(ASKING);
        let unanswered = watch::Sender::new(Vec::new());
        let approver = Self { asked, contacts: contacts.clone(), unanswered: unanswered.clone() };
        tokio::spawn(async move {
            while let Some(asker) = asking.recv().await {
                let (store, account) = (store.clone(), account.clone());
                let approved = blocking(move || standing::approved(&store, &account)).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "whom the person lets see when they are there cannot be read: nobody who asks is answered");
                    BTreeSet::new()
                });
                if approved.contains(&asker) {
                    // Where this is lost, the server asks again at the next login.
                    let _ = courier.say(Presence::new(PresenceKind::Subscribed, Some(asker.into()))).await;
                } else if !contacts.borrow().sees_us(&asker) {
                    name(&unanswered, asker);
                }
            }
        });
        approver
    }

    /// Who asked in vain since the account was connected, each once.
    pub(super) fn unanswered(&self) -> watch::Receiver<Vec<BareJid>> {
        self.unanswered.subscribe()
    }

    pub(super) fn hear(&self, presence: &Presence) {
        let Some(asker) = presence.from.as_ref().filter(|_| presence.kind == PresenceKind::Subscribe).map(Jid::bare) else { return };
        if self.contacts.borrow().groups(&asker).is_some() {
            let _ = self.asked.try_send(asker); // who asks more often than can be answered is asked for again
        } else {
            name(&self.unanswered, asker);
        }
    }
}

fn name(unanswered: &watch::Sender<Vec<BareJid>>, asker: BareJid) {
    unanswered.send_if_modified(|named| {
        let is_new = named.len() < NAMED && !named.contains(&asker);
        named.extend(is_new.then_some(asker));
        is_new
    });
}

impl Account {
    /// Remembers the contacts as they are now: the task that does so may not come to it any more.
    pub(super) async fn remember_contacts(&self) {
        let known = Arc::clone(&self.inner.book.contacts.borrow());
        remember(self.store(), self.jid(), known).await;
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

    /// Who asked since the account was connected to see when the person is there, and was not let see before: each once, the first
    /// hundred. They hear nothing until [`Account::add_contact`]; the server tells of them again at the next login.
    pub fn unanswered(&self) -> watch::Receiver<Vec<BareJid>> {
        self.inner.unanswered.clone()
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
        self.approve(jid, mutual && !is_seen.1).await;
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
        self.approve(jid, false).await;
        let known = self.roster().await?.into_iter().find(|item| item.jid.bare() == *jid);
        let Some(item) = known else { return Ok(false) };
        self.change_roster(RosterItem { subscription: Subscription::Remove, ..RosterItem::new(item.jid) }).await?;
        Ok(true)
    }

    /// Remembers whether somebody may see when the person is there as soon as they ask for it.
    async fn approve(&self, jid: &BareJid, may_see: bool) {
        let jid = jid.clone();
        let change = move |approved: &mut BTreeSet<BareJid>| {
            let _ = if may_see { approved.insert(jid) } else { approved.remove(&jid) };
        };
        change_approved(self.store(), self.jid(), change).await;
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
    use balcony_wire::Stanza;
    use balcony_wire::roster::RosterItem;

    use super::*;
    use crate::account::state::Command;

    fn jid(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    fn asks(from: &str) -> Presence {
        Presence { from: Some(Jid::parse(from).unwrap()), ..Presence::new(PresenceKind::Subscribe, None) }
    }

    #[tokio::test]
    async fn only_contacts_who_were_let_see_before_they_asked_are_let_see_when_they_ask() {
        let (store, account) = (Store::in_memory().unwrap(), jid("romeo@montague.example"));
        let approved = ["nurse@capulet.example", "paris@capulet.example"].map(jid);
        standing::change_approved(&store, &account, |set| set.extend(approved)).unwrap();
        let items = ["nurse@capulet.example", "tybalt@capulet.example"].map(|jid| RosterItem::new(Jid::parse(jid).unwrap()));
        let (_known, contacts) = watch::channel(Arc::new(Contacts::from_items(items)));
        let (commands, mut said) = mpsc::channel(8);
        let approver = Approver::start(store.clone(), account.clone(), Courier::new(commands.downgrade()), contacts);
        let mut unanswered = approver.unanswered();
        // Paris is no contact any more, Tybalt never was let see.
        let asking = ["paris@capulet.example/balcony", "tybalt@capulet.example", "nurse@capulet.example"];
        for from in asking.into_iter().chain(asking) {
            approver.hear(&asks(from));
        }
        let Some(Command::Send { stanza, .. }) = said.recv().await else { panic!("nothing is said") };
        let Stanza::Presence(answer) = *stanza else { panic!("no presence") };
        assert_eq!((answer.kind, answer.to), (PresenceKind::Subscribed, Some(jid("nurse@capulet.example").into())));
        assert_eq!(*unanswered.borrow_and_update(), ["paris@capulet.example", "tybalt@capulet.example"].map(jid));
        // A flood is bounded.
        for guest in 0..2 * NAMED {
            approver.hear(&asks(&format!("guest{guest}@evil.example")));
        }
        assert_eq!(unanswered.borrow_and_update().len(), NAMED);
    }

    #[test]
    fn what_was_agreed_to_is_remembered_and_taken_back() {
        let (store, account) = (Store::in_memory().unwrap(), jid("romeo@montague.example"));
        let nurse = jid("nurse@capulet.example");
        for _ in 0..2 {
            standing::change_approved(&store, &account, |set| set.extend([nurse.clone()])).unwrap();
        }
        assert_eq!(standing::approved(&store, &account).unwrap(), BTreeSet::from([nurse.clone()]));
        assert_eq!(standing::approved(&store, &jid("juliet@capulet.example")).unwrap(), BTreeSet::new());
        standing::change_approved(&store, &account, |set| set.clear()).unwrap();
        assert_eq!(standing::approved(&store, &account).unwrap(), BTreeSet::new());
    }
}
