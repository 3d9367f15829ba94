//! Transports that fail, break and are replaced: in band where SOCKS5 does not do, from either side.
//!
//! A transport that is replaced in the middle of a file: the taking side says the byte from which it goes on, in a `range` beside the
//! transport, and the giving side repeats it. Nothing in XEP-0166 says where bytes go on, and two clients that guess differently make
//! a broken file; so where a peer does not say it, the content ends, and the file goes on in a new session by `range` (XEP-0234 §6.4).
//!
//! XEP-0260 Jingle SOCKS5 bytestreams transport, v1.0.3 <https://xmpp.org/extensions/xep-0260.html> §3
//! XEP-0261 Jingle in-band bytestreams transport, v1.0 <https://xmpp.org/extensions/xep-0261.html>

use std::time::Instant;

use balcony_wire::jingle::{Action as Verb, IbbTransport, Jingle, Transport};

use super::content::{Stage, Swap, Vehicle};
use super::incoming::Heard;
use super::outgoing::{About, Show};
use super::session::Session;
use super::{Direction, Event, JingleRefusal};
use crate::transfer::bytestream::s5b::S5bRefusal;
use crate::transfer::bytestream::{Side, ibb};

impl Session {
    pub(super) fn hear_transport(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        for (at, content) in self.each(jingle)? {
            let Some(Transport::S5b(theirs)) = &content.transport else { continue };
            let own = &mut self.contents[at];
            let is_open = own.is_open();
            match &mut own.vehicle {
                Vehicle::Socks { s5b, .. } => match s5b.handle_transport(now, theirs) {
                    Err(S5bRefusal::OtherStream) if own.old_sids.contains(&theirs.sid) => {}
                    Err(S5bRefusal::Datagrams) => return Err(JingleRefusal::BadRequest("streams of datagrams are not known here")),
                    Err(S5bRefusal::SaidOtherwise) => return Err(JingleRefusal::OutOfOrder),
                    Err(_) => return Err(JingleRefusal::UnknownContent),
                    Ok(()) => self.drain(now, at),
                },
                Vehicle::Stands { sid, .. } if *sid == theirs.sid => {} // a word that came late
                _ if own.old_sids.contains(&theirs.sid) || !is_open => {}
                _ => return Err(JingleRefusal::OutOfOrder),
            }
        }
        Ok(())
    }

    pub(super) fn hear_replace(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        if !self.is_active() {
            return Err(JingleRefusal::OutOfOrder);
        }
        let replaced = self.each(jingle)?;
        for (at, content) in &replaced {
            if content.transport.is_none() {
                return Err(JingleRefusal::BadRequest("a transport is replaced by a transport"));
            }
            if !self.contents[*at].is_open() {
                return Err(JingleRefusal::UnknownContent);
            }
            if self.wins() && matches!(self.contents[*at].swap, Swap::Ours { .. }) {
                return Err(JingleRefusal::TieBreak);
            }
        }
        for (at, content) in replaced {
            let said = content.file().and_then(|file| file.range.as_ref()).map(|range| range.offset.unwrap_or(0));
            if let Some(transport) = content.transport.as_ref().filter(|_| self.contents[at].is_open()) {
                self.swap(now, at, transport, said);
            }
        }
        Ok(())
    }

    /// transport-accept or transport-reject.
    pub(super) fn hear_replaced(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        let answered = self.each(jingle)?;
        for (at, content) in &answered {
            let Swap::Ours { terms, .. } = &self.contents[*at].swap else { return Err(JingleRefusal::OutOfOrder) };
            let is_same = matches!(&content.transport, Some(Transport::Ibb(theirs)) if theirs.sid == terms.sid);
            if jingle.action == Verb::TransportAccept && !is_same {
                return Err(JingleRefusal::BadRequest("another transport than the one that was offered"));
            }
        }
        for (at, content) in answered {
            let id = self.contents[at].id.clone();
            self.heard_us(&About::Replace(id));
            match &content.transport {
                Some(Transport::Ibb(theirs)) if jingle.action == Verb::TransportAccept => {
                    let said = content.file().and_then(|file| file.range.as_ref()).map(|range| range.offset.unwrap_or(0));
                    self.swapped(now, at, theirs, said);
                }
                _ => {
                    let reason = self.contents[at].lost("the other side takes no other way".into());
                    self.refuse(now, at, reason);
                }
            }
        }
        Ok(())
    }

    /// What carried a content, or was to, does not: another way is looked for.
    pub(super) fn lose(&mut self, now: Instant, at: usize, why: String) {
        self.unload(at, why.clone());
        let content = &mut self.contents[at];
        content.stage = Stage::Connecting;
        content.until = Some(now + self.settings.connect_timeout);
        let is_spent = content.swaps >= MAX_SWAPS;
        if is_spent || !self.is_active() || !self.settings.own.in_band || !self.means.in_band {
            let reason = self.contents[at].lost(why);
            return self.refuse(now, at, reason);
        }
        match self.side {
            Side::Initiator => self.go_in_band(now, at),
            // what moved broke for both sides at the same time: who is still there has seen it
            Side::Responder => {
                let wait = self.settings.fallback_wait / if self.contents[at].moved > 0 { 2 } else { 1 };
                self.contents[at].swap = Swap::Awaited { until: now + wait };
            }
        }
    }

    /// Proposes to go in band.
    pub(super) fn go_in_band(&mut self, now: Instant, at: usize) {
        let terms = ibb::Terms::offer(self.chance.token());
        let stream = self.in_band(&terms);
        let ranges = self.settings.own.ranges;
        let content = &mut self.contents[at];
        content.swaps += 1;
        content.swap = Swap::Ours { stream, terms, until: now + self.settings.connect_timeout };
        // the taking side knows the byte; the giving side only shows that it will listen to that
        let with_range = ranges && (content.direction == Direction::Take || content.moved > 0);
        let id = content.id.clone();
        let jingle = self.about(Verb::TransportReplace, at, Show::Transport { with_range });
        self.say(now, About::Replace(id), &jingle);
    }

    /// The peer replaces a transport: what we can and may is taken.
    fn swap(&mut self, now: Instant, at: usize, transport: &Transport, said: Option<u64>) {
        if !self.may_swap(at, transport, said) {
            return self.reject_swap(now, at, transport);
        }
        let was_flowing = matches!(self.contents[at].stage, Stage::Flowing | Stage::Confirming);
        let id = self.contents[at].id.clone();
        self.heard_us(&About::Replace(id));
        self.unload(at, "it was replaced".into());
        let content = &mut self.contents[at];
        content.swaps += 1;
        if content.direction == Direction::Give {
            match said {
                Some(offset) => content.rewind(offset),
                None => Some(()),
            };
        }
        if was_flowing || content.is_agreed() {
            content.stage = Stage::Connecting;
            content.until = Some(now + self.settings.connect_timeout);
        }
        content.swap = Swap::Theirs { says_range: said.is_some() };
        self.take_transport(now, at, transport);
        self.proceed(now);
    }

    /// Whether a transport may take the place of what there is: whatever arrived must not be lost by it.
    fn may_swap(&self, at: usize, transport: &Transport, said: Option<u64>) -> bool {
        let content = &self.contents[at];
        let is_time = matches!(content.stage, Stage::Connecting | Stage::Flowing | Stage::Confirming);
        let is_known = content.moved == 0 && content.stage != Stage::Confirming || said.is_some() && self.settings.own.ranges;
        let is_there = match (content.direction, said) {
            (Direction::Give, Some(offset)) => {
                let end = content.expected().map(|expected| content.span.offset.saturating_add(expected));
                offset >= content.span.offset && end.is_none_or(|end| offset <= end)
            }
            _ => true,
        };
        is_time && is_known && is_there && content.swaps < MAX_SWAPS && self.can_take(transport)
    }

    fn reject_swap(&mut self, now: Instant, at: usize, transport: &Transport) {
        let mut jingle = self.about(Verb::TransportReject, at, Show::Name);
        jingle.contents[0].transport = Some(transport.clone());
        self.say(now, About::Info, &jingle);
        let content = &self.contents[at];
        if let Vehicle::Broken { why } = &content.vehicle
            && !matches!(content.swap, Swap::Ours { .. })
        {
            let reason = content.lost(why.clone());
            self.refuse(now, at, reason);
        }
    }

    pub(super) fn accept_swap(&mut self, now: Instant, at: usize, with_range: bool) {
        let jingle = self.about(Verb::TransportAccept, at, Show::Transport { with_range });
        let id = self.contents[at].id.clone();
        self.say(now, About::ReplaceAccept(id.clone()), &jingle);
        let is_in_band = matches!(self.contents[at].vehicle, Vehicle::InBand { .. });
        if is_in_band {
            self.tell(Event::FellBack { content: id, why: "the other side asked for it".into() });
        }
        if is_in_band && self.wins() {
            self.contents[at].swap = Swap::Opening; // they must know before `open` comes
        } else {
            self.contents[at].swap = Swap::None;
            self.connect(now, at);
        }
    }

    /// The peer takes the transport that we proposed, and says perhaps from which byte on.
    fn swapped(&mut self, now: Instant, at: usize, theirs: &IbbTransport, said: Option<u64>) {
        let Vehicle::Broken { why } = &self.contents[at].vehicle else { return };
        let why = why.clone();
        let Swap::Ours { stream, terms, .. } = std::mem::replace(&mut self.contents[at].swap, Swap::None) else { return };
        let Some(terms) = terms.answered(theirs) else { return };
        let content = &mut self.contents[at];
        let next = content.rest().offset;
        let goes_on = match (content.direction, said) {
            (Direction::Give, Some(offset)) => content.rewind(offset).is_some(),
            (Direction::Take, Some(offset)) => offset == next,
            (_, None) => content.moved == 0,
        };
        if !goes_on {
            let reason = content.lost(why);
            return self.refuse(now, at, reason);
        }
        content.vehicle = Vehicle::InBand { stream, terms };
        let id = content.id.clone();
        self.tell(Event::FellBack { content: id, why });
        self.connect(now, at);
    }
}

/// Transports of one content that are replaced: nobody needs more.
const MAX_SWAPS: u8 = 4;
