//! One fetch: the driver of [`FetchJob`]. Feed, perform, sleep.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use balcony_sharing::cipher::Envelope;
use balcony_sharing::plan::{Outcome, Record};
use balcony_sharing::transfer::fetch::{Action, FetchJob, FetchSettings, Fetched, Portion, ResumePoint};
use balcony_sharing::transfer::{OpenSession, OpenUrl, SessionEnd};
use balcony_sharing::{NetRules, Offer, Plan, SourceKey};
use balcony_store::{BlobRef, JobId, OfferKey, Sidecar, Staged, Staging, Store, StoreError};
use balcony_wire::hashes::HashAlgo;
use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, sleep_until};

use super::kin::{Kin, Left};
use super::link::{Link, News, Parting};
use super::orders::{Order, Orders};
use super::sink::{Ended, Finished, Sink, SinkError};
use super::{FetchError, FetchEvent, Taken};
use crate::blocking::blocking;
use crate::direct::Direct;
use crate::events::Events;
use crate::http::HttpError;
use crate::http::exchange::{Answer, RequestBody, WebRequest, add_header, exchange};
use crate::net::connector::Moved;
use crate::net::network::Network;

/// A write that took longer makes the silence on the network our own doing.
const SLOW_WRITE: Duration = Duration::from_secs(1);

/// All one fetch works with.
pub(super) struct Work {
    pub(super) store: Store,
    pub(super) network: Network,
    /// Who opens sessions.
    pub(super) direct: Direct,
    pub(super) rules: NetRules,
    pub(super) settings: FetchSettings,
    pub(super) key: OfferKey,
    pub(super) events: Events<FetchEvent>,
    /// Whose turn it is, where only so many fetches run at once.
    pub(super) turns: Arc<Semaphore>,
    /// What whoever watches wants.
    pub(super) orders: Orders,
}

/// How a fetch ended that did not fail.
pub(super) enum Ending {
    File(BlobRef),
    /// Somebody wanted it to end; so many bytes are kept.
    Stopped(u64),
}

/// How long a fetch that was dropped may take to let go of its bytes.
const LETTING_GO: Duration = Duration::from_secs(3);
/// How long a session whose other side is gone may take to notice that, and to let go of its bytes.
const NOTICING: Duration = Duration::from_secs(30);
/// How long bytes that are on their way still come after their sender is gone.
const DRAINING: Duration = Duration::from_secs(3);
const LOOKING_AGAIN: Duration = Duration::from_millis(50);

/// Where the bytes go; while the digests are judged, only staging is left.
enum Place {
    Sink(Sink),
    Staged(Staging),
}

/// With bytes that somebody else is at.
struct Patience {
    began: Instant,
    len: u64,
}

/// Whether it may go on.
enum Turn {
    Ours(Option<OwnedSemaphorePermit>),
    Stopped,
}

/// What came in.
enum Input {
    News(News),
    Deadline,
    Order(Order),
}

impl Work {
    /// Runs to the end. Dropping the future leaves what was written in staging, to be taken up again.
    pub(super) async fn run(mut self, offer: &Offer, plan: &Plan) -> Result<Ending, FetchError> {
        let Turn::Ours(mut turn) = self.turn().await else { return self.stopped_before().await };
        let claim = offer.claim();
        let mut algos: Vec<HashAlgo> = claim.algos().collect();
        // Those whose digest comes with the bytes, and the store's own name for them.
        let promised = offer.file().hash_used.iter().filter_map(|used| HashAlgo::from_name(&used.algo)).filter(|algo| algo.is_usable());
        for algo in promised.chain([HashAlgo::Sha256]) {
            if !algos.contains(&algo) {
                algos.push(algo);
            }
        }
        let staging = self.staging(Kin::of(self.key, offer)).await?;
        let resume = (!staging.is_empty()).then(|| point(&staging));
        let envelope = resume.as_ref().and_then(|point| point.envelope_in(plan, claim.size));
        let mut place = Place::Sink(Sink::open(staging, algos.clone(), envelope).await?);
        let mut job = FetchJob::new(plan, claim, self.rules.clone(), self.settings, resume, Instant::now());
        let (mut link, mut parting) = (Link::None, None);
        loop {
            while let Some(action) = job.poll_action() {
                match action {
                    Action::Open(open) => link = self.open(open).await,
                    Action::Close => link = Link::None,
                    Action::OpenSession(open) => link = self.call(*open).await,
                    Action::EndSession(SessionEnd::Kept) => parting = link.take_session().map(Parting::new),
                    Action::EndSession(end) => {
                        if let Some(body) = link.take_session() {
                            tokio::spawn(Parting::new(body).say(end)); // whatever comes next need not wait for that
                        }
                    }
                    Action::Restart => place = Place::Sink(emptied(place, &algos, None).await?),
                    Action::Through(envelope) => place = Place::Sink(emptied(place, &algos, Some(envelope)).await?),
                    Action::Note(point) => place = self.note(place, &point).await?,
                    Action::Record(source, outcome) => self.record(source, outcome).await?,
                    Action::Finish => place = self.finish(place, &mut job).await?,
                    Action::Done(fetched) => {
                        let kept = self.commit(place, fetched).await;
                        if let Some(parting) = parting {
                            parting.say(if kept.is_ok() { SessionEnd::Kept } else { SessionEnd::Stopped }).await;
                        }
                        return kept.map(Ending::File);
                    }
                    Action::Failed(failed) => {
                        put_away(place, failed.kept > 0).await?;
                        return Err(FetchError::Failed(failed));
                    }
                }
            }
            if job.is_over() {
                break;
            }
            match next(&mut link, job.deadline(), &mut self.orders).await {
                Input::Order(Order::Pause) => {
                    job.pause();
                    turn = None; // others may go on
                    self.events.tell(FetchEvent::Paused).await;
                }
                Input::Order(Order::Resume) if turn.is_none() => match self.turn().await {
                    Turn::Ours(ours) => {
                        turn = ours;
                        job.go_on(Instant::now());
                    }
                    Turn::Stopped => job.cancel(),
                },
                Input::Order(Order::Resume) => {}
                Input::Order(Order::Stop) => job.cancel(),
                input => place = self.feed(input, &mut job, place).await?,
            }
        }
        let keep = !self.orders.throws_away();
        put_away(place, keep).await.map(|len| Ending::Stopped(if keep { len } else { 0 }))
    }

    /// Waits until fewer fetches run than may.
    async fn turn(&mut self) -> Turn {
        if let Ok(turn) = self.turns.clone().try_acquire_owned() {
            return Turn::Ours(Some(turn));
        }
        self.events.tell(FetchEvent::Waiting).await;
        let mut waits = true;
        loop {
            tokio::select! {
                order = self.orders.next() => match order {
                    Order::Stop => return Turn::Stopped,
                    Order::Pause => waits = false,
                    Order::Resume => waits = true,
                },
                turn = self.turns.clone().acquire_owned(), if waits => match turn {
                    Ok(turn) => return Turn::Ours(Some(turn)),
                    Err(_closed) => return Turn::Ours(None), // nobody counts any more
                },
            }
        }
    }

    /// It was stopped before its turn came: what an earlier try of this very offer left stays, or is thrown away. What others left is theirs.
    async fn stopped_before(self) -> Result<Ending, FetchError> {
        let (store, key, keep) = (self.store.clone(), self.key, !self.orders.throws_away());
        let kept = blocking(move || {
            let is_ours = |staged: &Staged| {
                staged.job == job_of(key) || staged.sidecar.as_ref().is_some_and(|sidecar| sidecar.offer == key.to_string())
            };
            let mut kept = 0;
            for staged in store.staged()?.into_iter().filter(is_ours) {
                match store.resume(&staged.job) {
                    Ok(Some(staging)) if keep && !staging.is_empty() => kept += staging.len(),
                    Ok(Some(useless)) => useless.discard()?,
                    Ok(None) | Err(StoreError::Busy(_)) => {} // somebody else is at it
                    Err(error) => return Err(error),
                }
            }
            Ok(kept)
        });
        Ok(Ending::Stopped(kept.await?))
    }

    async fn feed(&mut self, input: Input, job: &mut FetchJob, place: Place) -> Result<Place, FetchError> {
        let now = Instant::now();
        match input {
            Input::News(News::Opened(head)) => {
                if matches!(head.status, 200 | 206) {
                    self.events.tell(FetchEvent::Way(Taken::Link)).await;
                }
                job.handle_opened(now, &head);
            }
            Input::News(News::Stands { from, total, way }) => {
                self.events.tell(FetchEvent::Way(Taken::Session(way))).await;
                job.handle_session(now, from, total);
            }
            Input::News(News::Way(way)) => self.events.tell(FetchEvent::Way(Taken::Session(way))).await,
            Input::News(News::Failed(failure)) => job.handle_failed(now, &failure),
            Input::News(News::SessionFailed(failure)) => job.handle_session_failed(now, &failure),
            Input::News(News::End(told)) => {
                job.handle_told(&told);
                job.handle_end(now);
            }
            Input::News(News::Bytes(bytes)) => {
                let portion = job.handle_bytes(now, bytes.len());
                let place = write(place, bytes, &portion).await?;
                if now.elapsed() > SLOW_WRITE {
                    job.handle_bytes(Instant::now(), 0);
                }
                self.events.bytes(|| FetchEvent::Received(job.progress()));
                return Ok(place);
            }
            Input::Deadline => job.handle_timeout(now),
            Input::Order(_) => {}
        }
        Ok(place)
    }

    /// What an earlier try left, or nothing. One that was dropped a moment ago may still be writing its last bytes, and a session whose other
    /// side was started anew may not know that yet.
    async fn staging(&mut self, kin: Kin) -> Result<Staging, FetchError> {
        let (kin, mut patience, mut later) = (Arc::new(kin), Patience::new(), None);
        loop {
            let (store, job, kin) = (self.store.clone(), job_of(self.key), Arc::clone(&kin));
            let left = blocking(move || match store.resume(&job)? {
                Some(staging) if !staging.is_empty() => Ok(Left::Bytes(staging)),
                Some(empty) => empty.discard().and_then(|()| kin.take(&store)),
                None => kin.take(&store),
            });
            match left.await {
                Ok(Left::Bytes(staging)) => {
                    self.orders.put_back(later);
                    return Ok(staging);
                }
                Err(StoreError::Busy(_)) if patience.is_young() => sleep(LOOKING_AGAIN).await,
                Ok(Left::Held(len)) if patience.lasts(len) => tokio::select! {
                    () = sleep(LOOKING_AGAIN) => {}
                    order = self.orders.next() => {
                        let is_stop = matches!(order, Order::Stop);
                        later = Some(order); // a pause changes nothing while nothing moves
                        if is_stop {
                            break;
                        }
                    }
                },
                Ok(Left::Held(_) | Left::Nothing) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.orders.put_back(later);
        let (store, key) = (self.store.clone(), self.key);
        let sidecar = Sidecar { offer: key.to_string(), is_pure: true, ..Sidecar::default() };
        Ok(blocking(move || store.stage(job_of(key), sidecar)).await?)
    }

    async fn open(&mut self, open: OpenUrl) -> Link {
        let host = open.url.host_str().unwrap_or_default().to_owned();
        self.events.tell(FetchEvent::Asking { host, from_byte: open.from_byte }).await;
        let network = self.network.clone();
        Link::Opening(Box::pin(async move { get(&open, &network).await }))
    }

    async fn call(&mut self, open: OpenSession) -> Link {
        self.events.tell(FetchEvent::Calling { peer: open.peer.clone(), from_byte: open.from_byte, reach: open.reach }).await;
        let direct = self.direct.clone();
        Link::Calling(Box::pin(async move { direct.open(open).await }))
    }

    async fn record(&self, source: SourceKey, outcome: Outcome) -> Result<(), FetchError> {
        if !outcome.is_success() {
            self.events.tell(FetchEvent::SourceEnded(outcome.clone())).await;
        }
        let (store, key) = (self.store.clone(), self.key);
        let record = Record { source, outcome, at: SystemTime::now() };
        Ok(blocking(move || store.add_outcome(key, &record)).await?)
    }

    async fn note(&self, place: Place, point: &ResumePoint) -> Result<Place, FetchError> {
        let sidecar = Sidecar {
            offer: self.key.to_string(),
            source: point.source.as_ref().map(|source| source.as_str().to_owned()),
            validator: point.validator.clone(),
            is_pure: point.source.is_some() || point.len == 0,
            envelope: point.envelope.clone(),
        };
        match place {
            Place::Sink(sink) => match sink.note(sidecar).await {
                Ok(()) => Ok(Place::Sink(sink)),
                Err(Ended) => Err(why(sink).await),
            },
            Place::Staged(mut staging) => {
                let noted = blocking(move || staging.note(sidecar).map(|()| staging));
                Ok(Place::Staged(noted.await?))
            }
        }
    }

    async fn finish(&mut self, place: Place, job: &mut FetchJob) -> Result<Place, FetchError> {
        let Place::Sink(sink) = place else { return Ok(place) };
        self.events.tell(FetchEvent::Checking).await;
        let Finished { staging, hashed, unwrapped } = sink.finish().await?;
        match unwrapped {
            None => job.handle_hashed(Instant::now(), hashed),
            Some(unwrapped) => job.handle_unwrapped(Instant::now(), hashed, &unwrapped),
        }
        Ok(Place::Staged(staging))
    }

    async fn commit(&self, place: Place, fetched: Fetched) -> Result<BlobRef, FetchError> {
        let staging = match place {
            Place::Staged(staging) => staging,
            Place::Sink(sink) => sink.stop().await?,
        };
        let store = self.store.clone();
        let blob = blocking(move || match &fetched {
            Fetched::Verified(verified) => store.commit(staging, verified),
            Fetched::Unproven(unproven) => store.commit(staging, unproven),
        });
        Ok(blob.await?)
    }
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

/// What the next input is, or that the deadline passed.
async fn next(link: &mut Link, deadline: Option<Instant>, orders: &mut Orders) -> Input {
    let until = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
    tokio::select! {
        biased;
        order = orders.next() => Input::Order(order),
        news = link.next() => Input::News(news),
        () = sleep_until(until.into()) => Input::Deadline,
    }
}

async fn get(open: &OpenUrl, network: &Network) -> Result<Answer, HttpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &open.headers {
        add_header(&mut headers, name, value)
            .map_err(|why| HttpError::Unspeakable { host: open.url.host_str().unwrap_or_default().to_owned(), why })?;
    }
    let request = WebRequest {
        method: Method::GET,
        url: &open.url,
        headers,
        body: RequestBody::none(),
        rule: &open.addresses,
        moved: Moved::default(),
    };
    exchange(request, network).await
}

async fn write(place: Place, bytes: Bytes, portion: &Portion) -> Result<Place, FetchError> {
    let Place::Sink(sink) = place else { return Ok(place) };
    if portion.0.is_empty() {
        return Ok(Place::Sink(sink));
    }
    match sink.write(bytes.slice(portion.0.clone())).await {
        Ok(()) => Ok(Place::Sink(sink)),
        Err(Ended) => Err(why(sink).await),
    }
}

async fn emptied(place: Place, algos: &[HashAlgo], envelope: Option<Envelope>) -> Result<Sink, FetchError> {
    Ok(match place {
        Place::Sink(sink) => sink.restart(envelope).await?,
        Place::Staged(staging) => Sink::emptied(staging, algos.to_vec(), envelope).await?,
    })
}

/// Writes what is on its way to the disk; throws away what is of no use. Tells how many bytes there were.
async fn put_away(place: Place, keep: bool) -> Result<u64, FetchError> {
    let staging = match place {
        Place::Sink(sink) => sink.stop().await?,
        Place::Staged(staging) => staging,
    };
    let len = staging.len();
    if !keep || len == 0 {
        blocking(move || staging.discard()).await?;
    }
    Ok(len)
}

/// Why a sink took no more.
async fn why(sink: Sink) -> FetchError {
    match sink.finish().await {
        Err(error) => error.into(),
        Ok(_) => FetchError::Broken,
    }
}

fn point(staging: &Staging) -> ResumePoint {
    let sidecar = staging.sidecar();
    let source = sidecar.source.clone().filter(|_| sidecar.is_pure).map(SourceKey::from_record);
    let validator = sidecar.validator.clone().filter(|_| source.is_some());
    ResumePoint { len: staging.len(), validator, source, envelope: sidecar.envelope.clone() }
}

/// One transfer for each row of the catalogue.
pub(super) fn job_of(key: OfferKey) -> JobId {
    JobId::from_record(&format!("offer-{}", key.number().max(0))).expect("letters, a dash and digits")
}

impl From<SinkError> for FetchError {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Store(error) => Self::Store(error),
            SinkError::Lanes(_) => Self::Broken,
            SinkError::Reread(source) => Self::Reread(source),
        }
    }
}
