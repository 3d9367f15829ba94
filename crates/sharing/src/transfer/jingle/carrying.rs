//! Ways for the bytes of a content: SOCKS5 first where both can, else in band; and what is said as soon as they are known.
//!
//! XEP-0260 Jingle SOCKS5 bytestreams transport, v1.0.3 <https://xmpp.org/extensions/xep-0260.html>
//! XEP-0261 Jingle in-band bytestreams transport, v1.0 <https://xmpp.org/extensions/xep-0261.html>

use std::time::Instant;

use balcony_wire::jingle::{Action as Verb, Transport};

use super::content::{Content, Stage, Swap, Vehicle};
use super::outgoing::{About, Show};
use super::session::{Phase, Session};
use super::{Action, Direction, EndReason, StreamId, Unsupported};
use crate::transfer::Reach;
use crate::transfer::bytestream::s5b::{self, S5b};
use crate::transfer::bytestream::{Carrier, OwnCandidate, Side, SocketEvent, ibb};

impl Session {
    /// What may be shown, where that is known only when somebody decided. It counts for streams that are not begun yet.
    pub fn set_reach(&mut self, reach: Reach) {
        self.reach = reach;
    }

    /// Own candidates for a stream were found; none is fine, too.
    pub fn handle_own_candidates(&mut self, now: Instant, stream: StreamId, own: Vec<OwnCandidate>) {
        let Some(at) = self.of_stream(stream) else { return };
        if let Vehicle::Socks { s5b, is_gathered: is_gathered @ false, .. } = &mut self.contents[at].vehicle {
            s5b.handle_own_candidates(own);
            *is_gathered = true;
            self.contents[at].until = None;
            self.drain(now, at); // listeners first, then the word about them
            self.proceed(now);
        }
    }

    /// Something happened to the sockets of a stream.
    pub fn handle_socket(&mut self, now: Instant, stream: StreamId, event: SocketEvent) {
        let Some(at) = self.of_stream(stream) else { return };
        if let Vehicle::Socks { s5b, .. } = &mut self.contents[at].vehicle {
            s5b.handle_socket(now, event);
            self.drain(now, at);
        }
    }

    /// Chooses what carries a content, and makes our part of it ready.
    pub(super) fn prepare(&mut self, now: Instant, at: usize) {
        let own = self.settings.own;
        match std::mem::replace(&mut self.contents[at].vehicle, Vehicle::Proposed(None)) {
            Vehicle::Proposed(None) if own.socks && self.means.socks => {
                let sid = self.chance.token();
                self.gather(now, at, sid);
            }
            Vehicle::Proposed(None) if own.in_band && self.means.in_band => {
                let terms = ibb::Terms::offer(self.chance.token());
                let stream = self.in_band(&terms);
                self.contents[at].vehicle = Vehicle::InBand { stream, terms };
            }
            Vehicle::Proposed(None) => self.refuse(now, at, EndReason::NoWay("both sides have none in common".into())),
            Vehicle::Proposed(Some(transport)) => self.take_transport(now, at, &transport),
            other => self.contents[at].vehicle = other,
        }
    }

    /// Answers a transport that the peer proposed.
    pub(super) fn take_transport(&mut self, now: Instant, at: usize, transport: &Transport) {
        let own = self.settings.own;
        match transport {
            Transport::S5b(theirs) if own.socks => {
                self.gather(now, at, theirs.sid.clone());
                if let Vehicle::Socks { s5b, .. } = &mut self.contents[at].vehicle
                    && s5b.handle_transport(now, theirs).is_err()
                {
                    self.refuse(now, at, EndReason::Unsupported(Unsupported::Transport));
                }
            }
            Transport::Ibb(theirs) if own.in_band => {
                let terms = ibb::Terms::accept(theirs);
                let stream = self.in_band(&terms);
                self.contents[at].vehicle = Vehicle::InBand { stream, terms };
            }
            _ => self.refuse(now, at, EndReason::Unsupported(Unsupported::Transport)),
        }
    }

    /// A new in-band stream; the initiator of the session opens it.
    pub(super) fn in_band(&mut self, terms: &ibb::Terms) -> StreamId {
        let stream = self.new_stream();
        if !self.wins() {
            self.actions.push_back(Action::Await { stream, sid: terms.sid.clone() });
        }
        stream
    }

    /// Whether we could answer this transport.
    pub(super) fn can_take(&self, transport: &Transport) -> bool {
        match transport {
            Transport::S5b(_) => self.settings.own.socks,
            Transport::Ibb(_) => self.settings.own.in_band,
            Transport::Other(_) => false,
        }
    }

    fn gather(&mut self, now: Instant, at: usize, sid: String) {
        let stream = self.new_stream();
        let (own, peer) = (self.between.own.clone().into_jid(), self.between.peer.clone().into_jid());
        let terms = s5b::Terms { side: self.side, sid: sid.clone(), own, peer, reach: self.reach };
        let s5b = S5b::new(terms, self.settings.streams, self.chance.seed());
        let content = &mut self.contents[at];
        content.vehicle = Vehicle::Socks { stream, sid, s5b: Box::new(s5b), is_gathered: false };
        content.until = Some(now + self.settings.gather_timeout);
        self.actions.push_back(Action::Gather { stream, reach: self.reach });
    }

    /// Says whatever can be said by now.
    pub(super) fn proceed(&mut self, now: Instant) {
        match self.phase {
            Phase::Preparing => self.initiate(now),
            Phase::Pending { .. } if self.side == Side::Responder => self.answer_session(now),
            _ => {}
        }
        if !self.is_active() {
            return;
        }
        for at in 0..self.contents.len() {
            let content = &self.contents[at];
            let is_ready = content.vehicle.is_ready();
            let id = content.id.clone();
            match (&content.stage, &content.swap) {
                (Stage::Preparing, _) if is_ready => {
                    let jingle = self.about(Verb::ContentAdd, at, Show::All);
                    self.say(now, About::Add(id), &jingle);
                    self.contents[at].stage = Stage::Proposed;
                    self.contents[at].until = Some(now + self.settings.decision_timeout);
                }
                (Stage::Agreed, _) if is_ready => {
                    let jingle = self.about(Verb::ContentAccept, at, Show::All);
                    self.say(now, About::ContentAccept(id), &jingle);
                    self.connect(now, at);
                }
                (_, Swap::Theirs { says_range }) if is_ready => {
                    let with_range = *says_range;
                    self.accept_swap(now, at, with_range);
                }
                _ => {}
            }
        }
    }

    /// session-initiate, as soon as each of its contents has a transport.
    fn initiate(&mut self, now: Instant) {
        let open = |content: &&Content| content.is_open();
        if !self.contents.iter().filter(open).all(|content| content.vehicle.is_ready()) || !self.is_anything_open() {
            return;
        }
        let mut jingle = self.jingle(Verb::SessionInitiate);
        for at in 0..self.contents.len() {
            if self.contents[at].is_open() {
                jingle.contents.push(self.show(at, Show::All));
                let content = &mut self.contents[at];
                (content.stage, content.is_initial) = (Stage::Proposed, true);
                content.until = Some(now + self.settings.decision_timeout);
            }
        }
        self.phase = Phase::Pending { decide_by: None };
        self.say(now, About::Initiate, &jingle);
    }

    /// session-accept, as soon as all of its contents are decided on and ready.
    fn answer_session(&mut self, now: Instant) {
        let initial = || self.contents.iter().filter(|content| content.is_initial && content.is_open());
        let is_ready = |content: &Content| content.stage == Stage::Agreed && content.vehicle.is_ready();
        if initial().count() == 0 || !initial().all(is_ready) {
            return;
        }
        let mut jingle = self.jingle(Verb::SessionAccept);
        let agreed: Vec<usize> =
            (0..self.contents.len()).filter(|at| self.contents[*at].is_initial && self.contents[*at].is_open()).collect();
        for at in &agreed {
            jingle.contents.push(self.show(*at, Show::All));
        }
        self.phase = Phase::Active;
        self.say(now, About::Accept, &jingle);
        for at in agreed {
            self.connect(now, at);
        }
    }

    /// Both sides agreed on the transport of a content: the stream is made.
    pub(super) fn connect(&mut self, now: Instant, at: usize) {
        let patience = self.settings.connect_timeout;
        let opens = self.wins();
        let content = &mut self.contents[at];
        if !content.is_open() {
            return; // another one ended the session meanwhile
        }
        content.stage = Stage::Connecting;
        content.until = Some(now + patience);
        match &mut content.vehicle {
            Vehicle::Socks { s5b, .. } => {
                s5b.begin(now);
                self.drain(now, at);
            }
            Vehicle::InBand { stream, terms } => {
                let (stream, carrier) = (*stream, Carrier::InBand { terms: terms.clone(), opens });
                self.begin(now, at, stream, carrier);
            }
            _ => {}
        }
    }

    /// Does what a SOCKS5 stream wants.
    pub(super) fn drain(&mut self, now: Instant, at: usize) {
        while let Vehicle::Socks { stream, s5b, sid, .. } = &mut self.contents[at].vehicle {
            let Some(action) = s5b.poll_action() else { return };
            let stream = *stream;
            match action {
                s5b::Action::Socket(action) => self.actions.push_back(Action::Socket { stream, action }),
                s5b::Action::Say(transport) => self.say_transport(now, at, Transport::S5b(transport)),
                s5b::Action::Stands(way) => {
                    let sid = std::mem::take(sid);
                    self.contents[at].vehicle = Vehicle::Stands { stream, sid };
                    self.begin(now, at, stream, Carrier::Socket(way));
                }
                s5b::Action::Failed(why) => self.lose(now, at, why.to_string()),
            }
        }
    }

    /// Bytes may flow.
    fn begin(&mut self, now: Instant, at: usize, stream: StreamId, carrier: Carrier) {
        let content = &mut self.contents[at];
        content.stage = Stage::Flowing;
        content.fresh = 0;
        content.until = Some(now + if content.is_held { self.settings.longest_hold } else { self.settings.stall_timeout });
        let (direction, span, id) = (content.direction, content.rest(), content.id.clone());
        self.actions.push_back(Action::Begin { content: id, direction, span, stream, carrier });
        if direction == Direction::Take && self.contents[at].expected() == Some(self.contents[at].moved) {
            self.whole(now, at); // a file without bytes
        }
    }
}
