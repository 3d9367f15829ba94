//! SOCKS5 byte streams by themselves, as stream initiation uses them: one side names hosts, the other connects to the first that it
//! reaches and says which.
//!
//! Driven like [`super::s5b::S5b`].
//!
//! XEP-0065 SOCKS5 Bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>
//! Status: partial: TCP only.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::bytestreams::{Mode, Query, QueryPayload, StreamHost, StreamHostUsed};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Jid, Payload as _};

use super::dialler::{Dialler, Spot};
use super::dstaddr::dstaddr;
use super::s5b::{S5bFailed, Settings};
use super::{Line, OwnCandidate, OwnPlace, SocketAction, SocketEvent, Way};
use crate::transfer::Reach;

/// Hosts that one offer names, and that are tried of one.
const MOST: usize = 12;

/// One stream, between these two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its id.
    pub sid: String,
    /// Our address as the peer knows it.
    pub own: Jid,
    /// The peer's address.
    pub peer: Jid,
    /// What may be shown.
    pub reach: Reach,
}

/// What whoever embeds a machine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Give this to the driver.
    Socket(SocketAction),
    /// Send this to the peer by iq set; its answer goes to [`Requester::handle_answer`].
    Ask(Element),
    /// Answer the peer's iq with this.
    Answer(Result<Element, DefinedCondition>),
    /// The end: bytes may flow.
    Stands(Way),
    /// The end.
    Failed(S5bFailed),
}

/// The side that names hosts.
#[derive(Debug)]
pub struct Requester {
    stream: Stream,
    settings: Settings,
    hosts: Vec<OwnCandidate>,
    came: bool,
    stage: Stage,
    actions: VecDeque<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Asked { until: Instant },
    Arriving { until: Instant },
    DiallingProxy { proxy: Jid, until: Instant },
    Activating { proxy: Jid, until: Instant },
    Over,
}

impl Requester {
    /// Offers the hosts at once: those that reach allows, each address once. Fails at once if none is left.
    #[must_use]
    pub fn new(now: Instant, stream: Stream, settings: Settings, own: Vec<OwnCandidate>) -> Self {
        let mut hosts: Vec<OwnCandidate> = Vec::new();
        for host in own {
            let is_allowed = stream.reach == Reach::Direct || matches!(host.place, OwnPlace::Proxy(_));
            let is_known = hosts.iter().any(|other| other.port == host.port && other.host.eq_ignore_ascii_case(&host.host));
            if is_allowed && !is_known && hosts.len() < MOST {
                hosts.push(host);
            }
        }
        let stage = Stage::Asked { until: now + settings.verdict };
        let mut requester = Self { stream, settings, hosts, came: false, stage, actions: VecDeque::new() };
        requester.ask();
        requester
    }

    fn ask(&mut self) {
        if self.hosts.is_empty() {
            return self.fail(S5bFailed::NoWay("there is no address to offer".to_owned()));
        }
        if self.hosts.iter().any(|host| host.place == OwnPlace::Listener) {
            self.actions.push_back(Action::Socket(SocketAction::Expect { dstaddr: self.dstaddr() }));
        }
        let host = |host: &OwnCandidate| StreamHost { jid: self.jid_of(host), host: host.host.clone(), port: Some(host.port) };
        let payload = QueryPayload::Hosts(self.hosts.iter().map(host).collect());
        let query = Query { mode: Some(Mode::Tcp), dstaddr: Some(self.dstaddr()), ..Query::new(&self.stream.sid, payload) };
        self.actions.push_back(Action::Ask(query.write()));
    }

    fn jid_of(&self, host: &OwnCandidate) -> Jid {
        match &host.place {
            OwnPlace::Listener => self.stream.own.clone(),
            OwnPlace::Proxy(proxy) => proxy.clone(),
        }
    }

    fn dstaddr(&self) -> String {
        dstaddr(&self.stream.sid, &self.stream.own, &self.stream.peer)
    }

    /// What to do; `None` until something happens.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Requester::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Asked { until } | Stage::Arriving { until } | Stage::DiallingProxy { until, .. } | Stage::Activating { until, .. } => {
                Some(*until)
            }
            Stage::Over => None,
        }
    }

    /// The answer to the offer, or why there is none.
    pub fn handle_answer(&mut self, now: Instant, answer: Result<Option<&Element>, String>) {
        if !matches!(self.stage, Stage::Asked { .. }) {
            return;
        }
        let used = match answer {
            Ok(Some(element)) => Query::read(element).ok().and_then(|query| match query.payload {
                QueryPayload::Used(used) => Some(used.jid),
                _ => None,
            }),
            Ok(None) => None,
            Err(why) => return self.fail(S5bFailed::NoWay(why)),
        };
        let Some(used) = used else { return self.fail(S5bFailed::NoWay("the other side names none of our addresses".to_owned())) };
        if used == self.stream.own && self.hosts.iter().any(|host| host.place == OwnPlace::Listener) {
            self.stage = Stage::Arriving { until: now + self.settings.arrival };
            return self.look_who_came();
        }
        let Some(host) = self.hosts.iter().find(|host| host.place == OwnPlace::Proxy(used.clone())) else {
            return self.fail(S5bFailed::NoWay("the other side names none of our addresses".to_owned()));
        };
        let line = Line::OwnProxy(String::new());
        let dial = SocketAction::Dial { line, host: host.host.clone(), port: host.port, dstaddr: self.dstaddr() };
        self.actions.push_back(Action::Socket(dial));
        self.stage = Stage::DiallingProxy { proxy: used, until: now + self.settings.activation };
    }

    /// What became of a [`SocketAction`].
    pub fn handle_socket(&mut self, now: Instant, event: SocketEvent) {
        match (event, self.stage.clone()) {
            (SocketEvent::Connected, _) => {
                self.came = true;
                self.look_who_came();
            }
            (SocketEvent::Dialled { line: Line::OwnProxy(_), result: Ok(()) }, Stage::DiallingProxy { proxy, .. }) => {
                let activate =
                    SocketAction::Activate { proxy: proxy.clone(), sid: self.stream.sid.clone(), target: self.stream.peer.clone() };
                self.actions.push_back(Action::Socket(activate));
                self.stage = Stage::Activating { proxy, until: now + self.settings.activation };
            }
            (SocketEvent::Activated(Ok(())), Stage::Activating { proxy, .. }) => {
                self.stand(Way::Proxy { line: Line::OwnProxy(String::new()), proxy });
            }
            (SocketEvent::Dialled { result: Err(why), .. }, Stage::DiallingProxy { proxy, .. })
            | (SocketEvent::Activated(Err(why)), Stage::Activating { proxy, .. }) => self.fail(S5bFailed::OwnProxy { proxy, why }),
            _ => {}
        }
    }

    fn look_who_came(&mut self) {
        if self.came && matches!(self.stage, Stage::Arriving { .. }) {
            self.stand(Way::Listener { at: None });
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.stage.clone() {
            Stage::Asked { .. } => self.fail(S5bFailed::Silent),
            Stage::Arriving { .. } => self.fail(S5bFailed::NobodyCame),
            Stage::DiallingProxy { proxy, .. } | Stage::Activating { proxy, .. } => {
                self.fail(S5bFailed::OwnProxy { proxy, why: "no answer in time".to_owned() });
            }
            Stage::Over => {}
        }
    }

    fn stand(&mut self, way: Way) {
        self.stage = Stage::Over;
        self.actions.push_back(Action::Stands(way));
    }

    fn fail(&mut self, why: S5bFailed) {
        if matches!(self.stage, Stage::DiallingProxy { .. } | Stage::Activating { .. }) {
            self.actions.push_back(Action::Socket(SocketAction::HangUp { line: Line::OwnProxy(String::new()) }));
        }
        self.stage = Stage::Over;
        self.actions.push_back(Action::Failed(why));
    }
}

/// The side that connects.
#[derive(Debug)]
pub struct Target {
    stream: Stream,
    settings: Settings,
    hosts: Vec<StreamHost>,
    dialler: Dialler,
    is_over: bool,
    actions: VecDeque<Action>,
}

impl Target {
    /// Tries the hosts of this request, which must be kept to be answered. `own_proxies` are those of our server: who hides the address
    /// connects to no others.
    ///
    /// # Errors
    /// With what to answer where it is no offer that we can take.
    pub fn new(
        now: Instant,
        stream: Stream,
        settings: Settings,
        own_proxies: &[OwnCandidate],
        query: &Query,
    ) -> Result<Self, DefinedCondition> {
        let hosts = query.hosts();
        if query.sid.as_deref() != Some(stream.sid.as_str()) || hosts.is_empty() {
            return Err(DefinedCondition::BadRequest);
        }
        if query.mode == Some(Mode::Udp) {
            return Err(DefinedCondition::NotAcceptable);
        }
        let is_allowed = |host: &&StreamHost| {
            let is_ours = |own: &OwnCandidate| own.port == port_of(host) && own.host.eq_ignore_ascii_case(&host.host);
            stream.reach == Reach::Direct || own_proxies.iter().any(is_ours)
        };
        let hosts: Vec<StreamHost> = hosts.iter().filter(is_allowed).take(MOST).cloned().collect();
        let dstaddr = query.dstaddr.clone().unwrap_or_else(|| dstaddr(&stream.sid, &stream.peer, &stream.own));
        let spot = |(at, host): (usize, &StreamHost)| Spot {
            line: Line::Theirs(at.to_string()),
            host: host.host.clone(),
            port: port_of(host),
            dstaddr: dstaddr.clone(),
            priority: 0,
            is_proxy: host.jid != stream.peer,
        };
        let spots = hosts.iter().enumerate().map(spot).collect();
        let mut target = Self { stream, settings, hosts, dialler: Dialler::default(), is_over: false, actions: VecDeque::new() };
        target.dial(|dialler, settings, out| dialler.begin(now, &settings.pace, spots, out));
        target.look_at_tries();
        Ok(target)
    }

    /// What to do; `None` until something happens.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Target::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.dialler.deadline()
    }

    /// What became of a [`SocketAction`].
    pub fn handle_socket(&mut self, now: Instant, event: SocketEvent) {
        match event {
            SocketEvent::Dialled { line, result: Ok(()) } => {
                let mut out = Vec::new();
                let won = self.dialler.won(&line, &mut out);
                self.actions.extend(out.into_iter().map(Action::Socket));
                match won {
                    Some(spot) => self.reached(&spot),
                    None => self.actions.push_back(Action::Socket(SocketAction::HangUp { line })),
                }
            }
            SocketEvent::Dialled { line, result: Err(why) } => {
                self.dial(|dialler, settings, out| dialler.lost(now, &settings.pace, &line, why, out));
                self.look_at_tries();
            }
            SocketEvent::Answered { line } => self.dialler.answered(now, &self.settings.pace, &line),
            SocketEvent::Connected | SocketEvent::Activated(_) => {}
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.dial(|dialler, settings, out| dialler.handle_timeout(now, &settings.pace, out));
        self.look_at_tries();
    }

    fn reached(&mut self, spot: &Spot) {
        let Line::Theirs(at) = &spot.line else { return };
        let Some(host) = at.parse().ok().and_then(|at: usize| self.hosts.get(at)) else { return };
        let jid = host.jid.clone();
        let used = Query::new(&self.stream.sid, QueryPayload::Used(StreamHostUsed { jid: jid.clone() }));
        self.actions.push_back(Action::Answer(Ok(used.write())));
        let line = spot.line.clone();
        let way = if spot.is_proxy { Way::Proxy { line, proxy: jid } } else { Way::Dialled(line) };
        self.actions.push_back(Action::Stands(way));
        self.is_over = true;
    }

    fn look_at_tries(&mut self) {
        if self.is_over || !self.dialler.is_exhausted() {
            return;
        }
        self.is_over = true;
        self.actions.push_back(Action::Answer(Err(DefinedCondition::ItemNotFound)));
        self.actions.push_back(Action::Failed(S5bFailed::NoWay(self.dialler.reasons())));
    }

    fn dial(&mut self, change: impl FnOnce(&mut Dialler, &Settings, &mut Vec<SocketAction>)) {
        let mut out = Vec::new();
        change(&mut self.dialler, &self.settings, &mut out);
        self.actions.extend(out.into_iter().map(Action::Socket));
    }
}

fn port_of(host: &StreamHost) -> u16 {
    host.port.unwrap_or(balcony_wire::bytestreams::DEFAULT_PORT)
}
