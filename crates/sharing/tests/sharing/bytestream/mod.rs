//! Byte streams: both sides of one against each other, on a virtual clock.

mod hostile;
mod in_band;
mod nomination;
mod plain;
mod road;
mod socks;
mod world;

use std::time::{Duration, Instant};

use balcony_sharing::transfer::bytestream::{OwnCandidate, OwnPlace};
use balcony_wire::Jid;

#[allow(clippy::disallowed_methods, reason = "a first instant, from which the virtual clock runs")]
fn dawn() -> Instant {
    Instant::now()
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn listener(host: &str, preference: u16) -> OwnCandidate {
    OwnCandidate { host: host.to_owned(), port: 5086, place: OwnPlace::Listener, preference }
}

fn proxy(name: &str) -> OwnCandidate {
    OwnCandidate { host: name.to_owned(), port: 7777, place: OwnPlace::Proxy(jid(name)), preference: 0 }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Numbers that look random and come again with the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
