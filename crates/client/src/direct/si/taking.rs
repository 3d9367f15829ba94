//! A file that somebody offers us: its iq waits for the answer, then the sender opens a stream.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::jingle::EndReason;
use balcony_sharing::transfer::si::{Incoming, IncomingAction, IncomingFailed, Settings};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::stream_initiation::Si;
use balcony_wire::{FullJid, Iq, Jid, Payload as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use super::opening::{End, terms};
use super::{Hosts, WayTaken, refuse};
use crate::account::Connection;
use crate::direct::body::{Feed, Piece, Stands, Verdict};
use crate::direct::desk::Order;
use crate::direct::reception::Shelf;
use crate::direct::switchboard::{Held, Key, Mail, Mailbox, unknown_session};
use crate::direct::{Desk, DirectError, InBandMail, Stage};
use crate::streams::Reader;

/// Somebody who sees us offers a file.
pub(super) async fn offered(desk: &Arc<Desk>, shelf: &Shelf, peer: FullJid, request: Iq, arrived: Option<Held>) {
    let Some(payload) = request.request().cloned() else { return refuse(desk, &request, DefinedCondition::BadRequest).await };
    let Ok(si) = Si::read(&payload) else { return refuse(desk, &request, DefinedCondition::BadRequest).await };
    let machine = match Incoming::read(Instant::now(), &si, Settings::default()) {
        Ok(machine) => machine,
        Err(refusal) => return desk.courier.answer(request.refuse(refusal.into())).await,
    };
    let key = Key { peer: peer.clone(), sid: machine.sid().to_owned() };
    let mailbox = match desk.switchboard.admit_older(key.clone(), &request, arrived) {
        Ok(mailbox) => mailbox,
        Err(no_room) => return desk.courier.answer(request.refuse(no_room.error())).await,
    };
    let orders = desk.register(&key);
    tokio::spawn(Taking { desk: Arc::clone(desk), key, request, machine, mailbox, orders }.run());
    shelf.keep_initiation(peer, payload).await;
}

struct Taking {
    desk: Arc<Desk>,
    key: Key,
    request: Iq,
    machine: Incoming,
    mailbox: Mailbox<Mail>,
    orders: mpsc::Receiver<Order>,
}

/// Where the sender may open a stream; there before it hears that it may.
struct Door {
    hosts: Hosts,
    in_band: Option<InBandMail>,
}

/// What was agreed on.
struct Agreed {
    feed: Feed,
    verdict: oneshot::Receiver<Verdict>,
    reach: Reach,
    door: Door,
}

/// What the machine says of the end.
type Ended = Result<(), IncomingFailed>;

impl Taking {
    async fn run(mut self) {
        let mut state = self.desk.state.clone();
        tokio::select! {
            () = self.work() => {}
            _ = state.wait_for(|state| matches!(state, Connection::Ended(_))) => {} // nobody can be answered any more
        }
        self.desk.unregister(&self.key);
    }

    async fn work(&mut self) {
        let Some(Agreed { mut feed, mut verdict, reach, mut door }) = self.decided().await else { return };
        let mut expected = None;
        if let Some(ended) = self.perform(&mut expected).await {
            return feed.fail(self.error(Stage::Asking, ended.err()));
        }
        let Some((from, length)) = expected else { return feed.fail(DirectError::Inside) };
        let opened = self.opened(&mut door, reach, from..from.saturating_add(length), &mut verdict).await;
        let (reader, way) = match opened {
            Ok(opened) => opened,
            Err(error) => return feed.fail(error),
        };
        self.machine.handle_stream();
        if let Some(stands) = feed.stands.take() {
            // Whoever waited and is gone says so by their verdict.
            let _ = stands.send(Ok(Stands { from, total: Some(self.machine.size()), way }));
        }
        self.pump(reader, feed, verdict).await;
    }

    /// Waits until somebody decides; `None` if nothing comes of it.
    async fn decided(&mut self) -> Option<Agreed> {
        loop {
            let deadline = self.machine.deadline();
            tokio::select! {
                order = self.orders.recv() => match order? {
                    Order::Take { from_byte, reach, mut feed, .. } => {
                        let verdict = feed.verdict.take()?;
                        let in_band = self.machine.allows_in_band().then(|| self.desk.switchboard.in_band(self.key.clone()));
                        let door = Door { hosts: self.desk.older.expect(&self.key), in_band };
                        self.machine.accept(Instant::now(), from_byte, reach);
                        return Some(Agreed { feed, verdict, reach, door });
                    }
                    Order::Refuse { .. } | Order::Have { .. } => self.machine.reject(),
                    Order::Leave { said } => {
                        self.machine.reject();
                        self.perform(&mut None).await;
                        let _ = said.send(()); // whoever waited is gone
                        return None;
                    }
                },
                mail = self.mailbox.next() => self.is_there(mail).await.then_some(())?,
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => self.machine.handle_timeout(Instant::now()),
            }
            if self.perform(&mut None).await.is_some() {
                return None;
            }
        }
    }

    /// Does what the machine says; gives its end.
    async fn perform(&mut self, expected: &mut Option<(u64, u64)>) -> Option<Ended> {
        while let Some(action) = self.machine.poll_action() {
            match action {
                IncomingAction::Answer(Ok(si)) => self.desk.courier.answer(self.request.result(Some(si))).await,
                IncomingAction::Answer(Err(error)) => self.desk.courier.answer(self.request.refuse(error)).await,
                IncomingAction::Expect { from, length, .. } => *expected = Some((from, length)),
                IncomingAction::Complete => return Some(Ok(())),
                IncomingAction::Failed(why) => return Some(Err(why)),
            }
        }
        None
    }

    /// Waits until the sender opens a stream, by whichever way it offered: where the one that was chosen fails, some try the other.
    async fn opened(
        &mut self,
        door: &mut Door,
        reach: Reach,
        part: Range<u64>,
        verdict: &mut oneshot::Receiver<Verdict>,
    ) -> Result<(Reader, WayTaken), DirectError> {
        let own = self.request.to.clone().ok_or(DirectError::Inside)?;
        let length = part.end - part.start;
        let mut why_not = None;
        loop {
            let deadline = self.machine.deadline();
            let mail = async {
                match &mut door.in_band {
                    Some(mail) => mail.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(request) = door.hosts.next() => {
                    let end = End { desk: &self.desk, key: &self.key, own: own.clone(), reach };
                    match end.dial(&request).await {
                        Ok((stream, way)) => return Ok((Reader::socket(stream, self.desk.piece(), part.start, Some(length)), way)),
                        Err(why) => why_not = Some(why),
                    }
                }
                mail = mail => {
                    let Some(mail) = mail else { return Err(self.ended(Stage::FindingAWay, EndReason::Disconnected)) };
                    if let (Some(terms), Some(mailbox)) = (terms(&self.desk.courier, &self.key, &mail).await, door.in_band.take()) {
                        let courier = self.desk.courier.clone();
                        let reader = Reader::opened_in_band(courier, mailbox, self.key.peer.clone(), terms, mail, Some(length));
                        return Ok((reader, WayTaken::InBand));
                    }
                }
                order = self.orders.recv() => self.too_late(order),
                mail = self.mailbox.next() => if !self.is_there(mail).await {
                    return Err(self.ended(Stage::FindingAWay, EndReason::PeerGone));
                },
                _ = &mut *verdict => return Err(self.ended(Stage::FindingAWay, EndReason::Stopped)),
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => self.machine.handle_timeout(Instant::now()),
            }
            if let Some(Err(why)) = self.perform(&mut None).await {
                let why = why_not.unwrap_or_else(|| why.to_string());
                return Err(self.ended(Stage::FindingAWay, EndReason::NoWay(why)));
            }
        }
    }

    /// Hands on what comes.
    async fn pump(&mut self, mut reader: Reader, feed: Feed, mut verdict: oneshot::Receiver<Verdict>) {
        let mut got = 0;
        let end = loop {
            let piece = tokio::select! {
                piece = reader.next() => piece,
                verdict = &mut verdict => return drop(verdict.map(|(_, said)| said.send(()))), // they take no more
                order = self.orders.recv() => {
                    self.too_late(order);
                    continue;
                }
                // Whether the device is still online is for the stream to say.
                mail = self.mailbox.next() => {
                    self.is_there(mail).await;
                    continue;
                }
            };
            match piece {
                Ok(Some(bytes)) => {
                    got += bytes.len() as u64;
                    self.machine.handle_arrived(bytes.len() as u64);
                    // Whoever took them is gone, and says so by their verdict.
                    let _ = feed.pieces.send(Piece::Bytes(bytes)).await;
                }
                Ok(None) => self.machine.handle_end(Ok(())),
                Err(error) => self.machine.handle_end(Err(error.to_string())),
            }
            if let Some(end) = self.perform(&mut None).await {
                break end;
            }
        };
        drop(reader);
        let last = match end {
            Ok(()) => Piece::End,
            Err(why) => Piece::Failed(self.error_at(got, why)),
        };
        let _ = feed.pieces.send(last).await; // as above
        if let Ok((_, said)) = verdict.await {
            let _ = said.send(()); // there is nothing that the sender could be told
        }
    }

    /// Somebody wants something of a transfer that is under way already.
    fn too_late(&self, order: Option<Order>) {
        match order {
            Some(Order::Take { feed, .. }) => feed.fail(DirectError::Over { peer: self.peer() }),
            Some(Order::Leave { said }) => drop(said.send(())), // it ends with the program
            Some(Order::Refuse { .. } | Order::Have { .. }) | None => {}
        }
    }

    /// Looks at what came beside the stream; says whether the sender is still there.
    async fn is_there(&self, mail: Option<Mail>) -> bool {
        match mail {
            // It speaks of a Jingle session, and there is none of this name.
            Some(Mail::Request(request)) => {
                self.desk.courier.answer(unknown_session(&request)).await;
                true
            }
            Some(Mail::Unavailable | Mail::Renamed) | None => false,
        }
    }

    fn peer(&self) -> Jid {
        Jid::from(self.key.peer.clone())
    }

    fn ended(&self, stage: Stage, reason: EndReason) -> DirectError {
        DirectError::Ended { peer: self.peer(), stage, reason }
    }

    fn error(&self, stage: Stage, why: Option<IncomingFailed>) -> DirectError {
        why.map_or(DirectError::Inside, |why| self.ended(stage, EndReason::NoWay(why.to_string())))
    }

    fn error_at(&self, got: u64, why: IncomingFailed) -> DirectError {
        let reason = match why {
            IncomingFailed::TooShort { left } => EndReason::TooShort { got, expected: got.saturating_add(left) },
            IncomingFailed::TooLong => EndReason::TooLong(self.machine.size()),
            IncomingFailed::Broken(why) => EndReason::Broke { at: got, why },
            IncomingFailed::Undecided | IncomingFailed::Declined | IncomingFailed::NoStream => EndReason::Stopped,
        };
        self.ended(Stage::Moving, reason)
    }
}
