//! What was sent and not yet acknowledged, and how much was received: the counters of stream management.
//!
//! XEP-0198 Stream Management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>
//!
//! One [`Queue`] for both sides. Counters wrap at 2^32. Every operation is O(1) per stanza; the queue has a bound, and
//! whoever pushes over it is told.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::{Element, Stanza};

/// A stanza that was sent, by the number it got when it was handed to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SentId(pub(crate) u64);

/// A sent stanza with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What `send` returned for it; `None` for requests and answers, which have their own ids.
    pub id: Option<SentId>,
    /// The stanza as it was sent.
    pub stanza: Stanza,
    /// When it was handed to the machine: a resent message carries that as its delay.
    pub at: Instant,
}

/// The peer acknowledged more than it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{acknowledged} stanzas were acknowledged, but only {sent} were sent")]
pub struct TooHigh {
    /// The peer's `h`
    pub acknowledged: u32,
    /// Our count
    pub sent: u32,
}

/// The queue is full: the peer takes without acknowledging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many stanzas wait for acknowledgement")]
pub struct QueueFull;

#[derive(Clone, Debug)]
struct Waiting {
    id: Option<SentId>,
    element: Element,
    at: Instant,
}

/// The unacknowledged stanzas of one session and both its counters.
#[derive(Clone, Debug)]
pub struct Queue {
    waiting: VecDeque<Waiting>,
    /// What the peer acknowledged.
    acknowledged: u32,
    /// What came from the peer.
    received: u32,
    /// Of that, what is not handled before somebody says so: how much had come before each.
    pending: VecDeque<u32>,
    /// Pending from before the counting.
    uncounted: usize,
    bound: usize,
}

impl Queue {
    /// An empty queue for at most `bound` stanzas.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { waiting: VecDeque::new(), acknowledged: 0, received: 0, pending: VecDeque::new(), uncounted: 0, bound }
    }

    /// Remembers a stanza that is being sent.
    ///
    /// # Errors
    /// When the bound is reached; the stanza is then not remembered.
    pub fn push(&mut self, now: Instant, id: Option<SentId>, element: Element) -> Result<(), QueueFull> {
        if self.waiting.len() >= self.bound {
            return Err(QueueFull);
        }
        self.waiting.push_back(Waiting { id, element, at: now });
        Ok(())
    }

    /// Takes the peer's `h`: what it covers leaves the queue and is returned, oldest first.
    ///
    /// # Errors
    /// When `h` is more than was sent; nothing is taken then.
    pub fn acknowledge(&mut self, h: u32) -> Result<Vec<Sent>, TooHigh> {
        let covered = h.wrapping_sub(self.acknowledged) as usize;
        if covered > self.waiting.len() {
            return Err(TooHigh { acknowledged: h, sent: self.sent() });
        }
        self.acknowledged = h;
        Ok(self.waiting.drain(..covered).filter_map(Waiting::into_sent).collect())
    }

    /// Counts a stanza of the peer's as handled.
    pub fn count_handled(&mut self) {
        self.received = self.received.wrapping_add(1);
    }

    /// Counts a stanza of the peer's that is not handled before [`Queue::confirm`], nor is what comes behind it.
    pub(crate) fn count_pending(&mut self) {
        self.pending.push_back(self.received);
        self.count_handled();
    }

    /// The oldest so many of those that were pending are handled now.
    pub(crate) fn confirm(&mut self, count: usize) {
        let uncounted = count.min(self.uncounted);
        self.uncounted -= uncounted;
        self.pending.drain(..(count - uncounted).min(self.pending.len()));
    }

    /// How many are pending.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len() + self.uncounted
    }

    /// What is pending will come again: the peer hears that it was not handled.
    pub(crate) fn forget_pending(&mut self) {
        self.received = self.handled();
        self.pending.clear();
        self.uncounted = 0;
    }

    /// What was handled so far belongs to the time before the counting.
    pub(crate) fn restart_count(&mut self) {
        self.received = 0;
        self.uncounted += self.pending.len();
        self.pending.clear();
    }

    /// Our `h`.
    pub fn handled(&self) -> u32 {
        self.pending.front().copied().unwrap_or(self.received)
    }

    /// Whether something came that is not handled.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What was sent in all, modulo 2^32.
    pub fn sent(&self) -> u32 {
        self.acknowledged.wrapping_add(self.waiting.len() as u32)
    }

    /// The peer's last `h`.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the bound is reached.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.bound
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The waiting stanzas as elements, oldest first, to be sent again.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.waiting.iter().map(|waiting| &waiting.element)
    }

    /// Copies of the waiting stanzas, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = Sent> {
        self.waiting.iter().cloned().filter_map(Waiting::into_sent)
    }

    /// Copies of the waiting stanzas that are not covered by `h`, oldest first, each with the `h` that would cover it.
    pub(crate) fn waiting_after(&self, h: u32) -> impl Iterator<Item = (u32, Sent)> {
        let ahead = h.wrapping_sub(self.acknowledged);
        // What lies behind the peer's own count is covered anyway.
        let skipped = if ahead > u32::MAX / 2 { 0 } else { ahead };
        let covering = (skipped..).map(|before| self.acknowledged.wrapping_add(before).wrapping_add(1));
        let waiting = self.waiting.iter().skip(skipped as usize);
        covering.zip(waiting).filter_map(|(h, waiting)| Some((h, waiting.clone().into_sent()?)))
    }

    /// Empties the queue, for stanzas that are lost.
    pub fn drain(&mut self) -> Vec<Sent> {
        self.waiting.drain(..).filter_map(Waiting::into_sent).collect()
    }
}

impl Waiting {
    fn into_sent(self) -> Option<Sent> {
        // What we wrote from a stanza reads as a stanza; a hand-made element that does not is nobody's loss.
        Some(Sent { id: self.id, stanza: Stanza::read(self.element).ok()?, at: self.at })
    }
}
