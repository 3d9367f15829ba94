//! Peers that say anything at any time, and sockets that do: the machines never panic, dial no more than a few places, end once and say
//! nothing behind it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::ibb::{self, IbbReceiver, IbbSender, NoAck, Window};
use balcony_sharing::transfer::bytestream::s5b::{self, S5b, Settings, Terms};
use balcony_sharing::transfer::bytestream::socks5::{self, Requester, Stream, Target};
use balcony_sharing::transfer::bytestream::{Line, OwnCandidate, Side, SocketAction, SocketEvent};
use balcony_wire::bytestreams::{Mode, Query, QueryPayload, StreamHost, StreamHostUsed};
use balcony_wire::in_band::{Data, Open, StanzaKind};
use balcony_wire::jingle::{Candidate, CandidateKind, S5bPayload, S5bTransport};
use balcony_wire::stanza::{DefinedCondition, StanzaError};
use balcony_wire::{Jid, Payload as _};

use super::world::SID;
use super::{Dice, dawn, jid, listener, millis, proxy};

const ROUNDS: u64 = 2_000;
const PLACES: [&str; 6] = ["192.0.2.1", "192.0.2.2", "proxy.one", "proxy.two", "", "::1"];

impl Dice {
    fn one_of<T: Clone>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()].clone()
    }

    fn own(&mut self) -> Vec<OwnCandidate> {
        (0..self.below(12))
            .map(|at| if self.below(2) == 0 { proxy(self.one_of(&["proxy.one", "proxy.two"])) } else { listener("192.0.2.9", at as u16) })
            .collect()
    }

    fn cid(&mut self, told: &[String]) -> String {
        let mut cids: Vec<String> = ["a", "b", "c", ""].map(str::to_owned).to_vec();
        cids.extend_from_slice(told);
        self.one_of(&cids)
    }

    fn result(&mut self) -> Result<(), String> {
        if self.below(2) == 0 { Ok(()) } else { Err("no".to_owned()) }
    }

    fn line(&mut self, told: &[String]) -> Line {
        let cid = self.cid(told);
        if self.below(3) == 0 { Line::OwnProxy(cid) } else { Line::Theirs(cid) }
    }

    fn event(&mut self, told: &[String]) -> SocketEvent {
        match self.below(5) {
            0 => SocketEvent::Connected,
            1 => SocketEvent::Answered { line: self.line(told) },
            2 => SocketEvent::Activated(self.result()),
            _ => SocketEvent::Dialled { line: self.line(told), result: self.result() },
        }
    }

    fn transport(&mut self, told: &[String]) -> S5bTransport {
        let candidate = |dice: &mut Self| Candidate {
            cid: dice.cid(told),
            host: dice.one_of(&PLACES).to_owned(),
            jid: jid("juliet@capulet.lit/balcony"),
            port: dice.one_of(&[None, Some(0), Some(5086), Some(7777), Some(65_535)]),
            priority: dice.one_of(&[0, 1, 655_360, 8_257_536, u32::MAX]),
            kind: dice.one_of(&[CandidateKind::Direct, CandidateKind::Assisted, CandidateKind::Tunnel, CandidateKind::Proxy]),
        };
        let payload = match self.below(7) {
            0 | 1 => S5bPayload::candidates((0..self.below(64)).map(|_| candidate(self)).collect()),
            2 => S5bPayload::CandidateUsed(self.cid(told)),
            3 => S5bPayload::CandidateError,
            4 => S5bPayload::Activated(self.cid(told)),
            5 => S5bPayload::ProxyError,
            _ => S5bPayload::Nothing,
        };
        let mode = if self.below(20) == 0 { Some(Mode::Udp) } else { None };
        S5bTransport { mode, ..S5bTransport::new(self.one_of(&[SID, SID, SID, "other"]), payload) }
    }
}

/// What a machine did.
#[derive(Default)]
struct Seen {
    dials: usize,
    dialled: BTreeSet<Line>,
    is_over: bool,
}

impl Seen {
    fn socket(&mut self, action: SocketAction) {
        if let SocketAction::Dial { line, .. } = action {
            self.dials += 1;
            assert!(self.dialled.insert(line), "dialled twice");
        }
    }

    fn end(&mut self) {
        assert!(!self.is_over, "it ends twice");
        self.is_over = true;
    }
}

#[test]
fn no_peer_confuses_a_negotiation() {
    for seed in 0..ROUNDS {
        let mut dice = Dice(seed);
        let terms = Terms {
            side: dice.one_of(&[Side::Initiator, Side::Responder]),
            sid: SID.to_owned(),
            own: jid("romeo@montague.lit/orchard"),
            peer: jid("juliet@capulet.lit/balcony"),
            reach: dice.one_of(&[Reach::Direct, Reach::Relay]),
        };
        let mut now = dawn();
        let mut machine = S5b::new(terms, Settings::default(), [3; 32]);
        let mut seen = Seen::default();
        for _ in 0..dice.below(60) {
            let told: Vec<String> = machine.transport().candidates().iter().map(|candidate| candidate.cid.clone()).collect();
            match dice.below(8) {
                0 => machine.handle_own_candidates(dice.own()),
                1 => machine.begin(now),
                2 | 3 => drop(machine.handle_transport(now, &dice.transport(&told))),
                4..=6 => {
                    // Mostly about what is under way.
                    let under_way: Vec<Line> = seen.dialled.iter().cloned().collect();
                    let event = if under_way.is_empty() || dice.below(3) == 0 {
                        dice.event(&told)
                    } else {
                        SocketEvent::Dialled { line: dice.one_of(&under_way), result: dice.result() }
                    };
                    machine.handle_socket(now, event);
                }
                _ => {
                    now += millis(dice.one_of(&[0, 1, 200, 700, 5_000, 40_000]));
                    machine.handle_timeout(now);
                }
            }
            drain(&mut machine, &mut seen);
        }
        machine.begin(now);
        drain(&mut machine, &mut seen);
        let mut steps = 0;
        while let Some(deadline) = machine.deadline() {
            steps += 1;
            assert!(steps < 100, "seed {seed}: it never ends");
            machine.handle_timeout(deadline);
            drain(&mut machine, &mut seen);
        }
        assert!(seen.is_over && seen.dials <= 17, "seed {seed}: {} dials", seen.dials);
    }
}

fn drain(machine: &mut S5b, seen: &mut Seen) {
    while let Some(action) = machine.poll_action() {
        match action {
            s5b::Action::Socket(action) => seen.socket(action),
            s5b::Action::Say(_) => assert!(!seen.is_over, "it speaks behind its end"),
            s5b::Action::Stands(_) | s5b::Action::Failed(_) => seen.end(),
        }
    }
}

#[test]
fn no_peer_confuses_a_stream_without_jingle() {
    for seed in 0..ROUNDS {
        let mut dice = Dice(seed);
        let mut now = dawn();
        let stream = Stream {
            sid: SID.to_owned(),
            own: jid("romeo@montague.lit/orchard"),
            peer: jid("juliet@capulet.lit/balcony"),
            reach: dice.one_of(&[Reach::Direct, Reach::Relay]),
        };
        let mut requester = Requester::new(now, stream.clone(), Settings::default(), dice.own());
        let host = |dice: &mut Dice| StreamHost {
            jid: dice.one_of(&[jid("juliet@capulet.lit/balcony"), jid("proxy.one")]),
            host: dice.one_of(&PLACES).to_owned(),
            port: dice.one_of(&[None, Some(5086), Some(7777)]),
        };
        let hosts = (0..dice.below(40)).map(|_| host(&mut dice)).collect();
        let own = dice.own();
        let mut target = Target::new(now, stream, Settings::default(), &own, &Query::new(SID, QueryPayload::Hosts(hosts))).ok();
        let mut seen = [Seen::default(), Seen::default()];
        let mut answers = 0;
        let mut step = |requester: &mut Requester, target: &mut Option<Target>| {
            while let Some(action) = requester.poll_action() {
                plain(&mut seen[0], action, &mut 0);
            }
            while let Some(action) = target.as_mut().and_then(Target::poll_action) {
                plain(&mut seen[1], action, &mut answers);
            }
        };
        step(&mut requester, &mut target);
        for _ in 0..dice.below(40) {
            let event = dice.event(&["0".to_owned(), "1".to_owned(), String::new()]);
            match dice.below(4) {
                0 => requester.handle_socket(now, event),
                1 => target.iter_mut().for_each(|target| target.handle_socket(now, event.clone())),
                2 => {
                    let jids: [Jid; 4] = ["romeo@montague.lit/orchard", "proxy.one", "proxy.two", "mallory@evil.example"].map(jid);
                    let used = Query::new(SID, QueryPayload::Used(StreamHostUsed { jid: dice.one_of(&jids) })).write();
                    requester.handle_answer(now, if dice.below(4) == 0 { Err("no".to_owned()) } else { Ok(Some(&used)) });
                }
                _ => {
                    now += millis(dice.one_of(&[0, 200, 5_000]));
                    requester.handle_timeout(now);
                    target.iter_mut().for_each(|target| target.handle_timeout(now));
                }
            }
            step(&mut requester, &mut target);
        }
        for _ in 0..100 {
            let deadlines = [requester.deadline(), target.as_ref().and_then(Target::deadline)];
            let Some(next) = deadlines.into_iter().flatten().min() else { break };
            now = next;
            requester.handle_timeout(now);
            target.iter_mut().for_each(|target| target.handle_timeout(now));
            step(&mut requester, &mut target);
        }
        assert!(seen[0].is_over && (target.is_none() || seen[1].is_over && answers == 1), "seed {seed}");
        assert!(seen[0].dials <= 1 && seen[1].dials <= 12, "seed {seed}");
    }
}

fn plain(seen: &mut Seen, action: socks5::Action, answers: &mut usize) {
    match action {
        socks5::Action::Socket(action) => seen.socket(action),
        socks5::Action::Ask(_) => assert!(!seen.is_over),
        socks5::Action::Answer(_) => *answers += 1,
        socks5::Action::Stands(_) | socks5::Action::Failed(_) => seen.end(),
    }
}

#[test]
fn no_peer_confuses_a_stream_in_band() {
    for seed in 0..ROUNDS {
        let mut dice = Dice(seed);
        let mut now = dawn();
        let terms = ibb::Terms { sid: SID.to_owned(), block_size: dice.one_of(&[1, 16, 4096]), stanza: StanzaKind::Iq };
        let most = dice.one_of(&[None, Some(0), Some(40), Some(100_000)]);
        let (opens, size) = (dice.below(2) == 0, terms.block_size);
        let mut receiver = IbbReceiver::new(now, terms.clone(), opens, most);
        let mut sender = IbbSender::new(now, terms, opens, Window::default());
        let (mut taken, mut ends, mut asked) = (0, [0, 0], [Vec::new(), Vec::new()]);
        let mut step = |receiver: &mut IbbReceiver, sender: &mut IbbSender, asked: &mut [Vec<u64>; 2]| {
            for who in [0, 1] {
                while let Some(action) = if who == 0 { receiver.poll_action() } else { sender.poll_action() } {
                    match action {
                        ibb::Action::Ask { id, .. } | ibb::Action::Tell { id, .. } => asked[who].push(id),
                        ibb::Action::Opened => {}
                        ibb::Action::Ended | ibb::Action::Failed(_) => ends[who] += 1,
                    }
                }
                assert!(ends[who] <= 1, "seed {seed}: it ends twice");
            }
            ends
        };
        for _ in 0..dice.below(80) {
            let answer = match dice.below(4) {
                0 => Err(NoAck::Silent("no".to_owned())),
                1 => Err(NoAck::Refused(Box::new(StanzaError::new(DefinedCondition::ResourceConstraint)))),
                _ => Ok(()),
            };
            let sid = dice.one_of(&[SID, SID, SID, "other"]).to_owned();
            let open = Open { sid: sid.clone(), block_size: dice.one_of(&[size, size, 2, u16::MAX]), stanza: StanzaKind::Iq };
            let id = dice.below(8);
            match dice.below(12) {
                0 => drop(receiver.handle_open(now, &open)),
                1 => drop(sender.handle_open(now, &open)),
                2..=5 => {
                    let data = Data { sid, seq: dice.one_of(&[0, 1, 2, 3, u16::MAX]), bytes: vec![7; dice.below(40) as usize] };
                    if let Ok(bytes) = receiver.handle_data(now, data) {
                        assert!(bytes.len() <= usize::from(size), "seed {seed}");
                        taken += bytes.len() as u64;
                    }
                }
                6 => drop(receiver.handle_close(&sid)),
                7 => drop(sender.handle_close(&sid)),
                8 => {
                    receiver.handle_answer(now, id, answer.clone());
                    sender.handle_answer(now, dice.one_of(&[asked[1].last().copied().unwrap_or(id), id]), answer);
                }
                9 if sender.room() > 0 => sender.handle_block(now, &vec![1; usize::from(size)]),
                10 => drop(receiver.handle_unreadable(now)),
                11 => {
                    now += millis(dice.one_of(&[1, 1_000, 70_000]));
                    receiver.handle_timeout(now);
                    sender.handle_timeout(now);
                }
                _ => sender.finish(now),
            }
            step(&mut receiver, &mut sender, &mut asked);
        }
        receiver.finish(now);
        sender.abort(now);
        let mut late: Option<Instant> = None;
        while let Some(next) = [receiver.deadline(), sender.deadline()].into_iter().flatten().min() {
            assert!(late.is_none_or(|late| next > late), "seed {seed}: time stands still");
            late = Some(next);
            receiver.handle_timeout(next);
            sender.handle_timeout(next);
            assert!(next - now < Duration::from_secs(200), "seed {seed}: it never ends");
            step(&mut receiver, &mut sender, &mut asked);
        }
        assert_eq!(step(&mut receiver, &mut sender, &mut asked), [1, 1], "seed {seed}: it does not end");
        assert!(taken == receiver.taken() && most.is_none_or(|most| taken <= most), "seed {seed}");
    }
}
