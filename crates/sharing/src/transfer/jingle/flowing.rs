//! Bytes of a content while they move: they are counted here, and pass elsewhere.

use std::time::Instant;

use super::content::{Stage, Vehicle};
use super::session::{Phase, Session};
use super::{ContentId, Direction, EndReason, Event};

/// How a carrier ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// As it was meant: who gives has sent all, who takes saw the end.
    Clean,
    /// It broke, for this reason.
    Broken(String),
}

impl Session {
    /// Bytes of a file that we take came in; tells how many of them are to be kept. Nothing depends on how they are cut.
    pub fn handle_arrived(&mut self, now: Instant, id: &ContentId, count: u64) -> u64 {
        let Some(at) = self.flowing(id, Direction::Take) else { return 0 };
        self.vanish = None;
        let limit = self.contents[at].expected().unwrap_or(self.settings.unannounced_limit);
        let room = limit.saturating_sub(self.contents[at].moved);
        let taken = count.min(room);
        self.moved_on(now, at, taken);
        if count > room {
            self.refuse(now, at, EndReason::TooLong(limit));
        } else if self.contents[at].expected() == Some(self.contents[at].moved) {
            self.whole(now, at);
        }
        taken
    }

    /// Bytes of a file that we give went out.
    pub fn handle_sent(&mut self, now: Instant, id: &ContentId, count: u64) {
        if let Some(at) = self.flowing(id, Direction::Give) {
            self.moved_on(now, at, count);
        }
    }

    /// The carrier of a content ended, or broke.
    pub fn handle_stream_end(&mut self, now: Instant, id: &ContentId, end: StreamEnd) {
        let Some(at) = self.open(id).filter(|at| self.contents[*at].stage == Stage::Flowing) else { return };
        let content = &self.contents[at];
        let (got, expected) = (content.moved, content.expected());
        let is_all = expected.is_none_or(|expected| got >= expected);
        match (end, content.direction) {
            (StreamEnd::Broken(why), _) => self.lose(now, at, why),
            (StreamEnd::Clean, Direction::Give) if is_all => {
                self.contents[at].stage = Stage::Confirming;
                self.contents[at].until = Some(now + self.settings.confirm_timeout);
            }
            (StreamEnd::Clean, Direction::Give) => self.refuse(now, at, EndReason::Unusable), // the file became shorter
            (StreamEnd::Clean, Direction::Take) if is_all => self.whole(now, at),
            // in band an end is said, and meant; a socket may be closed by anything in between
            (StreamEnd::Clean, Direction::Take) => match (&content.vehicle, expected) {
                (Vehicle::InBand { .. }, Some(expected)) => self.refuse(now, at, EndReason::TooShort { got, expected }),
                _ => self.lose(now, at, "the connection was closed before the end".into()),
            },
        }
    }

    fn flowing(&self, id: &ContentId, direction: Direction) -> Option<usize> {
        self.open(id).filter(|at| self.contents[*at].stage == Stage::Flowing && self.contents[*at].direction == direction)
    }

    fn moved_on(&mut self, now: Instant, at: usize, count: u64) {
        let patience = self.settings.stall_timeout;
        let content = &mut self.contents[at];
        content.moved = content.moved.saturating_add(count);
        content.fresh = content.fresh.saturating_add(count);
        if content.fresh >= LEAST_PROGRESS && !content.is_held {
            content.fresh = 0;
            content.until = Some(now + patience);
        }
    }

    /// All bytes are here: they are looked at, once the hash that was promised came too.
    pub(super) fn whole(&mut self, now: Instant, at: usize) {
        let waits = self.contents[at].awaits_hash() && self.phase != Phase::Draining;
        let content = &mut self.contents[at];
        content.stage = Stage::Whole;
        content.until = waits.then(|| now + self.settings.checksum_wait);
        if !waits {
            let content = content.id.clone();
            self.tell(Event::Whole { content });
        }
    }
}

/// Fewer bytes than that within the time to stall are as good as none: who drips would hold a session for ever.
const LEAST_PROGRESS: u64 = 4 * 1024;
