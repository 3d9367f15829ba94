//! Mail that is with a client's stream, and whether the client has it: acknowledged, or on the disk in the meantime.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use balcony_session::sm::Sent;

use crate::im::spool::{Row, SpoolKey};
use crate::receipt::Receipt;

/// How long a client may take before its mail is written down: its senders wait for that.
const SLOW: Duration = Duration::from_millis(300);

/// See the module.
#[derive(Debug)]
pub(crate) struct InFlight {
    spool: SpoolKey,
    /// In the order they were sent.
    waiting: VecDeque<Waiting>,
    /// Of what is not acknowledged because there is no stream management.
    unmanaged: Vec<Receipt>,
    /// The client's last `h`.
    acknowledged: u32,
    /// What this `h` covers is written down, as far as it is worth it.
    written: u32,
    /// What others wait for that have mail of this session.
    left: Option<Receipt>,
}

#[derive(Debug)]
struct Waiting {
    covered_by: u32,
    since: Instant,
    receipt: Receipt,
}

impl InFlight {
    pub(crate) fn new(spool: SpoolKey) -> Self {
        Self { spool, waiting: VecDeque::new(), unmanaged: Vec::new(), acknowledged: 0, written: 0, left: None }
    }

    /// A stanza went to the stream, which counts it by `covered_by`, with stream management.
    pub(crate) fn sent(&mut self, now: Instant, covered_by: Option<u32>, receipt: Option<Receipt>) {
        let Some(receipt) = receipt else { return };
        match covered_by {
            None => self.unmanaged.push(receipt),
            // One for the last of a batch is enough: the others are acknowledged before it.
            Some(covered_by) => match self.waiting.back_mut().filter(|last| last.receipt.is_of_same_batch(&receipt)) {
                Some(last) => last.covered_by = covered_by,
                None => self.waiting.push_back(Waiting { covered_by, since: now, receipt }),
            },
        }
    }

    /// How far the client has acknowledged, with stream management; whether all is on the wire.
    pub(crate) fn settle(&mut self, acknowledged: Option<u32>, flushed: bool) {
        if flushed {
            self.unmanaged.clear();
        }
        let Some(acknowledged) = acknowledged.filter(|h| *h != self.acknowledged) else { return };
        self.acknowledged = acknowledged;
        while self.waiting.front().is_some_and(|first| is_covered(first.covered_by, acknowledged)) {
            self.waiting.pop_front();
        }
        self.spool.forget(acknowledged);
    }

    /// Whether somebody waits for the client's acknowledgement.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When to write down what is not acknowledged by then.
    pub(crate) fn overdue(&self) -> Option<Instant> {
        self.waiting.front().map(|first| first.since + SLOW)
    }

    /// What is written down already.
    pub(crate) fn written(&self) -> u32 {
        if is_covered(self.written, self.acknowledged) { self.acknowledged } else { self.written }
    }

    /// Writes down what is not acknowledged: what the stream has behind [`InFlight::written`].
    pub(crate) fn write_down(&mut self, unacknowledged: impl Iterator<Item = (u32, Sent)>) {
        let mut rows = Vec::new();
        for (covered_by, sent) in unacknowledged {
            self.written = covered_by;
            rows.extend(Row::of(covered_by, sent.stanza, SystemTime::now() - sent.at.elapsed()));
        }
        let receipts = self.waiting.drain(..).map(|waiting| waiting.receipt).chain(self.unmanaged.drain(..));
        self.spool.put(rows, receipts.collect());
    }

    /// Waits until what was written down is on the disk.
    pub(crate) async fn settled(&self) {
        self.spool.settle().await;
    }

    /// For mail of this session that goes to others: what is written down stays until that has arrived.
    pub(crate) fn leave(&mut self) -> Receipt {
        self.left.get_or_insert_with(|| Receipt::of_left(Vec::new(), self.spool.clone())).clone()
    }

    /// The session is over. What comes of its mail carries this: its senders wait for that now.
    pub(crate) fn close(self, more: Vec<Receipt>) -> Receipt {
        let mut held = more;
        held.extend(self.waiting.into_iter().map(|waiting| waiting.receipt));
        held.extend(self.unmanaged);
        held.extend(self.left);
        Receipt::of_left(held, self.spool)
    }
}

/// Whether `h` covers a stanza; counts wrap at 2^32.
pub(super) fn is_covered(covered_by: u32, h: u32) -> bool {
    h.wrapping_sub(covered_by) <= u32::MAX / 2
}
