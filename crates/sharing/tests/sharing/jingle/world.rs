//! Two devices, the stanzas between them and the sockets: everything a driver does, on a virtual clock and by a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use balcony_sharing::Hasher;
use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::{Carrier, OwnCandidate, OwnPlace, SocketAction, SocketEvent};
use balcony_sharing::transfer::jingle::{
    Action, Between, ContentId, Direction, EndReason, Event, Finding, Means, Rejection, RequestId, Session, Settings, StreamEnd, StreamId,
    Terms,
};
use balcony_wire::hashes::{Hash, HashAlgo};
use balcony_wire::jingle::Jingle;
use balcony_wire::jingle_file::{FileRange, JingleFile, Version};
use balcony_wire::{Element, FullJid, Jid, Payload as _, StanzaError};

use crate::fetch::dawn;

/// Numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    pub(crate) fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| (self.roll() & 0xff) as u8)
    }
}

/// Bytes that are shown by their number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// How the network between the two behaves.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// Percent of stanzas that never arrive.
    pub(crate) lost: u64,
    /// Percent that arrive twice.
    pub(crate) doubled: u64,
    /// Milliseconds a stanza takes, at least and at most: with different ones they overtake each other.
    pub(crate) delay: (u64, u64),
    /// Whether a device reaches the listeners of the other.
    pub(crate) direct: bool,
    /// Whether both reach the proxy, and it works.
    pub(crate) proxy: bool,
    /// After how many bytes of a file the first connection breaks.
    pub(crate) cut_socket: Option<u64>,
    /// After how many bytes an in-band stream breaks.
    pub(crate) cut_in_band: Option<u64>,
}

impl Weather {
    pub(crate) fn fine() -> Self {
        Self { lost: 0, doubled: 0, delay: (5, 5), direct: true, proxy: false, cut_socket: None, cut_in_band: None }
    }
}

/// What the person of a device wants.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    /// Bytes of a file that are here already, by name.
    pub(crate) have: BTreeMap<String, Vec<u8>>,
    /// Files not wanted, by name.
    pub(crate) unwanted: BTreeSet<String>,
    /// The digests go out when the last byte did.
    pub(crate) digest_later: bool,
}

/// One device.
pub(crate) struct Device {
    pub(crate) jid: FullJid,
    pub(crate) session: Option<Session>,
    pub(crate) settings: Settings,
    pub(crate) sees: Means,
    pub(crate) will: Will,
    pub(crate) events: Vec<Event>,
    /// What it gives, by content.
    pub(crate) gives: BTreeMap<ContentId, Vec<u8>>,
    /// What it can be asked for.
    pub(crate) shared: Vec<Vec<u8>>,
    /// What it has of what it takes, by content.
    pub(crate) takes: BTreeMap<ContentId, Vec<u8>>,
    pub(crate) kept: Vec<(String, Blob)>,
    /// Names of those carriers by which bytes began to flow.
    pub(crate) carriers: Vec<&'static str>,
    flows: BTreeMap<ContentId, Flow>,
    expected: BTreeMap<String, StreamId>,
    early: Vec<(String, Chunk)>,
    dialled: BTreeSet<(StreamId, String)>,
    pub(crate) said: Vec<Jingle>,
    refused: u32,
}

#[derive(Clone, Debug)]
struct Flow {
    key: String,
    next: u64,
    end: u64,
    is_socket: bool,
}

#[derive(Clone, Debug)]
enum Chunk {
    Bytes(Vec<u8>),
    End(StreamEnd),
}

#[derive(Clone, Debug)]
enum Happens {
    Asked { id: RequestId, jingle: Element },
    Answered { id: RequestId, answer: Result<(), StanzaError> },
    Gathered(StreamId),
    Socket(StreamId, SocketEvent),
    Pump(ContentId, String),
    Arrives(String, Chunk),
}

/// The two, and what is on its way.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) began: Instant,
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    pub(crate) devices: [Device; 2],
    queue: BTreeMap<(Instant, u64), (usize, Happens)>,
    counter: u64,
    pipes: BTreeMap<String, u64>,
    cuts: BTreeSet<String>,
}

pub(crate) const ROMEO: usize = 0;
pub(crate) const JULIET: usize = 1;

pub(crate) fn jid(who: usize) -> FullJid {
    Jid::parse(["romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"][who]).unwrap().into_full().unwrap()
}

/// A file of some bytes that differ from place to place.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(31) ^ (at >> 8)) as u8).collect()
}

/// What is said of a file.
pub(crate) fn described(name: &str, bytes: &[u8]) -> JingleFile {
    let mut hasher = Hasher::new([HashAlgo::Sha256]);
    hasher.update(bytes);
    let mut file = JingleFile::default();
    file.metadata.name = Some(name.to_owned());
    file.metadata.size = Some(bytes.len() as u64);
    file.metadata.hashes = hasher.finish().digests().iter().cloned().map(Hash::from).collect();
    file
}

/// The same from a byte on.
pub(crate) fn from_byte(mut file: JingleFile, offset: u64) -> JingleFile {
    file.range = Some(FileRange { offset: Some(offset), ..FileRange::default() });
    file
}

pub(crate) fn between(who: usize) -> Between {
    Between { own: jid(who), peer: jid(1 - who), sid: "a73sjjvkla37jfea".into() }
}

impl Device {
    fn new(who: usize) -> Self {
        Self {
            jid: jid(who),
            session: None,
            settings: Settings::default(),
            sees: Means::ALL,
            will: Will { have: BTreeMap::new(), unwanted: BTreeSet::new(), digest_later: false },
            events: Vec::new(),
            gives: BTreeMap::new(),
            shared: Vec::new(),
            takes: BTreeMap::new(),
            kept: Vec::new(),
            carriers: Vec::new(),
            flows: BTreeMap::new(),
            expected: BTreeMap::new(),
            early: Vec::new(),
            dialled: BTreeSet::new(),
            said: Vec::new(),
            refused: 0,
        }
    }

    /// How its session ended.
    pub(crate) fn end(&self) -> Option<&EndReason> {
        self.events.iter().find_map(|event| match event {
            Event::Ended(reason) => Some(reason),
            _ => None,
        })
    }

    pub(crate) fn fell_back(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::FellBack { .. }))
    }
}

impl World {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        let now = dawn();
        Self {
            now,
            began: now,
            dice: Dice(seed),
            weather,
            devices: [Device::new(ROMEO), Device::new(JULIET)],
            queue: BTreeMap::new(),
            counter: 0,
            pipes: BTreeMap::new(),
            cuts: BTreeSet::new(),
        }
    }

    fn terms(&mut self, who: usize) -> Terms {
        let device = &self.devices[who];
        Terms { peer: device.sees, reach: Reach::Direct, settings: device.settings, random: self.dice.bytes() }
    }

    /// Romeo offers files to Juliet.
    pub(crate) fn offer(&mut self, files: Vec<(JingleFile, Vec<u8>)>, version: Version) {
        let terms = self.terms(ROMEO);
        let (described, contents): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        let session = Session::offer(between(ROMEO), described, version, terms, self.now);
        self.devices[ROMEO].gives = session.contents().cloned().zip(contents).collect();
        self.devices[ROMEO].session = Some(session);
        self.drain(ROMEO);
    }

    /// Romeo asks Juliet for files; he has their first bytes where a range says so.
    pub(crate) fn ask(&mut self, files: Vec<JingleFile>, version: Version) {
        let terms = self.terms(ROMEO);
        let session = Session::ask(between(ROMEO), files, version, terms, self.now);
        self.devices[ROMEO].session = Some(session);
        self.drain(ROMEO);
    }

    /// Does something to the session of a device.
    pub(crate) fn with<T>(&mut self, who: usize, act: impl FnOnce(&mut Session, Instant) -> T) -> T {
        let now = self.now;
        let done = act(self.devices[who].session.as_mut().unwrap(), now);
        self.drain(who);
        done
    }

    fn schedule(&mut self, who: usize, after: u64, happens: Happens) {
        self.counter += 1;
        let at = self.now + Duration::from_millis(after);
        self.queue.insert((at, self.counter), (who, happens));
    }

    fn send(&mut self, to: usize, happens: &Happens) {
        let times = match (self.dice.happens(self.weather.lost), self.dice.happens(self.weather.doubled)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        for _ in 0..times {
            let (least, most) = self.weather.delay;
            let after = least + self.dice.below(most - least + 1);
            self.schedule(to, after, happens.clone());
        }
    }

    /// Runs until nothing is left to happen, or for so long. Returns how long it took.
    pub(crate) fn run(&mut self) -> Duration {
        self.run_for(Duration::from_secs(100_000))
    }

    pub(crate) fn run_for(&mut self, most: Duration) -> Duration {
        let until = self.now + most;
        for _ in 0..200_000 {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let due = |who: usize| self.devices[who].session.as_ref().and_then(Session::deadline);
            let timer = [ROMEO, JULIET].into_iter().filter_map(|who| due(who).map(|at| (at, who))).min();
            match (next, timer) {
                (None, None) => return self.now - self.began,
                (Some(at), None) if at > until => break,
                (next, Some((at, who))) if next.is_none_or(|next| at < next) => {
                    if at > until {
                        break;
                    }
                    self.now = self.now.max(at);
                    self.with(who, |session, now| session.handle_timeout(now));
                }
                (Some(at), _) if at > until => break,
                _ => {
                    let ((at, _), (who, happens)) = self.queue.pop_first().unwrap();
                    self.now = self.now.max(at);
                    self.happen(who, happens);
                }
            }
        }
        assert!(self.now + Duration::from_secs(1) >= until || self.now <= until, "it never comes to rest");
        self.now = self.now.max(until);
        self.now - self.began
    }

    fn happen(&mut self, who: usize, happens: Happens) {
        let now = self.now;
        match happens {
            Happens::Asked { id, jingle } => self.asked(who, id, &jingle),
            Happens::Answered { id, answer } => {
                if let Some(session) = &mut self.devices[who].session {
                    session.handle_answer(now, id, answer);
                }
            }
            Happens::Gathered(stream) => {
                let place = |host: String, port, place, preference| OwnCandidate { host, port, place, preference };
                let mut own = vec![place(format!("192.0.2.{}", who + 1), 5086, OwnPlace::Listener, 2)];
                if self.weather.proxy {
                    own.push(place("198.51.100.9".into(), 7777, OwnPlace::Proxy(Jid::parse("proxy.lit").unwrap()), 1));
                }
                self.devices[who].session.as_mut().unwrap().handle_own_candidates(now, stream, own);
            }
            Happens::Socket(stream, event) => self.devices[who].session.as_mut().unwrap().handle_socket(now, stream, event),
            Happens::Pump(content, key) => self.pump(who, &content, &key),
            Happens::Arrives(key, chunk) => self.arrives(who, key, chunk),
        }
        self.drain(who);
    }

    fn asked(&mut self, who: usize, id: RequestId, element: &Element) {
        let now = self.now;
        let jingle = Jingle::read(&Element::parse(&element.to_xml()).unwrap()).unwrap();
        let answer = match &mut self.devices[who].session {
            Some(session) => session.handle_request(now, &jingle),
            None => {
                let terms = self.terms(who);
                Session::incoming(between(who), &jingle, terms, now).map(|session| self.devices[who].session = Some(session))
            }
        };
        self.devices[who].refused += u32::from(answer.is_err());
        let answer = answer.map_err(|refusal| refusal.error());
        self.send(1 - who, &Happens::Answered { id, answer });
    }

    /// Performs what a session wants.
    pub(crate) fn drain(&mut self, who: usize) {
        while let Some(action) = self.devices[who].session.as_mut().and_then(Session::poll_action) {
            match action {
                Action::Ask { id, jingle } => {
                    self.devices[who].said.push(Jingle::read(&jingle).unwrap());
                    self.send(1 - who, &Happens::Asked { id, jingle });
                }
                Action::Gather { stream, .. } => self.schedule(who, 3, Happens::Gathered(stream)),
                Action::Socket { stream, action } => self.socket(who, stream, action),
                Action::Await { .. } => {}
                Action::Drop { stream } => self.devices[who].expected.retain(|_, known| *known != stream),
                Action::Begin { content, direction, span, carrier, .. } => {
                    self.begin(who, content, direction, span.offset, span.length, carrier)
                }
                Action::Stop { content } => {
                    if let Some(flow) = self.devices[who].flows.remove(&content) {
                        self.cut(1 - who, &flow.key);
                    }
                }
                Action::Event(event) => self.heard(who, event),
            }
        }
    }

    fn socket(&mut self, who: usize, stream: StreamId, action: SocketAction) {
        let later = |event| Happens::Socket(stream, event);
        match action {
            SocketAction::Expect { dstaddr } => {
                self.devices[who].expected.insert(dstaddr, stream);
            }
            SocketAction::Dial { line, host, dstaddr, .. } if host.starts_with("198.") => {
                let result = if self.weather.proxy { Ok(()) } else { Err("refused".to_owned()) };
                self.devices[who].dialled.insert((stream, dstaddr));
                self.schedule(who, 8, later(SocketEvent::Dialled { line, result }));
            }
            SocketAction::Dial { line, dstaddr, .. } => {
                let other = self.devices[1 - who].expected.get(&dstaddr).copied().filter(|_| self.weather.direct);
                let result = other.map(|_| ()).ok_or_else(|| "refused".to_owned());
                self.schedule(who, 4, later(SocketEvent::Dialled { line, result }));
                if let Some(other) = other {
                    self.schedule(1 - who, 3, Happens::Socket(other, SocketEvent::Connected));
                }
            }
            SocketAction::HangUp { .. } => {}
            SocketAction::Activate { .. } => self.schedule(who, 10, later(SocketEvent::Activated(Ok(())))),
        }
    }

    fn begin(&mut self, who: usize, content: ContentId, direction: Direction, offset: u64, length: Option<u64>, carrier: Carrier) {
        let (key, is_socket) = match &carrier {
            Carrier::Socket(_) => (format!("socket {}", content.name), true),
            Carrier::InBand { terms, .. } => (format!("band {}", terms.sid), false),
        };
        self.devices[who].carriers.push(if is_socket { "socket" } else { "in band" });
        let file = self.devices[who].gives.get(&content).map_or(0, |bytes| bytes.len() as u64);
        let end = length.map_or(file, |length| file.min(offset + length));
        if direction == Direction::Take {
            let taken = self.devices[who].takes.entry(content.clone()).or_default();
            assert!(taken.len() as u64 >= offset, "a hole in the file");
            taken.truncate(offset as usize);
        }
        self.devices[who].flows.insert(content.clone(), Flow { key: key.clone(), next: offset, end, is_socket });
        match direction {
            Direction::Give => self.schedule(who, 1, Happens::Pump(content, key)),
            Direction::Take => {
                let early: Vec<_> = self.devices[who].early.extract_if(.., |(at, _)| *at == key).collect();
                for (key, chunk) in early {
                    self.arrives(who, key, chunk);
                }
            }
        }
    }

    /// A piece goes out.
    fn pump(&mut self, who: usize, content: &ContentId, key: &str) {
        let now = self.now;
        let Some(flow) = self.devices[who].flows.get(content).filter(|flow| flow.key == key).cloned() else { return };
        let held = self.devices[who].events.iter().rev().find_map(|event| match event {
            Event::Held { content: known, on } if known == content => Some(*on),
            _ => None,
        });
        if held == Some(true) {
            return self.schedule(who, 500, Happens::Pump(content.clone(), key.to_owned()));
        }
        let piece = (flow.end - flow.next).min(1 + self.dice.below(5_000));
        if piece == 0 {
            self.schedule(1 - who, 2, Happens::Arrives(key.to_owned(), Chunk::End(StreamEnd::Clean)));
            return self.sent_all(who, content);
        }
        let cut = if flow.is_socket { self.weather.cut_socket } else { self.weather.cut_in_band };
        if cut.is_some_and(|cut| flow.next + piece > cut) && self.cuts.insert(key.to_owned()) {
            self.cut(1 - who, key);
            let session = self.devices[who].session.as_mut().unwrap();
            return session.handle_stream_end(now, content, StreamEnd::Broken("reset by peer".into()));
        }
        if self.cuts.contains(key) {
            return;
        }
        let bytes = self.devices[who].gives[content][flow.next as usize..][..piece as usize].to_vec();
        self.devices[who].flows.get_mut(content).unwrap().next += piece;
        self.devices[who].session.as_mut().unwrap().handle_sent(now, content, piece);
        *self.pipes.entry(key.to_owned()).or_default() += piece;
        self.schedule(1 - who, 2, Happens::Arrives(key.to_owned(), Chunk::Bytes(bytes)));
        self.schedule(who, 1, Happens::Pump(content.clone(), key.to_owned()));
    }

    fn sent_all(&mut self, who: usize, content: &ContentId) {
        let now = self.now;
        let digest_later = self.devices[who].will.digest_later;
        let mut hasher = Hasher::new([HashAlgo::Sha256]);
        hasher.update(&self.devices[who].gives[content]);
        let session = self.devices[who].session.as_mut().unwrap();
        session.handle_stream_end(now, content, StreamEnd::Clean);
        if digest_later {
            session.checksum(now, content, None, hasher.finish().digests());
        }
    }

    fn cut(&mut self, who: usize, key: &str) {
        self.cuts.insert(key.to_owned());
        self.schedule(who, 2, Happens::Arrives(key.to_owned(), Chunk::End(StreamEnd::Broken("reset by peer".into()))));
    }

    fn arrives(&mut self, who: usize, key: String, chunk: Chunk) {
        let now = self.now;
        let flow = self.devices[who].flows.iter().find(|(_, flow)| flow.key == key).map(|(content, _)| content.clone());
        let Some(content) = flow else {
            self.devices[who].early.push((key, chunk));
            return;
        };
        let session = self.devices[who].session.as_mut().unwrap();
        match chunk {
            Chunk::Bytes(bytes) => {
                let taken = session.handle_arrived(now, &content, bytes.len() as u64) as usize;
                self.devices[who].takes.entry(content).or_default().extend(&bytes[..taken]);
            }
            Chunk::End(end) => session.handle_stream_end(now, &content, end),
        }
    }

    /// What the person of a device, and the code above the session, make of an event.
    fn heard(&mut self, who: usize, event: Event) {
        let now = self.now;
        let device = &mut self.devices[who];
        let session = device.session.as_mut().unwrap();
        match &event {
            Event::Offered { content, file } => {
                let name = file.metadata.name.clone().unwrap_or_default();
                let have = device.will.have.get(&name).cloned().unwrap_or_default();
                if device.will.unwanted.contains(&name) {
                    session.reject(now, content, Rejection::Declined);
                } else {
                    session.accept(now, content, have.len() as u64);
                }
                device.takes.insert(content.clone(), have);
            }
            Event::Asked { content, file } => {
                let wanted = file.metadata.hashes.clone();
                let found = device.shared.iter().find(|bytes| described("", bytes).metadata.hashes == wanted).cloned();
                match found {
                    Some(bytes) => {
                        let mut file = described("summit.jpg", &bytes);
                        if device.will.digest_later {
                            file.metadata.hash_used = vec![HashAlgo::Sha256.into()];
                            file.metadata.hashes.clear();
                        }
                        device.gives.insert(content.clone(), bytes);
                        session.serve(now, content, file);
                    }
                    None => session.reject(now, content, Rejection::NotAvailable),
                }
            }
            Event::Accepted { content, .. } => {
                if let Some(name) = session.file(content).and_then(|file| file.metadata.name.clone())
                    && let Some(have) = device.will.have.get(&name)
                {
                    device.takes.entry(content.clone()).or_insert_with(|| have.clone());
                }
            }
            Event::Whole { content } => {
                let bytes = device.takes.get(content).cloned().unwrap_or_default();
                let file = session.file(content).unwrap().clone();
                let told = device.events.iter().find_map(|event| match event {
                    Event::Checksum { content: known, span: None, digests } if known == content => Some(digests.clone()),
                    _ => None,
                });
                let mut claim = balcony_sharing::DigestSet::from_hashes(&file.metadata.hashes);
                if claim.is_empty() {
                    claim = told.unwrap_or_default();
                }
                let mut hasher = Hasher::new([HashAlgo::Sha256]);
                hasher.update(&bytes);
                let is_right = claim.agreement(hasher.finish().digests()) == balcony_sharing::Agreement::Same;
                if is_right {
                    device.kept.push((file.metadata.name.clone().unwrap_or_default(), Blob(bytes)));
                }
                session.finish(now, content, if is_right { Finding::Kept } else { Finding::Wrong });
            }
            _ => {}
        }
        self.devices[who].events.push(event);
    }

    /// Whether both sides have come to an end, or never heard of it.
    pub(crate) fn is_over(&self) -> bool {
        self.devices.iter().all(|device| device.session.as_ref().is_none_or(Session::is_over))
    }
}
