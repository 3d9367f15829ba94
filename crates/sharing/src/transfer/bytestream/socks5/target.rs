//! Tries the hosts of an offer, and says which one was reached.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::Payload as _;
use balcony_wire::bytestreams::{DEFAULT_PORT, Mode, Query, QueryPayload, StreamHost, StreamHostUsed};
use balcony_wire::stanza::DefinedCondition;

use super::{Action, MOST, Stream};
use crate::transfer::Reach;
use crate::transfer::bytestream::dialler::{Dialler, Spot};
use crate::transfer::bytestream::dstaddr::dstaddr;
use crate::transfer::bytestream::s5b::{S5bFailed, Settings};
use crate::transfer::bytestream::{Line, OwnCandidate, SocketAction, SocketEvent, Way};

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
        let is_allowed =
            |host: &&StreamHost| stream.reach == Reach::Direct || own_proxies.iter().any(|own| own.is_at(&host.host, port_of(host)));
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
    host.port.unwrap_or(DEFAULT_PORT)
}
