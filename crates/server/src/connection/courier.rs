//! Carries what a client says to where it belongs, one stanza after the other.
//!
//! While a delivery waits for room at its addressee nothing more is read from this client: that is the backpressure. The
//! client's own mail is taken in meanwhile, so two clients that flood each other cannot block each other.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use balcony_wire::delay::Delay;
use balcony_wire::{Jid, Payload as _, Stanza};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::hub::{Hub, Work};
use crate::im::message::is_worth_keeping;
use crate::mailbox::{Mail, Place, PutError};
use crate::outbox::{Delivery, Otherwise, Outbox};
use crate::receipt::Receipt;
use crate::refusal::Reason;
use crate::sessions::{Control, Session};
use balcony_wire::stream::error::StreamErrorCondition;

/// See the module.
pub(crate) struct Courier {
    hub: Arc<Hub>,
    session: Arc<Session>,
    /// Said by the client, not yet looked at.
    heard: VecDeque<Stanza>,
    /// The one that is being looked at.
    work: Option<BoxFuture<'static, Work>>,
    /// What it led to.
    outbox: Outbox,
    /// The delivery that waits for room.
    waiting: Option<Waiting>,
    /// Addressed to sessions that ended meanwhile.
    lost: Vec<Stanza>,
    handed_out: Option<i64>,
    /// What was said since somebody looked last.
    batch: Option<Receipt>,
    /// Is woken when a batch is safe.
    woken: Arc<Notify>,
}

struct Waiting {
    to: Arc<Session>,
    mail: Mail,
    otherwise: Otherwise,
    place: BoxFuture<'static, Option<Place>>,
    patience: Pin<Box<Sleep>>,
}

impl Courier {
    pub(crate) fn new(hub: Arc<Hub>, session: Arc<Session>) -> Self {
        Self {
            hub,
            session,
            heard: VecDeque::new(),
            work: None,
            outbox: Outbox::default(),
            waiting: None,
            lost: Vec::new(),
            handed_out: None,
            batch: None,
            woken: Arc::default(),
        }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The client said this.
    pub(crate) fn hear(&mut self, mut stanza: Stanza) {
        if let Stanza::Message(message) = &mut stanza {
            // Clients believe the stamp of their server: nobody else sets it.
            let domain = self.hub.domain().as_str();
            let is_ours = |from: &str| Jid::from_server(from).is_ok_and(|from| from.local().is_none() && from.domain() == domain);
            message.payloads.retain(|payload| !(Delay::matches(payload) && payload.attr("from").is_some_and(is_ours)));
        }
        self.heard.push_back(stanza);
    }

    /// More to deliver.
    pub(crate) fn add(&mut self, outbox: Outbox) {
        self.outbox.append(outbox);
    }

    /// Whether all that was said is done with.
    pub(crate) fn is_idle(&self) -> bool {
        self.heard.is_empty() && self.work.is_none() && self.outbox.is_empty() && self.waiting.is_none() && self.lost.is_empty()
    }

    /// Kept messages up to this one are with the client's stream.
    pub(crate) fn take_handed_out(&mut self) -> Option<i64> {
        if self.outbox.is_empty() { self.handed_out.take() } else { None }
    }

    /// What was delivered since the last call waits to be safe, or what is left of that.
    pub(crate) fn take_batch(&mut self) -> Option<Receipt> {
        self.batch.take()
    }

    /// What is delivered from now on belongs to this.
    pub(crate) fn set_batch(&mut self, batch: Receipt) {
        self.batch = Some(batch);
    }

    /// Is woken when a batch is safe.
    pub(crate) fn woken(&self) -> Arc<Notify> {
        self.woken.clone()
    }

    /// Does what can be done without waiting. What is for the client itself goes to `home`.
    pub(crate) fn advance(&mut self, home: &mut VecDeque<Mail>) {
        while self.waiting.is_none() {
            if let Some(delivery) = self.outbox.pop() {
                self.deliver(delivery, home);
            } else if self.work.is_some() {
                return;
            } else if !self.lost.is_empty() {
                let lost = std::mem::take(&mut self.lost);
                self.work = Some(Box::pin(give_back(self.hub.clone(), lost)));
            } else if let Some(stanza) = self.heard.pop_front() {
                if let Some(slow) = self.hub.quick(stanza, &mut self.outbox) {
                    let (hub, session) = (self.hub.clone(), self.session.clone());
                    self.work = Some(Box::pin(async move { hub.process(&session, slow).await }));
                }
            } else {
                return;
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery, home: &mut VecDeque<Mail>) {
        let Delivery { to, stanza, otherwise, receipt } = delivery;
        let receipt = receipt.or_else(|| self.receipt_for(&stanza));
        let mail = Mail { stanza, receipt };
        if Arc::ptr_eq(&to, &self.session) {
            home.push_back(mail);
            return;
        }
        match to.mailbox().try_put(mail) {
            Ok(()) => {}
            Err(PutError::Full(mail)) => {
                let place = Box::pin(to.mailbox().clone().place_for(to.mailbox().weight(&mail.stanza)));
                let patience = Box::pin(tokio::time::sleep(self.hub.limits().delivery_deadline));
                self.waiting = Some(Waiting { to, mail: *mail, otherwise, place, patience });
            }
            Err(PutError::Closed(mail)) => self.lose(mail.stanza, otherwise),
        }
    }

    /// For what must not get lost on the way.
    fn receipt_for(&mut self, stanza: &Stanza) -> Option<Receipt> {
        let Stanza::Message(message) = stanza else { return None };
        is_worth_keeping(message).then(|| self.batch.get_or_insert_with(|| Receipt::of_said(&self.woken)).clone())
    }

    fn lose(&mut self, stanza: Stanza, otherwise: Otherwise) {
        if otherwise == Otherwise::Bounce {
            self.lost.push(stanza);
        }
    }

    /// Waits until something can go on; then [`Courier::advance`]. Dropping the future loses nothing.
    pub(crate) async fn progress(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            let outcome = tokio::select! {
                place = &mut waiting.place => Ok(place),
                () = &mut waiting.patience => Err(()),
            };
            let Some(Waiting { to, mail, otherwise, .. }) = self.waiting.take() else { return };
            self.go_on(&to, mail, otherwise, outcome);
        } else if let Some(work) = &mut self.work {
            let done = work.await;
            self.work = None;
            self.outbox.append(done.outbox);
            self.handed_out = done.handed_out.or(self.handed_out);
        } else {
            std::future::pending().await
        }
    }

    fn go_on(&mut self, to: &Session, mail: Mail, otherwise: Otherwise, outcome: Result<Option<Place>, ()>) {
        match outcome {
            Ok(Some(place)) => {
                if let Err(PutError::Closed(mail) | PutError::Full(mail)) = place.put(mail) {
                    self.lose(mail.stanza, otherwise);
                }
            }
            Ok(None) => self.lose(mail.stanza, otherwise),
            Err(()) if otherwise == Otherwise::Bounce => {
                let mut errors = Outbox::default();
                self.hub.bounce(mail.stanza, Reason::Stuck.into(), &mut errors);
                self.outbox.append(errors);
            }
            // It would go on with a picture of the world that is not true any more.
            Err(()) => to.tell(Control::Close(StreamErrorCondition::ResourceConstraint, "the client takes nothing")),
        }
    }
}

/// What could not be delivered goes elsewhere or back.
async fn give_back(hub: Arc<Hub>, lost: Vec<Stanza>) -> Work {
    let mut work = Work::default();
    let now = Instant::now();
    hub.return_undelivered(lost.into_iter().map(|stanza| (stanza, now)).collect(), &mut work.outbox).await;
    work
}
