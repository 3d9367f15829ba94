//! Decides and fetches with a store and the network, without an account: whatever was offered once can be had offline.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex, PoisonError};

use balcony_sharing::plan::{self, Answer, Contacts, Devices, Policy, RoomKind};
use balcony_sharing::transfer::bits::is_for_bits;
use balcony_sharing::transfer::fetch::FetchSettings;
use balcony_sharing::{NetRules, Offer, Origin, Plan, Source, Way};
use balcony_store::{OfferKey, OfferState, Sidecar, Staging, Store, StoreError};
use balcony_wire::jingle::Jingle;
use balcony_wire::{BareJid, Element, Jid, Payload as _};
use futures_core::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use super::link::Link;
use super::orders::{Order, Orders, Reins};
use super::standing::{self, Standing};
use super::why::Known;
use super::work::{Ending, Work};
use super::{FetchError, FetchEvent, SharedFile};
use crate::bits::Asker;
use crate::blocking::blocking;
use crate::direct::Direct;
use crate::events::{Events, Progress};
use crate::net::network::Network;
use crate::net::tls::TrustError;
use crate::offers::{CataloguedOffer, Decision};

/// Fetches that run at once, if nobody says otherwise; the others wait for their turn.
const AT_ONCE: usize = 3;

/// Decides and fetches. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    pub(crate) store: Store,
    network: Network,
    rules: Arc<Mutex<NetRules>>,
    policy: Arc<Mutex<Policy>>,
    contacts: watch::Receiver<Arc<Contacts>>,
    settings: FetchSettings,
    asker: Asker,
    direct: Direct,
    /// Which devices are there; none where there is no account.
    devices: Option<watch::Receiver<Arc<Devices>>>,
    turns: Arc<Mutex<Arc<Semaphore>>>,
}

/// What a person wants, beside their standing rules.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// They ask for this very file now.
    pub asked: bool,
    /// What they agree to now, beside what they agreed to before.
    pub answers: Vec<Answer>,
    /// Bytes cost money on this network.
    pub metered: bool,
    /// Who may enter the room it was said in, if it was said in one; anybody, where that is not known.
    pub room: RoomKind,
}

impl Fetcher {
    /// `ca_pem` is trusted besides the system's authorities; `rules` say which hosts are the person's own.
    ///
    /// # Errors
    /// When the authority cannot be read.
    pub fn new(store: Store, ca_pem: Option<&str>, rules: NetRules) -> Result<Self, TrustError> {
        Ok(Self::with_network(store, Network::new(ca_pem, None)?, rules))
    }

    pub(crate) fn with_network(store: Store, network: Network, rules: NetRules) -> Self {
        let (policy, contacts) = (Arc::default(), watch::channel(Arc::default()).1);
        let asker = Asker::offline(store.clone());
        let turns = Arc::new(Mutex::new(Arc::new(Semaphore::new(AT_ONCE))));
        let (settings, direct) = (FetchSettings::default(), Direct::offline());
        Self { store, network, rules: Arc::new(Mutex::new(rules)), policy, contacts, settings, asker, direct, devices: None, turns }
    }

    /// The same with the rules and the contacts of an account.
    pub(crate) fn of_account(self, standing: Standing) -> Self {
        let contacts = watch::channel(standing.contacts).1;
        Self { policy: Arc::new(Mutex::new(standing.policy)), contacts, ..self }
    }

    /// The same with contacts that come and go.
    pub(crate) fn with_contacts(self, contacts: watch::Receiver<Arc<Contacts>>) -> Self {
        Self { contacts, ..self }
    }

    /// How many fetches run at once from now on, at least one; those under way go on beside them. 3 if nobody says otherwise.
    pub fn set_at_once(&self, most: usize) {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        *self.turns.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Semaphore::new(most));
    }

    /// The same with somebody to ask for small data.
    pub(crate) fn with_asker(mut self, asker: Asker) -> Self {
        self.asker = asker;
        self
    }

    /// The same with devices of others to open sessions with.
    pub(crate) fn with_direct(mut self, direct: Direct) -> Self {
        self.direct = direct;
        self
    }

    /// The same with devices that come and go.
    pub(crate) fn with_devices(self, devices: watch::Receiver<Arc<Devices>>) -> Self {
        Self { devices: Some(devices), ..self }
    }

    /// Whom an offer's sessions lead to, as far as somebody is there. `None` without an account that is connected.
    pub(super) fn devices(&self, offer: &Offer) -> Option<Arc<Devices>> {
        let devices = Arc::clone(&self.devices.as_ref()?.borrow());
        let waiting: Vec<_> = offer.sources().filter_map(session).filter(|(peer, sid, _)| self.direct.is_waiting(peer, sid)).collect();
        if waiting.is_empty() {
            return Some(devices);
        }
        let waiting = waiting.into_iter().map(|(peer, sid, _)| (peer.clone(), sid.to_owned()));
        Some(Arc::new(Devices::clone(&devices).with_waiting(waiting)))
    }

    /// Whether it was offered in a session, and that is over: then it is had from elsewhere, or when it is offered again.
    #[must_use]
    pub fn has_ended(&self, offer: &CataloguedOffer) -> bool {
        let waits = |(peer, sid, _): (&Jid, &str, &str)| self.direct.is_waiting(peer, sid);
        offer.provenance().way() == Way::Session && !offer.sources().filter_map(session).any(waits)
    }

    /// Whether the session that offers it waits for one answer about this file and others. Then none of them can wait until another one
    /// is there: who gives would have to take it for a no.
    #[must_use]
    pub fn is_answered_with_others(&self, offer: &CataloguedOffer) -> bool {
        let begins_with_several = |jingle: &Element| {
            let contents = jingle.children().filter(|child| child.name() == "content");
            jingle.attr("action") == Some("session-initiate") && contents.count() > 1
        };
        let mut sessions = offer.message().payloads.iter().filter(|payload| Jingle::matches(payload));
        !self.has_ended(offer) && sessions.any(begins_with_several)
    }

    /// Says no in the sessions in which an offer was made, if they are still open: it is here already, or nobody wants it. Nothing
    /// happens where there is none. Dropping the future may leave some open.
    pub async fn turn_away(&self, offer: &CataloguedOffer) {
        for (peer, sid, content) in offer.sources().filter_map(session) {
            self.direct.refuse(peer, sid, content).await;
        }
    }

    /// Tells sessions that offer it that the file is here.
    async fn have(&self, offer: &CataloguedOffer) {
        for (peer, sid, content) in offer.sources().filter_map(session) {
            self.direct.have(peer, sid, content).await;
        }
    }

    pub(crate) fn direct(&self) -> &Direct {
        &self.direct
    }

    pub(crate) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// The same with other patience and bounds.
    #[must_use]
    pub fn with_settings(mut self, settings: FetchSettings) -> Self {
        self.settings = settings;
        self
    }

    /// The same with a store that goes with it, for what is only looked at: no more than so many bytes of it.
    pub(crate) fn passing(&self, most: u64) -> Result<Self, StoreError> {
        let settings = FetchSettings { unannounced_limit: most, ..self.settings };
        Ok(Self { store: Store::in_memory()?, settings, ..self.clone() })
    }

    /// The store it works with.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Which hosts are the person's own, and what else may be reached.
    pub fn rules(&self) -> NetRules {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The person's rules.
    pub fn policy(&self) -> Policy {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other rules from here on, and nowhere kept.
    pub(crate) fn use_policy(&self, policy: Policy) {
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// The rules as they are kept now, of whoever changed them last: two may change them at once. Those that were just kept, where they
    /// cannot be read. Blocks.
    pub(crate) fn look_at_policy(&self, account: &BareJid, just_kept: &Policy) {
        let mut policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        *policy = standing::kept_policy(&self.store, account).unwrap_or_else(|error| {
            tracing::warn!(%error, "the rules cannot be read again after they were changed");
            just_kept.clone()
        });
    }

    /// Whom the person knows, as far as that is known here.
    pub fn contacts(&self) -> Arc<Contacts> {
        Arc::clone(&self.contacts.borrow())
    }

    /// One more web server that belongs to the person's server; `true` if that is news.
    pub(crate) fn add_own(&self, origin: Origin) -> bool {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !rules.own.contains(&origin);
        if is_new {
            rules.own.push(origin);
        }
        is_new
    }

    /// An offer of the catalogue; `None` if there is none of that key, or today's reading finds none in its message.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn offer(&self, key: OfferKey) -> Result<Option<CataloguedOffer>, StoreError> {
        let store = self.store.clone();
        blocking(move || match store.offer(key)? {
            Some(row) => CataloguedOffer::read(&store, &row),
            None => Ok(None),
        })
        .await
    }

    /// Offers whose fetch was begun and not ended, oldest first: what a crash or an interruption left.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unfinished(&self) -> Result<Vec<CataloguedOffer>, StoreError> {
        let store = self.store.clone();
        let read = blocking(move || {
            let keys = store.staged()?.into_iter().filter_map(|staged| staged.sidecar?.offer.parse().ok().map(OfferKey::from_number));
            let mut offers = Vec::new();
            for row in keys.map(|key| store.offer(key)).collect::<Result<Vec<_>, _>>()?.iter().flatten() {
                offers.extend(CataloguedOffer::read(&store, row)?);
            }
            Ok::<_, StoreError>(offers)
        });
        let mut offers = read.await?;
        offers.sort_by_key(CataloguedOffer::key);
        Ok(offers)
    }

    /// Decides what to do about an offer. Asks nobody on the network; who offers in a session what is here already hears of that.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn decide(&self, offer: &CataloguedOffer, policy: &Policy, wish: Wish) -> Result<Decision, StoreError> {
        let Known { copy, history, circumstances } = self.known(offer, wish).await?;
        let key = offer.key();
        let decision = plan::decide(offer, policy, &history, &circumstances);
        if let (plan::Decision::Have(_), Some(blob)) = (&decision, copy.clone()) {
            let store = self.store.clone();
            blocking(move || store.offer_is_here(key, &blob)).await?;
            self.have(offer).await;
        }
        Ok(decision.map(|_| {
            let copy = copy.expect("only the copy named in the circumstances is had");
            SharedFile::new(self.store.clone(), copy, offer)
        }))
    }

    /// Fetches what was offered, by a plan: await it, or watch its [`Fetch::progress`]. Nothing happens before.
    ///
    /// Reveals to the hosts of the plan what its exposures say. Dropping the future, or the progress, keeps what was fetched
    /// so far; the next fetch of the same offer goes on there.
    pub fn fetch(&self, offer: &CataloguedOffer, plan: Plan) -> Fetch {
        Fetch { fetcher: self.clone(), offer: offer.clone(), plan }
    }

    /// Throws away what is there of an offer that was not fetched to its end; tells how many bytes that were.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while somebody fetches it; else when the store fails.
    pub async fn discard(&self, key: OfferKey) -> Result<u64, StoreError> {
        let store = self.store.clone();
        blocking(move || {
            let is_of = |sidecar: Option<&Sidecar>| sidecar.is_some_and(|sidecar| sidecar.offer == key.to_string());
            // What another fetch of the same file left bears its name, and what it left may have gone to another one. All of it is held
            // before any goes.
            let mut held = Vec::new();
            for staged in store.staged()?.into_iter().filter(|staged| is_of(staged.sidecar.as_ref())) {
                held.extend(store.resume(&staged.job)?.filter(|staging| is_of(Some(staging.sidecar()))));
            }
            let len = held.iter().map(Staging::len).sum();
            held.into_iter().try_for_each(Staging::discard)?;
            if store.offer(key)?.is_some_and(|row| row.state == OfferState::Fetching) {
                store.set_offer_state(key, OfferState::Asking)?;
            }
            Ok(len)
        })
        .await
    }

    /// Small data first where the plan begins with it, then what is on the web, then the rest of it.
    async fn by_plan(
        &self,
        offer: &CataloguedOffer,
        plan: &Plan,
        events: Events<FetchEvent>,
        orders: Orders,
    ) -> Result<Ending, FetchError> {
        let first = plan.attempts.iter().take_while(|attempt| is_for_bits(attempt)).count();
        let (first, rest) = plan.attempts.split_at(first);
        let mut done = None;
        if !first.is_empty() {
            done = Some(crate::bits::fetch(&self.store, &self.asker, offer, first, &events).await.map(Ending::File));
        }
        let goes_on = |done: &Option<Result<Ending, FetchError>>| matches!(done, None | Some(Err(FetchError::Failed(_))));
        if goes_on(&done) && (first.is_empty() || !rest.is_empty()) {
            let turns = (!self.is_answered_with_others(offer)).then(|| self.turns.lock().unwrap_or_else(PoisonError::into_inner).clone());
            let work = Work {
                store: self.store.clone(),
                network: self.network.clone(),
                direct: self.direct.clone(),
                rules: self.rules(),
                settings: self.settings,
                key: offer.key(),
                events: events.another(),
                turns,
                turn: None,
                link: Link::None,
                orders,
            };
            done = Some(work.run(offer, plan).await);
        }
        if goes_on(&done) && rest.iter().any(is_for_bits) {
            done = Some(crate::bits::fetch(&self.store, &self.asker, offer, rest, &events).await.map(Ending::File));
        }
        done.unwrap_or(Err(FetchError::Broken)) // one of them was done
    }

    async fn run(self, offer: CataloguedOffer, plan: Plan, events: Events<FetchEvent>, orders: Orders) -> FetchEvent {
        let key = offer.key();
        let store = self.store.clone();
        if let Err(error) = blocking(move || store.set_offer_state(key, OfferState::Fetching)).await {
            return FetchEvent::Ended(Err(error.into()));
        }
        let done = self.by_plan(&offer, &plan, events, orders).await;
        let store = self.store.clone();
        let noted = blocking(move || match &done {
            Ok(Ending::File(blob)) => store.offer_is_here(key, blob).map(|()| done),
            // The person stopped it: it goes on when they say so, not by itself.
            Ok(Ending::Stopped(_)) => store.set_offer_state(key, OfferState::Asking).map(|()| done),
            Err(FetchError::Failed(_)) => store.set_offer_state(key, OfferState::Failed).map(|()| done),
            Err(_) => Ok(done), // our own trouble: it stays as begun
        });
        match noted.await {
            Ok(Ok(Ending::File(blob))) => {
                self.have(&offer).await; // where it came from elsewhere
                FetchEvent::Ended(Ok(SharedFile::new(self.store, blob, &offer)))
            }
            Ok(Ok(Ending::Stopped(kept))) => FetchEvent::Stopped { kept },
            Ok(Err(error)) => FetchEvent::Ended(Err(error)),
            Err(error) => FetchEvent::Ended(Err(error.into())),
        }
    }
}

/// The session that a source is: whose, which, and which content of it.
fn session(source: &Source) -> Option<(&Jid, &str, &str)> {
    match source {
        Source::Session { peer, sid, content } => Some((peer, sid, content)),
        Source::Stream { peer, sid } => Some((peer, sid, "")),
        _ => None,
    }
}

/// A fetch about to begin.
#[must_use = "nothing is fetched before it is awaited or watched"]
#[derive(Debug)]
pub struct Fetch {
    fetcher: Fetcher,
    offer: CataloguedOffer,
    plan: Plan,
}

impl IntoFuture for Fetch {
    type Output = Result<SharedFile, FetchError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            match self.fetcher.run(self.offer, self.plan, Events::nobody(), Orders::none()).await {
                FetchEvent::Ended(done) => done,
                _ => Err(FetchError::Broken), // nobody held the reins
            }
        })
    }
}

impl Fetch {
    /// Begins, and tells what happens. Must be called within a tokio runtime.
    pub fn progress(self) -> FetchProgress {
        let (reins, orders) = Orders::new();
        let progress = Progress::of(|events| self.fetcher.run(self.offer, self.plan, events, orders));
        FetchProgress { progress, reins }
    }
}

/// A fetch under way. Dropping it stops the fetch; what is there is kept for the next one.
#[derive(Debug)]
pub struct FetchProgress {
    progress: Progress<FetchEvent>,
    reins: Reins,
}

impl FetchProgress {
    /// What happened next; `None` after [`FetchEvent::Ended`] or [`FetchEvent::Stopped`]. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<FetchEvent> {
        self.progress.next().await
    }

    /// Closes the connection and waits; others may be fetched meanwhile. [`FetchEvent::Paused`] tells when it has.
    pub fn pause(&self) {
        self.reins.give(Order::Pause);
    }

    /// Goes on after a pause, at the byte where it stopped, once it is its turn.
    pub fn resume(&self) {
        self.reins.give(Order::Resume);
    }

    /// Ends it; what is there is kept, and a later fetch goes on there. [`FetchEvent::Stopped`] tells when it has ended. The offer then
    /// waits for the person: nothing fetches it unasked.
    pub fn cancel(&self) {
        self.reins.give(Order::Stop);
    }

    /// Ends it and throws away what is there. [`FetchEvent::Stopped`] tells when it has.
    pub fn discard(&self) {
        self.reins.discard();
    }
}
