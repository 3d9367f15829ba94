//! Whom the person knows: the roster, asked for right after each login and changed by what the server pushes, remembered for the
//! time offline.
//!
//! RFC 6121 §2, §3

use std::sync::Arc;
use std::time::Duration;

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::plan::Contacts;
use balcony_store::Store;
use balcony_wire::roster::Roster;
use balcony_wire::{BareJid, Element, IqKind, Payload as _};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Account;
use crate::blocking::blocking;
use crate::fetch::standing;

/// How long the server may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

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
        let (store, account, known) = (store.clone(), account.clone(), Arc::clone(&contacts.borrow_and_update()));
        if let Err(error) = blocking(move || standing::remember_contacts(&store, &account, &known)).await {
            tracing::warn!(%error, "the contacts could not be remembered");
        }
    }
}

impl Account {
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
}
