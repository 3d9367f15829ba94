//! What whoever watches a fetch wants of it: pause, go on, stop, throw away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a fetch is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Pause,
    Resume,
    Stop,
}

/// Where orders come from, if anybody gives any.
pub(super) struct Orders {
    from: Option<UnboundedReceiver<Order>>,
    /// One that was read too early.
    next: Option<Order>,
    throw_away: Arc<AtomicBool>,
}

/// Gives orders; few are ever given, so none is refused.
#[derive(Clone, Debug)]
pub(super) struct Reins {
    to: UnboundedSender<Order>,
    throw_away: Arc<AtomicBool>,
}

impl Orders {
    /// Nobody holds the reins.
    pub(super) fn none() -> Self {
        Self { from: None, next: None, throw_away: Arc::default() }
    }

    pub(super) fn new() -> (Reins, Self) {
        let (to, from) = unbounded_channel();
        let throw_away: Arc<AtomicBool> = Arc::default();
        (Reins { to, throw_away: throw_away.clone() }, Self { from: Some(from), next: None, throw_away })
    }

    /// The next one; never, where nobody gives any.
    pub(super) async fn next(&mut self) -> Order {
        if let Some(order) = self.next.take() {
            return order;
        }
        let order = match &mut self.from {
            Some(from) => from.recv().await,
            None => None,
        };
        match order {
            Some(order) => order,
            None => {
                self.from = None;
                std::future::pending().await
            }
        }
    }

    /// This one, if there is one, is for whoever comes after us.
    pub(super) fn put_back(&mut self, order: Option<Order>) {
        self.next = order.or(self.next.take());
    }

    /// Whether what was fetched is of no use any more once it stops.
    pub(super) fn throws_away(&self) -> bool {
        self.throw_away.load(Ordering::Relaxed)
    }
}

impl Reins {
    pub(super) fn give(&self, order: Order) {
        let _ = self.to.send(order); // it is over already
    }

    pub(super) fn discard(&self) {
        self.throw_away.store(true, Ordering::Relaxed);
        self.give(Order::Stop);
    }
}
