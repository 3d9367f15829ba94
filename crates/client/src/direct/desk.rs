//! What the sessions of an account share, and how each way to begin one leads to its task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use balcony_sharing::plan::{Abilities, Devices};
use balcony_sharing::transfer::bytestream::addresses::Company;
use balcony_sharing::transfer::jingle::{Between, Direction, Means, Session, Settings, Terms};
use balcony_sharing::transfer::{OpenSession, Patience, Reach, SessionWay};
use balcony_store::Store;
use balcony_wire::hashes::HashAlgo;
use balcony_wire::jingle::Jingle;
use balcony_wire::jingle_file::{FileRange, JingleFile, Version};
use balcony_wire::{BareJid, FullJid, Iq, IqKind, Payload as _};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::body::{Body, Feed, promise};
use super::give::{Gift, Giver};
use super::publish::{Expected, random_id};
use super::si::Older;
use super::switchboard::{Held, Key, Switchboard};
use super::task::{Beginning, Giving, Task};
use super::{Courier, DirectError, GiveEvent, Stage};
use crate::account::Connection;
use crate::account::door::Door;
use crate::account::sight::View;
use crate::net::network::Network;
use crate::streams::{self, Proxies, Sockets, Surroundings};

/// How long a device may take to acknowledge a request: one that is gone, and whose server does not know yet, holds up whatever comes
/// after it.
const ANSWER: Duration = Duration::from_secs(12);
/// The same for its first word, where others are left to be asked.
const FIRST_WORD: Duration = Duration::from_secs(3);
/// How long a session that was named may take to begin.
const BEGINS: Duration = Duration::from_secs(30);
/// Orders that may wait for a session.
const ORDERS: usize = 8;

/// Bytes that may have come and not be written yet: more only takes memory.
pub(super) const BUDGET: usize = 16 << 20;

/// What sessions of an account share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) courier: Courier,
    pub(crate) switchboard: Switchboard,
    pub(super) door: Door,
    pub(crate) store: Store,
    pub(crate) network: Network,
    pub(crate) devices: watch::Receiver<Arc<Devices>>,
    pub(crate) giver: Giver,
    pub(crate) expected: Expected,
    /// Of the account's server.
    pub(crate) proxies: Proxies,
    /// How the connection is, and who we are.
    pub(crate) state: watch::Receiver<Connection>,
    /// A test on one machine: its own address is offered and dialled.
    pub(crate) loopback: bool,
    /// Which streams may be opened towards us by a list of hosts.
    pub(super) older: Older,
    /// Bytes that came and wait for the disk, of all transfers together.
    pub(super) budget: Arc<Semaphore>,
    /// Where each session under way takes orders.
    pub(super) orders: Mutex<HashMap<Key, mpsc::Sender<Order>>>,
}

/// What the person, or whoever fetches for them, wants of a session.
pub(super) enum Order {
    /// Give this file from this byte on.
    Take { content: Option<String>, from_byte: u64, reach: Reach, feed: Feed },
    /// The person does not want it.
    Refuse { content: String },
    /// The file is here: from elsewhere, or from an earlier time.
    Have { content: String },
    /// We leave; say when the other side was told.
    Leave { said: oneshot::Sender<()> },
}

impl Desk {
    /// Opens a session, or goes on with one that waits, until its bytes begin. Dropping the future ends the session.
    pub(super) async fn open(self: &Arc<Self>, open: OpenSession) -> Result<Body, DirectError> {
        let peer = open.peer.clone().into_full().map_err(|_| DirectError::NoDevice { jid: open.peer.clone() })?;
        match open.way.clone() {
            SessionWay::Offered { sid, content } => self.take_offered(Key { peer, sid }, Some(content), &open).await,
            SessionWay::Published { id } => self.take_published(peer, &id, &open).await,
            SessionWay::ByHash => self.ask(peer, &open).await,
            SessionWay::Initiated { sid } => self.take_offered(Key { peer, sid }, None, &open).await,
        }
    }

    /// Says yes to what was offered.
    async fn take_offered(&self, key: Key, content: Option<String>, open: &OpenSession) -> Result<Body, DirectError> {
        let over = || DirectError::Over { peer: open.peer.clone() };
        let orders = self.orders_of(&key).ok_or_else(over)?;
        let (promise, feed) = promise();
        let order = Order::Take { content, from_byte: open.from_byte, reach: open.reach, feed };
        orders.send(order).await.map_err(|_| over())?;
        promise.body().await
    }

    /// Asks a device to start what it published, and takes that.
    async fn take_published(self: &Arc<Self>, peer: FullJid, id: &str, open: &OpenSession) -> Result<Body, DirectError> {
        let mut coming = self.expected.ask(&self.courier, &peer, id, (open.patience == Patience::Short).then_some(FIRST_WORD)).await?;
        let key = Key { peer, sid: coming.sid().to_owned() };
        let silent = || DirectError::Silent { peer: open.peer.clone(), stage: Stage::Asking };
        let request = match timeout(BEGINS, coming.begins()).await.map_err(|_| silent())? {
            Ok(request) => request,
            Err(answer) => {
                self.courier.answer(answer).await;
                let what = "it started a session that is not about files".to_owned();
                return Err(DirectError::Rules { peer: open.peer.clone(), what });
            }
        };
        match self.incoming(&key, &request, None) {
            Ok(beginning) => {
                self.courier.answer(request.result(None)).await;
                Task::spawn(self, key.clone(), beginning);
            }
            Err(answer) => {
                self.courier.answer(*answer).await;
                return Err(DirectError::Rules { peer: open.peer.clone(), what: "the session it started makes no sense".to_owned() });
            }
        }
        self.take_offered(key, None, open).await
    }

    /// Asks a device for a file.
    async fn ask(self: &Arc<Self>, peer: FullJid, open: &OpenSession) -> Result<Body, DirectError> {
        let key = Key { peer, sid: random_id() };
        let range = (open.from_byte > 0).then(|| FileRange { offset: Some(open.from_byte), ..FileRange::default() });
        let file = JingleFile { metadata: open.file.clone(), range };
        let mailbox = self.switchboard.begin(key.clone(), Direction::Take, [&file]).map_err(|_| DirectError::TooMany)?;
        let mut terms = self.terms(open.abilities, open.reach);
        if open.patience == Patience::Short {
            terms.settings.first_answer_timeout = FIRST_WORD;
        }
        let session = Session::ask(self.between(&key)?, vec![file], version(open.abilities), terms, Instant::now());
        let (promise, feed) = promise();
        Task::spawn(self, key, Beginning { session, mailbox, gives: Vec::new(), takes: vec![feed] });
        promise.body().await
    }

    /// Offers a device a file in a session of this id; what becomes of it is told as it happens.
    ///
    /// # Errors
    /// When it cannot even begin.
    pub(crate) fn give(
        self: &Arc<Self>,
        peer: FullJid,
        sid: String,
        gift: Gift,
        events: Option<mpsc::Sender<GiveEvent>>,
    ) -> Result<(), DirectError> {
        let key = Key { peer, sid };
        let mut file = JingleFile::from(gift.file.clone());
        if gift.digests.is_empty() {
            file.metadata.hash_used = vec![HashAlgo::Sha256.into()];
        }
        let mailbox = self.switchboard.begin(key.clone(), Direction::Give, [&file]).map_err(|_| DirectError::TooMany)?;
        let abilities = self.devices.borrow().get(&key.peer).unwrap_or_default();
        let terms = self.terms(abilities, gift.reach);
        let session = Session::offer(self.between(&key)?, vec![file], version(abilities), terms, Instant::now());
        Task::spawn(self, key, Beginning { session, mailbox, gives: vec![Giving::new(gift, events)], takes: Vec::new() });
        Ok(())
    }

    /// A session that a device begins, with the room that it took when it arrived; or the answer that refuses it.
    pub(super) fn incoming(&self, key: &Key, request: &Iq, arrived: Option<Held>) -> Result<Beginning, Box<Iq>> {
        use balcony_wire::stanza::DefinedCondition as C;
        use balcony_wire::{ReadError, StanzaError};
        let refuse = |condition| Box::new(request.refuse(StanzaError::new(condition)));
        let (IqKind::Set(payload) | IqKind::Get(payload)) = &request.kind else { return Err(refuse(C::BadRequest)) };
        // Whoever wrote that program wants to know what we could not read.
        let unreadable = |error: ReadError| Box::new(request.refuse(StanzaError::new(C::BadRequest).with_text(error.to_string())));
        let jingle = Jingle::read(payload).map_err(unreadable)?;
        let admitted = self.switchboard.admit(key.clone(), &jingle, payload.weight(), arrived);
        let mailbox = admitted.map_err(|refusal| Box::new(request.refuse(refusal.error())))?;
        let between = self.between(key).map_err(|_| refuse(C::ServiceUnavailable))?;
        let abilities = self.devices.borrow().get(&key.peer).unwrap_or_default();
        // Nothing of ours is shown before the person, or their rules, said yes.
        let session = Session::incoming(between, &jingle, self.terms(abilities, Reach::Relay), Instant::now());
        let session = session.map_err(|refusal| Box::new(request.refuse(refusal.error())))?;
        Ok(Beginning { session, mailbox, gives: Vec::new(), takes: Vec::new() })
    }

    fn terms(&self, abilities: Abilities, reach: Reach) -> Terms {
        let streams = streams::settings(&self.network);
        let settings = Settings { streams, first_answer_timeout: ANSWER, answer_timeout: ANSWER, ..Settings::default() };
        Terms { peer: means(abilities), reach, settings, random: random() }
    }

    /// Who we are, while we are connected.
    pub(super) fn own(&self) -> Option<FullJid> {
        match &*self.state.borrow() {
            Connection::Online(online) => Some(online.jid.clone()),
            _ => None,
        }
    }

    pub(super) fn between(&self, key: &Key) -> Result<Between, DirectError> {
        let own = self.own().ok_or(DirectError::Offline)?;
        Ok(Between { own, peer: key.peer.clone(), sid: key.sid.clone() })
    }

    /// Whether somebody always sees that we are there: a contact who does, or ourselves.
    pub(super) fn is_seen_by(&self, person: &BareJid) -> bool {
        self.switchboard.view(person) == View::Presence
    }

    /// Sockets for one stream with this device.
    pub(super) fn sockets(&self, peer: &FullJid) -> Sockets {
        let company = if self.switchboard.knows(&peer.bare()) { Company::Contact } else { Company::Stranger };
        let surroundings = Surroundings { company, loopback: self.loopback };
        Sockets::new(self.network.clone(), self.courier.clone(), self.proxies.clone(), surroundings)
    }

    /// Waits until the connection is there again, if it is gone.
    pub(super) async fn is_back(&self, patience: Duration) -> bool {
        let mut state = self.state.clone();
        let back = state.wait_for(|state| matches!(state, Connection::Online(_) | Connection::Ended(_)));
        matches!(timeout(patience, back).await, Ok(Ok(state)) if matches!(&*state, Connection::Online(_)))
    }

    /// Bytes of a piece, so that many transfers at once share little memory.
    pub(super) fn piece(&self) -> usize {
        match self.switchboard.sessions() {
            0..=1 => 1024 * 1024,
            2..=8 => 256 * 1024,
            9..=24 => 64 * 1024,
            _ => 32 * 1024,
        }
    }

    /// Where a session takes orders from now on.
    pub(super) fn register(&self, key: &Key) -> mpsc::Receiver<Order> {
        let (sender, orders) = mpsc::channel(ORDERS);
        self.orders().insert(key.clone(), sender);
        orders
    }

    /// It is over.
    pub(super) fn unregister(&self, key: &Key) {
        self.orders().remove(key);
    }

    pub(super) fn orders(&self) -> MutexGuard<'_, HashMap<Key, mpsc::Sender<Order>>> {
        // No step leaves it half changed.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn orders_of(&self, key: &Key) -> Option<mpsc::Sender<Order>> {
        self.orders().get(key).filter(|orders| !orders.is_closed()).cloned()
    }

    /// Ends a session; nobody waits for that.
    pub(super) fn leave(&self, key: &Key) {
        if let Some(orders) = self.orders_of(key) {
            // A session that does not come to its orders runs into its own deadlines.
            let _ = orders.try_send(Order::Leave { said: oneshot::channel().0 });
        }
    }
}

/// What is not known is tried.
fn means(abilities: Abilities) -> Means {
    match abilities.file_transfer {
        None => Means::ALL,
        Some(_) => Means { socks: abilities.s5b, in_band: abilities.ibb, ..Means::ALL },
    }
}

/// The newest version that they announce (decision 22).
fn version(abilities: Abilities) -> Version {
    abilities.file_transfer.unwrap_or(Version::V5)
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    bytes
}
