//! Where the two sides of a stream wait for each other: at most two for an address, and nobody joins a stream that runs.
//!
//! Whoever waits keeps the socket; it is asked for it when the stream is activated.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::handshake::Address;

/// All addresses that somebody has connected to. `T` is what is handed over when it is called: a socket.
#[derive(Debug)]
pub(super) struct Lobby<T> {
    inside: Mutex<Inside<T>>,
}

#[derive(Debug)]
struct Inside<T> {
    tables: HashMap<Address, Table<T>>,
    /// Of the last seat.
    number: u64,
}

#[derive(Debug)]
enum Table<T> {
    /// One or two.
    Waiting(Vec<Seat<T>>),
    Running,
}

#[derive(Debug)]
struct Seat<T> {
    number: u64,
    call: oneshot::Sender<Call<T>>,
}

/// Tells who waits to hand over what it has.
pub(super) type Call<T> = oneshot::Sender<T>;

/// Why two could not be brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotBoth {
    /// Nobody has connected to that address.
    Nobody,
    /// One side is missing.
    OnlyOne,
    /// They are together already.
    Running,
}

impl<T> Default for Lobby<T> {
    fn default() -> Self {
        Self { inside: Mutex::new(Inside { tables: HashMap::new(), number: 0 }) }
    }
}

impl<T> Lobby<T> {
    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat at an address, and how its holder is called; `None` when both are there already.
    pub(super) fn sit(self: &Arc<Self>, address: Address) -> Option<(Sitting<T>, oneshot::Receiver<Call<T>>)> {
        let mut inside = self.inside();
        inside.number += 1;
        let number = inside.number;
        let (call, called) = oneshot::channel();
        match inside.tables.entry(address).or_insert_with(|| Table::Waiting(Vec::with_capacity(2))) {
            Table::Waiting(seats) if seats.len() < 2 => seats.push(Seat { number, call }),
            Table::Waiting(_) | Table::Running => return None,
        }
        drop(inside);
        Some((Sitting { lobby: self.clone(), address, number }, called))
    }

    /// Whether somebody waits at an address.
    pub(super) fn is_known(&self, address: Address) -> bool {
        self.inside().tables.contains_key(&address)
    }

    /// Calls both; until what comes back is dropped the stream counts as running. First is who came first.
    pub(super) fn call(self: &Arc<Self>, address: Address) -> Result<(Running<T>, [oneshot::Receiver<T>; 2]), NotBoth> {
        let mut inside = self.inside();
        let seats = match inside.tables.get_mut(&address) {
            None => return Err(NotBoth::Nobody),
            Some(Table::Running) => return Err(NotBoth::Running),
            Some(Table::Waiting(seats)) => seats,
        };
        // Those who have just left do not count.
        seats.retain(|seat| !seat.call.is_closed());
        if seats.len() < 2 {
            return Err(if seats.is_empty() { NotBoth::Nobody } else { NotBoth::OnlyOne });
        }
        let called = std::mem::take(seats);
        inside.tables.insert(address, Table::Running);
        drop(inside);
        let running = Running { lobby: self.clone(), address };
        let mut answers = called.into_iter().map(|seat| {
            let (hand_over, taken) = oneshot::channel();
            // One that has left in this moment: `taken` says so.
            let _ = seat.call.send(hand_over);
            taken
        });
        match (answers.next(), answers.next()) {
            (Some(first), Some(second)) => Ok((running, [first, second])),
            _ => Err(NotBoth::OnlyOne),
        }
    }
}

/// A seat that is taken; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Sitting<T> {
    lobby: Arc<Lobby<T>>,
    address: Address,
    number: u64,
}

impl<T> Drop for Sitting<T> {
    fn drop(&mut self) {
        let mut inside = self.lobby.inside();
        if let Some(Table::Waiting(seats)) = inside.tables.get_mut(&self.address) {
            seats.retain(|seat| seat.number != self.number);
            if seats.is_empty() {
                inside.tables.remove(&self.address);
            }
        }
    }
}

/// A stream that runs; its address can be used again when this is dropped.
#[derive(Debug)]
pub(super) struct Running<T> {
    lobby: Arc<Lobby<T>>,
    address: Address,
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.lobby.inside().tables.remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Address = Address([1; 20]);
    const THERE: Address = Address([2; 20]);

    #[test]
    fn two_are_called_in_the_order_they_came_and_a_third_finds_no_seat() {
        let lobby = Arc::new(Lobby::<u8>::default());
        let (_first, mut first_called) = lobby.sit(HERE).unwrap();
        let (_second, mut second_called) = lobby.sit(HERE).unwrap();
        assert!(lobby.sit(HERE).is_none());
        let (running, [mut first, mut second]) = lobby.call(HERE).unwrap();
        first_called.try_recv().unwrap().send(1).unwrap();
        second_called.try_recv().unwrap().send(2).unwrap();
        assert_eq!((first.try_recv().unwrap(), second.try_recv().unwrap()), (1, 2));
        assert!(lobby.sit(HERE).is_none(), "nobody joins a stream that runs");
        assert_eq!(lobby.call(HERE).unwrap_err(), NotBoth::Running);
        drop(running);
        assert!(lobby.sit(HERE).is_some());
    }

    #[test]
    fn one_alone_is_not_called_and_goes_on_waiting() {
        let lobby = Arc::new(Lobby::<u8>::default());
        let (seat, mut called) = lobby.sit(HERE).unwrap();
        assert_eq!(lobby.call(HERE).unwrap_err(), NotBoth::OnlyOne);
        assert_eq!(lobby.call(THERE).unwrap_err(), NotBoth::Nobody);
        assert!(called.try_recv().is_err());
        let (_other, _called) = lobby.sit(HERE).unwrap();
        drop(called);
        drop(seat);
        assert_eq!(lobby.call(HERE).unwrap_err(), NotBoth::OnlyOne);
    }

    #[test]
    fn who_leaves_takes_nothing_along_and_leaves_nothing_behind() {
        let lobby = Arc::new(Lobby::<u8>::default());
        for _ in 0..1_000 {
            let (first, called) = lobby.sit(HERE).unwrap();
            let second = lobby.sit(HERE).unwrap();
            drop(called);
            assert_eq!(lobby.call(HERE).unwrap_err(), NotBoth::OnlyOne);
            drop((first, second));
            assert!(!lobby.is_known(HERE));
        }
        assert!(lobby.inside().tables.is_empty());
    }
}
