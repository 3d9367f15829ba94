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
use crate::hub::Hub;
use crate::listener::ended;
use crate::mailbox::Inbox;
use crate::outbox::Outbox;
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
    home: VecDeque<Stanza>,
    /// Another connection waits for this session.
    take_over: Option<oneshot::Sender<HandedOver>>,
    /// Kept messages up to this one are on their way to the client.
    handed_out: Option<i64>,
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
    tokio::select! {
        Some(stanza) = desk.inbox.take(), if taking => {
            desk.home.push_back(stanza);
            DeskEvent::Progress
        }
        () = desk.courier.progress(), if carrying => DeskEvent::Progress,
        Some(control) = desk.control.recv() => DeskEvent::Told(control),
    }
}

impl Desk {
    pub(crate) fn new(hub: Arc<Hub>, session: Arc<Session>, inbox: Inbox, control: mpsc::UnboundedReceiver<Control>) -> Self {
        let courier = Courier::new(hub.clone(), session);
        Self { hub, courier, inbox, control, home: VecDeque::new(), take_over: None, handed_out: None, shared_before: None }
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

    /// Whether all that the client said is where it belongs.
    pub(crate) fn is_done(&self) -> bool {
        self.courier.is_idle()
    }

    pub(crate) fn set_take_over(&mut self, to: oneshot::Sender<HandedOver>) {
        self.take_over = Some(to);
    }

    /// Whether another connection can have the session now: all that was said is done.
    pub(crate) fn is_to_be_taken_over(&self) -> bool {
        self.take_over.is_some() && self.courier.is_idle()
    }

    /// Carries what was said, and gives up to `room` stanzas for the client to `send`, which may hand one back.
    pub(crate) fn exchange(&mut self, room: usize, mut send: impl FnMut(Stanza) -> Result<(), Box<Stanza>>) {
        if room > 0 || self.take_over.is_some() {
            self.courier.advance(&mut self.home);
        }
        let mut taken = 0;
        loop {
            let stanza = match self.home.pop_front() {
                Some(stanza) => stanza,
                None if taken < room => match self.inbox.try_take() {
                    Some(stanza) => stanza,
                    None => break,
                },
                None => break,
            };
            if let Err(stanza) = send(stanza) {
                self.home.push_front(*stanza);
                break;
            }
            taken += 1;
        }
        self.handed_out = self.courier.take_handed_out().or(self.handed_out);
    }

    /// Forgets kept messages once they are on the wire.
    pub(crate) fn forget_handed_out(&mut self, flushed: bool) {
        if flushed
            && self.home.is_empty()
            && let Some(last) = self.handed_out.take()
        {
            let (hub, session) = (self.hub.clone(), self.session().clone());
            tokio::spawn(async move { forget(&hub, &session, last).await });
        }
    }

    /// Gives the session away. Comes back when nobody takes it.
    pub(crate) fn hand_over(mut self, mut detached: Detached) -> Result<(), Box<(Self, Detached)>> {
        let now = Instant::now();
        while let Some(stanza) = self.home.pop_front() {
            if let Err(stanza) = detached.push(now, stanza) {
                self.home.push_front(*stanza);
                break;
            }
        }
        let session = self.session().clone();
        let Some(to) = self.take_over.take() else { return Err(Box::new((self, detached))) };
        let Self { hub, courier, inbox, control, home, handed_out, shared_before, .. } = self;
        let Err(HandedOver { detached, inbox, control, .. }) = to.send(HandedOver { session, detached, inbox, control }) else {
            return Ok(());
        };
        Err(Box::new((Self { hub, courier, inbox, control, home, take_over: None, handed_out, shared_before }, detached)))
    }

    /// Keeps the session for its client, up to `patience`.
    pub(crate) async fn hibernate(mut self, mut detached: Detached, patience: Duration, mut ending: watch::Receiver<bool>) {
        if let Some(last) = self.handed_out.take() {
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
                pushed
            });
            if self.is_done() {
                detached.confirm();
            }
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
                outbox.deliver(newcomer, self.hub.delayed(sent.stanza, sent.at));
            }
        }
        self.shared_before = Some(since);
        self.courier.add(outbox);
    }

    /// The session is over: all who saw it are told, what it did not take goes elsewhere.
    pub(crate) async fn finish(mut self, unacknowledged: Vec<Sent>) {
        let mut home = std::mem::take(&mut self.home);
        self.carry_on(&mut home).await;
        let session = self.session().clone();
        if let (Some(last), false) = (self.handed_out.take(), unacknowledged.is_empty()) {
            // They are among the unacknowledged and are kept again.
            forget(&self.hub, &session, last).await;
        }
        self.hub.sessions().remove(&session);
        self.inbox.close();
        let now = Instant::now();
        let mut undelivered: Vec<_> = unacknowledged.into_iter().map(|sent| (sent.stanza, sent.at)).collect();
        undelivered.extend(home.into_iter().map(|stanza| (stanza, now)));
        while let Some(stanza) = self.inbox.try_take() {
            undelivered.push((stanza, now));
        }
        if let Some(before) = self.shared_before {
            undelivered.retain(|(stanza, at)| !(is_for_all(stanza) && *at < before));
        }
        let mut outbox = Outbox::default();
        if let Err(refusal) = self.hub.leave(&session, None, &mut outbox).await {
            tracing::error!(why = refusal.words(), "contacts were not told that a session is over");
        }
        self.hub.return_undelivered(undelivered, &mut outbox).await;
        self.courier.add(outbox);
        self.carry_on(&mut VecDeque::new()).await;
        session.mark_over();
    }

    /// Delivers until nothing is left to deliver.
    async fn carry_on(&mut self, home: &mut VecDeque<Stanza>) {
        loop {
            self.courier.advance(home);
            if self.courier.is_idle() {
                return;
            }
            self.courier.progress().await;
        }
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
