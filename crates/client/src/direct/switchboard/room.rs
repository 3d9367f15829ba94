//! How much of others waits here, and who may have how much of it: sessions that were opened and are not over, and the bytes of what they
//! offer and of whatever was said and is not looked at yet.
//!
//! Everybody may have **a quarter of what the others leave**, and a contact always a little, as long as there is any. So nobody needs to be
//! thrown out, one who is alone has plenty, and the more people there are the smaller is each share:
//!
//! | sessions, of 256 | has at most | leaves |
//! |---|---|---|
//! | one contact | 64 | 192 |
//! | a second | 48 | 144 |
//! | a third | 36 | 108 |
//! | a fourth | 27 | 81 |
//!
//! After *n* who take all they can there are 256 × (3/4)ⁿ left, so it takes more than fifteen contacts who conspire to leave none, and four of
//! them leave a fifth 20. The same holds for bytes: 8 MiB, of which one has 2 MiB, and four leave 2.5 MiB; a session takes about 8 KiB.
//! All strangers together are one of those who share, by however many names they come; of that quarter each has a quarter at most.
//!
//! What we begin ourselves is counted elsewhere: nobody keeps us from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use balcony_wire::BareJid;

/// Sessions of others.
const SESSIONS: Size = Size { all: 256, least: 1 };
/// Bytes of what they hold and of what is said in them.
const BYTES: Size = Size { all: 8 << 20, least: 64 << 10 };

/// All that there is of something, and how much of it a contact may have however little is left.
#[derive(Clone, Copy, Debug)]
struct Size {
    all: usize,
    least: usize,
}

/// What is not there for somebody just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Sessions,
    Bytes,
}

/// Who has how much. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Rooms(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    sessions: Room,
    bytes: Room,
}

/// What somebody has, as long as it is not dropped.
#[derive(Debug)]
pub(in crate::direct) struct Held {
    who: Who,
    sessions: usize,
    bytes: usize,
    rooms: Rooms,
}

/// Whoever shares.
#[derive(Clone, Debug)]
struct Who {
    person: BareJid,
    is_known: bool,
}

impl Default for Inner {
    fn default() -> Self {
        Self { sessions: Room::of(SESSIONS), bytes: Room::of(BYTES) }
    }
}

impl Rooms {
    /// Room for so many sessions and bytes of a person, whom we know or do not.
    pub(super) fn take(&self, person: BareJid, is_known: bool, sessions: usize, bytes: usize) -> Result<Held, Full> {
        let mut held = Held { who: Who { person, is_known }, sessions: 0, bytes: 0, rooms: self.clone() };
        held.more(sessions, bytes)?;
        Ok(held)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No step leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The same, and more.
    pub(super) fn more(&mut self, sessions: usize, bytes: usize) -> Result<(), Full> {
        let mut rooms = self.rooms.lock();
        if !rooms.sessions.take(&self.who, sessions) {
            return Err(Full::Sessions);
        }
        if !rooms.bytes.take(&self.who, bytes) {
            rooms.sessions.give_back(&self.who, sessions);
            return Err(Full::Bytes);
        }
        self.sessions += sessions;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock();
        rooms.sessions.give_back(&self.who, self.sessions);
        rooms.bytes.give_back(&self.who, self.bytes);
    }
}

/// One thing that is shared.
#[derive(Debug)]
struct Room {
    all: Shared,
    /// What strangers have of it, together a quarter.
    strangers: Shared,
}

impl Room {
    fn of(size: Size) -> Self {
        Self { all: Shared::of(size), strangers: Shared::of(Size { all: size.all / SHARE, least: 0 }) }
    }

    fn take(&mut self, who: &Who, amount: usize) -> bool {
        match who.is_known {
            true => self.all.take(Some(&who.person), amount),
            false if !self.strangers.take(Some(&who.person), amount) => false,
            false => {
                let is_taken = self.all.take(None, amount);
                if !is_taken {
                    self.strangers.give_back(Some(&who.person), amount);
                }
                is_taken
            }
        }
    }

    fn give_back(&mut self, who: &Who, amount: usize) {
        match who.is_known {
            true => self.all.give_back(Some(&who.person), amount),
            false => {
                self.strangers.give_back(Some(&who.person), amount);
                self.all.give_back(None, amount);
            }
        }
    }
}

/// Everybody has one of so many parts of what the others leave.
const SHARE: usize = 4;

#[derive(Debug)]
struct Shared {
    size: Size,
    taken: usize,
    /// By person; strangers together under no name.
    by: HashMap<Option<BareJid>, usize>,
}

impl Shared {
    fn of(size: Size) -> Self {
        Self { size, taken: 0, by: HashMap::new() }
    }

    fn take(&mut self, who: Option<&BareJid>, amount: usize) -> bool {
        let who = who.cloned();
        let own = self.by.get(&who).copied().unwrap_or_default();
        let left = self.size.all.saturating_sub(self.taken - own);
        let least = if who.is_some() { self.size.least } else { 0 };
        if amount > 0 && own + amount > least.max(left / SHARE).min(left) {
            return false;
        }
        if amount > 0 {
            self.by.insert(who, own + amount);
            self.taken += amount;
        }
        true
    }

    fn give_back(&mut self, who: Option<&BareJid>, amount: usize) {
        let who = who.cloned();
        self.taken -= amount;
        if let Some(own) = self.by.get_mut(&who) {
            *own -= amount;
            if *own == 0 {
                self.by.remove(&who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> BareJid {
        format!("{name}@montague.example").parse().unwrap()
    }

    /// Takes all that somebody gets.
    fn greedy(rooms: &Rooms, name: &str, is_known: bool, (sessions, bytes): (usize, usize)) -> Vec<Held> {
        std::iter::from_fn(|| rooms.take(person(name), is_known, sessions, bytes).ok()).collect()
    }

    #[test]
    fn four_who_conspire_leave_room_for_a_fifth_and_more_than_fifteen_are_needed_to_leave_none() {
        let rooms = Rooms::default();
        let mut all: Vec<_> = ["a", "b", "c", "d"].map(|name| greedy(&rooms, name, true, (1, 0))).into();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [64, 48, 36, 27]);
        assert_eq!(rooms.take(person("a"), true, 1, 0).unwrap_err(), Full::Sessions);
        assert_eq!(greedy(&rooms, "romeo", true, (1, 0)).len(), 20);
        for n in 0.. {
            let more = greedy(&rooms, &format!("e{n}"), true, (1, 0));
            if more.is_empty() {
                break;
            }
            all.push(more);
        }
        assert!(all.len() > 15, "{}", all.len());
        assert_eq!(all.iter().map(Vec::len).sum::<usize>(), 256, "and nothing lies idle");
        all.pop();
        assert!(rooms.take(person("romeo"), true, 1, 0).is_ok(), "whoever goes makes room");
    }

    #[test]
    fn few_that_weigh_much_are_refused_by_name_and_others_find_room() {
        let rooms = Rooms::default();
        let large: Vec<_> = ["a", "b", "c", "d"].into_iter().flat_map(|name| greedy(&rooms, name, true, (1, 200_000))).collect();
        assert!(large.len() < 30, "{}", large.len());
        assert_eq!(rooms.take(person("a"), true, 1, 200_000).unwrap_err(), Full::Bytes);
        assert!(greedy(&rooms, "romeo", true, (1, 8_000)).len() > 20);
        let mut held = rooms.take(person("romeo"), true, 1, 8_000).unwrap();
        assert_eq!(held.more(0, 4 << 20), Err(Full::Bytes));
        assert_eq!(held.more(0, 8_000), Ok(()));
        drop((large, held));
        let inner = rooms.lock();
        assert_eq!((inner.sessions.all.taken, inner.bytes.all.taken, inner.bytes.all.by.len()), (0, 0, 0), "all is given back, once");
    }

    #[test]
    fn strangers_share_one_quarter_by_however_many_names_and_one_of_them_not_all_of_it() {
        let rooms = Rooms::default();
        let one = greedy(&rooms, "mallory", false, (1, 0));
        assert_eq!(one.len(), 16);
        let others: Vec<_> = (0..1_000).flat_map(|n| greedy(&rooms, &format!("m{n}"), false, (1, 0))).collect();
        assert_eq!(one.len() + others.len(), 61, "of 64, less than a quarter is left");
        assert_eq!(greedy(&rooms, "romeo", true, (1, 0)).len(), 48);
    }
}
