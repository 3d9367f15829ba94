//! Before bytes come: whose turn it is, what an earlier try left, and reading that once more for its digests. Whoever watches is heard all
//! along, and nobody keeps a turn while they only wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use balcony_sharing::cipher::Envelope;
use balcony_sharing::transfer::fetch::Progress;
use balcony_store::{Sidecar, Staging, StoreError};
use balcony_wire::hashes::HashAlgo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use super::kin::{Kin, Left};
use super::link::Link;
use super::orders::Order;
use super::sink::{Opened, Sink};
use super::work::{Work, job_of};
use super::{FetchError, FetchEvent};
use crate::blocking::blocking;

/// How long a fetch that was dropped may take to let go of its bytes.
const LETTING_GO: Duration = Duration::from_secs(3);
/// How long a session whose other side is gone may take to notice that, and to let go of its bytes.
const NOTICING: Duration = Duration::from_secs(30);
/// How long bytes that are on their way still come after their sender is gone.
const DRAINING: Duration = Duration::from_secs(3);
const LOOKING_AGAIN: Duration = Duration::from_millis(50);
/// How often whoever watches is told how much was read.
const TELLING: Duration = Duration::from_millis(100);

/// One of those that may be at it at once; whoever cannot wait for others is not counted.
pub(super) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// What came of reading what was left.
pub(super) enum Read {
    Whole(Sink),
    /// The same, after a pause: nothing else is under way any more.
    Paused(Sink),
    /// Somebody wants it to end.
    Stopped(Staging),
}

/// How much was read, and whether anybody still wants that.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) bytes: AtomicU64,
    pub(super) is_unwanted: AtomicBool,
}

/// Nobody reads for those who are gone.
struct Wanted(Arc<Reading>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.is_unwanted.store(true, Ordering::Relaxed);
    }
}

/// With bytes that somebody else is at.
struct Patience {
    began: Instant,
    len: u64,
}

impl Patience {
    fn new() -> Self {
        Self { began: Instant::now(), len: 0 }
    }

    /// Whoever was told to let go may still be at it.
    fn is_young(&self) -> bool {
        self.began.elapsed() < LETTING_GO
    }

    /// Whether it is worth waiting: not where more and more bytes come.
    fn lasts(&mut self, len: u64) -> bool {
        let waited = self.began.elapsed();
        if waited < DRAINING {
            self.len = len;
        }
        len == self.len && waited < NOTICING
    }
}

impl Work {
    /// Waits for its turn, and for what an earlier try left, or nothing; `None` if it is to end before. One that was dropped a moment ago
    /// may still be writing its last bytes, and a session whose other side was started anew may not know that yet: others have the turn
    /// meanwhile. A session that needs its answer now waits for neither.
    pub(super) async fn begin(&mut self, kin: Kin) -> Result<Option<Staging>, FetchError> {
        let kin = Arc::new(kin);
        if !self.has_turn().await {
            return Ok(None);
        }
        let mut patience = Patience::new(); // only now: who waited for the turn saw nothing of the bytes
        let left = loop {
            match self.look(&kin).await {
                Ok(Left::Held(len)) if self.turns.is_some() && patience.lasts(len) => {}
                Err(StoreError::Busy(_)) if patience.is_young() => {}
                // Nobody is kept from it meanwhile; so it may be another's by then, or more.
                Ok(left) if self.turn.is_none() => {
                    drop(left);
                    match self.has_turn().await {
                        true => continue,
                        false => return Ok(None),
                    }
                }
                Ok(left) => break left,
                Err(error) => return Err(error.into()),
            }
            self.turn = None;
            tokio::select! {
                () = sleep(LOOKING_AGAIN) => {}
                order = self.orders.next() => match self.obeys(order).await {
                    true => patience = Patience::new(),
                    false => return Ok(None),
                },
            }
        };
        if let Left::Bytes(staging) = left {
            return Ok(Some(*staging));
        }
        let (store, key) = (self.store.clone(), self.key);
        let sidecar = Sidecar { offer: key.to_string(), is_pure: true, ..Sidecar::default() };
        Ok(Some(blocking(move || store.stage(job_of(key), sidecar)).await?))
    }

    /// What is left of this offer, or of the same file.
    async fn look(&mut self, kin: &Arc<Kin>) -> Result<Left, StoreError> {
        let (store, job, kin) = (self.store.clone(), job_of(self.key), Arc::clone(kin));
        blocking(move || match store.resume(&job)? {
            Some(staging) if !staging.is_empty() => Ok(Left::Bytes(Box::new(staging))),
            Some(empty) => empty.discard().and_then(|()| kin.take(&store)),
            None => kin.take(&store),
        })
        .await
    }

    /// Waits until fewer fetches run than may, if it has no turn; `false` if it is to end before.
    pub(super) async fn has_turn(&mut self) -> bool {
        if self.turn.is_some() {
            return true;
        }
        let Some(turns) = self.turns.clone() else {
            self.turn = Some(Turn { _permit: None });
            return true;
        };
        let mut permit = turns.clone().try_acquire_owned().ok();
        if permit.is_none() {
            self.events.tell(FetchEvent::Waiting).await;
        }
        while permit.is_none() {
            tokio::select! {
                order = self.orders.next() => if !self.obeys(order).await {
                    return false;
                },
                // Closed: nobody counts any more.
                acquired = turns.clone().acquire_owned() => match acquired {
                    Ok(acquired) => permit = Some(acquired),
                    Err(_) => break,
                },
            }
        }
        self.turn = Some(Turn { _permit: permit });
        true
    }

    /// Does what whoever watches wants while nothing is under way; `false` if they want it to end.
    async fn obeys(&mut self, order: Order) -> bool {
        match order {
            Order::Stop => return false,
            Order::Resume => return true,
            Order::Pause => self.events.tell(FetchEvent::Paused).await,
        }
        loop {
            match self.orders.next().await {
                Order::Stop => return false,
                Order::Resume => return true,
                Order::Pause => {}
            }
        }
    }

    /// Reads what is in staging for its digests, however much that is, to go on behind it. A pause hangs up what is under way.
    pub(super) async fn read(&mut self, mut staging: Staging, algos: &[HashAlgo], envelope: Option<Envelope>) -> Result<Read, FetchError> {
        let mut was_paused = false;
        loop {
            let (reading, total) = (Wanted(Arc::default()), staging.len());
            let opening = Sink::open(staging, algos.to_vec(), envelope.clone(), Arc::clone(&reading.0));
            tokio::pin!(opening);
            let mut order = None;
            let opened = loop {
                if total > 0 {
                    let have = reading.0.bytes.load(Ordering::Relaxed);
                    self.events.bytes(|| FetchEvent::Rereading(Progress { have, total: Some(total) }));
                }
                tokio::select! {
                    opened = &mut opening => break opened?,
                    next = self.orders.next(), if order.is_none() => if next != Order::Resume {
                        reading.0.is_unwanted.store(true, Ordering::Relaxed);
                        order = Some(next);
                    },
                    () = sleep(TELLING) => {}
                }
            };
            staging = match opened {
                Opened::Sink(sink) => {
                    self.orders.put_back(order); // whoever goes on hears it at once
                    return Ok(if was_paused { Read::Paused(sink) } else { Read::Whole(sink) });
                }
                Opened::Unwanted(staging) => staging,
            };
            (self.turn, self.link, was_paused) = (None, Link::None, true);
            let goes_on = match order {
                Some(order) => self.obeys(order).await,
                None => true,
            };
            if !goes_on || !self.has_turn().await {
                return Ok(Read::Stopped(staging));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use balcony_sharing::transfer::fetch::FetchSettings;
    use balcony_sharing::{NetRules, Plan};
    use balcony_store::{OfferKey, Store};
    use tokio::sync::Semaphore;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;
    use crate::direct::Direct;
    use crate::events::Events;
    use crate::fetch::Fetcher;
    use crate::fetch::kin::tests::{AGAIN, FIRST, Offered, left_behind, offer};
    use crate::fetch::orders::Orders;
    use crate::fetch::work::Ending;
    use crate::net::network::Network;
    use crate::offers::CataloguedOffer;

    /// Far less than bytes that are held are waited for.
    const SOON: Duration = Duration::from_secs(10);

    fn network() -> Network {
        Network::new(None, None).unwrap()
    }

    /// A store in which somebody is at the bytes of what is offered again.
    fn held() -> (Store, Staging, CataloguedOffer) {
        let store = left_behind(FIRST, |_| ());
        let staged = store.staged().unwrap().remove(0);
        let held = store.resume(&staged.job).unwrap().unwrap();
        let again = offer(&store, AGAIN);
        (store, held, again)
    }

    #[tokio::test]
    async fn whoever_waits_for_bytes_that_are_held_lets_others_have_the_turn() {
        let (store, held, again) = held();
        let other = offer(&store, Offered { sid: "c", name: "other.mkv", ..FIRST });
        let fetcher = Fetcher::with_network(store, network(), NetRules::default());
        fetcher.set_at_once(1);
        let nothing = || Plan { attempts: Vec::new(), left_out: Vec::new() };
        let waiting = tokio::spawn(std::future::IntoFuture::into_future(fetcher.fetch(&again, nothing())));
        for _ in 0..2 {
            let failed = timeout(SOON, fetcher.fetch(&other, nothing())).await.expect("it has no turn");
            assert!(matches!(failed, Err(FetchError::Failed(_))));
        }
        drop(held);
        let Err(FetchError::Failed(failed)) = timeout(SOON, waiting).await.unwrap().unwrap() else { panic!("nobody gives it") };
        assert_eq!(failed.kept, 40);
    }

    /// A fetch of this offer, whose turn comes at once.
    fn work(store: Store, key: OfferKey) -> Work {
        Work {
            store,
            network: network(),
            direct: Direct::offline(),
            rules: NetRules::default(),
            settings: FetchSettings::default(),
            key,
            events: Events::nobody(),
            turns: None,
            turn: None,
            link: Link::None,
            orders: Orders::none(),
        }
    }

    #[tokio::test]
    async fn a_session_that_needs_its_answer_now_waits_for_no_bytes() {
        let (store, _held, again) = held();
        let mut work = work(store, again.key());
        assert!(timeout(SOON, work.begin(Kin::of(again.key(), &again))).await.unwrap().unwrap().unwrap().is_empty());
    }

    #[tokio::test]
    async fn whoever_waited_long_for_their_turn_has_patience_with_bytes_that_are_held_all_the_same() {
        let (store, held, again) = held();
        let turns = Arc::new(Semaphore::new(1));
        let turn = turns.clone().acquire_owned().await.unwrap();
        let mut work = Work { turns: Some(turns.clone()), ..work(store, again.key()) };
        let begun = tokio::spawn(async move { work.begin(Kin::of(again.key(), &again)).await.unwrap().unwrap().len() });
        sleep(DRAINING + LOOKING_AGAIN).await; // that is what it is about
        drop(turn);
        // They come first, and give it back once they have seen that somebody is at the bytes.
        let turn = timeout(SOON, turns.acquire()).await.unwrap().unwrap();
        drop((held, turn));
        assert_eq!(timeout(SOON, begun).await.unwrap().unwrap(), 40);
    }

    #[tokio::test]
    async fn whoever_waits_for_their_turn_once_more_keeps_nobody_from_the_bytes() {
        let (store, held, again) = held();
        let (turns, job) = (Arc::new(Semaphore::new(1)), held.job().clone());
        let turn = turns.clone().acquire_owned().await.unwrap();
        let mut work = Work { turns: Some(turns.clone()), ..work(store.clone(), again.key()) };
        let begun = tokio::spawn(async move { work.begin(Kin::of(again.key(), &again)).await.unwrap().unwrap().len() });
        yield_now().await; // they queue
        drop(turn);
        let turn = timeout(SOON, turns.acquire()).await.unwrap().unwrap(); // given back: somebody is at the bytes
        let first = held.sidecar().offer.clone();
        drop(held);
        let is_theirs = || store.staged().unwrap()[0].sidecar.as_ref().is_some_and(|sidecar| sidecar.offer != first);
        let resumed = || store.resume(&job).ok().flatten();
        let taken = timeout(SOON, async {
            loop {
                match is_theirs().then(resumed).flatten() {
                    Some(taken) => break taken,
                    None => sleep(LOOKING_AGAIN).await,
                }
            }
        });
        let taken = taken.await.expect("nobody holds what they do not use");
        drop((taken, turn));
        assert_eq!(timeout(SOON, begun).await.unwrap().unwrap(), 40);
    }

    #[tokio::test]
    async fn what_is_thrown_away_before_it_began_is_nothing_that_another_offer_took_over() {
        let store = left_behind(FIRST, |_| ());
        let first: OfferKey = OfferKey::from_number(store.staged().unwrap()[0].sidecar.as_ref().unwrap().offer.parse().unwrap());
        let again = offer(&store, AGAIN);
        assert!(matches!(Kin::of(again.key(), &again).take(&store).unwrap(), Left::Bytes(_)));
        for (key, left) in [(first, 1), (again.key(), 0)] {
            let (reins, orders) = Orders::new();
            reins.discard();
            let stopped = Work { orders, ..work(store.clone(), key) }.stopped_before().await;
            assert!(matches!(stopped, Ok(Ending::Stopped(0))));
            assert_eq!(store.staged().unwrap().len(), left);
        }
    }
}
