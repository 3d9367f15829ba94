//! What the peer makes of contents of ours: accepted, rejected, removed.

use std::time::Instant;

use balcony_wire::jingle::{self, Action as Verb, Jingle, Transport};

use super::content::{Stage, Vehicle};
use super::incoming::Heard;
use super::outgoing::About;
use super::session::{Phase, Session};
use super::{Direction, EndReason, Event, JingleRefusal, Span, Unsupported, Words};
use crate::transfer::bytestream::Side;

impl Session {
    pub(super) fn hear_accept(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        if self.side != Side::Initiator || !matches!(self.phase, Phase::Pending { .. }) {
            return Err(JingleRefusal::OutOfOrder);
        }
        let accepted = self.each(jingle)?;
        self.check_accepted(&accepted)?;
        self.heard_us(&About::Initiate);
        self.phase = Phase::Active;
        // what is not in it was not wanted
        for at in 0..self.contents.len() {
            let is_left_out = self.contents[at].stage == Stage::Proposed && accepted.iter().all(|(known, _)| *known != at);
            if is_left_out && self.contents[at].is_initial {
                self.end_content(at, EndReason::PeerDeclined(Words::default()));
            }
        }
        for (at, content) in accepted {
            self.accepted(now, at, content);
        }
        self.settle(now);
        Ok(())
    }

    pub(super) fn hear_content_accept(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        let accepted = self.each(jingle)?;
        if accepted.iter().any(|(at, _)| self.contents[*at].is_initial) {
            return Err(JingleRefusal::OutOfOrder);
        }
        self.check_accepted(&accepted)?;
        for (at, content) in accepted {
            let id = self.contents[at].id.clone();
            self.heard_us(&About::Add(id));
            self.accepted(now, at, content);
        }
        Ok(())
    }

    /// Whether contents of ours can have been accepted like that.
    fn check_accepted(&self, accepted: &[(usize, &jingle::Content)]) -> Heard {
        if accepted.is_empty() {
            return Err(JingleRefusal::BadRequest("there is no content"));
        }
        for (at, theirs) in accepted {
            let ours = &self.contents[*at];
            if !ours.is_ours(self.side) || ours.stage != Stage::Proposed {
                return Err(JingleRefusal::OutOfOrder);
            }
            if theirs.description.is_none() {
                return Err(JingleRefusal::BadRequest("a content has a description and a transport"));
            }
            let is_same = match (&ours.vehicle, &theirs.transport) {
                (Vehicle::Socks { sid, .. }, Some(Transport::S5b(theirs))) => theirs.sid == *sid,
                (Vehicle::InBand { terms, .. }, Some(Transport::Ibb(theirs))) => theirs.sid == terms.sid,
                _ => false,
            };
            if !is_same {
                return Err(JingleRefusal::BadRequest("another transport than the one that was offered"));
            }
        }
        Ok(())
    }

    /// The peer takes a file of ours, or gives one that we asked for.
    fn accepted(&mut self, now: Instant, at: usize, theirs: &jingle::Content) {
        if !self.contents[at].is_open() {
            return; // another one of the same request ended the session
        }
        let ranges = self.settings.own.ranges;
        let said = theirs.file().and_then(|file| file.range.as_ref());
        let content = &mut self.contents[at];
        match content.direction {
            // an offset in the answer is followed (XEP-0234 §6.1)
            Direction::Give if ranges => {
                let wanted = Span::of(said);
                let is_inside = wanted.offset >= content.span.offset && wanted.fits(content.file.metadata.size);
                match said {
                    Some(_) if is_inside => content.span = wanted,
                    Some(range) if range.offset.is_some() => {
                        return self.refuse(now, at, EndReason::BrokeRules("a part was asked for that the file does not have"));
                    }
                    _ => {}
                }
            }
            Direction::Give => {}
            // what the giver does not repeat, it does not know: it begins at the beginning
            Direction::Take => {
                content.ranged = said.is_some();
                content.span = Span::of(said);
                if content.file.metadata.size.is_none() {
                    content.file.metadata.size = theirs.file().and_then(|file| file.metadata.size);
                }
            }
        }
        let (id, span) = (content.id.clone(), content.span);
        self.tell(Event::Accepted { content: id, span });
        let is_taken = match (&mut self.contents[at].vehicle, &theirs.transport) {
            (Vehicle::Socks { s5b, .. }, Some(Transport::S5b(theirs))) => s5b.handle_transport(now, theirs).is_ok(),
            (Vehicle::InBand { terms, .. }, Some(Transport::Ibb(theirs))) => {
                terms.answered(theirs).map(|answered| *terms = answered).is_some()
            }
            _ => false,
        };
        match is_taken {
            true => self.connect(now, at),
            false => self.refuse(now, at, EndReason::Unsupported(Unsupported::Transport)),
        }
    }

    /// content-reject or content-remove.
    pub(super) fn hear_removed(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        let removed: Vec<usize> = self.each(jingle)?.into_iter().map(|(at, _)| at).collect();
        if jingle.action == Verb::ContentReject {
            let is_asked = |at: &usize| self.contents[*at].is_ours(self.side) && self.contents[*at].stage == Stage::Proposed;
            if !removed.iter().all(|at| is_asked(at) || !self.contents[*at].is_open()) {
                return Err(JingleRefusal::OutOfOrder);
            }
        }
        let reason = EndReason::told(jingle.reason.as_ref());
        let mut is_news = false;
        for at in removed {
            if self.contents[at].is_open() {
                self.end_content(at, reason.clone());
                is_news = true;
            }
        }
        if is_news {
            self.settle(now);
        }
        Ok(())
    }
}
