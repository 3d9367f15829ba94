//! What happens while files are shared or fetched, on its way to whoever watches.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// At most that often is told how many bytes moved.
const PAUSE: Duration = Duration::from_millis(50);

/// Events that may wait for whoever watches.
const WAITING: usize = 64;

/// Work under way, and what happens in it, for showing. Dropping it stops the work; what is on the disk by then stays there.
#[derive(Debug)]
pub struct Progress<E> {
    events: Receiver<E>,
    task: JoinHandle<()>,
}

impl<E: Send + 'static> Progress<E> {
    /// Begins. How it ended is the last event. Must be called within a tokio runtime.
    pub(crate) fn of<W: Future<Output = E> + Send + 'static>(work: impl FnOnce(Events<E>) -> W) -> Self {
        let (sender, events) = channel(WAITING);
        let work = work(Events::to(sender.clone()));
        let task = tokio::spawn(async move {
            let _ = sender.send(work.await).await; // nobody watches any more
        });
        Self { events, task }
    }

    /// What happened next; `None` after the event that says how it ended. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<E> {
        self.events.recv().await
    }
}

impl<E> Drop for Progress<E> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

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
