//! When to connect again: back-off that doubles, with jitter, and forgets only after a while of peace.

use std::time::{Duration, Instant};

/// Bounds of the waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffBounds {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// A connection that lasted this long counts as good: the next wait is the first one again.
    pub stable: Duration,
}

impl Default for BackoffBounds {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(300), stable: Duration::from_secs(60) }
    }
}

/// Says how long to wait before each attempt. Pure: chance comes in with each call.
#[derive(Clone, Debug)]
pub struct Backoff {
    bounds: BackoffBounds,
    failures: u32,
    online_since: Option<Instant>,
}

impl Backoff {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(bounds: BackoffBounds) -> Self {
        Self { bounds, failures: 0, online_since: None }
    }

    /// A login worked.
    pub fn online(&mut self, now: Instant) {
        self.online_since = Some(now);
    }

    /// The connection or the attempt failed: how long to wait before the next. Between half and the whole of the
    /// doubled wait, so that the clients of a restarted server do not all come back at once.
    pub fn failed(&mut self, now: Instant, entropy: u64) -> Duration {
        let was_stable = self.online_since.take().is_some_and(|since| now.saturating_duration_since(since) >= self.bounds.stable);
        if was_stable {
            self.failures = 0;
        }
        let doubled = self.bounds.first.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.bounds.longest);
        let half = whole / 2;
        half + half.mul_f64(entropy as f64 / u64::MAX as f64)
    }

    /// The network changed, or a person asked: the next wait is the first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often it failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}
