//! What is to be delivered because of one stanza, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use balcony_wire::Stanza;

use crate::receipt::Receipt;
use crate::sessions::Session;

/// One stanza for one session.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) to: Arc<Session>,
    pub(crate) stanza: Stanza,
    /// What to do when the session does not take it.
    pub(crate) otherwise: Otherwise,
    /// Who waits until it is safe, if not whoever said it last.
    pub(crate) receipt: Option<Receipt>,
}

/// What becomes of a stanza that cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// Its sender gets an error.
    Bounce,
    /// Nothing: an answer, a push, a presence; the session is ended when it takes nothing for long.
    Drop,
}

/// Deliveries in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    deliveries: VecDeque<Delivery>,
}

impl Outbox {
    /// A stanza that somebody sent and wants to know the fate of.
    pub(crate) fn deliver(&mut self, to: &Arc<Session>, stanza: impl Into<Stanza>) {
        self.deliveries.push_back(Delivery { to: to.clone(), stanza: stanza.into(), otherwise: Otherwise::Bounce, receipt: None });
    }

    /// As [`Outbox::deliver`], of mail that waits elsewhere until this has arrived.
    pub(crate) fn pass_on(&mut self, to: &Arc<Session>, stanza: Stanza, receipt: Receipt) {
        self.deliveries.push_back(Delivery { to: to.clone(), stanza, otherwise: Otherwise::Bounce, receipt: Some(receipt) });
    }

    /// A stanza that nobody is told about if it is lost.
    pub(crate) fn tell(&mut self, to: &Arc<Session>, stanza: impl Into<Stanza>) {
        self.deliveries.push_back(Delivery { to: to.clone(), stanza: stanza.into(), otherwise: Otherwise::Drop, receipt: None });
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.deliveries.append(&mut other.deliveries);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }
}
