//! Two devices, a network that lets them through or not, proxies, and messages that take their time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::s5b::{Action, S5b, S5bFailed, Settings, Terms, dstaddr};
use balcony_sharing::transfer::bytestream::{Line, OwnCandidate, Side, SocketAction, SocketEvent, Way};
use balcony_wire::jingle::S5bTransport;

use super::{dawn, jid, millis};

pub(super) const SID: &str = "vj3hs98y";
const NAMES: [&str; 2] = ["romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"];

/// What becomes of an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Open(Duration),
    Refused(Duration),
    /// Nobody ever answers.
    Silent,
}

#[derive(Debug)]
enum Event {
    Said(S5bTransport),
    Socket(SocketEvent),
}

/// See the module. The first device began the session.
pub(super) struct World {
    pub(super) now: Instant,
    start: Instant,
    count: u64,
    queue: BTreeMap<(Instant, u64), (usize, Event)>,
    pub(super) machines: [S5b; 2],
    pub(super) ends: [Option<Result<Way, S5bFailed>>; 2],
    expected: [Option<String>; 2],
    /// By who dials and where.
    pub(super) doors: BTreeMap<(usize, String), Door>,
    /// Whether proxies join what came to them.
    pub(super) proxies_work: bool,
    at_proxies: BTreeSet<(String, String, usize)>,
    /// Connections that stand, by who has opened them.
    open: BTreeSet<(usize, Line)>,
    /// What was dialled: when, by whom, where.
    pub(super) dialled: Vec<(Duration, usize, String)>,
    pub(super) said: Vec<(usize, S5bTransport)>,
    /// How long what is said takes; `None` is lost.
    pub(super) post: Box<dyn FnMut() -> Option<Duration>>,
}

impl World {
    pub(super) fn new(own: [Vec<OwnCandidate>; 2], reach: [Reach; 2]) -> Self {
        let start = dawn();
        let sides = [Side::Initiator, Side::Responder];
        let machine = |who: usize| {
            let terms = Terms { side: sides[who], sid: SID.to_owned(), own: jid(NAMES[who]), peer: jid(NAMES[1 - who]), reach: reach[who] };
            S5b::new(terms, Settings::default(), [u8::try_from(who).unwrap(); 32])
        };
        let mut machines = [machine(0), machine(1)];
        let [romeos, juliets] = own;
        // As session-initiate and session-accept do it.
        machines[0].handle_own_candidates(romeos);
        let offer = machines[0].transport();
        machines[1].handle_transport(start, &offer).unwrap();
        machines[1].handle_own_candidates(juliets);
        let answer = machines[1].transport();
        machines[0].handle_transport(start, &answer).unwrap();
        let mut world = Self {
            now: start,
            start,
            count: 0,
            queue: BTreeMap::new(),
            machines,
            ends: [None, None],
            expected: [None, None],
            doors: BTreeMap::new(),
            proxies_work: true,
            at_proxies: BTreeSet::new(),
            open: BTreeSet::new(),
            dialled: Vec::new(),
            said: Vec::new(),
            post: Box::new(|| Some(millis(10))),
        };
        for who in [0, 1] {
            world.drain(who);
        }
        world
    }

    pub(super) fn door(&mut self, who: usize, host: &str, door: Door) -> &mut Self {
        self.doors.insert((who, host.to_owned()), door);
        self
    }

    /// Both agree to begin, and everything happens that will.
    pub(super) fn run(&mut self) -> &mut Self {
        for who in [1, 0] {
            self.machines[who].begin(self.now);
            self.drain(who);
        }
        while let Some(next) = self.next() {
            assert!(next >= self.now && next - self.start < Duration::from_secs(120), "it ends at some time");
            self.now = next;
            match self.queue.first_key_value().filter(|((at, _), _)| *at == next).map(|(key, _)| *key) {
                Some(key) => {
                    let (who, event) = self.queue.remove(&key).unwrap();
                    self.happen(who, event);
                }
                None => {
                    for who in [0, 1] {
                        self.machines[who].handle_timeout(next);
                        self.drain(who);
                    }
                }
            }
        }
        self
    }

    fn next(&self) -> Option<Instant> {
        let deadlines = self.machines.iter().filter_map(S5b::deadline);
        self.queue.first_key_value().map(|((at, _), _)| *at).into_iter().chain(deadlines).min()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn happen(&mut self, who: usize, event: Event) {
        match event {
            // What comes late is refused, and nothing happens.
            Event::Said(transport) => drop(self.machines[who].handle_transport(self.now, &transport)),
            Event::Socket(event) => self.machines[who].handle_socket(self.now, event),
        }
        self.drain(who);
    }

    fn later(&mut self, after: Duration, who: usize, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), (who, event));
    }

    fn drain(&mut self, who: usize) {
        while let Some(action) = self.machines[who].poll_action() {
            assert!(self.ends[who].is_none(), "{action:?} behind the end");
            match action {
                Action::Say(transport) => {
                    self.said.push((who, transport.clone()));
                    if let Some(after) = (self.post)() {
                        self.later(after, 1 - who, Event::Said(transport));
                    }
                }
                Action::Stands(way) => self.ends[who] = Some(Ok(way)),
                Action::Failed(why) => self.ends[who] = Some(Err(why)),
                Action::Socket(action) => self.socket(who, action),
            }
        }
    }

    fn socket(&mut self, who: usize, action: SocketAction) {
        match action {
            SocketAction::Expect { dstaddr } => self.expected[who] = Some(dstaddr),
            SocketAction::HangUp { line } => drop(self.open.remove(&(who, line))),
            SocketAction::Activate { proxy, sid, target } => {
                assert_eq!((sid.as_str(), target.as_str()), (SID, NAMES[1 - who]));
                let stream = dstaddr(SID, &jid(NAMES[who]), &jid(NAMES[1 - who]));
                let both = [0, 1].iter().all(|who| self.at_proxies.contains(&(proxy.to_string(), stream.clone(), *who)));
                let result = if both && self.proxies_work { Ok(()) } else { Err("item-not-found".to_owned()) };
                self.later(millis(20), who, Event::Socket(SocketEvent::Activated(result)));
            }
            SocketAction::Dial { line, host, dstaddr, .. } => self.dial(who, line, host, dstaddr),
        }
    }

    fn dial(&mut self, who: usize, line: Line, host: String, dstaddr: String) {
        self.dialled.push((self.now - self.start, who, host.clone()));
        let door = self.doors.get(&(who, host.clone())).copied().unwrap_or(Door::Refused(millis(1)));
        let (after, result) = match door {
            Door::Silent => return,
            Door::Refused(after) => (after, Err("connection refused".to_owned())),
            Door::Open(after) => (after, Ok(())),
        };
        if result.is_ok() {
            self.open.insert((who, line.clone()));
            if host.starts_with("proxy") {
                self.at_proxies.insert((host, dstaddr, who));
            } else {
                assert_eq!(self.expected[1 - who].as_ref(), Some(&dstaddr), "the listener turns others away");
                self.later(after, 1 - who, Event::Socket(SocketEvent::Connected));
            }
        }
        self.later(after, who, Event::Socket(SocketEvent::Dialled { line, result }));
    }

    /// Both ended, and mean the same connection: the host it goes to, or nothing.
    pub(super) fn agreed(&self) -> Option<String> {
        match (self.ends[0].as_ref().unwrap(), self.ends[1].as_ref().unwrap()) {
            (Err(_), Err(_)) => None,
            (Ok(one), Ok(other)) => {
                let hosts = [self.host(0, one), self.host(1, other)];
                assert_eq!(hosts[0], hosts[1], "{one:?} {other:?}");
                Some(hosts[0].clone())
            }
            other => panic!("they do not agree: {other:?}"),
        }
    }

    fn host(&self, who: usize, way: &Way) -> String {
        let at = |whose: usize, cid: &String| {
            let transport = self.machines[whose].transport();
            transport.candidates().iter().find(|candidate| candidate.cid == *cid).unwrap().host.clone()
        };
        match way {
            Way::Listener { at } => at.clone().unwrap().0,
            Way::Dialled(line @ Line::Theirs(cid)) | Way::Proxy { line: line @ Line::Theirs(cid), .. } => {
                assert!(self.open.contains(&(who, line.clone())), "it was hung up");
                at(1 - who, cid)
            }
            Way::Dialled(line @ Line::OwnProxy(cid)) | Way::Proxy { line: line @ Line::OwnProxy(cid), .. } => {
                assert!(self.open.contains(&(who, line.clone())), "it was hung up");
                at(who, cid)
            }
        }
    }

    /// Connections that nobody hung up.
    pub(super) fn left_open(&self) -> usize {
        self.open.len()
    }
}
