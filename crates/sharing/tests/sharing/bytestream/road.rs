//! Many streams in band over one connection: who gets how much of it, and how much lies in front of a small stanza.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use balcony_sharing::transfer::bytestream::ibb::{Action, IbbFailed, IbbSender, Road, Terms, Window};
use balcony_wire::in_band::{Open, StanzaKind};

use super::{dawn, millis};

enum Comes {
    /// The server has done with what was first in its queue.
    Served,
    Answer(usize, u64),
}

struct Stream {
    sender: IbbSender,
    /// How long its peer takes to answer; `None` where answers get lost.
    peer: Option<Duration>,
    held: usize,
    answered: usize,
    failed: Option<IbbFailed>,
}

/// A connection to a server that takes so long for each block, one after the other.
struct World {
    now: Instant,
    road: Road,
    streams: Vec<Stream>,
    pace: Duration,
    /// How long everything is on its way in either direction.
    way: Duration,
    /// Blocks, by their stream and number.
    queue: VecDeque<(usize, u64)>,
    to_come: BTreeMap<(Instant, u64), Comes>,
    count: u64,
    is_serving: bool,
    /// The most blocks that lay in front of whatever would have been said.
    ahead: usize,
}

impl World {
    fn new(streams: usize, pace: Duration, way: Duration) -> Self {
        let mut world = Self {
            now: dawn(),
            road: Road::default(),
            streams: Vec::new(),
            pace,
            way,
            queue: VecDeque::new(),
            to_come: BTreeMap::new(),
            count: 0,
            is_serving: false,
            ahead: 0,
        };
        (0..streams).for_each(|_| world.begin(Some(Duration::ZERO)));
        world
    }

    fn begin(&mut self, peer: Option<Duration>) {
        let terms = Terms { sid: "a".to_owned(), block_size: 16, stanza: StanzaKind::Iq };
        let mut sender = IbbSender::new(self.now, terms, false, Window::default());
        sender.handle_open(self.now, &Open { sid: "a".to_owned(), block_size: 16, stanza: StanzaKind::Iq }).unwrap();
        self.road.enter();
        self.streams.push(Stream { sender, peer, held: 0, answered: 0, failed: None });
    }

    /// Every stream sends what it may.
    fn send(&mut self) {
        for number in 0..self.streams.len() {
            loop {
                let stream = &mut self.streams[number];
                self.road.moved(std::mem::replace(&mut stream.held, stream.sender.under_way()), stream.sender.under_way());
                while let Some(action) = stream.sender.poll_action() {
                    match action {
                        Action::Ask { id, .. } => self.queue.push_back((number, id)),
                        Action::Failed(why) => {
                            stream.failed = Some(why);
                            self.road.leave(stream.held);
                        }
                        _ => {}
                    }
                }
                if stream.sender.room().min(self.road.room(stream.held)) == 0 {
                    break;
                }
                stream.sender.handle_block(self.now, b"x");
            }
        }
        self.ahead = self.ahead.max(self.queue.len());
        if !self.queue.is_empty() && !std::mem::replace(&mut self.is_serving, true) {
            self.comes(self.pace, Comes::Served);
        }
    }

    fn comes(&mut self, after: Duration, what: Comes) {
        self.count += 1;
        self.to_come.insert((self.now + after, self.count), what);
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.send();
            let deadline = self.streams.iter().filter_map(|stream| stream.sender.deadline()).min();
            let (&(at, count), _) = self.to_come.first_key_value().unwrap();
            self.now = deadline.map_or(at, |deadline| deadline.min(at)).max(self.now);
            if self.now > until {
                return self.now = until;
            }
            self.streams.iter_mut().for_each(|stream| stream.sender.handle_timeout(self.now));
            if at > self.now {
                continue;
            }
            match self.to_come.remove(&(at, count)).unwrap() {
                Comes::Served => self.serve(),
                Comes::Answer(number, id) => {
                    let stream = &mut self.streams[number];
                    stream.sender.handle_answer(self.now, id, Ok(()));
                    stream.answered += 1;
                }
            }
        }
    }

    /// The server has done with a block.
    fn serve(&mut self) {
        self.is_serving = false;
        if let Some((number, id)) = self.queue.pop_front()
            && let Some(peer) = self.streams[number].peer
        {
            self.comes(self.way * 2 + peer, Comes::Answer(number, id));
        }
    }

    /// How many blocks of each stream were answered in that time.
    fn progress(&mut self, time: Duration) -> Vec<usize> {
        self.streams.iter_mut().for_each(|stream| stream.answered = 0);
        self.run(time);
        self.streams.iter().map(|stream| stream.answered).collect()
    }

    /// The most that lay in front of something in that time.
    fn ahead(&mut self, time: Duration) -> usize {
        self.ahead = 0;
        self.run(time);
        self.ahead
    }
}

/// What our own server takes for a block on one machine, about.
const QUICK: Duration = Duration::from_micros(87);
/// On a line of less than a megabyte a second.
const SLOW: Duration = Duration::from_millis(5);
const NEAR: Duration = Duration::from_micros(100);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn however_many_streams_there_are_little_lies_in_front_of_what_else_is_said_and_the_line_is_full() {
    for streams in [1, 4, 50, 200] {
        let mut world = World::new(streams, QUICK, NEAR);
        world.run(SECOND);
        let ahead = world.ahead(SECOND);
        assert!((10..=240).contains(&ahead), "{streams} streams: {ahead}");
        let moved: usize = world.progress(SECOND).iter().sum();
        assert!(moved > 11_000, "{streams} streams: {moved}");
    }
}

#[test]
fn where_the_line_becomes_slow_the_streams_take_less_of_the_road_and_more_when_it_is_quick_again() {
    let mut world = World::new(4, QUICK, NEAR);
    world.run(SECOND);
    world.pace = SLOW;
    world.run(20 * SECOND);
    let ahead = world.ahead(5 * SECOND);
    assert!(ahead < 120, "{ahead}: half of what the road has room for");
    let moved: usize = world.progress(10 * SECOND).iter().sum();
    assert!(moved > 1_900, "{moved}: the line is full all the same");
    world.pace = QUICK;
    world.run(SECOND);
    let moved: usize = world.progress(SECOND).iter().sum();
    assert!(moved > 11_000, "{moved}");
}

#[test]
fn where_it_is_slow_many_streams_have_no_more_than_the_road_under_way_and_none_stands_still() {
    let mut world = World::new(50, SLOW, millis(20));
    world.run(30 * SECOND);
    let ahead = world.ahead(5 * SECOND);
    assert!(ahead <= 240, "{ahead}");
    let moved = world.progress(20 * SECOND);
    assert!(moved.iter().all(|moved| (50..=150).contains(moved)), "{moved:?}");
}

#[test]
fn a_long_way_is_no_queue() {
    let mut world = World::new(4, Duration::from_micros(500), millis(50));
    world.run(10 * SECOND);
    let moved: usize = world.progress(10 * SECOND).iter().sum();
    assert!(moved > 18_000, "{moved} of 20,000");
}

#[test]
fn who_comes_later_gets_as_much_as_the_others() {
    let mut world = World::new(10, QUICK, NEAR);
    world.run(SECOND);
    (0..10).for_each(|_| world.begin(Some(Duration::ZERO)));
    world.run(SECOND);
    let moved = world.progress(4 * SECOND);
    let even = moved.iter().sum::<usize>() / moved.len();
    assert!(moved.iter().all(|moved| moved.abs_diff(even) < even / 5), "{moved:?}");
}

#[test]
fn slow_peers_take_nothing_from_a_quick_one() {
    let mut world = World::new(1, QUICK, NEAR);
    (0..20).for_each(|_| world.begin(Some(2 * SECOND)));
    world.run(10 * SECOND);
    let moved = world.progress(4 * SECOND);
    assert!(moved[0] > 20_000, "{moved:?}");
    assert!(moved[1..].iter().all(|moved| *moved >= 4), "{moved:?}");
}

#[test]
fn a_stream_whose_answers_are_lost_breaks_and_leaves_its_room_to_the_others() {
    let mut world = World::new(1, SLOW, NEAR);
    (0..8).for_each(|_| world.begin(None));
    world.run(30 * SECOND);
    assert!(world.progress(SECOND)[0] > 150, "what is lost takes one share");
    world.run(60 * SECOND);
    assert!(world.streams[1..].iter().all(|stream| matches!(stream.failed, Some(IbbFailed::Stalled(_)))));
    assert!(world.progress(10 * SECOND)[0] > 1_900);
    world.run(SECOND);
    assert_eq!(world.streams[1..].iter().map(|stream| stream.held).sum::<usize>(), 0);
}
