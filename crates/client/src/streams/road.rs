//! The road that all in-band streams of an account share, and the place of each of them in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use balcony_sharing::transfer::bytestream::ibb::Road;

/// See [`Road`]. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedRoad(Arc<Mutex<Road>>);

/// The place of one stream; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    road: SharedRoad,
    under_way: usize,
}

impl SharedRoad {
    pub(super) fn enter(&self) -> Place {
        self.lock().enter();
        Place { road: self.clone(), under_way: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Road> {
        // No step leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The stream has so many blocks under way now.
    pub(super) fn holds(&mut self, under_way: usize) {
        self.road.lock().moved(std::mem::replace(&mut self.under_way, under_way), under_way);
    }

    /// How many more it may send.
    pub(super) fn room(&self) -> usize {
        self.road.lock().room(self.under_way)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.road.lock().leave(self.under_way);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_leaves_the_road_to_the_others() {
        let road = SharedRoad::default();
        let mut first = road.enter();
        let whole = first.room();
        first.holds(whole);
        let mut second = road.enter();
        assert_eq!((first.room(), second.room()), (0, whole / 2), "its share, whatever the others took");
        second.holds(1);
        drop(first);
        assert_eq!(second.room(), whole - 1);
    }
}
