//! One fetch: the driver of [`FetchJob`]. Feed, perform, sleep.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use balcony_sharing::cipher::Envelope;
use balcony_sharing::plan::{Outcome, Record};
use balcony_sharing::transfer::fetch::{Action, Base, FetchJob, FetchSettings, Fetched, Portion, ResumePoint};
use balcony_sharing::transfer::{OpenSession, OpenUrl, SessionEnd};
use balcony_sharing::{NetRules, Offer, Plan, SourceKey};
use balcony_store::{BlobRef, JobId, OfferKey, Sidecar, Staged, Staging, Store, StoreError};
use balcony_wire::hashes::HashAlgo;
use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use tokio::sync::Semaphore;
use tokio::time::sleep_until;

use super::beginning::{Read, Turn};
use super::kin::Kin;
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
    /// Whose turn it is, where only so many fetches run at once; none where it cannot wait.
    pub(super) turns: Option<Arc<Semaphore>>,
    pub(super) turn: Option<Turn>,
    /// What is under way.
    pub(super) link: Link,
    /// What whoever watches wants.
    pub(super) orders: Orders,
}

/// What a transfer is called, before the number of its offer.
const JOB: &str = "offer-";

/// How a fetch ended that did not fail.
pub(super) enum Ending {
    File(BlobRef),
    /// Somebody wanted it to end; so many bytes are kept.
    Stopped(u64),
}

/// Where the bytes go; while the digests are judged, only staging is left.
enum Place {
    Sink(Sink),
    Staged(Staging),
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
        let Some(staging) = self.begin(Kin::of(self.key, offer)).await? else { return self.stopped_before().await };
        let lender = lender(&staging, self.key);
        let claim = offer.claim();
        let mut algos: Vec<HashAlgo> = claim.algos().collect();
        // Those whose digest comes with the bytes, and the store's own name for them.
        let promised = offer.file().hash_used.iter().filter_map(|used| HashAlgo::from_name(&used.algo)).filter(|algo| algo.is_usable());
        for algo in promised.chain([HashAlgo::Sha256]) {
            if !algos.contains(&algo) {
                algos.push(algo);
            }
        }
        let resume = (!staging.is_empty()).then(|| point(&staging));
        let envelope = resume.as_ref().and_then(|point| point.envelope_in(plan, claim.size));
        let mut place = match self.read(staging, &algos, envelope).await? {
            Read::Whole(sink) | Read::Paused(sink) => Place::Sink(sink),
            Read::Stopped(staging) => return self.stopped(Place::Staged(staging)).await,
        };
        let mut job = FetchJob::new(plan, claim, self.rules.clone(), self.settings, resume, Instant::now());
        let mut parting = None;
        loop {
            while let Some(action) = job.poll_action() {
                match action {
                    Action::Open(open) => self.link = self.open(open).await,
                    Action::Close => self.link = Link::None,
                    Action::OpenSession(open) => self.link = self.call(*open).await,
                    Action::EndSession(SessionEnd::Kept) => parting = self.link.take_session().map(Parting::new),
                    Action::EndSession(end) => {
                        if let Some(body) = self.link.take_session() {
                            tokio::spawn(Parting::new(body).say(end)); // whatever comes next need not wait for that
                        }
                    }
                    Action::Cut(keep) => place = self.cut(place, keep, &algos, None, &mut job).await?,
                    Action::Through(envelope) => place = self.cut(place, 0, &algos, Some(envelope), &mut job).await?,
                    Action::Note(point) => place = self.note(place, &point).await?,
                    Action::Record(source, outcome) => self.record(source, outcome, lender).await?,
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
                return self.stopped(place).await;
            }
            match next(&mut self.link, job.deadline(), &mut self.orders).await {
                Input::Order(Order::Pause) => {
                    job.pause();
                    self.turn = None; // others may go on
                    self.events.tell(FetchEvent::Paused).await;
                }
                Input::Order(Order::Resume) if self.turn.is_none() => match self.has_turn().await {
                    true => job.go_on(Instant::now()),
                    false => job.cancel(),
                },
                Input::Order(Order::Resume) => {}
                Input::Order(Order::Stop) => job.cancel(),
                input => place = self.feed(input, &mut job, place).await?,
            }
        }
    }

    /// Somebody wanted it to end: what is there stays, or is thrown away.
    async fn stopped(self, place: Place) -> Result<Ending, FetchError> {
        let keep = !self.orders.throws_away();
        put_away(place, keep).await.map(|len| Ending::Stopped(if keep { len } else { 0 }))
    }

    /// Cuts staging to so many bytes and begins anew behind them.
    async fn cut(
        &mut self,
        place: Place,
        keep: u64,
        algos: &[HashAlgo],
        envelope: Option<Envelope>,
        job: &mut FetchJob,
    ) -> Result<Place, FetchError> {
        let mut staging = staged(place).await?;
        let staging = blocking(move || staging.truncate(keep).map(|()| staging)).await?;
        Ok(match self.read(staging, algos, envelope).await? {
            Read::Whole(sink) => {
                job.handle_delay(Instant::now()); // whoever comes next is asked only now
                Place::Sink(sink)
            }
            Read::Paused(sink) => {
                job.pause();
                job.go_on(Instant::now());
                Place::Sink(sink)
            }
            Read::Stopped(staging) => {
                job.cancel();
                Place::Staged(staging)
            }
        })
    }

    /// It was stopped before its turn came: what an earlier try of this very offer left stays, or is thrown away. What others left is theirs.
    pub(super) async fn stopped_before(self) -> Result<Ending, FetchError> {
        let (store, key, keep) = (self.store.clone(), self.key, !self.orders.throws_away());
        let kept = blocking(move || {
            let bears_its_name = |sidecar: &Sidecar| sidecar.offer == key.to_string();
            let is_ours = |staged: &Staged| staged.sidecar.as_ref().map_or(staged.job == job_of(key), bears_its_name);
            let mut kept = 0;
            for staged in store.staged()?.into_iter().filter(is_ours) {
                match store.resume(&staged.job) {
                    Ok(Some(staging)) if !bears_its_name(staging.sidecar()) => {} // another offer took it meanwhile
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
                    job.handle_delay(Instant::now());
                }
                self.events.bytes(|| FetchEvent::Received(job.progress()));
                return Ok(place);
            }
            Input::Deadline => job.handle_timeout(now),
            Input::Order(_) => {}
        }
        Ok(place)
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

    /// That a session did not fit behind what another offer left is remembered of both: nothing is staked on such bytes again.
    async fn record(&mut self, source: SourceKey, outcome: Outcome, lender: Option<OfferKey>) -> Result<(), FetchError> {
        if !outcome.is_success() {
            self.events.tell(FetchEvent::SourceEnded(outcome.clone())).await;
        }
        let (store, key) = (self.store.clone(), self.key);
        let lender = lender.filter(|_| source.is_offered() && outcome == Outcome::Misfit);
        let record = Record { source, outcome, at: SystemTime::now() };
        let mut keys = [Some(key), lender].into_iter().flatten();
        Ok(blocking(move || keys.try_for_each(|key| store.add_outcome(key, &record))).await?)
    }

    async fn note(&mut self, place: Place, point: &ResumePoint) -> Result<Place, FetchError> {
        let sidecar = Sidecar {
            offer: self.key.to_string(),
            source: point.source.as_ref().map(|source| source.as_str().to_owned()),
            validator: point.validator.clone(),
            is_pure: point.source.is_some() || point.len == 0,
            envelope: point.envelope.clone(),
            base: point.base.as_ref().map(|base| (base.source.as_str().to_owned(), base.len)),
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

    async fn commit(&mut self, place: Place, fetched: Fetched) -> Result<BlobRef, FetchError> {
        let staging = staged(place).await?;
        let store = self.store.clone();
        let blob = blocking(move || match &fetched {
            Fetched::Verified(verified) => store.commit(staging, verified),
            Fetched::Unproven(unproven) => store.commit(staging, unproven),
        });
        Ok(blob.await?)
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

/// Waits until all is written.
async fn staged(place: Place) -> Result<Staging, FetchError> {
    Ok(match place {
        Place::Sink(sink) => sink.stop().await?,
        Place::Staged(staging) => staging,
    })
}

/// Writes what is on its way to the disk; throws away what is of no use. Tells how many bytes there were.
async fn put_away(place: Place, keep: bool) -> Result<u64, FetchError> {
    let staging = staged(place).await?;
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
    let base = sidecar.base.clone().map(|(source, len)| Base { source: SourceKey::from_record(source), len });
    ResumePoint { len: staging.len(), validator, source, envelope: sidecar.envelope.clone(), base }
}

/// The offer whose fetch began these bytes, if it was another one.
fn lender(staging: &Staging, key: OfferKey) -> Option<OfferKey> {
    let number = staging.job().as_str().strip_prefix(JOB)?.parse().ok()?;
    Some(OfferKey::from_number(number)).filter(|lender| *lender != key)
}

/// One transfer for each row of the catalogue.
pub(super) fn job_of(key: OfferKey) -> JobId {
    JobId::from_record(&format!("{JOB}{}", key.number().max(0))).expect("letters, a dash and digits")
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
