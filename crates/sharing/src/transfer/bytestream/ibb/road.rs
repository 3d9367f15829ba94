//! How many blocks of all streams of an account together may be under way. A stream's own [`super::Window`] knows the way to its peer
//! and narrows where that is slow; whatever else the account says to anybody waits behind the blocks of all streams.
//!
//! One number, whatever the line: nothing tells how long the way to the own server is. Answers of peers tell of the peers too, and a
//! server may wait for the receivers before it acknowledges (XEP-0198). One block of each stream may always be under way, so no stream
//! ever waits for another.

/// See the module. Whoever drives a stream calls [`Road::enter`], then [`Road::moved`] whenever other blocks are under way than before,
/// and [`Road::leave`] at the end of the stream, whichever it is.
#[derive(Clone, Debug, Default)]
pub struct Road {
    streams: usize,
    under_way: usize,
}

/// Blocks under way, about a megabyte: enough for 10 MB/s to peers 100 ms away, and 13 ms of what goes between programs on one machine.
const WIDTH: usize = 240;

impl Road {
    /// A stream begins.
    pub fn enter(&mut self) {
        self.streams += 1;
    }

    /// A stream that had so many blocks under way is over.
    pub fn leave(&mut self, under_way: usize) {
        self.streams = self.streams.saturating_sub(1);
        self.moved(under_way, 0);
    }

    /// A stream that had `before` blocks under way has `after`.
    pub fn moved(&mut self, before: usize, after: usize) {
        self.under_way = self.under_way.saturating_sub(before) + after;
    }

    /// How many more blocks a stream that has `own` under way may send: up to its even share, or as many as the others leave.
    #[must_use]
    pub fn room(&self, own: usize) -> usize {
        let share = (WIDTH / self.streams.max(1)).max(1);
        let left = WIDTH.saturating_sub(self.under_way);
        share.saturating_sub(own).max(left)
    }
}
