//! What each account takes from the proxy: streams at once, activations in a minute, bytes in a second.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::refusal::Reason;
use crate::settings::ProxySettings;

const MINUTE: Duration = Duration::from_secs(60);
/// An account that was quiet may take so much at once.
const BURST: Duration = Duration::from_millis(200);
/// Accounts remembered before the quiet ones are forgotten.
const REMEMBERED: usize = 1_000;

/// All accounts that use the proxy.
#[derive(Debug)]
pub(super) struct Shares {
    streams: usize,
    streams_per_account: usize,
    activations_per_minute: u32,
    rate: Option<NonZeroU64>,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    streams: usize,
    accounts: HashMap<String, Account>,
}

#[derive(Debug)]
struct Account {
    streams: usize,
    minute: Instant,
    activations: u32,
    pace: Arc<Pace>,
    end: watch::Sender<bool>,
}

impl Shares {
    pub(super) fn new(settings: &ProxySettings) -> Arc<Self> {
        Arc::new(Self {
            streams: settings.streams,
            streams_per_account: settings.streams_per_account,
            activations_per_minute: settings.activations_per_minute,
            rate: settings.rate,
            inside: Mutex::default(),
        })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for one more stream of anybody.
    pub(super) fn has_room(&self) -> bool {
        self.inside().streams < self.streams
    }

    /// One more stream of an account, unless it is one too many.
    pub(super) fn take(self: &Arc<Self>, now: Instant, account: &str) -> Result<Share, Reason> {
        let mut inside = self.inside();
        let Inside { streams, accounts } = &mut *inside;
        if accounts.len() >= REMEMBERED {
            accounts.retain(|_, account| account.streams > 0 || now.duration_since(account.minute) < MINUTE);
        }
        let rate = self.rate;
        let taken = accounts.entry(account.to_owned()).or_insert_with(|| Account {
            streams: 0,
            minute: now,
            activations: 0,
            pace: Arc::new(Pace::new(rate, now)),
            end: watch::Sender::new(false),
        });
        if now.duration_since(taken.minute) >= MINUTE {
            (taken.minute, taken.activations) = (now, 0);
        }
        taken.activations = taken.activations.saturating_add(1);
        if taken.activations > self.activations_per_minute {
            return Err(Reason::TooManyActivations);
        }
        if *streams >= self.streams || taken.streams >= self.streams_per_account {
            return Err(Reason::TooManyStreams);
        }
        *streams += 1;
        taken.streams += 1;
        Ok(Share { shares: self.clone(), account: account.to_owned(), pace: taken.pace.clone(), end: taken.end.subscribe() })
    }

    /// Ends all streams of an account.
    pub(super) fn end(&self, account: &str) {
        if let Some(account) = self.inside().accounts.remove(account) {
            account.end.send_replace(true);
        }
    }
}

/// One stream of an account; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    account: String,
    pub(super) pace: Arc<Pace>,
    /// Turns true when the account is to have no streams any more.
    pub(super) end: watch::Receiver<bool>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut inside = self.shares.inside();
        inside.streams -= 1;
        // A new account of the same name is not the one this stream was counted for.
        if let Some(account) = inside.accounts.get_mut(&self.account).filter(|account| Arc::ptr_eq(&account.pace, &self.pace)) {
            account.streams -= 1;
        }
    }
}

/// How fast the streams of one account may be, all together.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<NonZeroU64>,
    /// When all that was taken is paid for.
    paid: Mutex<Instant>,
}

impl Pace {
    fn new(rate: Option<NonZeroU64>, now: Instant) -> Self {
        Self { rate, paid: Mutex::new(now) }
    }

    /// The most to carry in one piece: what passes in a fraction of a second, so that nobody seems to stand still.
    pub(super) fn piece(&self, most: usize) -> usize {
        let piece = self.rate.map_or(u64::MAX, |rate| (rate.get() / 20).max(512));
        usize::try_from(piece).unwrap_or(usize::MAX).min(most)
    }

    /// Counts bytes that were carried; how long to wait before the next ones.
    pub(super) fn carried(&self, now: Instant, bytes: usize) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let cost = Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        *paid = now.checked_sub(BURST).map_or(*paid, |earliest| paid.max(earliest)) + cost;
        paid.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(change: impl FnOnce(&mut ProxySettings)) -> Arc<Shares> {
        let mut settings = ProxySettings::default();
        change(&mut settings);
        Shares::new(&settings)
    }

    #[test]
    fn streams_are_bounded_for_each_account_and_for_all() {
        let shares = shares(|settings| (settings.streams, settings.streams_per_account) = (3, 2));
        let now = Instant::now();
        let first = shares.take(now, "romeo").unwrap();
        let _second = shares.take(now, "romeo").unwrap();
        assert_eq!(shares.take(now, "romeo").unwrap_err(), Reason::TooManyStreams);
        let _third = shares.take(now, "juliet").unwrap();
        assert!(!shares.has_room());
        assert_eq!(shares.take(now, "nurse").unwrap_err(), Reason::TooManyStreams);
        drop(first);
        assert!(shares.take(now, "nurse").is_ok());
    }

    #[test]
    fn activations_are_bounded_in_a_minute_and_the_next_minute_is_a_new_one() {
        let shares = shares(|settings| settings.activations_per_minute = 2);
        let now = Instant::now();
        for _ in 0..2 {
            drop(shares.take(now, "romeo").unwrap());
        }
        assert_eq!(shares.take(now, "romeo").unwrap_err(), Reason::TooManyActivations);
        assert!(shares.take(now, "juliet").is_ok());
        assert!(shares.take(now + MINUTE, "romeo").is_ok());
    }

    #[test]
    fn accounts_that_are_quiet_are_forgotten() {
        let shares = shares(|_| {});
        let now = Instant::now();
        let _kept = shares.take(now, "romeo").unwrap();
        for n in 0..2 * REMEMBERED {
            drop(shares.take(now + MINUTE * u32::try_from(n / REMEMBERED).unwrap(), &format!("user{n}")).unwrap());
        }
        assert!(shares.inside().accounts.len() <= REMEMBERED + 1);
        assert!(shares.inside().accounts.contains_key("romeo"));
    }

    #[test]
    fn an_account_that_ends_takes_its_streams_along_and_its_name_begins_anew() {
        let shares = shares(|settings| settings.streams_per_account = 1);
        let now = Instant::now();
        let old = shares.take(now, "romeo").unwrap();
        shares.end("romeo");
        assert!(*old.end.borrow());
        let new = shares.take(now, "romeo").unwrap();
        assert!(!*new.end.borrow());
        drop(old);
        assert_eq!(shares.take(now, "romeo").unwrap_err(), Reason::TooManyStreams);
    }

    #[test]
    fn the_pace_of_an_account_holds_for_all_its_streams_and_rests_save_only_a_little() {
        let shares = shares(|settings| settings.rate = NonZeroU64::new(1_000_000));
        let now = Instant::now();
        let (one, other) = (shares.take(now, "romeo").unwrap(), shares.take(now, "romeo").unwrap());
        assert_eq!(one.pace.piece(1 << 20), 50_000);
        // After a long rest.
        let now = now + MINUTE;
        assert_eq!(one.pace.carried(now, 100_000), Duration::ZERO);
        assert_eq!(other.pace.carried(now, 100_000), Duration::ZERO);
        assert_eq!(one.pace.carried(now, 500_000), Duration::from_millis(500));
        assert_eq!(other.pace.carried(now + Duration::from_millis(500), 100_000), Duration::from_millis(100));
    }
}
