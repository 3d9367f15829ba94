//! An account that is connected, and stays so.

mod answers;
pub(crate) mod bounce;
mod contacts;
pub(crate) mod copies;
mod devices;
pub(crate) mod door;
mod driver;
pub(crate) mod inbox;
mod options;
mod own_servers;
mod policy;
pub(crate) mod reply;
mod report;
pub(crate) mod sight;
mod socket;
pub(crate) mod state;
mod upload_service;

pub use contacts::ContactError;
pub use options::{Availability, ConnectOptions, NoServerAddress, ServerAddress};
pub use report::Report;
pub use state::{Connection, Online};
pub use upload_service::{Services, UploadService};

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use balcony_session::client::{Ask, Cause, End, SendError};
use balcony_session::iq_table::RequestError;
use balcony_sharing::plan::Devices;
use balcony_sharing::{NetRules, Origin};
use balcony_store::{Store, StoreError};
use balcony_wire::{BareJid, Element, Jid, Stanza};
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};

use crate::bits::{Asker, HandOut};
use crate::blocking::blocking;
use crate::direct::give::{Giver, GivingEvent};
use crate::direct::{Courier, Direct, Setting};
use crate::error::{Class, ConnectError, class_of};
use crate::fetch::Fetcher;
use crate::fetch::standing::Standing;
use crate::net::network::Network;
use crate::offers::{self, CataloguedOffer, Offers};
use crate::share::{AttachError, AttachedSource, FileToShare, Place, Resumed, Share, ShareError, ShareLive};
use bounce::{BOUNCES, Bounce};
use contacts::{Approver, Book, BookView};
use copies::{Copies, Runner};
use devices::DeviceBook;
use driver::{Driver, Lines};
use reply::ReplyTo;
use sight::Sight;
use state::{Command, Delivery};

/// Commands that may wait for the connection's task.
const COMMANDS: usize = 256;

/// An account that is connected. Cheap to clone; the connection is closed when the last clone is dropped, politely with
/// [`Account::close`].
#[derive(Clone)]
pub struct Account {
    inner: Arc<Inner>,
}

struct Inner {
    jid: BareJid,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<Connection>,
    fetcher: Fetcher,
    network: Network,
    /// The services of one connection, by its number.
    services: Mutex<Option<(u64, Arc<Services>)>>,
    /// The last connection on which the upload services said where they are.
    located: Mutex<u64>,
    giver: Giver,
    book: BookView,
    /// Who asked to see when the person is there, and was not answered.
    unanswered: watch::Receiver<Vec<BareJid>>,
    /// Which devices are there, and what they can do.
    devices: watch::Receiver<Arc<Devices>>,
    /// Messages of ours that came back.
    bounces: broadcast::Sender<Bounce>,
    /// Limits that services told when they refused.
    limits: std::sync::Mutex<HashMap<Jid, u64>>,
    /// Never read itself: others are made from it. Closed when the connection is over for good.
    news: broadcast::Receiver<CataloguedOffer>,
    /// What was in the catalogue when the account was connected.
    first: offers::Mark,
}

/// The account is not connected any more.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the account is offline: {0}")]
pub struct OfflineError(pub End);

impl OfflineError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        class_of(self.0.cause)
    }
}

impl Account {
    /// Connects and logs in. From then on a lost connection is taken up again by itself, with growing pauses; what cannot
    /// be mended by trying again ends it ([`Connection::Ended`]).
    ///
    /// Tells the resolver the domain, the server the IP address and, if [`Availability`] says so, contacts the presence.
    /// Dropping the future closes what was begun.
    ///
    /// # Errors
    /// When the first attempt fails, for whatever reason.
    pub async fn connect(options: ConnectOptions, store: Store) -> Result<Self, ConnectError> {
        let (pem, proxy, opened, account) = (options.ca_pem.clone(), options.proxy.clone(), store.clone(), options.account.clone());
        // Reading the system's authorities takes milliseconds, as does the catalogue.
        let (network, known) = blocking(move || (Network::new(pem.as_deref(), proxy), known(&opened, &account))).await;
        let network = network?;
        let (first, standing) = known.map_err(|error| ConnectError::Store(Box::new(error)))?;
        let (commands, taken) = mpsc::channel(COMMANDS);
        let (inbox, arrivals) = inbox::inbox();
        let (state, watched) = watch::channel(Connection::Connecting);
        let (tell, news) = broadcast::channel(offers::WAITING);
        let (bounces, _) = broadcast::channel(BOUNCES);
        let jid = options.account.clone();
        let onion = network.reaches_onion();
        let rules = NetRules { own: standing.own.clone(), loopback_http: options.loopback_http, onion };
        let (kept, view) = Book::new(Arc::clone(&standing.contacts));
        let giver = Giver::new(store.clone(), jid.clone(), view.contacts.clone());
        let sight = Sight::new(jid.clone(), view.contacts.clone(), options.availability);
        let (device_book, devices) = DeviceBook::new(sight.clone());
        tokio::spawn(contacts::keep(store.clone(), jid.clone(), view.contacts.clone()));
        let copies = Copies::default();
        let asker = Asker::online(store.clone(), commands.downgrade());
        let hand_out = HandOut::start(store.clone(), jid.clone(), commands.downgrade());
        if options.availability != Availability::Hidden {
            let (account, commands) = (jid.clone(), commands.downgrade());
            tokio::spawn(Runner { copies: copies.clone(), store: store.clone(), account, commands, state: watched.clone() }.run());
        }
        let desk = offers::Desk { store: store.clone(), account: jid.clone(), copies: copies.clone(), contacts: view.contacts.clone() };
        tokio::spawn(desk.clone().watch(arrivals, tell.clone()));
        let setting = Setting {
            courier: Courier::new(commands.downgrade()),
            network: network.clone(),
            sight: sight.clone(),
            devices: devices.clone(),
            state: watched.clone(),
            giver: giver.clone(),
            hand_out,
            offers: desk,
            news: tell,
            loopback: options.loopback_http,
        };
        let (direct, switchboard, door) = Direct::start(setting);
        let approver = Approver::start(store.clone(), jid.clone(), Courier::new(commands.downgrade()), view.contacts.clone());
        let unanswered = approver.unanswered();
        let lines = Lines {
            approver,
            commands: taken,
            inbox,
            state,
            book: kept,
            devices: device_book,
            bounces: bounces.clone(),
            copies,
            sight,
            door,
            switchboard,
        };
        tokio::spawn(Driver::new(options, network.clone(), lines).run());
        let inner = Inner {
            jid,
            commands,
            state: watched,
            fetcher: Fetcher::with_network(store, network.clone(), rules)
                .of_account(standing)
                .with_contacts(view.contacts.clone())
                .with_asker(asker)
                .with_direct(direct)
                .with_devices(devices.clone()),
            network,
            services: Mutex::new(None),
            located: Mutex::new(0),
            giver,
            book: view,
            unanswered,
            devices,
            bounces,
            limits: std::sync::Mutex::default(),
            news,
            first,
        };
        let account = Self { inner: Arc::new(inner) };
        match account.online().await {
            Ok(_) => Ok(account),
            Err(OfflineError(end)) => Err(ConnectError::Ended(end)),
        }
    }

    /// The account.
    pub fn jid(&self) -> &BareJid {
        &self.inner.jid
    }

    /// How the connection is, and how it changes.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.inner.state.clone()
    }

    /// The present login; waits while a lost connection is being taken up again. Safe to drop.
    ///
    /// # Errors
    /// When it will not come back by itself.
    pub async fn online(&self) -> Result<Arc<Online>, OfflineError> {
        let mut state = self.inner.state.clone();
        loop {
            match &*state.borrow_and_update() {
                Connection::Online(online) => return Ok(Arc::clone(online)),
                Connection::Ended(end) => return Err(OfflineError(end.clone())),
                Connection::Connecting | Connection::Waiting { .. } => {}
            }
            if state.changed().await.is_err() {
                return Err(OfflineError(closed(&state)));
            }
        }
    }

    /// Asks somebody something; `None` asks the own account. Exactly one answer, or the reason why there is none. Dropping the
    /// future forgets the answer, not the question.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(&self, to: Option<Jid>, ask: Ask, timeout: Duration) -> Result<Option<Element>, RequestError> {
        let (reply, answer) = ReplyTo::one();
        let command = Command::Request { to, ask, timeout, reply };
        self.inner.commands.send(command).await.map_err(|_| RequestError::NotOnline)?;
        answer.await.unwrap_or(Err(RequestError::Disconnected))
    }

    /// Sends a stanza; returns when it is on its way, not when it arrived. Dropping the future early may or may not send it.
    ///
    /// # Errors
    /// When not online, or when the server would not take it.
    pub async fn send(&self, stanza: impl Into<Stanza>) -> Result<(), SendError> {
        self.send_tracked(stanza.into()).await.map(drop)
    }

    /// As [`Account::send`], and says later what became of it.
    pub(crate) async fn send_tracked(&self, stanza: Stanza) -> Result<oneshot::Receiver<Delivery>, SendError> {
        let (done, sent) = oneshot::channel();
        let command = Command::Send { stanza: Box::new(stanza), done };
        self.inner.commands.send(command).await.map_err(|_| SendError::NotOnline)?;
        sent.await.unwrap_or(Err(SendError::NotOnline))
    }

    /// Messages of ours that come back from now on.
    pub(crate) fn bounces(&self) -> broadcast::Receiver<Bounce> {
        self.inner.bounces.subscribe()
    }

    /// Looks at once whether the connection is alive, or tries at once to connect again: after a change of networks, after sleep. Safe to
    /// drop.
    pub async fn probe(&self) {
        // A closed account needs no probe.
        let _ = self.inner.commands.send(Command::Probe).await;
    }

    /// The server's services, asked for once on each connection. Safe to drop.
    ///
    /// # Errors
    /// When the account is offline for good.
    pub async fn services(&self) -> Result<Arc<Services>, OfflineError> {
        let online = self.online().await?;
        let mut known = self.inner.services.lock().await;
        if let Some((connection, services)) = &*known
            && *connection == online.connection
        {
            return Ok(Arc::clone(services));
        }
        let services = Arc::new(upload_service::discover(self).await);
        for service in &services.uploads {
            self.keep_own(Origin::https(service.jid.domain())).await;
        }
        *known = Some((online.connection, Arc::clone(&services)));
        Ok(services)
    }

    /// What the account's server can do. Asks the server, its items and the account. Safe to drop.
    ///
    /// # Errors
    /// When the account is offline for good.
    pub async fn report(&self) -> Result<Report, OfflineError> {
        report::report(self).await
    }

    /// Begins to share a file; say to whom, then await or watch it.
    pub fn share(&self, file: impl Into<FileToShare>) -> Share {
        Share::new(self.clone(), file.into())
    }

    /// Begins to share a file live: this device gives it to those who are told, for as long as the result is held.
    pub fn share_live(&self, file: impl Into<FileToShare>) -> ShareLive {
        ShareLive::new(self.clone(), file.into())
    }

    /// Shows somebody who does not see it otherwise that this device is there, or not any more: as long as the session lasts.
    pub(crate) async fn show(&self, person: &BareJid, is_there: bool) -> Result<(), SendError> {
        self.send(answers::shown_to(person, is_there)).await
    }

    /// What is given to others from now on, because they ask for it. Whoever is slow misses some of it.
    pub fn giving_events(&self) -> broadcast::Receiver<GivingEvent> {
        self.inner.giver.events()
    }

    /// Decides what others may have.
    pub(crate) fn giver(&self) -> &Giver {
        &self.inner.giver
    }

    /// Says of a file that was offered before where it can be had as well: a link, or a fresh upload where the old one is gone. Only
    /// a place whose bytes were checked against every digest of the offer is announced.
    ///
    /// Reveals the address to the host of a link, which is fetched to see, and the place to everybody in the conversation. Dropping
    /// the future during an upload leaves the rest to the outbox.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub async fn attach(&self, offer: &CataloguedOffer, place: Place) -> Result<AttachedSource, AttachError> {
        crate::share::attach(self, offer, place).await
    }

    /// Takes up what an earlier run left in the outbox: uploads what was not uploaded, sends what was not sent. Dropping
    /// the future leaves the rest in the outbox.
    ///
    /// A message that was on its way when a program crashed (`OutboxState::Sending`) may have arrived, and nobody can know: it goes
    /// again with the same id, so that who gets it twice can tell. Balcony shows such an offer once.
    ///
    /// # Errors
    /// When the account goes offline or the store fails; single messages that fail are in the result.
    pub async fn resume_outbox(&self) -> Result<Resumed, ShareError> {
        crate::share::resume(self).await
    }

    /// Offers of others, and of the account's other devices: those that came since the account was connected, then those that come.
    pub fn offers(&self) -> Offers {
        Offers::behind(self.store().clone(), self.jid().clone(), self.inner.news.resubscribe(), self.inner.first)
    }

    /// What decides and fetches for this account; works offline as well.
    pub fn fetcher(&self) -> &Fetcher {
        &self.inner.fetcher
    }

    /// Where its files and its catalogue are.
    pub fn store(&self) -> &Store {
        self.inner.fetcher.store()
    }

    pub(crate) fn network(&self) -> &Network {
        &self.inner.network
    }

    pub(crate) fn learn_limit(&self, service: &Jid, limit: u64) {
        self.inner.limits.lock().unwrap_or_else(PoisonError::into_inner).insert(service.clone(), limit);
    }

    pub(crate) fn learned_limit(&self, service: &Jid) -> Option<u64> {
        self.inner.limits.lock().unwrap_or_else(PoisonError::into_inner).get(service).copied()
    }

    /// The door to sessions with other devices.
    pub(crate) fn direct(&self) -> &Direct {
        self.inner.fetcher.direct()
    }

    /// Closes the stream: sessions with other devices are ended, what was sent before is flushed and, where the server does that,
    /// acknowledged. Returns when it is over. Dropping the future may leave it open, or end it without the last words.
    pub async fn close(&self) {
        self.direct().leave().await;
        // If the task is gone already, so is the stream.
        let _ = self.inner.commands.send(Command::Close).await;
        let mut state = self.inner.state.clone();
        let _ = state.wait_for(|state| matches!(state, Connection::Ended(_))).await;
        self.remember_contacts().await;
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

/// What is in the catalogue by now, and what is remembered of the account.
fn known(store: &Store, account: &BareJid) -> Result<(offers::Mark, Standing), StoreError> {
    Ok((offers::Mark::now(store)?, Standing::remembered(store, account)?))
}

/// Why the task is gone: what it said last.
fn closed(state: &watch::Receiver<Connection>) -> End {
    match &*state.borrow() {
        Connection::Ended(end) | Connection::Waiting { why: end, .. } => end.clone(),
        // It panicked, or the runtime is shutting down.
        Connection::Connecting | Connection::Online(_) => End::new(Cause::ConnectionLost, "the program is ending"),
    }
}
