//! From device to device: sessions in which files go straight to those who want them, by whatever way for the bytes both sides find.
//!
//! [`Direct`] is the door for whoever fetches; `account.send_direct` is the one for whoever gives. What comes from others goes through
//! the [`Switchboard`] to the [`task`] of its session, or to the [`reception`]. The opinions are in `balcony_sharing::transfer::jingle`.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>

mod body;
mod courier;
mod desk;
mod error;
pub(crate) mod give;
mod proposing;
pub(crate) mod publish;
mod pump;
mod reading;
mod reception;
mod sending;
mod si;
pub(crate) mod switchboard;
mod task;

pub(crate) use body::{Body, Came};
pub(crate) use courier::Courier;
pub(crate) use desk::Desk;
pub use error::{DirectError, Stage};
pub use sending::{DirectEvent, DirectFile, DirectProgress, DirectSending, DirectShare, SentDirectly};
pub(crate) use switchboard::{InBand, InBandMail, Key, Switchboard};

use std::sync::{Arc, Mutex};

use balcony_sharing::plan::Devices;
use balcony_sharing::transfer::OpenSession;
use balcony_wire::{FullJid, Jid};
use tokio::sync::{Semaphore, broadcast, oneshot, watch};

use crate::account::Connection;
use crate::account::door::Door;
use crate::account::sight::Sight;
use crate::bits::HandOut;
use crate::net::network::Network;
use crate::offers::{self, CataloguedOffer};
use crate::streams::Proxies;
use desk::Order;
use give::Giver;
use publish::Expected;
use reception::Shelf;

/// Which way the bytes of a file took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WayTaken {
    /// From one device to the other; each saw the other's address.
    Direct,
    /// Through a proxy, which saw the bytes and both addresses.
    Proxy(Jid),
    /// In stanzas, through the servers of both.
    InBand,
}

impl WayTaken {
    /// Fits behind "the file went".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Direct => "straight from device to device".to_owned(),
            Self::Proxy(proxy) => format!("through the proxy {proxy}"),
            Self::InBand => "in band, through the servers".to_owned(),
        }
    }

    /// One word, for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Proxy(_) => "proxy",
            Self::InBand => "in-band",
        }
    }
}

/// How giving a file goes.
#[derive(Debug)]
pub(crate) enum GiveEvent {
    /// The other side takes it; a way for the bytes is looked for.
    Accepted,
    /// The first way did not work.
    FellBack {
        why: String,
    },
    /// Bytes begin to flow. It can come again, where one way takes the place of another.
    Begins {
        way: WayTaken,
        address_shown: bool,
        from_byte: u64,
    },
    Sent {
        to_byte: u64,
    },
    /// The end; the last one. `Ok`: the other side says that it has it.
    Ended(Result<(), DirectError>),
}

/// The door to sessions, for whoever wants bytes. Cheap to clone; holds no handle of the account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Direct {
    desk: Option<Arc<Desk>>,
}

/// What it takes to begin.
pub(crate) struct Setting {
    pub(crate) courier: Courier,
    pub(crate) network: Network,
    pub(crate) sight: Sight,
    pub(crate) devices: watch::Receiver<Arc<Devices>>,
    pub(crate) state: watch::Receiver<Connection>,
    pub(crate) giver: Giver,
    pub(crate) hand_out: HandOut,
    /// Where offers are kept.
    pub(crate) offers: offers::Desk,
    /// Whom to tell of them.
    pub(crate) news: broadcast::Sender<CataloguedOffer>,
    pub(crate) loopback: bool,
}

impl Direct {
    /// For whoever works without an account: nobody can be asked.
    pub(crate) fn offline() -> Self {
        Self::default()
    }

    /// Begins to take what comes. Must be called within a tokio runtime.
    pub(crate) fn start(setting: Setting) -> (Self, Switchboard, Door) {
        let Setting { courier, network, sight, devices, state, giver, hand_out, offers, news, loopback } = setting;
        let (expected, back) = Expected::new();
        let (switchboard, arrivals) = Switchboard::new(sight, expected.clone());
        let door = Door::new(offers.account.clone(), hand_out, switchboard.clone());
        let desk = Arc::new(Desk {
            proxies: Proxies::new(courier.clone(), Jid::from(offers.account.domain_jid()), state.clone()),
            courier,
            switchboard: switchboard.clone(),
            door: door.clone(),
            store: offers.store.clone(),
            network,
            devices,
            giver,
            expected,
            state,
            loopback,
            older: si::Older::default(),
            budget: Arc::new(Semaphore::new(desk::BUDGET)),
            orders: Mutex::default(),
        });
        tokio::spawn(reception::run(Arc::clone(&desk), Shelf { desk: offers, news }, arrivals, back));
        (Self { desk: Some(desk) }, switchboard, door)
    }

    /// What sessions share; `None` without an account.
    pub(crate) fn desk(&self) -> Option<&Arc<Desk>> {
        self.desk.as_ref()
    }

    /// Opens a session, or goes on with one that waits, until its bytes begin. Dropping the future ends the session.
    ///
    /// Shows the device that we are there, and with [`balcony_sharing::transfer::Reach::Direct`] our addresses.
    pub(crate) async fn open(&self, open: OpenSession) -> Result<Body, DirectError> {
        self.desk.as_ref().ok_or(DirectError::Offline)?.open(open).await
    }

    /// Whether a session is still there.
    pub(crate) fn is_waiting(&self, peer: &Jid, sid: &str) -> bool {
        let key = |peer: FullJid| Key { peer, sid: sid.to_owned() };
        self.desk.as_ref().zip(peer.clone().into_full().ok()).is_some_and(|(desk, peer)| desk.orders_of(&key(peer)).is_some())
    }

    /// Says no to a file of a session, if it is still there.
    pub(crate) async fn refuse(&self, peer: &Jid, sid: &str, content: &str) {
        self.order(peer, sid, Order::Refuse { content: content.to_owned() }).await;
    }

    /// Says that a file of a session is here already, if the session is still there.
    pub(crate) async fn have(&self, peer: &Jid, sid: &str, content: &str) {
        self.order(peer, sid, Order::Have { content: content.to_owned() }).await;
    }

    async fn order(&self, peer: &Jid, sid: &str, order: Order) {
        let Some((desk, peer)) = self.desk.as_ref().zip(peer.clone().into_full().ok()) else { return };
        let Some(orders) = desk.orders_of(&Key { peer, sid: sid.to_owned() }) else { return };
        let _ = orders.send(order).await; // it is over
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
