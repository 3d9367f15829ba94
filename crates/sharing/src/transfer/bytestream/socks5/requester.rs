//! Offers hosts, and hears which one was reached.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::bytestreams::{Mode, Query, QueryPayload, StreamHost};
use balcony_wire::{Element, Jid, Payload as _};

use super::{Action, MOST, Stream};
use crate::transfer::Reach;
use crate::transfer::bytestream::dstaddr::dstaddr;
use crate::transfer::bytestream::s5b::{S5bFailed, Settings};
use crate::transfer::bytestream::{Line, OwnCandidate, OwnPlace, SocketAction, SocketEvent, Way};

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
            let is_known = hosts.iter().any(|other| other.is_at(&host.host, host.port));
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
