//! How many blocks may be under way at once. XEP-0047 §2.2 has a careful sender wait for each answer; with others nearby that is a
//! hundred times slower than need be, so it grows while answers come in order and soon, and shrinks when they do not.

use std::time::Duration;

/// Blocks under way to begin with, at most, and how it is going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    size: usize,
    most: usize,
    quickest: Option<Duration>,
}

/// Blocks under way at most: a client of ours keeps 64 for who reads them.
const MOST: usize = 60;
/// Blocks under way at first.
const FIRST: usize = 4;
/// Answers may take this long whatever the quickest took. Who else uses the connection is the business of [`super::Road`].
const FINE: Duration = Duration::from_millis(250);

impl Default for Window {
    fn default() -> Self {
        Self { size: FIRST, most: MOST, quickest: None }
    }
}

impl Window {
    /// One block at a time: for peers that cannot do otherwise.
    #[must_use]
    pub fn one() -> Self {
        Self { size: 1, most: 1, quickest: None }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// An answer came, in turn, after so long.
    pub(super) fn answered(&mut self, took: Duration) {
        let quickest = self.quickest.map_or(took, |quickest| quickest.min(took));
        self.quickest = Some(quickest);
        if took > FINE && took > quickest * 4 {
            // More under way only waits somewhere, in front of what other people say.
            self.size = (self.size - self.size / 8).max(1);
        } else {
            self.size = (self.size + 1).min(self.most);
        }
    }

    /// An answer came out of turn: whoever answers so may take blocks out of turn, too.
    pub(super) fn out_of_turn(&mut self) {
        (self.size, self.most) = (1, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_while_answers_are_quick_and_shrinks_when_they_queue() {
        let mut window = Window::default();
        for _ in 0..200 {
            window.answered(Duration::from_millis(5));
        }
        assert_eq!(window.size(), MOST);
        for _ in 0..100 {
            window.answered(Duration::from_secs(2));
        }
        assert!(window.size() < 10, "{}", window.size());
        window.answered(Duration::from_millis(100));
        window.out_of_turn();
        window.answered(Duration::from_millis(5));
        assert_eq!(window.size(), 1, "for good");
    }

    #[test]
    fn a_long_way_is_no_queue() {
        let mut window = Window::default();
        for _ in 0..100 {
            window.answered(Duration::from_millis(700));
        }
        assert_eq!(window.size(), MOST);
    }
}
