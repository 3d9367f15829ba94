//! A file that we offer to a device that knows nothing better.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::OwnPlace;
use balcony_sharing::transfer::bytestream::ibb::{Terms, Window};
use balcony_sharing::transfer::jingle::{EndReason, Words};
use balcony_sharing::transfer::si::{Method, Offering, OfferingAction, OfferingFailed, Settings};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::stream_initiation::SiFile;
use balcony_wire::{Element, FullJid, Jid, StanzaError};
use tokio::sync::{mpsc, oneshot};

use super::opening::End;
use crate::blocking::blocking;
use crate::direct::desk::Order;
use crate::direct::give::Gift;
use crate::direct::publish::random_id;
use crate::direct::pump::Pace;
use crate::direct::reading::Pieces;
use crate::direct::switchboard::{Key, Mail, Mailbox, unknown_session};
use crate::direct::{Desk, DirectError, GiveEvent, Stage, WayTaken};
use crate::streams::Writer;

/// Bytes of a piece.
const PIECE: usize = 32 * 1024;

/// How long the proxies of the server may take to be found.
const PROXIES: Duration = Duration::from_millis(500);
/// How long the other side may take for what is on its way when all of it went out.
const DRAINING: Duration = Duration::from_secs(20);

/// Offers a file under this id; what becomes of it is told as it happens.
///
/// # Errors
/// When it cannot even begin.
pub(crate) fn offer(
    desk: &Arc<Desk>,
    peer: FullJid,
    sid: String,
    gift: Gift,
    events: Option<mpsc::Sender<GiveEvent>>,
) -> Result<(), DirectError> {
    let key = Key { peer, sid };
    let own = Jid::from(desk.between(&key)?.own);
    let mailbox = desk.switchboard.session(key.clone()).map_err(|_| DirectError::TooMany)?;
    let orders = desk.register(&key);
    let giving = Giving { desk: Arc::clone(desk), key, own, gift, events };
    tokio::spawn(giving.run(Around { mailbox, orders }));
    Ok(())
}

struct Giving {
    desk: Arc<Desk>,
    key: Key,
    own: Jid,
    gift: Gift,
    events: Option<mpsc::Sender<GiveEvent>>,
}

/// What may end it from outside.
struct Around {
    mailbox: Mailbox<Mail>,
    orders: mpsc::Receiver<Order>,
}

impl Around {
    /// Waits until it is to end.
    async fn stopped(&mut self, giving: &Giving, stage: Stage) -> (DirectError, Option<oneshot::Sender<()>>) {
        loop {
            let reason = tokio::select! {
                mail = self.mailbox.next() => match mail {
                    Some(Mail::Request(request)) => {
                        giving.desk.courier.answer(unknown_session(&request)).await;
                        continue;
                    }
                    // Some leave as soon as they have it: then the stream tells.
                    Some(Mail::Unavailable) if stage != Stage::Asking => continue,
                    Some(Mail::Unavailable) => EndReason::PeerGone,
                    Some(Mail::Renamed) | None => EndReason::Disconnected,
                },
                order = self.orders.recv() => match order {
                    Some(Order::Leave { said }) => return (giving.ended(stage, EndReason::Stopped), Some(said)),
                    Some(Order::Take { feed, .. }) => {
                        feed.fail(DirectError::Over { peer: giving.peer() });
                        continue;
                    }
                    Some(Order::Refuse { .. } | Order::Have { .. }) => continue,
                    None => pending().await,
                },
            };
            return (giving.ended(stage, reason), None);
        }
    }
}

impl Giving {
    async fn run(self, mut around: Around) {
        let (result, said) = self.give(&mut around).await;
        self.tell(GiveEvent::Ended(result)).await;
        self.desk.unregister(&self.key);
        if let Some(said) = said {
            let _ = said.send(()); // whoever waited is gone
        }
    }

    /// Until the file is there, or will not be.
    async fn give(&self, around: &mut Around) -> (Result<(), DirectError>, Option<oneshot::Sender<()>>) {
        let mut machine = Offering::new(
            Instant::now(),
            &self.key.sid,
            self.file(),
            self.gift.file.media_type.clone(),
            self.methods().await,
            Settings::default(),
        );
        let mut sid = self.key.sid.clone();
        while let Some(action) = machine.poll_action() {
            let step = match action {
                OfferingAction::Ask(si) => {
                    let answer = tokio::select! {
                        answer = self.ask(si) => answer,
                        (error, said) = around.stopped(self, Stage::Asking) => return (Err(error), said),
                    };
                    match answer {
                        Ok(answer) => machine.handle_answer(Ok(answer.as_ref())),
                        Err(RequestError::Refused { error, .. }) => machine.handle_answer(Err(&error)),
                        Err(RequestError::TimedOut) => machine.handle_answer(Err(&StanzaError::new(DefinedCondition::RemoteServerTimeout))),
                        Err(_) => return (Err(DirectError::Offline), None),
                    }
                    continue;
                }
                OfferingAction::Begin { method, from, length } => {
                    self.tell(GiveEvent::Accepted).await;
                    let span = Span { method, sid: sid.clone(), from, length };
                    tokio::select! {
                        step = self.send(span) => step,
                        (error, said) = around.stopped(self, Stage::Moving) => return (Err(error), said),
                    }
                }
                OfferingAction::Failed(why) => return (Err(self.failed(why)), None),
            };
            match step {
                Ok(()) => return (Ok(()), None),
                Err(Failed::NotOpened(why)) => {
                    sid = random_id();
                    machine.handle_no_stream(Instant::now(), &sid, why.clone());
                    if machine.deadline().is_some() {
                        self.tell(GiveEvent::FellBack { why }).await;
                    }
                }
                Err(Failed::Ended(error)) => return (Err(error), None),
            }
        }
        (Err(DirectError::Inside), None)
    }

    /// SOCKS5 only where there is an address to offer: the person would be asked twice for nothing.
    async fn methods(&self) -> &'static [Method] {
        let listens = self.gift.reach == Reach::Direct && self.desk.network.proxy().is_none();
        if listens || !self.desk.proxies.within(PROXIES).await.is_empty() { &Method::ALL } else { &Method::ALL[1..] }
    }

    fn file(&self) -> SiFile {
        let name = self.gift.file.name.clone().unwrap_or_else(|| "file".to_owned());
        SiFile { name: Some(name), size: Some(self.gift.size), date: self.gift.file.date.clone(), ..SiFile::default() }
    }

    async fn ask(&self, si: Element) -> Result<Option<Element>, RequestError> {
        self.desk.courier.ask(self.peer(), Ask::Set(si), Settings::default().decision).await
    }

    /// Opens a stream and sends a part of the file.
    async fn send(&self, span: Span) -> Result<(), Failed> {
        let (writer, way, shown) = match span.method {
            Method::Socks5 => self.listed(&span.sid).await.map_err(Failed::NotOpened)?,
            Method::InBand => (self.in_band(&span.sid), WayTaken::InBand, false),
        };
        self.tell(GiveEvent::Begins { way, address_shown: shown, from_byte: span.from }).await;
        self.pump(writer, span).await
    }

    async fn listed(&self, sid: &str) -> Result<(Writer, WayTaken, bool), String> {
        let mut sockets = self.desk.sockets(&self.key.peer);
        let own = sockets.gather(self.gift.reach).await;
        let shown = own.iter().any(|own| own.place == OwnPlace::Listener);
        let key = Key { sid: sid.to_owned(), ..self.key.clone() };
        let end = End { desk: &self.desk, key: &key, own: self.own.clone(), reach: self.gift.reach };
        let (stream, way) = end.list(sockets, own).await?;
        Ok((Writer::socket(stream), way, shown && self.gift.reach == Reach::Direct))
    }

    /// One block after the other: what old programs do with several at once, nobody knows.
    fn in_band(&self, sid: &str) -> Writer {
        let terms = Terms::offer(sid.to_owned());
        let mail = self.desk.switchboard.in_band(Key { sid: sid.to_owned(), ..self.key.clone() });
        Writer::in_band(self.desk.courier.clone(), mail, self.key.peer.clone(), terms, true, Window::one())
    }

    async fn pump(&self, mut writer: Writer, span: Span) -> Result<(), Failed> {
        let (gift, store) = (self.gift.clone(), self.desk.store.clone());
        let unreadable = |why: String| Failed::Ended(DirectError::File(why));
        let input = blocking(move || gift.open(&store)).await.map_err(|error| unreadable(format!("it cannot be read: {error}")))?;
        let (mut pace, mut sent) = (Pace::new(self.gift.rate), 0);
        // Small: whoever waits on the other side sees something move.
        let mut pieces = Pieces::start(input, span.from..span.from + span.length, None, pace.piece(self.desk.piece().min(PIECE)));
        let broke = |at, why: String| Failed::Ended(self.ended(Stage::Moving, EndReason::Broke { at, why }));
        while let Some(bytes) = pieces.next().await {
            let length = bytes.len() as u64;
            pace.wait(length).await;
            match writer.send(&bytes).await {
                Ok(()) => sent += length,
                // In band the first block waits for the stream.
                Err(error) if sent == 0 && span.method == Method::InBand => return Err(Failed::NotOpened(error.to_string())),
                Err(error) => return Err(broke(sent, error.to_string())),
            }
            if let Some(events) = &self.events {
                let _ = events.try_send(GiveEvent::Sent { to_byte: span.from + sent }); // who is slow to watch sees the next one
            }
        }
        pieces.finish().await.map_err(|failure| unreadable(failure.to_string()))?;
        writer.finish().await.map_err(|error| broke(sent, error.to_string()))?;
        // Nobody says that it arrived; who closes the stream on the other side has taken it.
        match writer.closed(DRAINING).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failed::Ended(self.ended(Stage::Confirming, EndReason::Unconfirmed))),
            Err(error) => Err(broke(sent, error.to_string())),
        }
    }

    async fn tell(&self, event: GiveEvent) {
        if let Some(events) = &self.events {
            let _ = events.send(event).await; // nobody watches
        }
    }

    fn peer(&self) -> Jid {
        Jid::from(self.key.peer.clone())
    }

    fn ended(&self, stage: Stage, reason: EndReason) -> DirectError {
        DirectError::Ended { peer: self.peer(), stage, reason }
    }

    fn failed(&self, why: OfferingFailed) -> DirectError {
        let reason = match why {
            OfferingFailed::Declined(text) => EndReason::PeerDeclined(Words::new(text.as_deref())),
            OfferingFailed::NoFiles => EndReason::NotServed,
            OfferingFailed::NoStream(why) => return self.ended(Stage::FindingAWay, EndReason::NoWay(why)),
            OfferingFailed::NoWay => return self.ended(Stage::FindingAWay, EndReason::NoWay(why.to_string())),
            OfferingFailed::Silent => EndReason::NoAnswer("offer"),
            OfferingFailed::BadAnswer(what) => EndReason::BrokeRules(what),
            OfferingFailed::Refused(condition) => EndReason::PeerEnded { condition, words: Words::new(None) },
        };
        self.ended(Stage::Asking, reason)
    }
}

/// A part of the file, and the stream for it.
struct Span {
    method: Method,
    sid: String,
    from: u64,
    length: u64,
}

/// Why a stream did not bring it.
enum Failed {
    /// Another way may do.
    NotOpened(String),
    Ended(DirectError),
}
