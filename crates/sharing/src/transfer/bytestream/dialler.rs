//! The order and the pace in which places are tried: the best first, the next when it failed or after a little while, proxies last.
//!
//! XEP-0260 Jingle SOCKS5 Bytestreams Transport Method, v1.0.3 <https://xmpp.org/extensions/xep-0260.html>

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Line, SocketAction};

/// How patiently places are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two attempts (XEP-0260 §4).
    pub spacing: Duration,
    /// How much later proxies are tried while direct connections may still come about.
    pub proxies_after: Duration,
    /// Until when somebody has to be there, counted from the first attempt. What works at all is there after one round trip, and
    /// whoever waits has another way left.
    pub window: Duration,
    /// Each attempt has as long as this, however late it began.
    pub least: Duration,
    /// How long who is there may take to agree.
    pub handshake: Duration,
    /// How long one may take once the other side has connected to us, and it would only be better.
    pub hurry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            spacing: Duration::from_millis(200),
            proxies_after: Duration::from_millis(300),
            // A first packet that gets lost is sent again after one second.
            window: Duration::from_millis(1_200),
            least: Duration::from_millis(600),
            handshake: Duration::from_secs(5),
            hurry: Duration::from_millis(600),
        }
    }
}

/// A place to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: Line,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) dstaddr: String,
    pub(super) priority: u32,
    pub(super) is_proxy: bool,
}

/// Tries one after the other.
#[derive(Debug, Default)]
pub(super) struct Dialler {
    waiting: VecDeque<Spot>,
    under_way: Vec<UnderWay>,
    /// When the next one may be tried, whatever becomes of those under way.
    next_at: Option<Instant>,
    /// When proxies may be tried, if nothing better is left before.
    proxies_at: Option<Instant>,
    /// When everybody who is there should have answered.
    closes_at: Option<Instant>,
    /// There is something to fall back on.
    is_hurried: bool,
    reasons: Vec<String>,
}

#[derive(Debug)]
struct UnderWay {
    spot: Spot,
    until: Instant,
}

impl Dialler {
    /// Tries these in their order, but proxies last.
    pub(super) fn begin(&mut self, now: Instant, pace: &Pace, spots: Vec<Spot>, out: &mut Vec<SocketAction>) {
        let (proxies, direct): (Vec<_>, Vec<_>) = spots.into_iter().partition(|spot| spot.is_proxy);
        self.proxies_at = Some(if direct.is_empty() { now } else { now + pace.proxies_after });
        self.closes_at = Some(now + pace.window);
        self.waiting = direct.into_iter().chain(proxies).collect();
        self.next_at = Some(now);
        self.step(now, pace, out);
    }

    /// Nothing left to try, and nothing under way.
    pub(super) fn is_exhausted(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// What went wrong, in the order of the failures.
    pub(super) fn reasons(&self) -> String {
        self.reasons.join("; ")
    }

    /// A connection stands: all others are given up. `None` if it was given up itself.
    pub(super) fn won(&mut self, line: &Line, out: &mut Vec<SocketAction>) -> Option<Spot> {
        let at = self.under_way.iter().position(|under_way| under_way.spot.line == *line)?;
        let spot = self.under_way.swap_remove(at).spot;
        self.stop(out);
        Some(spot)
    }

    /// Somebody is there: they may take their time.
    pub(super) fn answered(&mut self, now: Instant, pace: &Pace, line: &Line) {
        let patience = if self.is_hurried { pace.hurry } else { pace.handshake };
        if let Some(under_way) = self.under_way.iter_mut().find(|under_way| under_way.spot.line == *line) {
            under_way.until = now + patience;
        }
    }

    /// A connection cannot be had: the next one need not wait.
    pub(super) fn lost(&mut self, now: Instant, pace: &Pace, line: &Line, why: String, out: &mut Vec<SocketAction>) {
        let Some(at) = self.under_way.iter().position(|under_way| under_way.spot.line == *line) else { return };
        let spot = self.under_way.swap_remove(at).spot;
        self.note(&spot, &why);
        self.next_at = Some(now);
        self.step(now, pace, out);
    }

    /// Gives up what is no better than this, and is in a hurry with the rest.
    pub(super) fn only_above(&mut self, now: Instant, pace: &Pace, priority: u32, out: &mut Vec<SocketAction>) {
        self.is_hurried = true;
        for under_way in &mut self.under_way {
            under_way.until = under_way.until.min(now + pace.hurry);
        }
        self.waiting.retain(|spot| spot.priority > priority);
        let given_up = self.under_way.extract_if(.., |under_way| under_way.spot.priority <= priority);
        out.extend(given_up.map(|under_way| SocketAction::HangUp { line: under_way.spot.line }));
    }

    /// Gives everything up.
    pub(super) fn stop(&mut self, out: &mut Vec<SocketAction>) {
        self.waiting.clear();
        out.extend(self.under_way.drain(..).map(|under_way| SocketAction::HangUp { line: under_way.spot.line }));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let next = self.waiting.front().and_then(|spot| self.when(spot));
        self.under_way.iter().map(|under_way| under_way.until).chain(next).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, pace: &Pace, out: &mut Vec<SocketAction>) {
        let late: Vec<UnderWay> = self.under_way.extract_if(.., |under_way| under_way.until <= now).collect();
        for UnderWay { spot, .. } in late {
            self.note(&spot, "no answer in time");
            out.push(SocketAction::HangUp { line: spot.line });
        }
        self.step(now, pace, out);
    }

    /// When that one is tried: by the pace, or at once where nothing better is under way.
    fn when(&self, spot: &Spot) -> Option<Instant> {
        let next = self.next_at?;
        if !spot.is_proxy || self.under_way.iter().all(|under_way| under_way.spot.is_proxy) {
            return Some(next);
        }
        Some(next.max(self.proxies_at?))
    }

    fn step(&mut self, now: Instant, pace: &Pace, out: &mut Vec<SocketAction>) {
        while let Some(spot) = self.waiting.front()
            && self.when(spot).is_some_and(|at| at <= now)
            && let Some(spot) = self.waiting.pop_front()
        {
            let Spot { line, host, port, dstaddr, .. } = spot.clone();
            out.push(SocketAction::Dial { line, host, port, dstaddr });
            let until = match self.closes_at {
                Some(closes_at) if !self.is_hurried => closes_at.max(now + pace.least),
                _ => now + pace.hurry,
            };
            self.under_way.push(UnderWay { spot, until });
            self.next_at = Some(now + pace.spacing);
        }
    }

    fn note(&mut self, spot: &Spot, why: &str) {
        // Hosts are other people's addresses: only what a proxy is called gets into words that may be kept.
        let what = if spot.is_proxy { "a proxy" } else { "a direct connection" };
        self.reasons.push(format!("{what}: {why}"));
    }
}
