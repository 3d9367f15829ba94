//! From device to device: sessions in which files go straight to those who want them, by whatever way for the bytes both sides find.
//!
//! [`Direct`] is the door for whoever fetches; `account.send_direct` is the one for whoever gives. What comes from others goes through
//! the [`Switchboard`] to the task of its session. The opinions are in `balcony_sharing::transfer::jingle`.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>

mod body;
mod courier;
mod error;
mod reading;
mod reception;
pub(crate) mod switchboard;

pub(crate) use body::Body;
pub(crate) use courier::Courier;
pub use error::{DirectError, Stage};
#[allow(unused_imports)] // streams take them
pub(crate) use switchboard::{InBand, InBandMail, Key, Switchboard};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use balcony_sharing::plan::Contacts;
use balcony_sharing::transfer::{OpenSession, Reach, SessionWay};
use balcony_store::Store;
use balcony_wire::{BareJid, FullJid, Jid};
use tokio::sync::{mpsc, oneshot, watch};

use crate::account::Connection;
use crate::net::network::Network;

/// Which way the bytes of a file took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WayTaken {
    /// From one device to the other; each saw the other's address.
    Straight,
    /// Through a proxy, which saw the bytes and both addresses.
    Proxy(Jid),
    /// In stanzas, through the servers of both.
    InBand,
}

impl WayTaken {
    /// Fits behind "the file came".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Straight => "straight from device to device".to_owned(),
            Self::Proxy(proxy) => format!("through the proxy {proxy}"),
            Self::InBand => "in band, through the servers".to_owned(),
        }
    }

    /// One word, for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Straight => "straight",
            Self::Proxy(_) => "proxy",
            Self::InBand => "in-band",
        }
    }
}

/// The door to sessions, for whoever wants bytes. Cheap to clone; holds no handle of the account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Direct {
    desk: Option<Arc<Desk>>,
}

/// What sessions of an account share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) courier: Courier,
    pub(crate) switchboard: Switchboard,
    pub(crate) store: Store,
    pub(crate) network: Network,
    pub(crate) account: BareJid,
    pub(crate) contacts: watch::Receiver<Arc<Contacts>>,
    /// How the connection is, and who we are.
    pub(crate) state: watch::Receiver<Connection>,
    /// A test on one machine: its own address is offered and dialled.
    pub(crate) loopback: bool,
    /// Where each session under way takes orders.
    orders: Mutex<HashMap<Key, mpsc::Sender<Order>>>,
}

/// What it takes to begin.
pub(crate) struct Setting {
    pub(crate) courier: Courier,
    pub(crate) store: Store,
    pub(crate) network: Network,
    pub(crate) account: BareJid,
    pub(crate) contacts: watch::Receiver<Arc<Contacts>>,
    pub(crate) state: watch::Receiver<Connection>,
    pub(crate) loopback: bool,
}

/// What the person, or whoever fetches for them, wants of a session.
#[derive(Debug)]
pub(crate) enum Order {
    /// Give this file from this byte on.
    Take { content: String, from_byte: u64, reach: Reach, body: oneshot::Sender<Result<Body, DirectError>> },
    /// The person does not want it.
    Refuse { content: String },
    /// We leave; say when the other side was told.
    Leave { said: oneshot::Sender<()> },
}

impl Direct {
    /// For whoever works without an account: nobody can be asked.
    pub(crate) fn offline() -> Self {
        Self::default()
    }

    /// Begins to take what comes. Must be called within a tokio runtime.
    pub(crate) fn start(setting: Setting) -> (Self, Switchboard) {
        let Setting { courier, store, network, account, contacts, state, loopback } = setting;
        let (switchboard, arrivals) = Switchboard::new();
        let (orders, table) = (Mutex::default(), switchboard.clone());
        let desk = Arc::new(Desk { courier, switchboard, store, network, account, contacts, state, loopback, orders });
        tokio::spawn(reception::run(Arc::clone(&desk), arrivals));
        (Self { desk: Some(desk) }, table)
    }

    /// Opens a session, or goes on with one that waits, until its bytes begin. Dropping the future ends the session.
    ///
    /// Shows the device that we are there, and with [`Reach::Direct`] our addresses.
    pub(crate) async fn open(&self, open: OpenSession) -> Result<Body, DirectError> {
        let desk = self.desk.as_ref().ok_or(DirectError::Offline)?;
        let peer = open.peer.clone().into_full().map_err(|_| DirectError::NoDevice { jid: open.peer.clone() })?;
        match &open.way {
            SessionWay::Offered { sid, content } => {
                let orders = desk.orders_of(&Key { peer, sid: sid.clone() });
                let (body, comes) = oneshot::channel();
                let order = Order::Take { content: content.clone(), from_byte: open.from_byte, reach: open.reach, body };
                let over = || DirectError::Over { peer: open.peer.clone() };
                orders.ok_or_else(over)?.send(order).await.map_err(|_| over())?;
                comes.await.map_err(|_| over())?
            }
            SessionWay::Initiated { .. } | SessionWay::Published { .. } | SessionWay::ByHash => {
                Err(DirectError::NotAvailable { peer: open.peer })
            }
        }
    }

    /// Whether a session is still there.
    pub(crate) fn is_waiting(&self, peer: &Jid, sid: &str) -> bool {
        let key = |peer: FullJid| Key { peer, sid: sid.to_owned() };
        self.desk.as_ref().zip(peer.clone().into_full().ok()).is_some_and(|(desk, peer)| desk.orders_of(&key(peer)).is_some())
    }

    /// Says no to a file of a session, if it is still there.
    pub(crate) async fn refuse(&self, peer: &Jid, sid: &str, content: &str) {
        let Some((desk, peer)) = self.desk.as_ref().zip(peer.clone().into_full().ok()) else { return };
        let Some(orders) = desk.orders_of(&Key { peer, sid: sid.to_owned() }) else { return };
        let _ = orders.send(Order::Refuse { content: content.to_owned() }).await; // it is over: as good as refused
    }

    /// Ends every session, and returns when all the others were told.
    pub(crate) async fn leave(&self) {
        let Some(desk) = &self.desk else { return };
        let all: Vec<_> = desk.orders().values().cloned().collect();
        let mut waits = Vec::new();
        for orders in all {
            let (said, is_said) = oneshot::channel();
            if orders.send(Order::Leave { said }).await.is_ok() {
                waits.push(is_said);
            }
        }
        for is_said in waits {
            let _ = is_said.await; // over by itself
        }
    }
}

impl Desk {
    fn orders(&self) -> MutexGuard<'_, HashMap<Key, mpsc::Sender<Order>>> {
        // No step leaves it half changed.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn orders_of(&self, key: &Key) -> Option<mpsc::Sender<Order>> {
        self.orders().get(key).filter(|orders| !orders.is_closed()).cloned()
    }
}
