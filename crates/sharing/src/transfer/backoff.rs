//! How long to leave a source alone after it failed.

use std::time::Duration;

/// Tries of one source in a row without a single new byte; after that it is given up.
pub(super) const TRIES: u32 = 4;

/// Half a second, then twice as long each time, ten seconds at most; a server's own wish counts up to a minute.
pub(super) fn pause(failures: u32, wish: Option<Duration>) -> Duration {
    let ours = Duration::from_millis(500 << failures.saturating_sub(1).min(5)).min(Duration::from_secs(10));
    wish.map_or(ours, |wish| wish.clamp(ours, Duration::from_secs(60)))
}
