//! What the person, or whoever speaks for them, decides about a session.

use std::time::Instant;

use balcony_wire::hashes::Hash;
use balcony_wire::jingle::{Action as Verb, Senders};
use balcony_wire::jingle_file::{FileRange, JingleFile};

use super::content::Stage;
use super::names::LARGEST;
use super::outgoing::{About, Show};
use super::session::{Phase, Session};
use super::{ContentId, Direction, EndReason, Event, Finding, Rejection, Span};
use crate::DigestSet;

impl Session {
    /// Takes a file that is offered, from a byte on; from the beginning where the peer does not understand ranges.
    pub fn accept(&mut self, now: Instant, id: &ContentId, from_byte: u64) {
        let Some(at) = self.undecided(id, Direction::Take) else { return };
        let content = &mut self.contents[at];
        let wanted = Span { offset: content.span.offset.max(from_byte.min(LARGEST)), length: None };
        if wanted.offset > content.span.offset && content.ranged && self.settings.own.ranges && wanted.fits(content.file.metadata.size) {
            let end = content.span.length.map(|length| content.span.offset.saturating_add(length));
            content.span = Span { offset: wanted.offset, length: end.map(|end| end.saturating_sub(wanted.offset)) };
        }
        content.file.range = content.ranged.then(|| content.span.write());
        self.agree(now, at);
    }

    /// Gives a file that is asked for; `file` is what is there. A part that does not exist is refused.
    pub fn serve(&mut self, now: Instant, id: &ContentId, file: JingleFile) {
        let Some(at) = self.undecided(id, Direction::Give) else { return };
        let ranges = self.settings.own.ranges;
        let content = &mut self.contents[at];
        let asked = if ranges { Span::of(content.file.range.as_ref()) } else { Span::default() };
        if !asked.fits(file.metadata.size) {
            return self.refuse(now, at, EndReason::NotGiven);
        }
        content.span = asked;
        content.file = JingleFile { range: ranges.then(|| asked.write()), ..file };
        self.agree(now, at);
    }

    /// Says no to a file that is offered, or asked for.
    pub fn reject(&mut self, now: Instant, id: &ContentId, rejection: Rejection) {
        if let Some(at) = self.open(id) {
            self.refuse(now, at, rejection.into());
        }
    }

    /// Says what was found when the bytes of a file were looked at; the peer hears of it.
    pub fn finish(&mut self, now: Instant, id: &ContentId, finding: Finding) {
        let Some(at) = self.open(id) else { return };
        match finding {
            Finding::Wrong => self.refuse(now, at, EndReason::WrongBytes),
            Finding::Misfit => self.refuse(now, at, EndReason::Misfit),
            Finding::Unusable => self.refuse(now, at, EndReason::Unusable),
            Finding::Kept if self.contents[at].stage == Stage::Whole => self.keep(now, at),
            Finding::Kept => self.refuse(now, at, EndReason::Stopped), // it was had from elsewhere
        }
    }

    /// All of it is here and right: `received`, or success where it was the last (XEP-0234 §6.6).
    fn keep(&mut self, now: Instant, at: usize) {
        if !self.is_going_on(Some(at)) {
            let overall = self.overall();
            // success is said of all that is left: where something went wrong, only of this file
            let told = if overall.is_done() { EndReason::Done } else { EndReason::Stopped };
            if !overall.is_done() && self.is_active() {
                self.say_received(now, at);
            }
            self.end_content(at, EndReason::Done);
            return self.end_session_as(now, &told, overall);
        }
        if self.is_active() {
            self.say_received(now, at);
        }
        self.end_content(at, EndReason::Done);
    }

    /// Stops one file; the others go on.
    pub fn cancel(&mut self, now: Instant, id: &ContentId) {
        if let Some(at) = self.open(id) {
            self.refuse(now, at, EndReason::Stopped);
        }
    }

    /// Ends everything.
    pub fn terminate(&mut self, now: Instant, reason: EndReason) {
        self.end_session(now, reason, true);
    }

    /// Offers one more file in the same session, as soon as it is accepted.
    pub fn add(&mut self, now: Instant, file: JingleFile, direction: Direction) -> Option<ContentId> {
        let is_going_on = matches!(self.phase, Phase::Preparing | Phase::Pending { .. } | Phase::Active);
        if !is_going_on || self.contents.len() >= self.settings.max_contents {
            return None;
        }
        let at = self.push_own(file, direction);
        self.linger = None;
        let id = self.contents[at].id.clone();
        self.prepare(now, at);
        self.proceed(now);
        Some(id)
    }

    /// Tells the digests of a file that we give, or of a part of it, where they were only promised before (XEP-0234 §8.2).
    pub fn checksum(&mut self, now: Instant, id: &ContentId, span: Option<Span>, digests: &DigestSet) {
        let Some(at) = self.open(id).filter(|at| self.contents[*at].direction == Direction::Give && self.is_active()) else { return };
        let hashes: Vec<Hash> = digests.iter().cloned().map(Hash::from).collect();
        let mut file = JingleFile::default();
        match span {
            None => file.metadata.hashes = hashes,
            Some(span) => file.range = Some(FileRange { offset: Some(span.offset), length: span.length, hashes }),
        }
        self.say_checksum(now, at, file);
    }

    /// Holds a file: no byte is to move until `go_on`. It is ended if that takes too long.
    pub fn hold(&mut self, now: Instant, id: &ContentId) {
        self.modify(now, id, true);
    }

    /// Lets a file that we hold go on.
    pub fn go_on(&mut self, now: Instant, id: &ContentId) {
        self.modify(now, id, false);
    }

    fn modify(&mut self, now: Instant, id: &ContentId, on: bool) {
        let flowing = |session: &Self, at: &usize| matches!(session.contents[*at].stage, Stage::Connecting | Stage::Flowing);
        let Some(at) = self.open(id).filter(|at| flowing(self, at) && self.contents[*at].is_held != on) else { return };
        self.set_held(now, at, on);
        let mut jingle = self.about(Verb::ContentModify, at, Show::Name);
        jingle.contents[0].senders = Some(if on { Senders::None } else { self.contents[at].senders(self.side) });
        let content = self.contents[at].id.clone();
        self.say(now, About::Modify(content), &jingle);
    }

    pub(super) fn set_held(&mut self, now: Instant, at: usize, on: bool) {
        let patience = if on { self.settings.longest_hold } else { self.settings.stall_timeout };
        let content = &mut self.contents[at];
        content.is_held = on;
        content.until = Some(now + patience);
        let content = content.id.clone();
        self.tell(Event::Held { content, on });
    }

    /// Asks whether the peer is still there: a session-info without payload.
    pub fn ping(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Pending { .. } | Phase::Active) {
            let jingle = self.jingle(Verb::SessionInfo);
            self.say(now, About::Info, &jingle);
        }
    }

    /// The peer's device sent unavailable presence: it counts as gone unless something else comes from it soon.
    pub fn handle_unavailable(&mut self, now: Instant) {
        if !self.is_over() && self.vanish.is_none() {
            self.vanish = Some(now + self.settings.vanish_timeout);
        }
    }

    /// Our own connection was lost and not resumed: the session went with it.
    pub fn handle_disconnected(&mut self, now: Instant) {
        self.end_session(now, EndReason::Disconnected, false);
    }

    /// The content, if it is not over.
    pub(super) fn open(&self, id: &ContentId) -> Option<usize> {
        self.at(id).filter(|at| self.contents[*at].is_open())
    }

    fn undecided(&self, id: &ContentId, direction: Direction) -> Option<usize> {
        self.open(id).filter(|at| self.contents[*at].stage == Stage::Undecided && self.contents[*at].direction == direction)
    }

    /// A yes: the others of an offer get a moment for theirs.
    fn agree(&mut self, now: Instant, at: usize) {
        self.contents[at].stage = Stage::Agreed;
        self.contents[at].until = None;
        if let Phase::Pending { decide_by } = &mut self.phase
            && self.contents[at].is_initial
        {
            decide_by.get_or_insert(now + self.settings.more_decisions);
        }
        self.prepare(now, at);
        self.proceed(now);
    }

    /// Ends a content and tells the peer: the session, if nothing else is left in it (decision 23).
    pub(super) fn refuse(&mut self, now: Instant, at: usize, reason: EndReason) {
        if !self.contents[at].is_open() {
            return; // it went with the others
        }
        if !self.is_going_on(Some(at)) {
            let agreed = self.contents[at].is_agreed() || self.contents[at].is_ours(self.side);
            self.end_content(at, reason.clone());
            if matches!(self.phase, Phase::Pending { .. } | Phase::Active) {
                self.say_terminate(now, &reason, agreed);
            }
            let overall = self.overall();
            return self.end_session(now, overall, false);
        }
        if matches!(self.phase, Phase::Pending { .. } | Phase::Active) {
            self.say_removed(now, at, &reason);
        }
        self.end_content(at, reason);
        self.proceed(now);
    }

    /// Tells the peer one thing and us another: it knows about the contents that ended before.
    fn end_session_as(&mut self, now: Instant, told: &EndReason, overall: EndReason) {
        if self.is_active() {
            self.say_terminate(now, told, true);
        }
        self.end_session(now, overall, false);
    }

    /// Nothing is left in the session by what the peer said: it is ended (XEP-0166 §7.2.4).
    pub(super) fn settle(&mut self, now: Instant) {
        if self.is_going_on(None) {
            return self.proceed(now);
        }
        let overall = self.overall();
        let told = if overall.is_done() { EndReason::Done } else { EndReason::Stopped };
        if matches!(self.phase, Phase::Pending { .. } | Phase::Active) {
            self.say_terminate(now, &told, true);
        }
        self.end_session(now, overall, false);
    }
}
