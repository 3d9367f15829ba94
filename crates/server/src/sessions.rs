//! Who is here: the sessions of all accounts, with what others need to know of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use balcony_session::server::Detached;
use balcony_wire::stream::error::StreamErrorCondition;
use balcony_wire::{BareJid, FullJid, Jid, Presence};
use tokio::sync::{mpsc, oneshot, watch};

use crate::connection::InFlight;
use crate::mailbox::{Inbox, Mailbox};

/// One session: a device that is connected, or was and may come back.
#[derive(Debug)]
pub(crate) struct Session {
    jid: FullJid,
    account: BareJid,
    mailbox: Mailbox,
    control: mpsc::UnboundedSender<Control>,
    standing: Mutex<Standing>,
    /// Turns true when everybody was told that it is over.
    over: watch::Sender<bool>,
}

/// What the session has told.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Its last broadcast presence; `None` while it is not available.
    pub(crate) presence: Option<Presence>,
    /// Since when messages to the bare address go to it.
    pub(crate) taking_since: Option<Instant>,
    /// It asked for the roster: pushes go to it.
    pub(crate) interested: bool,
    /// Addresses outside the roster that saw its presence.
    pub(crate) directed: BTreeSet<Jid>,
    /// Since when it has no connection.
    pub(crate) lost_since: Option<Instant>,
    /// SASL2's id of the installation.
    pub(crate) user_agent: Option<String>,
}

/// What a session is handed to another connection as.
#[derive(Debug)]
pub(crate) struct HandedOver {
    pub(crate) session: Arc<Session>,
    pub(crate) detached: Detached,
    pub(crate) inbox: Inbox,
    pub(crate) in_flight: InFlight,
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
}

/// What the task of a session is told by others.
#[derive(Debug)]
pub(crate) enum Control {
    /// End, for this reason.
    Close(StreamErrorCondition, &'static str),
    /// Give the session to another connection of the same client.
    TakeOver(oneshot::Sender<HandedOver>),
    /// Give this other session of the account what it missed. Only a lost session has anything to give.
    Share(Arc<Session>),
}

impl Standing {
    /// Takes a broadcast presence, or none. Says what it was before, and whether messages go to the session only from now on.
    pub(crate) fn become_present(&mut self, presence: Option<Presence>) -> (Option<Presence>, bool) {
        let takes = presence.as_ref().is_some_and(|presence| presence.priority() >= 0);
        let began = takes && self.taking_since.is_none();
        self.taking_since = if takes { self.taking_since.or_else(|| Some(Instant::now())) } else { None };
        (std::mem::replace(&mut self.presence, presence), began)
    }
}

impl Session {
    pub(crate) fn new(jid: FullJid, mailbox: Mailbox, control: mpsc::UnboundedSender<Control>, user_agent: Option<String>) -> Arc<Self> {
        let account = jid.bare();
        let standing = Mutex::new(Standing { user_agent, ..Standing::default() });
        Arc::new(Self { jid, account, mailbox, control, standing, over: watch::Sender::new(false) })
    }

    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    pub(crate) fn account(&self) -> &BareJid {
        &self.account
    }

    pub(crate) fn localpart(&self) -> &str {
        self.account.local().unwrap_or_default()
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Held shortly, never over an await.
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_available(&self) -> bool {
        self.standing().presence.is_some()
    }

    /// Whether messages to the bare address go to it.
    pub(crate) fn takes_messages(&self) -> bool {
        self.standing().taking_since.is_some()
    }

    /// Tells its task something; a task that has ended needs to be told nothing.
    pub(crate) fn tell(&self, control: Control) {
        let _ = self.control.send(control);
    }

    /// Says that the session is over and everybody knows.
    pub(crate) fn mark_over(&self) {
        self.over.send_replace(true);
    }

    /// Waits for that.
    pub(crate) async fn until_over(&self) {
        let mut over = self.over.subscribe();
        // The sender lives as long as `self`.
        let _ = over.wait_for(|over| *over).await;
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_account: RwLock<HashMap<BareJid, Vec<Arc<Session>>>>,
    by_resume_id: RwLock<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    fn accounts(&self) -> RwLockReadGuard<'_, HashMap<BareJid, Vec<Arc<Session>>>> {
        self.by_account.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn accounts_mut(&self) -> RwLockWriteGuard<'_, HashMap<BareJid, Vec<Arc<Session>>>> {
        self.by_account.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session unless its address is taken or the account has `most` already.
    pub(crate) fn add(&self, session: &Arc<Session>, most: usize) -> Result<(), NotAdded> {
        let mut accounts = self.accounts_mut();
        let sessions = accounts.entry(session.account.clone()).or_default();
        if let Some(other) = sessions.iter().find(|other| other.jid == session.jid) {
            return Err(NotAdded::Taken(other.clone()));
        }
        if sessions.len() >= most {
            return Err(NotAdded::TooMany);
        }
        sessions.push(session.clone());
        Ok(())
    }

    /// Takes a session out; another one of the same address stays.
    pub(crate) fn remove(&self, session: &Arc<Session>) {
        let mut accounts = self.accounts_mut();
        if let Some(sessions) = accounts.get_mut(&session.account) {
            sessions.retain(|other| !Arc::ptr_eq(other, session));
            if sessions.is_empty() {
                accounts.remove(&session.account);
            }
        }
        drop(accounts);
        self.by_resume_id.write().unwrap_or_else(PoisonError::into_inner).retain(|_, other| !Arc::ptr_eq(other, session));
    }

    /// All sessions of an account.
    pub(crate) fn of(&self, account: &BareJid) -> Vec<Arc<Session>> {
        self.accounts().get(account).cloned().unwrap_or_default()
    }

    /// The session of an account that was lost before all others.
    pub(crate) fn lost_longest(&self, account: &BareJid) -> Option<Arc<Session>> {
        let since = |session: &Arc<Session>| session.standing().lost_since;
        self.of(account).into_iter().filter(|session| since(session).is_some()).min_by_key(since)
    }

    /// The session of a full address.
    pub(crate) fn find(&self, jid: &Jid) -> Option<Arc<Session>> {
        let account = jid.bare();
        self.accounts().get(&account)?.iter().find(|session| **session.jid() == *jid).cloned()
    }

    /// Everybody.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.accounts().values().flatten().cloned().collect()
    }

    /// The client may come back under this id.
    pub(crate) fn make_resumable(&self, id: String, session: &Arc<Session>) {
        let mut ids = self.by_resume_id.write().unwrap_or_else(PoisonError::into_inner);
        ids.retain(|_, other| !Arc::ptr_eq(other, session));
        ids.insert(id, session.clone());
    }

    /// The session of a resumption id, of that account only.
    pub(crate) fn resumable(&self, id: &str, account: &BareJid) -> Option<Arc<Session>> {
        let ids = self.by_resume_id.read().unwrap_or_else(PoisonError::into_inner);
        ids.get(id).filter(|session| session.account == *account).cloned()
    }
}

/// Why a session was not added.
#[derive(Debug)]
pub(crate) enum NotAdded {
    /// That one has the address.
    Taken(Arc<Session>),
    /// The account has enough.
    TooMany,
}
