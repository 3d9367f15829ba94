//! How many blocks of all streams together may be under way to one server. A stream's own [`super::Window`] knows the way to its peer;
//! whatever else the account says to anybody waits behind the blocks of all streams, on the way that they share: to its own server.
//!
//! It narrows while the server takes long to say that it has what was sent, and widens while that is quick and all of it is used: the
//! idea of RFC 6817, by the acknowledgements of XEP-0198, which tell nothing of slow peers. Where there are none it stays as it is. One
//! block of each stream may always be under way, so no stream ever waits for another.

use std::time::Duration;

/// See the module. Whoever drives a stream calls [`Road::enter`], then [`Road::moved`] whenever other blocks are under way than before,
/// and [`Road::leave`] at the end of the stream, whichever it is.
#[derive(Clone, Debug)]
pub struct Road {
    width: usize,
    streams: usize,
    under_way: usize,
    quickest: Option<Duration>,
}

/// Blocks under way at first: as many as one stream may have.
const FIRST: usize = 60;
/// Blocks under way at most, about a megabyte: it also lies in front of what is said to the peer, where that is slower than the server.
const MOST: usize = 240;
/// The server may take so much longer than it ever did: below it nobody notices what they wait behind.
const FINE: Duration = Duration::from_millis(30);

impl Default for Road {
    fn default() -> Self {
        Self { width: FIRST, streams: 0, under_way: 0, quickest: None }
    }
}

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
        let share = (self.width / self.streams.max(1)).max(1);
        let left = self.width.saturating_sub(self.under_way);
        share.saturating_sub(own).max(left)
    }

    /// The server says that it has what was sent before it was asked, so long ago.
    pub fn acknowledged(&mut self, took: Duration) {
        let quickest = self.quickest.map_or(took, |quickest| quickest.min(took));
        self.quickest = Some(quickest);
        if took > quickest + FINE {
            self.width = (self.width - self.width / 8).max(1);
        } else if self.under_way >= self.width / 2 {
            self.width = (self.width + self.width / 8 + 1).min(MOST);
        }
    }

    /// Another connection is used from now on: nothing is known of it.
    pub fn renewed(&mut self) {
        (self.width, self.quickest) = (FIRST, None);
    }
}
