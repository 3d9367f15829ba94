//! The task of one session: feeds its machine, does what it says, sleeps. Bytes go beside it, in [`super::pump`].
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>

mod files;
mod moving;

pub(super) use files::Giving;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::transfer::bytestream::{OwnCandidate, OwnPlace, SocketEvent};
use balcony_sharing::transfer::jingle::{
    Action, ContentId, EndReason, Event, Finding, JingleRefusal, Rejection, RequestId, Session, StreamId,
};
use balcony_sharing::transfer::{Reach, SessionEnd};
use balcony_wire::jingle::{Action as Verb, Jingle};
use balcony_wire::jingle_file::JingleFile;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Iq, IqKind, Jid, Payload as _, StanzaError};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, select_all};
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, sleep_until};

use files::Taking;

use super::body::{Feed, Piece, Verdict};
use super::desk::Order;
use super::give::{Asked, Gift};
use super::pump::Report;
use super::switchboard::{Arrival, InBandMail, Key, Mail, Mailbox};
use super::{Desk, DirectError, GiveEvent, Stage};
use crate::account::Connection;
use crate::streams::Sockets;

/// What pumps may have to tell at once.
const REPORTS: usize = 32;
/// How long the last bytes of a file that is kept already may take to be counted.
const COUNTING: Duration = Duration::from_secs(2);
/// How long a request may be under way; the machine's own patience is shorter.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a connection that was lost may take to come back, before what is to be said is given up.
const RECONNECTION: Duration = Duration::from_secs(20);

/// One session at work.
pub(super) struct Task {
    desk: Arc<Desk>,
    key: Key,
    session: Session,
    mailbox: Mailbox<Mail>,
    orders: mpsc::Receiver<Order>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    sockets: BTreeMap<StreamId, Sockets>,
    /// In-band streams that the other side may open.
    awaited: BTreeMap<StreamId, InBandMail>,
    /// Streams that were given up while places for them were looked for.
    dropped: BTreeSet<StreamId>,
    takes: BTreeMap<ContentId, Taking>,
    gives: BTreeMap<ContentId, Giving>,
    reporter: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
    pumps: u64,
    /// Addresses of ours were shown.
    shown: bool,
    /// Whom to tell that the other side was told.
    leaving: Vec<oneshot::Sender<()>>,
}

/// What was done beside.
enum Done {
    Answer(RequestId, Result<Option<Element>, RequestError>),
    Own(StreamId, Box<Sockets>, Vec<OwnCandidate>),
    Found(ContentId, Option<Box<Gift>>),
    Verdict(ContentId, Option<Verdict>),
    /// What we give is not shared any more.
    Unshared,
    /// A file that is kept, and of which not all bytes were counted.
    Overdue(ContentId),
    /// The account is closed, or cannot be connected any more.
    Offline,
}

/// What the task waits for.
enum Input {
    Mail(Option<Mail>),
    Order(Order),
    Done(Done),
    Report(Report),
    Socket(StreamId, SocketEvent),
    Deadline,
}

/// What a task begins with.
pub(super) struct Beginning {
    pub(super) session: Session,
    pub(super) mailbox: Mailbox<Mail>,
    /// What we give, in the order of the contents.
    pub(super) gives: Vec<Giving>,
    /// What we asked for, in the order of the contents.
    pub(super) takes: Vec<Feed>,
}

impl Task {
    /// Begins; the session is found under its key from now on, until it is over.
    pub(super) fn spawn(desk: &Arc<Desk>, key: Key, beginning: Beginning) {
        // Whoever agrees to a file soon needs them.
        desk.proxies.warm();
        let Beginning { session, mailbox, gives, takes } = beginning;
        let (reporter, reports) = mpsc::channel(REPORTS);
        let orders = desk.register(&key);
        let contents: Vec<ContentId> = session.contents().cloned().collect();
        let mut task = Self {
            desk: Arc::clone(desk),
            key,
            session,
            mailbox,
            orders,
            work: FuturesUnordered::new(),
            sockets: BTreeMap::new(),
            awaited: BTreeMap::new(),
            dropped: BTreeSet::new(),
            takes: BTreeMap::new(),
            gives: contents.iter().cloned().zip(gives).collect(),
            reporter,
            reports,
            pumps: 0,
            shown: false,
            leaving: Vec::new(),
        };
        for (content, feed) in contents.into_iter().zip(takes) {
            task.expect(content, feed, Stage::Asking);
        }
        let gifts: Vec<Gift> = task.gives.values().map(|giving| giving.gift.clone()).collect();
        gifts.iter().for_each(|gift| task.until_unshared(gift));
        tokio::spawn(task.run());
    }

    async fn run(mut self) {
        let mut state = self.desk.state.clone();
        self.work.push(Box::pin(async move {
            let _ = state.wait_for(|state| matches!(state, Connection::Ended(_))).await; // or the task that tells is gone
            Done::Offline
        }));
        let ended = loop {
            if let Some(ended) = self.perform_all().await {
                break ended;
            }
            let input = self.input().await;
            self.feed(input).await;
        };
        for answer in self.mailbox.close() {
            self.desk.courier.answer(answer).await;
        }
        self.over(&ended).await;
    }

    /// Does what the machine says; gives its end.
    async fn perform_all(&mut self) -> Option<EndReason> {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Ask { id, jingle } => self.ask(id, jingle).await,
                Action::Gather { stream, reach } => self.gather(stream, reach),
                Action::Socket { stream, action } => {
                    if let Some(sockets) = self.sockets.get_mut(&stream) {
                        sockets.perform(action);
                        self.shown |= sockets.came_to_them();
                    }
                }
                Action::Await { stream, sid } => {
                    let mail = self.in_band(sid);
                    self.awaited.insert(stream, mail);
                }
                Action::Drop { stream } => {
                    self.awaited.remove(&stream);
                    if self.sockets.remove(&stream).is_none() {
                        self.dropped.insert(stream);
                    }
                }
                Action::Begin { content, direction, span, stream, carrier } => self.begin(content, direction, span, stream, carrier).await,
                Action::Stop { content } => self.stop(&content),
                Action::Event(Event::Ended(reason)) => return Some(reason),
                Action::Event(event) => self.hear(event).await,
            }
        }
        for said in self.leaving.drain(..) {
            let _ = said.send(()); // whoever waited is gone
        }
        None
    }

    async fn ask(&mut self, id: RequestId, jingle: Element) {
        let (desk, peer) = (Arc::clone(&self.desk), Jid::from(self.key.peer.clone()));
        let answer = desk.courier.begin(peer.clone(), Ask::Set(jingle.clone()), ANSWER).await;
        self.work.push(Box::pin(async move {
            let mut result = answer.await.unwrap_or(Err(RequestError::Disconnected));
            // A connection that is resumed is the same one to everybody else.
            if matches!(result, Err(RequestError::NotOnline)) && desk.is_back(RECONNECTION).await {
                result = desk.courier.ask(peer, Ask::Set(jingle), ANSWER).await;
            }
            Done::Answer(id, result)
        }));
    }

    fn gather(&mut self, stream: StreamId, reach: Reach) {
        let mut sockets = Box::new(self.desk.sockets(&self.key.peer));
        self.work.push(Box::pin(async move {
            let own = sockets.gather(reach).await;
            Done::Own(stream, sockets, own)
        }));
    }

    fn in_band(&self, sid: String) -> InBandMail {
        self.desk.switchboard.in_band(Key { peer: self.key.peer.clone(), sid })
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::Asked { content, file } => self.look_for(content, *file),
            Event::Accepted { content, .. } => {
                if let Some(giving) = self.gives.get_mut(&content) {
                    giving.stage = Stage::FindingAWay;
                    giving.tell(GiveEvent::Accepted).await;
                }
                if let Some(taking) = self.takes.get_mut(&content) {
                    taking.stage = Stage::FindingAWay;
                }
            }
            Event::FellBack { content, why } => {
                if let Some(giving) = self.gives.get(&content) {
                    giving.tell(GiveEvent::FellBack { why }).await;
                }
            }
            Event::Checksum { content, span: None, digests } => {
                if let Some(taking) = self.takes.get(&content) {
                    *taking.feed.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = digests;
                }
            }
            Event::Whole { content } => {
                if let Some(taking) = self.takes.get_mut(&content) {
                    taking.stage = Stage::Confirming;
                    taking.say(Piece::End);
                    if taking.kept.is_some() {
                        self.keep(Instant::now(), &content);
                    }
                }
            }
            Event::ContentEnded { content, reason } => self.content_ended(&content, &reason).await,
            Event::Held { content, on } => {
                if let Some(giving) = self.gives.get(&content) {
                    giving.held.send_replace(on);
                }
            }
            Event::Offered { .. } | Event::Checksum { .. } | Event::Ended(_) => {}
        }
    }

    /// Somebody asks for a file of ours: whether they get it is not said here.
    fn look_for(&mut self, content: ContentId, file: JingleFile) {
        let (giver, peer) = (self.desk.giver.clone(), Jid::from(self.key.peer.clone()));
        self.work.push(Box::pin(async move {
            let gift = giver.find(&peer, Asked::ByFile(Box::new(file.metadata))).await;
            Done::Found(content, gift.map(Box::new))
        }));
    }

    /// A live share that ends takes along whoever is just getting it.
    fn until_unshared(&mut self, gift: &Gift) {
        if gift.share.is_some() {
            let unshared = self.desk.giver.unshared(gift);
            self.work.push(Box::pin(async move {
                unshared.await;
                Done::Unshared
            }));
        }
    }

    async fn content_ended(&mut self, content: &ContentId, reason: &EndReason) {
        if let Some(mut taking) = self.takes.remove(content) {
            taking.pump = None;
            taking.ended(&self.key, reason);
        }
        if let Some(mut giving) = self.gives.remove(content) {
            giving.pump = None;
            giving.ended(&self.key, reason).await;
        }
    }

    /// The next thing that happens.
    async fn input(&mut self) -> Input {
        let deadline = self.session.deadline();
        let has_sockets = !self.sockets.is_empty();
        let sockets = async {
            let events = self.sockets.iter_mut().map(|(stream, sockets)| Box::pin(async move { (*stream, sockets.event().await) }));
            select_all(events).await.0
        };
        tokio::select! {
            mail = self.mailbox.next() => Input::Mail(mail),
            Some(order) = self.orders.recv() => Input::Order(order),
            Some(done) = self.work.next() => Input::Done(done),
            Some(report) = self.reports.recv() => Input::Report(report),
            (stream, event) = sockets, if has_sockets => Input::Socket(stream, event),
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => Input::Deadline,
        }
    }

    async fn feed(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Mail(Some(Mail::Request(request))) => {
                // They may speak of bytes that moved and are not counted yet: success would look like a stop midway.
                while let Ok(report) = self.reports.try_recv() {
                    self.report(now, report).await;
                }
                self.request(now, &request).await;
            }
            Input::Mail(Some(Mail::Unavailable)) => self.session.handle_unavailable(now),
            // A mailbox that overflowed, or that has to be left, takes the session along.
            Input::Mail(Some(Mail::Renamed) | None) => self.session.handle_disconnected(now),
            Input::Order(order) => self.order(now, order),
            Input::Done(done) => self.done(now, done).await,
            Input::Report(report) => self.report(now, report).await,
            Input::Socket(stream, event) => self.session.handle_socket(now, stream, event),
            Input::Deadline => self.session.handle_timeout(now),
        }
    }

    async fn request(&mut self, now: Instant, request: &Iq) {
        let (IqKind::Set(payload) | IqKind::Get(payload)) = &request.kind else { return };
        let answer = match Jingle::read(payload) {
            Ok(jingle) => match self.take(now, &jingle, payload) {
                Ok(()) => {
                    if jingle.action == Verb::ContentAdd {
                        // What there is no room for waits for nobody: the machine gives it up in time.
                        drop(self.desk.switchboard.arrive(Arrival::Added(self.key.peer.clone(), payload.clone())));
                    }
                    request.result(None)
                }
                Err(refusal) => request.refuse(refusal.error()),
            },
            Err(error) => request.refuse(StanzaError::new(DefinedCondition::BadRequest).with_text(error.to_string())),
        };
        self.desk.courier.answer(answer).await;
    }

    fn take(&mut self, now: Instant, jingle: &Jingle, payload: &Element) -> Result<(), JingleRefusal> {
        if jingle.action == Verb::ContentAdd {
            self.mailbox.hold(payload)?;
        }
        self.session.handle_request(now, jingle)
    }

    fn order(&mut self, now: Instant, order: Order) {
        match order {
            Order::Take { content, from_byte, reach, feed } => {
                let Some(id) = self.untaken(content.as_deref()) else {
                    return feed.fail(DirectError::Over { peer: Jid::from(self.key.peer.clone()) });
                };
                self.session.set_reach(reach);
                self.session.accept(now, &id, from_byte);
                self.expect(id, feed, Stage::FindingAWay);
            }
            Order::Refuse { content } => {
                let id = files::meant(self.session.contents(), Some(&content)).cloned();
                if let Some(id) = id {
                    self.session.reject(now, &id, Rejection::Declined);
                }
            }
            Order::Have { content } => {
                let id = files::meant(self.session.contents(), Some(&content)).cloned();
                let Some(id) = id else { return };
                let open: Vec<_> = self.session.contents().filter(|id| self.session.ended(id).is_none()).collect();
                let is_last = open == [&id];
                match self.takes.contains_key(&id) {
                    true => {} // whoever takes it just now says so themself
                    false if is_last => self.session.terminate(now, EndReason::Done),
                    false => self.session.reject(now, &id, Rejection::Declined),
                }
            }
            Order::Leave { said } => {
                self.session.terminate(now, EndReason::Stopped);
                self.leaving.push(said);
            }
        }
    }

    /// The file that is meant by this name, if nobody takes it yet.
    fn untaken(&self, name: Option<&str>) -> Option<ContentId> {
        let meant = files::meant(self.session.contents(), name)?;
        let is_free = self.session.ended(meant).is_none() && !self.takes.contains_key(meant);
        is_free.then(|| meant.clone())
    }

    /// Somebody waits for this file.
    fn expect(&mut self, content: ContentId, mut feed: Feed, stage: Stage) {
        if let Some(verdict) = feed.verdict.take() {
            let content = content.clone();
            self.work.push(Box::pin(async move { Done::Verdict(content, verdict.await.ok()) }));
        }
        self.takes.insert(content, Taking { feed, fed: None, pump: None, stage, kept: None });
    }

    async fn done(&mut self, now: Instant, done: Done) {
        match done {
            Done::Answer(id, Ok(_)) => {
                self.desk.switchboard.acknowledged(&self.key);
                self.session.handle_answer(now, id, Ok(()));
            }
            Done::Answer(id, Err(RequestError::Refused { error, .. })) => self.session.handle_answer(now, id, Err(error)),
            Done::Answer(id, Err(RequestError::TimedOut)) => {
                self.session.handle_answer(now, id, Err(StanzaError::new(DefinedCondition::RemoteServerTimeout)));
            }
            Done::Answer(id, Err(RequestError::TooLarge { .. } | RequestError::TooMany)) => {
                self.session.handle_answer(now, id, Err(StanzaError::new(DefinedCondition::ResourceConstraint)));
            }
            Done::Answer(_, Err(RequestError::NotOnline | RequestError::Disconnected)) | Done::Offline => {
                self.session.handle_disconnected(now)
            }
            Done::Own(stream, sockets, own) => {
                if self.dropped.remove(&stream) {
                    return;
                }
                self.shown |= own.iter().any(|own| own.place == OwnPlace::Listener);
                self.sockets.insert(stream, *sockets);
                self.session.handle_own_candidates(now, stream, own);
            }
            Done::Found(content, Some(gift)) => {
                self.session.set_reach(gift.reach);
                self.session.serve(now, &content, JingleFile::from(gift.file.clone()));
                let watcher = self.desk.giver.watch(&Jid::from(self.key.peer.clone()), &gift);
                self.until_unshared(&gift);
                self.gives.insert(content, Giving::new(*gift, Some(watcher)));
            }
            Done::Unshared => self.session.terminate(now, EndReason::Stopped),
            Done::Found(content, None) => self.session.reject(now, &content, Rejection::NotAvailable),
            Done::Verdict(content, verdict) => self.verdict(now, &content, verdict),
            Done::Overdue(content) => self.keep(now, &content),
        }
    }

    /// Whoever takes the bytes says what became of them, or takes no more.
    fn verdict(&mut self, now: Instant, content: &ContentId, verdict: Option<Verdict>) {
        let (end, said) = verdict.map_or((SessionEnd::Stopped, None), |(end, said)| (end, Some(said)));
        match (end, self.takes.get_mut(content)) {
            (SessionEnd::Kept, Some(taking)) if taking.stage == Stage::Moving => {
                taking.kept = said;
                let content = content.clone();
                self.work.push(Box::pin(async move {
                    sleep(COUNTING).await;
                    Done::Overdue(content)
                }));
                return;
            }
            (SessionEnd::Kept, _) => self.session.finish(now, content, Finding::Kept),
            (SessionEnd::Wrong, _) => self.session.finish(now, content, Finding::Wrong),
            (SessionEnd::Misfit, _) => self.session.finish(now, content, Finding::Misfit),
            (SessionEnd::Broken, _) => self.session.finish(now, content, Finding::Unusable),
            (SessionEnd::Stopped, taking) => {
                if let Some(taking) = taking {
                    taking.pump = None;
                }
                self.session.cancel(now, content);
            }
        }
        self.leaving.extend(said);
    }

    /// What was kept already is all there now, or never will be.
    fn keep(&mut self, now: Instant, content: &ContentId) {
        let said = self.takes.get_mut(content).and_then(|taking| taking.kept.take());
        if said.is_some() {
            self.session.finish(now, content, Finding::Kept);
        }
        self.leaving.extend(said);
    }

    /// Everybody who waits is told.
    async fn over(mut self, reason: &EndReason) {
        let (takes, gives) = (std::mem::take(&mut self.takes), std::mem::take(&mut self.gives));
        for taking in takes.into_values() {
            taking.ended(&self.key, reason);
        }
        for giving in gives.into_values() {
            giving.ended(&self.key, reason).await;
        }
        self.desk.unregister(&self.key);
    }
}
