//! The machine of one stream.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::Jid;
use balcony_wire::bytestreams::Mode;
use balcony_wire::jingle::{Candidate, S5bPayload, S5bTransport};

use super::nomination::{Nominated, Verdict, nominated};
use super::theirs::is_proxy;
use super::{Action, S5bFailed, S5bRefusal, Settings, Terms, own, theirs};
use crate::transfer::Reach;
use crate::transfer::bytestream::dialler::{Dialler, Spot};
use crate::transfer::bytestream::dstaddr::dstaddr;
use crate::transfer::bytestream::{Line, OwnCandidate, OwnPlace, SocketAction, SocketEvent, Way};

/// See the module above.
#[derive(Debug)]
pub struct S5b {
    terms: Terms,
    settings: Settings,
    random: [u8; 32],
    /// Proxies of our server, told of or not.
    own_proxies: Vec<OwnCandidate>,
    told: Vec<Candidate>,
    theirs: Vec<Candidate>,
    /// What they want to be asked for at their places.
    their_dstaddr: String,
    dialler: Dialler,
    mine: Verdict,
    peers: Verdict,
    /// What they said of their proxy.
    said_of_proxy: Option<Result<String, ()>>,
    /// Somebody came to our listeners.
    came: bool,
    stage: Stage,
    actions: VecDeque<Action>,
}

/// How far it is; a deadline where others may keep us waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody agreed to anything yet.
    Before,
    /// We try the places of the peer.
    Trying,
    /// The peer tries ours.
    Waiting {
        until: Instant,
    },
    /// They reached a listener of ours, and we have not seen it yet.
    Arriving {
        cid: String,
        until: Instant,
    },
    /// They reached our proxy; we connect to it too.
    DiallingProxy {
        cid: String,
        proxy: Jid,
        until: Instant,
    },
    /// It is to join the connections.
    Activating {
        cid: String,
        proxy: Jid,
        until: Instant,
    },
    /// They do the same with theirs.
    AwaitingProxy {
        cid: String,
        proxy: Jid,
        until: Instant,
    },
    Over,
}

impl S5b {
    /// Nothing happens before [`S5b::begin`]. The random bytes make the ids of our candidates.
    #[must_use]
    pub fn new(terms: Terms, settings: Settings, random: [u8; 32]) -> Self {
        Self {
            their_dstaddr: dstaddr(&terms.sid, &terms.peer, &terms.own),
            terms,
            settings,
            random,
            own_proxies: Vec::new(),
            told: Vec::new(),
            theirs: Vec::new(),
            dialler: Dialler::default(),
            mine: Verdict::Unknown,
            peers: Verdict::Unknown,
            said_of_proxy: None,
            came: false,
            stage: Stage::Before,
            actions: VecDeque::new(),
        }
    }

    /// The places where we can be reached, perhaps none.
    pub fn handle_own_candidates(&mut self, own: Vec<OwnCandidate>) {
        let Terms { own: jid, reach, .. } = &self.terms;
        self.told = own::candidates(&own, &self.theirs, jid, *reach, &self.random);
        if self.told.iter().any(|candidate| !is_proxy(candidate)) {
            self.actions.push_back(Action::Socket(SocketAction::Expect { dstaddr: self.dstaddr() }));
        }
        self.own_proxies = own.into_iter().filter(|own| matches!(own.place, OwnPlace::Proxy(_))).collect();
    }

    /// What goes into the offer or the answer.
    #[must_use]
    pub fn transport(&self) -> S5bTransport {
        let dstaddr = (!self.told.is_empty()).then(|| self.dstaddr());
        S5bTransport { dstaddr, ..self.saying(S5bPayload::candidates(self.told.clone())) }
    }

    /// What others are to ask for at our places.
    #[must_use]
    pub fn dstaddr(&self) -> String {
        dstaddr(&self.terms.sid, &self.terms.own, &self.terms.peer)
    }

    /// Id of the stream.
    pub fn sid(&self) -> &str {
        &self.terms.sid
    }

    /// What to do; `None` until something happens.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`S5b::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Before | Stage::Over => None,
            Stage::Trying => self.dialler.deadline(),
            Stage::Waiting { until }
            | Stage::Arriving { until, .. }
            | Stage::DiallingProxy { until, .. }
            | Stage::Activating { until, .. }
            | Stage::AwaitingProxy { until, .. } => Some(*until),
        }
    }

    /// The session was accepted: from here on addresses are shown and tried.
    pub fn begin(&mut self, now: Instant) {
        if self.stage != Stage::Before {
            return;
        }
        self.stage = Stage::Trying;
        let hidden = (self.terms.reach == Reach::Relay).then_some(self.own_proxies.as_slice());
        let spots = theirs::spots(&self.theirs, &self.their_dstaddr, hidden);
        self.dial(|dialler, pace, out| dialler.begin(now, pace, spots, out));
        if let Verdict::Used { priority, .. } = self.peers {
            self.dial(|dialler, pace, out| dialler.only_above(now, pace, priority, out));
        }
        self.look_at_tries(now);
    }

    /// What the peer said in an offer, an answer or a transport-info.
    ///
    /// # Errors
    /// When it is about something else, or contradicts what was said before. Nothing changes then.
    pub fn handle_transport(&mut self, now: Instant, transport: &S5bTransport) -> Result<(), S5bRefusal> {
        if transport.sid != self.terms.sid {
            return Err(S5bRefusal::OtherStream);
        }
        if transport.mode == Some(Mode::Udp) {
            return Err(S5bRefusal::Datagrams);
        }
        match &transport.payload {
            S5bPayload::Candidates(candidates) => {
                // Candidates that come behind those of the offer or the answer are nobody's custom.
                if self.stage == Stage::Before && self.theirs.is_empty() {
                    self.theirs.clone_from(candidates);
                    // In rooms only they know what they are called there (XEP-0065 §7).
                    if let Some(said) = &transport.dstaddr {
                        self.their_dstaddr.clone_from(said);
                    }
                }
            }
            S5bPayload::CandidateUsed(cid) => {
                let candidate = self.own(cid).ok_or(S5bRefusal::NoCandidate)?;
                let priority = candidate.priority;
                self.handle_verdict(now, Verdict::Used { cid: cid.clone(), priority })?;
            }
            S5bPayload::CandidateError => self.handle_verdict(now, Verdict::None)?,
            S5bPayload::Activated(cid) => {
                let is_theirs = self.theirs.iter().any(|candidate| candidate.cid == *cid && is_proxy(candidate));
                if !is_theirs {
                    return Err(S5bRefusal::NoCandidate);
                }
                self.said_of_proxy.get_or_insert(Ok(cid.clone()));
                self.look_at_proxy();
            }
            S5bPayload::ProxyError => {
                self.said_of_proxy.get_or_insert(Err(()));
                self.look_at_proxy();
            }
            S5bPayload::Nothing => {}
        }
        Ok(())
    }

    /// What became of a [`SocketAction`].
    pub fn handle_socket(&mut self, now: Instant, event: SocketEvent) {
        match event {
            SocketEvent::Connected => {
                self.came = true;
                if let Stage::Arriving { cid, .. } = &self.stage {
                    let at = self.own(cid).map(|candidate| (candidate.host.clone(), candidate.port()));
                    self.stand(Way::Listener { at });
                }
            }
            SocketEvent::Answered { line } => self.dialler.answered(now, &self.settings.pace, &line),
            SocketEvent::Dialled { line: line @ Line::Theirs(_), result } => self.handle_tried(now, &line, result),
            SocketEvent::Dialled { line: Line::OwnProxy(cid), result } => self.handle_at_proxy(now, &cid, result),
            SocketEvent::Activated(result) => self.handle_activated(result),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stage == Stage::Trying {
            self.dial(|dialler, pace, out| dialler.handle_timeout(now, pace, out));
            self.look_at_tries(now);
            return;
        }
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.stage.clone() {
            Stage::Before | Stage::Trying | Stage::Over => {}
            Stage::Waiting { .. } => self.fail(S5bFailed::Silent),
            Stage::Arriving { .. } => self.fail(S5bFailed::NobodyCame),
            Stage::DiallingProxy { proxy, .. } | Stage::Activating { proxy, .. } => {
                self.proxy_failed(proxy, "no answer in time".to_owned())
            }
            Stage::AwaitingProxy { proxy, .. } => self.fail(S5bFailed::ProxySilent(proxy)),
        }
    }

    fn handle_tried(&mut self, now: Instant, line: &Line, result: Result<(), String>) {
        match result {
            Ok(()) if self.stage == Stage::Trying => {
                let mut out = Vec::new();
                let won = self.dialler.won(line, &mut out);
                self.sockets(out);
                match won {
                    Some(spot) => self.reached(now, spot),
                    None => self.hang_up(line.clone()),
                }
            }
            // It was given up meanwhile.
            Ok(()) if self.stage != Stage::Over && !self.is_mine(line) => self.hang_up(line.clone()),
            Ok(()) => {}
            Err(why) => {
                self.dial(|dialler, pace, out| dialler.lost(now, pace, line, why, out));
                self.look_at_tries(now);
            }
        }
    }

    fn reached(&mut self, now: Instant, spot: Spot) {
        let Line::Theirs(cid) = spot.line else { return };
        self.actions.push_back(Action::Say(self.saying(S5bPayload::CandidateUsed(cid.clone()))));
        self.mine = Verdict::Used { cid, priority: spot.priority };
        self.judge(now);
    }

    /// Whether all tries are over, without a connection.
    fn look_at_tries(&mut self, now: Instant) {
        if self.stage == Stage::Trying && self.mine == Verdict::Unknown && self.dialler.is_exhausted() {
            self.mine = Verdict::None;
            self.actions.push_back(Action::Say(self.saying(S5bPayload::CandidateError)));
            self.judge(now);
        }
    }

    fn handle_verdict(&mut self, now: Instant, verdict: Verdict) -> Result<(), S5bRefusal> {
        match &self.peers {
            Verdict::Unknown => {}
            said if *said == verdict => return Ok(()),
            Verdict::Used { .. } | Verdict::None => return Err(S5bRefusal::SaidOtherwise),
        }
        self.peers = verdict;
        match (&self.stage, &self.peers) {
            // XEP-0260 §2.3: what is no better need not be tried any more.
            (Stage::Trying, &Verdict::Used { priority, .. }) => {
                self.dial(|dialler, pace, out| dialler.only_above(now, pace, priority, out));
                self.look_at_tries(now);
            }
            _ => self.judge(now),
        }
        Ok(())
    }

    /// XEP-0260 §2.4: what both said decides.
    fn judge(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Trying | Stage::Waiting { .. }) || self.mine == Verdict::Unknown {
            return;
        }
        if self.peers == Verdict::Unknown {
            self.stage = Stage::Waiting { until: now + self.settings.verdict };
            return;
        }
        match nominated(&self.mine, &self.peers, self.terms.side) {
            Nominated::None => self.fail(S5bFailed::NoWay(self.dialler.reasons())),
            Nominated::Mine(cid) => self.nominate_theirs(now, cid),
            Nominated::Peers(cid) => self.nominate_ours(now, cid),
        }
    }

    /// A place of theirs, which we reached.
    fn nominate_theirs(&mut self, now: Instant, cid: String) {
        let proxy = self.theirs.iter().find(|candidate| candidate.cid == cid && is_proxy(candidate)).map(|candidate| candidate.jid.clone());
        let Some(proxy) = proxy else { return self.stand(Way::Dialled(Line::Theirs(cid))) };
        self.stage = Stage::AwaitingProxy { cid, proxy, until: now + self.settings.activation };
        self.look_at_proxy();
    }

    /// What they said of their proxy, once we wait for that.
    fn look_at_proxy(&mut self) {
        let Stage::AwaitingProxy { cid, proxy, .. } = &self.stage else { return };
        match &self.said_of_proxy {
            Some(Ok(_)) => {
                let way = Way::Proxy { line: Line::Theirs(cid.clone()), proxy: proxy.clone() };
                self.stand(way);
            }
            Some(Err(())) => {
                let proxy = proxy.clone();
                self.fail(S5bFailed::TheirProxy(proxy));
            }
            None => {}
        }
    }

    /// A place of ours, which they reached.
    fn nominate_ours(&mut self, now: Instant, cid: String) {
        let Some(candidate) = self.own(&cid) else { return self.fail(S5bFailed::NobodyCame) };
        if !is_proxy(candidate) {
            let at = Some((candidate.host.clone(), candidate.port()));
            match self.came {
                true => self.stand(Way::Listener { at }),
                false => self.stage = Stage::Arriving { cid, until: now + self.settings.arrival },
            }
            return;
        }
        let (host, port, proxy) = (candidate.host.clone(), candidate.port(), candidate.jid.clone());
        self.release();
        let dial = SocketAction::Dial { line: Line::OwnProxy(cid.clone()), host, port, dstaddr: self.dstaddr() };
        self.actions.push_back(Action::Socket(dial));
        self.stage = Stage::DiallingProxy { cid, proxy, until: now + self.settings.activation };
    }

    fn handle_at_proxy(&mut self, now: Instant, at: &str, result: Result<(), String>) {
        let Stage::DiallingProxy { cid, proxy, .. } = &self.stage else { return };
        if cid != at {
            return;
        }
        let (cid, proxy) = (cid.clone(), proxy.clone());
        match result {
            Ok(()) => {
                // Decision 21: the id of the stream, not of the session.
                let (sid, target) = (self.terms.sid.clone(), self.terms.peer.clone());
                self.actions.push_back(Action::Socket(SocketAction::Activate { proxy: proxy.clone(), sid, target }));
                self.stage = Stage::Activating { cid, proxy, until: now + self.settings.activation };
            }
            Err(why) => self.proxy_failed(proxy, why),
        }
    }

    fn handle_activated(&mut self, result: Result<(), String>) {
        let Stage::Activating { cid, proxy, .. } = &self.stage else { return };
        let (cid, proxy) = (cid.clone(), proxy.clone());
        match result {
            Ok(()) => {
                self.actions.push_back(Action::Say(self.saying(S5bPayload::Activated(cid.clone()))));
                self.stand(Way::Proxy { line: Line::OwnProxy(cid), proxy });
            }
            Err(why) => self.proxy_failed(proxy, why),
        }
    }

    fn proxy_failed(&mut self, proxy: Jid, why: String) {
        self.actions.push_back(Action::Say(self.saying(S5bPayload::ProxyError)));
        self.fail(S5bFailed::OwnProxy { proxy, why });
    }

    fn stand(&mut self, way: Way) {
        if !matches!(&way, Way::Dialled(Line::Theirs(_)) | Way::Proxy { line: Line::Theirs(_), .. }) {
            self.release();
        }
        self.stage = Stage::Over;
        self.actions.push_back(Action::Stands(way));
    }

    fn fail(&mut self, why: S5bFailed) {
        self.release();
        if let Stage::DiallingProxy { cid, .. } | Stage::Activating { cid, .. } = &self.stage {
            let line = Line::OwnProxy(cid.clone());
            self.hang_up(line);
        }
        self.stage = Stage::Over;
        self.actions.push_back(Action::Failed(why));
    }

    /// Gives up what we reached.
    fn release(&mut self) {
        if let Verdict::Used { cid, .. } = &self.mine {
            let line = Line::Theirs(cid.clone());
            self.hang_up(line);
        }
    }

    fn hang_up(&mut self, line: Line) {
        self.actions.push_back(Action::Socket(SocketAction::HangUp { line }));
    }

    fn is_mine(&self, line: &Line) -> bool {
        matches!((&self.mine, line), (Verdict::Used { cid, .. }, Line::Theirs(other)) if cid == other)
    }

    fn own(&self, cid: &str) -> Option<&Candidate> {
        self.told.iter().find(|candidate| candidate.cid == cid)
    }

    fn saying(&self, payload: S5bPayload) -> S5bTransport {
        S5bTransport::new(&self.terms.sid, payload)
    }

    fn dial(&mut self, change: impl FnOnce(&mut Dialler, &super::Pace, &mut Vec<SocketAction>)) {
        let mut out = Vec::new();
        change(&mut self.dialler, &self.settings.pace, &mut out);
        self.sockets(out);
    }

    fn sockets(&mut self, out: Vec<SocketAction>) {
        self.actions.extend(out.into_iter().map(Action::Socket));
    }
}
