//! The bytes of a session: the pumps that move them begin and stop as its machine says, and what they report goes back to it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Instant, SystemTime};

use balcony_sharing::transfer::bytestream::ibb::{Terms, Window};
use balcony_sharing::transfer::bytestream::{Carrier, Way};
use balcony_sharing::transfer::jingle::{ContentId, Direction, Finding, Span, StreamEnd, StreamId};
use balcony_sharing::verify::Hasher;
use balcony_wire::hashes::HashAlgo;
use tokio::net::TcpStream;

use super::Task;
use crate::direct::body::{Piece, Stands};
use crate::direct::pump::{Give, Moved, Pump, Report, Reporter, Take};
use crate::direct::{GiveEvent, InBandMail, Stage, WayTaken};
use crate::streams::{Reader, Writer};

impl Task {
    pub(super) async fn begin(&mut self, content: ContentId, direction: Direction, span: Span, stream: StreamId, carrier: Carrier) {
        let way = way_of(&carrier);
        self.pumps += 1;
        let reporter = Reporter { content: content.clone(), pump: self.pumps, reports: self.reporter.clone() };
        let begun = match direction {
            Direction::Take => self.begin_taking(&content, span, stream, carrier, way, reporter),
            Direction::Give => self.begin_giving(&content, span, stream, carrier, way, reporter).await,
        };
        if begun.is_none() {
            let lost = StreamEnd::Broken("the connection is gone".to_owned());
            self.session.handle_stream_end(Instant::now(), &content, lost);
        }
    }

    fn begin_taking(
        &mut self,
        content: &ContentId,
        span: Span,
        stream: StreamId,
        carrier: Carrier,
        way: WayTaken,
        reporter: Reporter,
    ) -> Option<()> {
        let size = self.session.file(content).and_then(|file| file.metadata.size);
        let expected = self.session.moved(content).and_then(|(moved, expected)| Some(expected?.saturating_sub(moved)));
        let reader = match carrier {
            Carrier::Socket(way) => Reader::socket(self.socket_of(&stream, &way)?, self.desk.piece(), span.offset, expected),
            Carrier::InBand { terms, opens } => {
                let mail = self.mail_of(&stream, &terms);
                Reader::in_band(self.desk.courier.clone(), mail, self.key.peer.clone(), terms, opens, expected)
            }
        };
        let taking = self.takes.get_mut(content)?;
        let fed = taking.fed.get_or_insert_with(|| Arc::new(AtomicU64::new(span.offset))).clone();
        match taking.feed.stands.take() {
            // Whoever waited and is gone says so by their verdict.
            Some(stands) => drop(stands.send(Ok(Stands { from: span.offset, total: size, way }))),
            None => taking.say(Piece::Way(way)),
        }
        taking.stage = Stage::Moving;
        let budget = Arc::clone(&self.desk.budget);
        let take = Take { reader, pieces: taking.feed.pieces.clone(), fed, offset: span.offset, expected, budget };
        taking.pump = Some(take.start(reporter));
        Some(())
    }

    async fn begin_giving(
        &mut self,
        content: &ContentId,
        span: Span,
        stream: StreamId,
        carrier: Carrier,
        way: WayTaken,
        reporter: Reporter,
    ) -> Option<()> {
        let writer = match carrier {
            Carrier::Socket(way) => Writer::socket(self.socket_of(&stream, &way)?),
            Carrier::InBand { terms, opens } => {
                let mail = self.mail_of(&stream, &terms);
                Writer::in_band(self.desk.courier.clone(), mail, self.key.peer.clone(), terms, opens, Window::default())
            }
        };
        let (piece, store, shown) = (self.desk.piece(), self.desk.store.clone(), self.shown);
        let giving = self.gives.get_mut(content)?;
        giving.stage = Stage::Moving;
        giving.sent = span.offset;
        giving.tell(GiveEvent::Begins { way, address_shown: shown, from_byte: span.offset }).await;
        // What `hash-used` has promised: another digest costs as much again, and nobody waits for it.
        let hasher = giving.gift.digests.is_empty().then(|| Hasher::new([HashAlgo::Sha256]));
        let give = Give { writer, gift: giving.gift.clone(), span, store, hasher, piece, held: giving.held.subscribe() };
        giving.pump = Some(give.start(reporter));
        Some(())
    }

    /// The connection that stands for a stream.
    fn socket_of(&mut self, stream: &StreamId, way: &Way) -> Option<TcpStream> {
        self.sockets.remove(stream)?.take(way)
    }

    /// Where a stream in band is heard; from now on, if nobody waited for it yet.
    fn mail_of(&mut self, stream: &StreamId, terms: &Terms) -> InBandMail {
        self.awaited.remove(stream).unwrap_or_else(|| self.in_band(terms.sid.clone()))
    }

    pub(super) fn stop(&mut self, content: &ContentId) {
        if let Some(taking) = self.takes.get_mut(content) {
            taking.pump = None;
        }
        if let Some(giving) = self.gives.get_mut(content) {
            giving.pump = None;
        }
    }

    pub(super) async fn report(&mut self, now: Instant, report: Report) {
        let Report { content, pump, what } = report;
        let is_at_work = |pump_at_work: Option<&Pump>| pump_at_work.is_some_and(|at_work| at_work.number == pump);
        let taking = self.takes.get(&content).is_some_and(|taking| is_at_work(taking.pump.as_ref()));
        let giving = self.gives.get_mut(&content).filter(|giving| is_at_work(giving.pump.as_ref()));
        match (what, giving) {
            (Moved::Arrived(bytes), _) if taking => drop(self.session.handle_arrived(now, &content, bytes)),
            (Moved::TooMuch, _) if taking => drop(self.session.handle_arrived(now, &content, u64::MAX)),
            (Moved::Sent(bytes), Some(giving)) => {
                giving.sent += bytes;
                let sent = GiveEvent::Sent { to_byte: giving.sent };
                if let Some(events) = &giving.events {
                    let _ = events.try_send(sent); // who is slow to watch sees the next one
                }
                self.session.handle_sent(now, &content, bytes);
            }
            (Moved::Read(hashed), Some(giving)) => {
                giving.stage = Stage::Confirming;
                if let Some(hashed) = hashed {
                    if hashed.size() == giving.gift.size {
                        self.session.checksum(now, &content, None, hashed.digests());
                    }
                    if let (Some(stamp), store) = (giving.gift.stamp, self.desk.store.clone()) {
                        // What cannot be remembered is computed again.
                        tokio::task::spawn_blocking(move || store.remember_digests(&stamp, &hashed, SystemTime::now()));
                    }
                }
            }
            (Moved::Unreadable(why), Some(giving)) => {
                giving.why = Some(why);
                self.session.finish(now, &content, Finding::Unusable);
            }
            (Moved::End(end), giving) if taking || giving.is_some() => {
                let end = end.map_or_else(StreamEnd::Broken, |()| StreamEnd::Clean);
                self.session.handle_stream_end(now, &content, end);
            }
            _ => {} // of a pump that was stopped
        }
    }
}

/// In words for people.
fn way_of(carrier: &Carrier) -> WayTaken {
    match carrier {
        Carrier::Socket(Way::Listener { .. } | Way::Dialled(_)) => WayTaken::Direct,
        Carrier::Socket(Way::Proxy { proxy, .. }) => WayTaken::Proxy(proxy.clone()),
        Carrier::InBand { .. } => WayTaken::InBand,
    }
}
