//! When a server may say that it has a message: once the client it is for acknowledged it, or once it is on the disk.
//!
//! What a client says between two moments of rest is a batch. Each of its messages carries a receipt of the batch to whom it is for,
//! and drops it when the message is safe; when none is left, whoever waits is woken. Where nobody acknowledges soon, the message is
//! written down ([`crate::im::spool`]).

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use crate::im::spool::SpoolKey;

/// Held as long as a message is nowhere but in memory.
#[derive(Clone, Debug)]
pub(crate) struct Receipt(Arc<Batch>);

/// Tells whether all receipts of a batch are gone.
#[derive(Debug)]
pub(crate) struct Open(Weak<Batch>);

/// What happens when the last receipt is dropped.
#[derive(Debug)]
enum Batch {
    /// Whoever said it is told.
    Said(Arc<Notify>),
    /// What an ended session left is elsewhere: others need not hold it any longer, nor the disk.
    Left { _held: Vec<Receipt>, _spooled: SpoolKey },
}

impl Receipt {
    /// The first of a batch.
    pub(crate) fn of_said(whoever: &Arc<Notify>) -> Self {
        Self(Arc::new(Batch::Said(whoever.clone())))
    }

    /// The first of what an ended session leaves behind: as long as it lasts, so do those.
    pub(crate) fn of_left(held: Vec<Self>, spooled: SpoolKey) -> Self {
        Self(Arc::new(Batch::Left { _held: held, _spooled: spooled }))
    }

    pub(crate) fn is_of_same_batch(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn watch(&self) -> Open {
        Open(Arc::downgrade(&self.0))
    }
}

impl Open {
    pub(crate) fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Self::Said(whoever) = self {
            whoever.notify_one();
        }
    }
}
