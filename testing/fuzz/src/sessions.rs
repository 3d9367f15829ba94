//! One side of a session of Jingle file transfer, with whatever the peer, the sockets and the person do in whatever order: no more bytes are
//! taken than announced, refused requests change nothing, every file ends once, and the session ends by a name.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::{OwnCandidate, OwnPlace, SocketAction, SocketEvent};
use balcony_sharing::transfer::jingle::{
    Action, Between, ContentId, Direction, EndReason, Event, Finding, JingleRefusal, Means, Rejection, RequestId, Session, Settings,
    StreamEnd, StreamId, Terms,
};
use balcony_wire::in_band::StanzaKind;
use balcony_wire::jingle::{
    Action as Verb, Candidate, CandidateKind, Checksum, Condition, Content, Creator, FileDescription, IbbTransport, Jingle, Received,
    S5bPayload, S5bTransport, Senders, SessionInfo, Transport,
};
use balcony_wire::jingle_file::{FileRange, JingleFile, Version};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, FullJid, Jid, Payload as _, StanzaError};

use crate::choices::Choices;

const SID: &str = "a73sjjvkla37jfea";
const SIZES: [u64; 5] = [0, 1, 6_144, 5 << 30, u64::MAX];

fn dawn() -> Instant {
    static DAWN: OnceLock<Instant> = OnceLock::new();
    *DAWN.get_or_init(Instant::now)
}

fn jid(text: &str) -> FullJid {
    Jid::parse(text).unwrap().into_full().unwrap()
}

/// How it begins, then what happens.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let Some(session) = begin(&mut choices) else { return };
    let mut scene = Scene {
        session,
        now: dawn(),
        asked: Vec::new(),
        dials: Vec::new(),
        gathers: Vec::new(),
        sids: Vec::new(),
        taken: BTreeMap::new(),
        ended: Vec::new(),
        is_over: false,
        said: 0,
    };
    scene.drain();
    let mut steps = 0;
    while !choices.is_empty() && steps < 300 {
        steps += 1;
        scene.step(&mut choices);
        assert!(scene.said < 2_000, "it talks without end");
    }
    scene.finish();
}

fn begin(choices: &mut Choices<'_>) -> Option<Session> {
    let means = |byte: u8| Means { socks: byte & 1 > 0, in_band: byte & 2 > 0, ranges: byte & 4 > 0 };
    let mut settings = Settings { max_contents: 8, max_requests: 200, ..Settings::default() };
    settings.own = means(!choices.byte());
    let peer = means(!choices.byte());
    let reach = if choices.yes() { Reach::Relay } else { Reach::Direct };
    let terms = Terms { peer, reach, settings, random: [choices.byte(); 32] };
    let (own, other) = (jid("juliet@capulet.lit/balcony"), jid("romeo@montague.lit/orchard"));
    let between = Between { own, peer: other, sid: SID.to_owned() };
    let version = if choices.yes() { Version::V4 } else { Version::V5 };
    let kind = choices.below(4);
    let count = 1 + choices.below(3);
    let session = match kind {
        0 => Session::offer(between, (0..count).map(|_| file(choices)).collect(), version, terms, dawn()),
        1 => Session::ask(between, (0..count).map(|_| file(choices)).collect(), version, terms, dawn()),
        _ => {
            let mut jingle = Jingle::new(Verb::SessionInitiate, SID);
            jingle.contents = (0..count).map(|at| content(choices, &format!("f{at}"), &[])).collect();
            Session::incoming(between, &jingle, terms, dawn()).ok()?
        }
    };
    Some(session)
}

fn file(choices: &mut Choices<'_>) -> JingleFile {
    let mut file = JingleFile::default();
    file.metadata.name = choices.yes().then(|| "a".to_owned());
    file.metadata.size = choices.yes().then(|| choices.number(&SIZES));
    if choices.yes() {
        file.metadata.hash_used = vec![balcony_wire::hashes::HashAlgo::Sha256.into()];
    }
    file.range = range(choices);
    file
}

fn range(choices: &mut Choices<'_>) -> Option<FileRange> {
    let bound = |choices: &mut Choices<'_>| choices.yes().then(|| choices.number(&SIZES));
    choices.yes().then(|| FileRange { offset: bound(choices), length: bound(choices), hashes: Vec::new() })
}

fn content(choices: &mut Choices<'_>, name: &str, sids: &[String]) -> Content {
    let creator = choices.one_of(&[Creator::Initiator, Creator::Initiator, Creator::Responder]);
    let mut content = Content::new(creator, name);
    content.senders = choices.one_of(&[Some(Senders::Initiator), Some(Senders::Responder), Some(Senders::Both), Some(Senders::None), None]);
    if choices.below(8) > 0 {
        let version = if choices.below(8) > 0 { Version::V5 } else { Version::V4 };
        content.description = Some(FileDescription::new(version, file(choices)).into());
    }
    content.security = (choices.below(16) == 15).then(|| Element::new("security", "urn:xmpp:jingle:security:xtls:0"));
    content.transport = transport(choices, sids);
    content
}

fn transport(choices: &mut Choices<'_>, sids: &[String]) -> Option<Transport> {
    let own = choices.below(sids.len() + 1);
    let sid = sids.get(own).cloned().unwrap_or_else(|| format!("s{}", choices.below(3)));
    match choices.below(8) {
        0 => None,
        1 => Some(Transport::Other(Element::new("transport", "urn:xmpp:jingle:transports:ice-udp:1"))),
        2 | 3 => {
            let block_size = choices.one_of(&[1, 4096, u16::MAX]);
            Some(Transport::Ibb(IbbTransport { sid, block_size, stanza: StanzaKind::Iq }))
        }
        _ => Some(Transport::S5b(S5bTransport::new(sid, payload(choices)))),
    }
}

fn payload(choices: &mut Choices<'_>) -> S5bPayload {
    match choices.below(6) {
        0 => S5bPayload::Nothing,
        1 => S5bPayload::CandidateError,
        2 => S5bPayload::ProxyError,
        3 => S5bPayload::CandidateUsed("c0".to_owned()),
        4 => S5bPayload::Activated("c0".to_owned()),
        _ => {
            let candidate = |at: usize| Candidate {
                cid: format!("c{at}"),
                host: format!("192.0.2.{at}"),
                jid: Jid::parse("romeo@montague.lit/orchard").unwrap(),
                port: Some(5086),
                priority: 8_257_636,
                kind: if at == 2 { CandidateKind::Proxy } else { CandidateKind::Direct },
            };
            S5bPayload::candidates((0..choices.below(4)).map(candidate).collect())
        }
    }
}

struct Scene {
    session: Session,
    now: Instant,
    asked: Vec<RequestId>,
    dials: Vec<(StreamId, SocketAction)>,
    gathers: Vec<StreamId>,
    /// Ids of streams that we named.
    sids: Vec<String>,
    taken: BTreeMap<ContentId, u64>,
    ended: Vec<ContentId>,
    is_over: bool,
    said: usize,
}

impl Scene {
    /// Performs what the session wants; gives how many actions there were.
    fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Some(action) = self.session.poll_action() {
            count += 1;
            assert!(!self.is_over, "{action:?} behind the end");
            assert!(count < 500, "it wants things without end");
            self.perform(action);
        }
        count
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Ask { id, jingle } => {
                self.said += 1;
                let said = Jingle::read(&jingle).unwrap_or_else(|error| panic!("{error}: {}", jingle.to_xml()));
                self.asked.push(id);
                self.sids.extend(said.contents.iter().filter_map(|content| match &content.transport {
                    Some(Transport::S5b(transport)) => Some(transport.sid.clone()),
                    Some(Transport::Ibb(transport)) => Some(transport.sid.clone()),
                    _ => None,
                }));
            }
            Action::Gather { stream, .. } => self.gathers.push(stream),
            Action::Socket { stream, action } => self.dials.push((stream, action)),
            Action::Begin { content, direction, span, .. } => {
                assert!(!self.ended.contains(&content), "bytes of what is over");
                if direction == Direction::Take {
                    let next = self.taken.get(&content).copied().unwrap_or(span.offset);
                    assert_eq!(span.offset, next, "a hole in the file");
                    self.taken.insert(content, next);
                }
            }
            Action::Event(Event::ContentEnded { content, reason }) => {
                assert!(!self.ended.contains(&content) && !reason.to_string().is_empty());
                self.ended.push(content);
            }
            Action::Event(Event::Ended(reason)) => {
                assert!(!reason.to_string().is_empty() && self.session.is_over());
                self.is_over = true;
            }
            Action::Await { .. } | Action::Drop { .. } | Action::Stop { .. } | Action::Event(_) => {}
        }
    }

    fn pick(&self, choices: &mut Choices<'_>) -> Option<ContentId> {
        let all: Vec<_> = self.session.contents().cloned().collect();
        all.get(choices.below(all.len())).cloned()
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.pick(choices) else { return };
        let now = self.now;
        match choices.below(20) {
            0 => self.session.accept(now, &id, choices.number(&SIZES)),
            1 => self.session.serve(now, &id, file(choices)),
            2 => self.session.reject(now, &id, choices.one_of(&[Rejection::Declined, Rejection::NotAvailable, Rejection::TooLarge])),
            3 => self.session.finish(now, &id, choices.one_of(&[Finding::Kept, Finding::Kept, Finding::Wrong, Finding::Unusable])),
            4 => self.arrive(choices, &id),
            5 => self.session.handle_sent(now, &id, choices.number(&SIZES).min(1 << 40)),
            6 => {
                let end = if choices.yes() { StreamEnd::Clean } else { StreamEnd::Broken("cut".to_owned()) };
                self.session.handle_stream_end(now, &id, end);
            }
            7 => self.wait(choices.time()),
            8 => self.answer(choices),
            9 => self.sockets(choices),
            10 => self.gathered(choices),
            11 => match choices.below(5) {
                0 => self.session.hold(now, &id),
                1 => self.session.go_on(now, &id),
                2 => self.session.handle_unavailable(now),
                3 => drop(self.session.add(now, file(choices), Direction::Give)),
                _ => self.session.ping(now),
            },
            12 if choices.below(16) == 15 => self.session.terminate(now, EndReason::Stopped),
            _ => self.hear(choices, &id),
        }
        self.drain();
    }

    fn arrive(&mut self, choices: &mut Choices<'_>, id: &ContentId) {
        let count = choices.number(&SIZES);
        let expected = self.session.moved(id).and_then(|(_, expected)| expected);
        let taken = self.session.handle_arrived(self.now, id, count);
        let (moved, _) = self.session.moved(id).unwrap();
        assert!(taken <= count && expected.is_none_or(|expected| moved <= expected || taken == 0), "{moved} of {expected:?}");
        if let Some(known) = self.taken.get_mut(id) {
            *known += taken;
        } else {
            assert_eq!(taken, 0, "bytes that nobody waits for");
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.session.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.drain();
            assert!(self.session.deadline().is_none_or(|next| next > due || next > self.now), "a deadline that does not move");
        }
        self.now = until;
    }

    fn answer(&mut self, choices: &mut Choices<'_>) {
        if self.asked.is_empty() {
            return;
        }
        let id = self.asked.remove(choices.below(self.asked.len()));
        let errors = [
            JingleRefusal::TieBreak,
            JingleRefusal::OutOfOrder,
            JingleRefusal::UnknownSession,
            JingleRefusal::Busy,
            JingleRefusal::NotServed,
        ];
        let answer = match choices.below(8) {
            at @ 0..=4 => Err(errors[at].error()),
            5 => Err(StanzaError::new(choices.one_of(&[DefinedCondition::Redirect, DefinedCondition::FeatureNotImplemented]))),
            _ => Ok(()),
        };
        self.session.handle_answer(self.now, id, answer);
    }

    fn sockets(&mut self, choices: &mut Choices<'_>) {
        let Some((stream, action)) = self.dials.pop() else { return };
        let result = if choices.yes() { Ok(()) } else { Err("refused".to_owned()) };
        let event = match action {
            SocketAction::Dial { line, .. } => SocketEvent::Dialled { line, result },
            SocketAction::Activate { .. } => SocketEvent::Activated(result),
            SocketAction::Expect { .. } | SocketAction::HangUp { .. } => SocketEvent::Connected,
        };
        self.session.handle_socket(self.now, stream, event);
    }

    fn gathered(&mut self, choices: &mut Choices<'_>) {
        let Some(stream) = self.gathers.pop() else { return };
        let place = |proxy: bool| if proxy { OwnPlace::Proxy(Jid::parse("proxy.lit").unwrap()) } else { OwnPlace::Listener };
        let own = |at: usize| OwnCandidate { host: format!("198.51.100.{at}"), port: 1080, place: place(at == 1), preference: 1 };
        self.session.handle_own_candidates(self.now, stream, (0..choices.below(3)).map(own).collect());
    }

    /// The peer says something; what is refused changes nothing.
    fn hear(&mut self, choices: &mut Choices<'_>, id: &ContentId) {
        const VERBS: [Verb; 15] = [
            Verb::ContentAccept,
            Verb::ContentAdd,
            Verb::ContentModify,
            Verb::ContentReject,
            Verb::ContentRemove,
            Verb::DescriptionInfo,
            Verb::SecurityInfo,
            Verb::SessionAccept,
            Verb::SessionInfo,
            Verb::SessionInitiate,
            Verb::TransportAccept,
            Verb::TransportInfo,
            Verb::TransportReject,
            Verb::TransportReplace,
            Verb::SessionTerminate,
        ];
        let verb = VERBS[choices.below(VERBS.len())].clone();
        let mut jingle = Jingle::new(verb, if choices.below(32) == 31 { "other" } else { SID });
        let names = 1 + usize::from(choices.below(8) == 7);
        for at in 0..names {
            let name = if at == 0 && choices.below(8) > 0 { id.name.clone() } else { format!("n{}", choices.below(4)) };
            let mut content = content(choices, &name, &self.sids);
            if choices.below(4) > 0 {
                content.creator = Some(id.creator);
            }
            jingle.contents.push(content);
        }
        if choices.yes() {
            jingle.reason = Some(if choices.yes() { Condition::Success } else { Condition::Cancel }.into());
        }
        let (creator, name) = (choices.yes().then_some(id.creator), choices.yes().then(|| id.name.clone()));
        match choices.below(4) {
            0 => jingle.infos.push(SessionInfo::Received(Received { version: Version::V5, creator, name })),
            1 => jingle.infos.push(SessionInfo::Checksum(Box::new(Checksum { version: Version::V5, creator, name, file: file(choices) }))),
            2 => jingle.infos.push(SessionInfo::Other(Element::new("x", "urn:example"))),
            _ => {}
        }
        let was_over = self.is_over;
        let answer = self.session.handle_request(self.now, &jingle);
        let count = self.drain();
        match answer {
            Ok(()) => assert!(!was_over, "a session that is over answers"),
            Err(JingleRefusal::Busy) => {}
            Err(refusal) => {
                assert!(count == 0 || jingle.contents.len() > 1, "{refusal} and yet something follows");
                assert!(!refusal.error().condition.as_str().is_empty());
            }
        }
    }

    /// Nobody does anything any more: it ends by itself, unless it waits for whoever looks at the bytes.
    fn finish(&mut self) {
        self.gathers.clear();
        self.wait(Duration::from_secs(1 << 20));
        let contents: Vec<_> = self.session.contents().cloned().collect();
        for id in &contents {
            self.session.finish(self.now, id, Finding::Kept);
            self.drain();
        }
        self.wait(Duration::from_secs(1 << 20));
        assert!(self.is_over, "it never ends: {:?}", self.session);
        assert_eq!(self.ended.len(), contents.len(), "a file without an end");
    }
}
