//! What happens during a share or a fetch, on its way to whoever watches.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

/// At most that often is told how many bytes moved.
const PAUSE: Duration = Duration::from_millis(50);

/// Where events go, if anybody watches.
pub(crate) struct Events<E> {
    to: Option<Sender<E>>,
    told: Option<Instant>,
}

impl<E> Events<E> {
    pub(crate) fn nobody() -> Self {
        Self { to: None, told: None }
    }

    pub(crate) fn to(to: Sender<E>) -> Self {
        Self { to: Some(to), told: None }
    }

    /// For work that goes on beside this one.
    pub(crate) fn another(&self) -> Self {
        Self { to: self.to.clone(), told: None }
    }

    /// Waits while whoever watches is behind.
    pub(crate) async fn tell(&self, event: E) {
        if let Some(to) = &self.to {
            let _ = to.send(event).await; // nobody watches any more
        }
    }

    /// Tells how many bytes moved, now and then; waits for nobody: who is slow to watch sees the next one.
    pub(crate) fn bytes(&mut self, event: impl FnOnce() -> E) {
        let Some(to) = &self.to else { return };
        if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.told = Some(Instant::now());
            let _ = to.try_send(event());
        }
    }
}
