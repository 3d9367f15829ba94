//! The desk of one bound session: what comes in for it, what it said, and what is left of it when its connection is gone.
//!
//! XEP-0198 Stream management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use balcony_session::server::Detached;
use balcony_session::sm::Sent;
use balcony_wire::Stanza;
use tokio::sync::{mpsc, oneshot, watch};

use super::courier::Courier;
use super::in_flight::{InFlight, is_covered};
use crate::hub::Hub;
use crate::listener::ended;
use crate::mailbox::{Inbox, Mail};
use crate::outbox::Outbox;
use crate::receipt::Open;
use crate::sessions::{Control, HandedOver, Session};

/// So many mailboxes full may wait for a lost client.
const HIBERNATING: usize = 4;

/// See the module.
pub(crate) struct Desk {
    hub: Arc<Hub>,
    courier: Courier,
    inbox: Inbox,
    control: mpsc::UnboundedReceiver<Control>,
    /// For the client, not yet with its stream.
    home: VecDeque<Mail>,
    in_flight: InFlight,
    /// What the client said, in batches: how much of what its stream has pending, and whether it is still somewhere in memory only.
    said: VecDeque<(usize, Option<Open>)>,
    /// Another connection waits for this session.
    take_over: Option<oneshot::Sender<HandedOver>>,
    /// Kept messages up to this one are on their way to the client; the `h` that covers them.
    handed_out: Option<(i64, Option<u32>)>,
    /// Another session of the account has what came for all of them before that moment.
    shared_before: Option<Instant>,
}

/// Something happened at a desk.
pub(crate) enum DeskEvent {
    /// Call [`Desk::exchange`].
    Progress,
    /// Somebody wants something of the session.
    Told(Control),
}

/// Waits for something to happen; for ever without a desk. Without `room` for answers nothing is done that leads to any.
pub(crate) async fn next(desk: Option<&mut Desk>, room: bool) -> DeskEvent {
    let Some(desk) = desk else { return std::future::pending().await };
    let taking = room && desk.home.is_empty();
    let carrying = room || desk.take_over.is_some();
    let woken = desk.courier.woken();
    tokio::select! {
        Some(mail) = desk.inbox.take(), if taking => {
            desk.home.push_back(mail);
            DeskEvent::Progress
        }
        () = desk.courier.progress(), if carrying => DeskEvent::Progress,
        () = woken.notified() => DeskEvent::Progress,
        Some(control) = desk.control.recv() => DeskEvent::Told(control),
    }
}

impl Desk {
    pub(crate) fn new(
        hub: Arc<Hub>,
        session: Arc<Session>,
        inbox: Inbox,
        in_flight: InFlight,
        control: mpsc::UnboundedReceiver<Control>,
    ) -> Self {
        let courier = Courier::new(hub.clone(), session);
        let (home, said) = (VecDeque::new(), VecDeque::new());
        Self { hub, courier, inbox, control, home, in_flight, said, take_over: None, handed_out: None, shared_before: None }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        self.courier.session()
    }

    /// The client said this.
    pub(crate) fn hear(&mut self, stanza: Stanza) {
        self.courier.hear(stanza);
    }

    /// Whether the client may say more.
    pub(crate) fn is_ready_for_more(&self) -> bool {
        self.courier.is_idle() && self.take_over.is_none()
    }

    /// How much more of what the client said is safe, the oldest first: with whom it is for, on the disk, or answered. `pending` is all that
    /// its stream has not heard that of.
    pub(crate) fn newly_safe(&mut self, pending: usize) -> usize {
        if self.courier.is_idle() {
            let known: usize = self.said.iter().map(|(count, _)| count).sum();
            let batch = self.courier.take_batch();
            if pending > known {
                self.said.push_back((pending - known, batch.map(|batch| batch.watch())));
            }
        }
        let mut safe = 0;
        while let Some((count, open)) = self.said.front()
            && !open.as_ref().is_some_and(Open::is_open)
        {
            safe += count;
            self.said.pop_front();
        }
        safe
    }

    /// Whether senders wait for the client to acknowledge its mail.
    pub(crate) fn is_awaited(&self) -> bool {
        self.in_flight.is_awaited()
    }

    /// When [`Desk::write_down_late`] is to be called.
    pub(crate) fn overdue(&self) -> Option<Instant> {
        self.in_flight.overdue()
    }

    /// Writes down what the client should have acknowledged by now. `unacknowledged` gives what its stream has behind an `h`.
    pub(crate) fn write_down_late<I: Iterator<Item = (u32, Sent)>>(&mut self, now: Instant, unacknowledged: impl FnOnce(u32) -> I) {
        if self.in_flight.overdue().is_some_and(|overdue| overdue <= now) {
            self.in_flight.write_down(unacknowledged(self.in_flight.written()));
        }
    }

    pub(crate) fn set_take_over(&mut self, to: oneshot::Sender<HandedOver>) {
        self.take_over = Some(to);
    }

    /// Whether another connection can have the session now: all that was said is done.
    pub(crate) fn is_to_be_taken_over(&self) -> bool {
        self.take_over.is_some() && self.courier.is_idle() && self.said.is_empty()
    }

    /// Carries what was said, and gives up to `room` stanzas for the client to `send`, which tells the `h` that covers it or hands it back.
    pub(crate) fn exchange(&mut self, room: usize, mut send: impl FnMut(Stanza) -> Result<Option<u32>, Box<Stanza>>) {
        let now = Instant::now();
        if room > 0 || self.take_over.is_some() {
            self.courier.advance(&mut self.home);
        }
        let mut taken = 0;
        loop {
            let Mail { stanza, receipt } = match self.home.pop_front() {
                Some(mail) => mail,
                None if taken < room => match self.inbox.try_take() {
                    Some(mail) => mail,
                    None => break,
                },
                None => break,
            };
            match send(stanza) {
                Ok(covered_by) => self.in_flight.sent(now, covered_by, receipt),
                Err(stanza) => {
                    self.home.push_front(Mail { stanza: *stanza, receipt });
                    break;
                }
            }
            taken += 1;
        }
        self.handed_out = self.courier.take_handed_out().map(|last| (last, None)).or(self.handed_out);
    }

    /// What the client acknowledged and what it was sent, by stream management; whether all that was sent is on the wire.
    pub(crate) fn settle(&mut self, acknowledged: Option<u32>, sent: Option<u32>, flushed: bool) {
        self.in_flight.settle(acknowledged, flushed);
        let Some((last, covered_by)) = self.handed_out else { return };
        let covered_by = covered_by.or_else(|| sent.filter(|_| self.home.is_empty()));
        self.handed_out = Some((last, covered_by));
        let arrived = match (covered_by, acknowledged) {
            (Some(covered_by), Some(acknowledged)) => is_covered(covered_by, acknowledged),
            (None, None) => flushed && self.home.is_empty(),
            _ => false,
        };
        if arrived {
            let (hub, session) = (self.hub.clone(), self.session().clone());
            self.handed_out = None;
            tokio::spawn(async move { forget(&hub, &session, last).await });
        }
    }

    /// Gives the session away. Comes back when nobody takes it.
    pub(crate) fn hand_over(mut self, mut detached: Detached) -> Result<(), Box<(Self, Detached)>> {
        self.exchange(0, |stanza| detached.push(Instant::now(), stanza).map(|()| Some(detached.sent())));
        let session = self.session().clone();
        let Some(to) = self.take_over.take() else { return Err(Box::new((self, detached))) };
        let Self { hub, courier, inbox, in_flight, control, home, said, handed_out, shared_before, .. } = self;
        let Err(HandedOver { detached, inbox, in_flight, control, .. }) =
            to.send(HandedOver { session, detached, inbox, in_flight, control })
        else {
            return Ok(());
        };
        Err(Box::new((Self { hub, courier, inbox, control, home, in_flight, said, take_over: None, handed_out, shared_before }, detached)))
    }

    /// Keeps the session for its client, up to `patience`.
    pub(crate) async fn hibernate(mut self, mut detached: Detached, patience: Duration, mut ending: watch::Receiver<bool>) {
        self.in_flight.write_down(detached.unacknowledged_after(self.in_flight.written()));
        if let Some((last, _)) = self.handed_out.take() {
            self.in_flight.settled().await;
            forget(&self.hub, &self.session().clone(), last).await;
        }
        self.session().standing().lost_since = Some(Instant::now());
        let until = tokio::time::Instant::now() + patience;
        let mailbox = self.session().mailbox().clone();
        let most = HIBERNATING * self.hub.limits().mailbox_bytes;
        let mut weight = 0;
        loop {
            let mut full = false;
            self.exchange(usize::MAX, |stanza| {
                weight += mailbox.weight(&stanza) as usize;
                let pushed = detached.push(Instant::now(), stanza);
                full |= pushed.is_err() || weight > most;
                pushed.map(|()| Some(detached.sent()))
            });
            if self.is_awaited() {
                self.in_flight.write_down(detached.unacknowledged_after(self.in_flight.written()));
            }
            let safe = self.newly_safe(detached.pending());
            detached.confirm(safe);
            if full {
                tracing::debug!("a lost session was given up, too much waits for it");
                break;
            }
            if self.is_to_be_taken_over() {
                match self.hand_over(detached) {
                    Ok(()) => return,
                    Err(back) => (self, detached) = *back,
                }
            }
            tokio::select! {
                event = next(Some(&mut self), true) => match event {
                    DeskEvent::Progress => {}
                    DeskEvent::Told(Control::Close(..)) => break,
                    DeskEvent::Told(Control::TakeOver(to)) => self.set_take_over(to),
                    DeskEvent::Told(Control::Share(newcomer)) => self.share(&detached, &newcomer),
                },
                () = tokio::time::sleep_until(until) => break,
                () = ended(&mut ending) => break,
            }
        }
        self.finish(detached.give_up()).await;
    }

    /// Gives another session of the account what waits here for all of them: whoever uses that one need not wait until this one is given up.
    fn share(&mut self, detached: &Detached, newcomer: &Arc<Session>) {
        let Some(since) = newcomer.standing().taking_since else { return };
        let mut outbox = Outbox::default();
        // What came while somebody else was here has been read there.
        let account = self.hub.sessions().of(newcomer.account());
        let here = account.iter().filter(|other| !Arc::ptr_eq(other, newcomer) && other.standing().lost_since.is_none());
        let here: Vec<_> = here.filter_map(|other| other.standing().taking_since).collect();
        for sent in detached.unacknowledged() {
            let is_read = here.iter().any(|since| *since < sent.at) || self.shared_before.is_some_and(|before| sent.at < before);
            if is_for_all(&sent.stanza) && sent.at < since && !is_read {
                outbox.pass_on(newcomer, self.hub.delayed(sent.stanza, sent.at), self.in_flight.leave());
            }
        }
        self.shared_before = Some(since);
        self.courier.add(outbox);
    }

    /// The session is over: all who saw it are told, what it did not take goes elsewhere.
    pub(crate) async fn finish(mut self, unacknowledged: Vec<Sent>) {
        let mut home = std::mem::take(&mut self.home);
        carry_on(&mut self.courier, &mut home).await;
        let session = self.session().clone();
        self.hub.sessions().remove(&session);
        self.inbox.close();
        let now = Instant::now();
        let is_empty = unacknowledged.is_empty();
        let mut undelivered: Vec<_> = unacknowledged.into_iter().map(|sent| (sent.stanza, sent.at)).collect();
        let mut receipts = Vec::new();
        while let Some(mail) = home.pop_front().or_else(|| self.inbox.try_take()) {
            undelivered.push((mail.stanza, now));
            receipts.extend(mail.receipt);
        }
        if let Some(before) = self.shared_before {
            undelivered.retain(|(stanza, at)| !(is_for_all(stanza) && *at < before));
        }
        let Self { hub, mut courier, in_flight, handed_out, .. } = self;
        // Whoever waited for this session's mail waits for what comes of it.
        let left = in_flight.close(receipts);
        courier.set_batch(left);
        let mut outbox = Outbox::default();
        if let Err(refusal) = hub.leave(&session, None, &mut outbox).await {
            tracing::error!(why = refusal.words(), "contacts were not told that a session is over");
        }
        hub.return_undelivered(undelivered, &mut outbox).await;
        if let (Some((last, _)), false) = (handed_out, is_empty) {
            // They are among the unacknowledged and are kept again.
            forget(&hub, &session, last).await;
        }
        courier.add(outbox);
        carry_on(&mut courier, &mut VecDeque::new()).await;
        drop(courier.take_batch());
        session.mark_over();
    }
}

/// Delivers until nothing is left to deliver.
async fn carry_on(courier: &mut Courier, home: &mut VecDeque<Mail>) {
    loop {
        courier.advance(home);
        if courier.is_idle() {
            return;
        }
        courier.progress().await;
    }
}

/// Whether every session of the account should have it.
fn is_for_all(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Message(message) if message.to.as_ref().is_some_and(|to| to.is_bare()))
}

async fn forget(hub: &Hub, session: &Session, last: i64) {
    if let Err(error) = hub.offline().forget(session.localpart(), last).await {
        tracing::error!(%error, "delivered messages stay in store and will be delivered again");
    }
}
