//! The stream machines, each side against the other and against what other programs computed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs, unreachable_pub)]

mod connecting;
mod disco;
mod hostile;
mod login;
mod pair;
mod resuming;
mod scram;

/// The one instant that tests take from the machine; all other times are counted from it.
#[allow(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise; only differences matter")]
fn epoch() -> std::time::Instant {
    static EPOCH: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(std::time::Instant::now)
}
