//! What the peer asks of a session: acknowledged or refused at once; decisions follow.

use std::time::Instant;

use balcony_wire::jingle::{self, Action as Verb, Jingle};

use super::content::Stage;
use super::session::{Phase, Session};
use super::{Direction, EndReason, Event, JingleRefusal, Words};

/// What a request is answered with.
pub(super) type Heard = Result<(), JingleRefusal>;

impl Session {
    /// A request of the peer for this session. What this returns is the answer to the iq, and goes out before any action is performed.
    ///
    /// # Errors
    /// When the answer is an error. What is refused changes nothing; of several contents in one transport-info, those before it may have.
    pub fn handle_request(&mut self, now: Instant, jingle: &Jingle) -> Result<(), JingleRefusal> {
        if matches!(self.phase, Phase::Over | Phase::Draining) || jingle.sid != self.between.sid {
            return Err(JingleRefusal::UnknownSession);
        }
        self.vanish = None;
        self.heard.count += 1;
        if self.heard.count > self.settings.max_requests {
            self.end_session(now, EndReason::BrokeRules("requests without end"), true);
            return Err(JingleRefusal::Busy);
        }
        if self.heard.knows(jingle) {
            return Ok(());
        }
        self.hear(now, jingle)?;
        self.heard.note(jingle);
        Ok(())
    }

    fn hear(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        if self.phase == Phase::Preparing {
            return Err(JingleRefusal::UnknownSession); // they cannot know of it
        }
        match &jingle.action {
            Verb::SessionInitiate => Err(JingleRefusal::OutOfOrder),
            Verb::SessionAccept => self.hear_accept(now, jingle),
            Verb::SessionTerminate => {
                self.hear_terminate(now, jingle);
                Ok(())
            }
            Verb::SessionInfo => self.hear_info(now, jingle),
            Verb::ContentAdd => self.hear_add(now, jingle),
            Verb::ContentAccept => self.hear_content_accept(now, jingle),
            Verb::ContentReject | Verb::ContentRemove => self.hear_removed(now, jingle),
            Verb::ContentModify => self.hear_modify(now, jingle),
            Verb::DescriptionInfo => self.each(jingle).map(|_| ()), // nothing in it changes what was agreed on
            Verb::SecurityInfo => Err(JingleRefusal::UnsupportedInfo),
            Verb::TransportInfo => self.hear_transport(now, jingle),
            Verb::TransportReplace => self.hear_replace(now, jingle),
            Verb::TransportAccept | Verb::TransportReject => self.hear_replaced(now, jingle),
            Verb::Unknown(_) => Err(JingleRefusal::BadRequest("this action is not known")),
        }
    }

    fn hear_terminate(&mut self, now: Instant, jingle: &Jingle) {
        let reason = EndReason::told(jingle.reason.as_ref());
        self.pending.clear();
        let was_active = self.is_active();
        for at in 0..self.contents.len() {
            let content = &self.contents[at];
            let is_out = content.expected().is_none_or(|expected| content.moved >= expected);
            let end = match (&content.stage, content.direction) {
                (Stage::Ended(_), _) => continue,
                (Stage::Whole, _) => None, // it is all here, whatever they say
                (Stage::Flowing, Direction::Take) if reason.is_done() => None,
                (Stage::Confirming | Stage::Flowing, Direction::Give) if reason.is_done() && is_out => Some(EndReason::Done),
                // they have it already, and need none of it
                (_, Direction::Give) if reason.is_done() && !was_active => Some(EndReason::Done),
                _ if reason.is_done() => Some(EndReason::PeerStopped(Words::default())),
                _ => Some(reason.clone()),
            };
            if let Some(end) = end {
                self.end_content(at, end);
            }
        }
        if was_active && self.is_anything_open() {
            self.phase = Phase::Draining;
            return self.release_whole();
        }
        let overall = if self.contents.iter().any(|content| content.is_agreed()) || was_active { self.overall() } else { reason };
        self.end_session(now, overall, false);
    }

    /// No checksum will come any more.
    fn release_whole(&mut self) {
        for at in 0..self.contents.len() {
            if self.contents[at].stage == Stage::Whole && self.contents[at].until.take().is_some() {
                let content = self.contents[at].id.clone();
                self.tell(Event::Whole { content });
            }
        }
    }

    /// The contents that a request names; all of them must be known.
    pub(super) fn each<'a>(&self, jingle: &'a Jingle) -> Result<Vec<(usize, &'a jingle::Content)>, JingleRefusal> {
        if jingle.contents.is_empty() {
            return Err(JingleRefusal::BadRequest("there is no content"));
        }
        let mut found: Vec<(usize, &jingle::Content)> = Vec::new();
        for content in &jingle.contents {
            let (creator, name) = content.id().ok_or(JingleRefusal::BadRequest("a content has a name"))?;
            let at = self.contents.iter().position(|known| known.id.creator == creator && known.id.name == name);
            let at = at.ok_or(JingleRefusal::UnknownContent)?;
            if found.iter().any(|(known, _)| *known == at) {
                return Err(JingleRefusal::BadRequest("a content is named twice"));
            }
            found.push((at, content));
        }
        Ok(found)
    }
}
