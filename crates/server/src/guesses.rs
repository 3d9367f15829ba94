//! How many wrong logins there may be from one address within a minute, whatever connections they come over.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::gate::neighbourhood;

const MINUTE: Duration = Duration::from_secs(60);
/// Addresses remembered before those of the last minute but one are forgotten.
const REMEMBERED: usize = 10_000;

/// Counts logins that were begun and did not turn out right.
#[derive(Debug)]
pub(crate) struct Guesses {
    per_minute: u32,
    by_address: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    since: Instant,
    wrong: u32,
}

impl Guesses {
    pub(crate) fn new(per_minute: u32) -> Arc<Self> {
        Arc::new(Self { per_minute, by_address: Mutex::default() })
    }

    /// Counts a login as wrong until [`Guesses::was_right`]; `false` when there were too many.
    pub(crate) fn begins(&self, now: Instant, address: IpAddr) -> bool {
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= REMEMBERED {
            counts.retain(|_, count| now.duration_since(count.since) < MINUTE);
        }
        let count = counts.entry(neighbourhood(address)).or_insert(Count { since: now, wrong: 0 });
        if now.duration_since(count.since) >= MINUTE {
            *count = Count { since: now, wrong: 0 };
        }
        count.wrong = count.wrong.saturating_add(1);
        count.wrong <= self.per_minute
    }

    /// The login was no guess.
    pub(crate) fn was_right(&self, address: IpAddr) {
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&neighbourhood(address)) {
            count.wrong = count.wrong.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_wrong_logins_a_minute_and_right_ones_do_not_count() {
        let guesses = Guesses::new(2);
        let (start, here, there) = (Instant::now(), "10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        for _ in 0..100 {
            assert!(guesses.begins(start, here));
            guesses.was_right(here);
        }
        assert!(guesses.begins(start, here) && guesses.begins(start, here));
        assert!(!guesses.begins(start, here));
        assert!(guesses.begins(start, there), "another address is not concerned");
        assert!(!guesses.begins(start + Duration::from_secs(59), here));
        assert!(guesses.begins(start + MINUTE, here));
    }
}
