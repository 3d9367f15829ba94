//! Deadlines: nothing in a session waits without end.

use std::time::Instant;

use super::content::{Content, Stage, Swap, Vehicle};
use super::session::{Phase, Session};
use super::{Direction, EndReason, Event};

impl Session {
    /// When [`Session::handle_timeout`] is to be called, if nothing else happens.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let decide_by = match self.phase {
            Phase::Pending { decide_by } => decide_by,
            _ => None,
        };
        let contents = self.contents.iter().filter(|content| content.is_open()).flat_map(deadlines);
        let requests = self.pending.iter().map(|pending| pending.until);
        contents.chain(requests).chain(decide_by).chain(self.vanish).chain(self.linger).min()
    }

    /// The deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.vanish.is_some_and(|until| until <= now) {
            return self.end_session(now, EndReason::PeerGone, false);
        }
        if self.linger.is_some_and(|until| until <= now) {
            self.linger = None;
            self.settle(now);
        }
        self.expire_requests(now);
        self.decide(now);
        for at in 0..self.contents.len() {
            if self.contents[at].is_open() {
                self.expire_stream(now, at);
                self.expire_swap(now, at);
                self.expire(now, at);
            }
        }
    }

    /// Enough was waited for the other files of an offer: those nobody wanted so far are not taken.
    fn decide(&mut self, now: Instant) {
        let Phase::Pending { decide_by: Some(until) } = self.phase else { return };
        if until > now {
            return;
        }
        self.phase = Phase::Pending { decide_by: None };
        for at in 0..self.contents.len() {
            if self.contents[at].stage == Stage::Undecided && self.contents[at].is_initial {
                self.refuse(now, at, EndReason::Declined);
            }
        }
    }

    fn expire_stream(&mut self, now: Instant, at: usize) {
        if let Vehicle::Socks { s5b, .. } = &mut self.contents[at].vehicle
            && s5b.deadline().is_some_and(|until| until <= now)
        {
            s5b.handle_timeout(now);
            self.drain(now, at);
        }
    }

    fn expire_swap(&mut self, now: Instant, at: usize) {
        match self.contents[at].swap {
            Swap::Awaited { until } if until <= now => self.go_in_band(now, at),
            Swap::Ours { until, .. } if until <= now => {
                let reason = self.contents[at].lost("the other side does not say how it can go on".into());
                self.refuse(now, at, reason);
            }
            _ => {}
        }
    }

    fn expire(&mut self, now: Instant, at: usize) {
        let content = &self.contents[at];
        if content.until.is_none_or(|until| until > now) || !content.is_open() {
            return;
        }
        if let Vehicle::Socks { stream, is_gathered: false, .. } = content.vehicle {
            return self.handle_own_candidates(now, stream, Vec::new());
        }
        self.contents[at].until = None;
        let (moved, why) = (self.contents[at].moved, "it took too long to find one");
        match self.contents[at].stage {
            Stage::Preparing | Stage::Agreed | Stage::Ended(_) => {}
            Stage::Undecided | Stage::Proposed => self.refuse(now, at, EndReason::Undecided),
            Stage::Connecting if self.contents[at].is_held => self.refuse(now, at, EndReason::Stalled { at: moved }),
            Stage::Connecting if matches!(self.contents[at].vehicle, Vehicle::Socks { .. }) => self.lose(now, at, why.into()),
            Stage::Connecting => {
                let reason = self.contents[at].lost(why.into());
                self.refuse(now, at, reason);
            }
            Stage::Flowing => self.stalled(now, at),
            Stage::Confirming => self.refuse(now, at, EndReason::Unconfirmed),
            Stage::Whole => {
                let content = self.contents[at].id.clone();
                self.tell(Event::Whole { content });
            }
        }
    }

    /// Nothing moves: another way may do. Who gives cannot know what arrived, and leaves it to the other side first.
    fn stalled(&mut self, now: Instant, at: usize) {
        let content = &self.contents[at];
        if content.is_held || matches!(content.vehicle, Vehicle::InBand { .. }) {
            let reason = EndReason::Stalled { at: content.moved };
            return self.refuse(now, at, reason);
        }
        match content.direction {
            Direction::Take => self.lose(now, at, "nothing came for too long".into()),
            Direction::Give => self.lose(now, at, "nothing went for too long".into()),
        }
    }
}

/// All times at which a content has something to do.
fn deadlines(content: &Content) -> impl Iterator<Item = Instant> {
    let stream = match &content.vehicle {
        Vehicle::Socks { s5b, .. } => s5b.deadline(),
        _ => None,
    };
    let swap = match content.swap {
        Swap::Awaited { until } | Swap::Ours { until, .. } => Some(until),
        Swap::None | Swap::Theirs { .. } | Swap::Opening => None,
    };
    content.until.into_iter().chain(stream).chain(swap)
}
