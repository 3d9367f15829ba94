//! What the peer tells while a session runs: who is to send, what arrived, which digests bytes have.

use std::time::Instant;

use balcony_wire::jingle::{self, Action as Verb, Jingle, Senders, SessionInfo};

use super::content::{Content, Stage};
use super::incoming::Heard;
use super::outgoing::{About, Show};
use super::session::Session;
use super::{Direction, EndReason, Event, JingleRefusal, Span, Unsupported};
use crate::DigestSet;

impl Session {
    /// The direction of a content changes: `none` holds it, its own lets it go on, any other is met by a contrary one, once.
    pub(super) fn hear_modify(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        let modified: Vec<(usize, Senders)> = self.each(jingle)?.into_iter().map(|(at, content)| (at, content.senders())).collect();
        for (at, _) in &modified {
            let id = self.contents[*at].id.clone();
            if self.wins() && self.is_asking(&About::Modify(id)) {
                return Err(JingleRefusal::TieBreak);
            }
        }
        for (at, senders) in modified {
            let content = &self.contents[at];
            let is_own = senders == content.senders(self.side);
            match content.stage {
                Stage::Connecting | Stage::Flowing if senders == Senders::None && !content.is_held => self.set_held(now, at, true),
                Stage::Connecting | Stage::Flowing if is_own && content.is_held => self.set_held(now, at, false),
                _ if is_own || senders == Senders::None || !content.is_open() => {}
                _ => self.turn_back(now, at),
            }
        }
        Ok(())
    }

    fn turn_back(&mut self, now: Instant, at: usize) {
        self.contents[at].turns += 1;
        if self.contents[at].turns > MAX_TURNS {
            return self.refuse(now, at, EndReason::Unsupported(Unsupported::Senders));
        }
        let mut jingle = self.about(Verb::ContentModify, at, Show::Name);
        jingle.contents[0].senders = Some(self.contents[at].senders(self.side));
        let id = self.contents[at].id.clone();
        self.say(now, About::Modify(id), &jingle);
    }

    pub(super) fn hear_info(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        let known = jingle.infos.iter().find(|info| !matches!(info, SessionInfo::Other(_)));
        match known.or(jingle.infos.first()) {
            None => Ok(()), // a ping
            Some(SessionInfo::Received(received)) => {
                let at = self.named(received.creator, received.name.as_deref())?;
                self.hear_received(now, at)
            }
            Some(SessionInfo::Checksum(checksum)) => {
                let at = self.named(checksum.creator, checksum.name.as_deref())?;
                self.hear_checksum(at, checksum)
            }
            Some(SessionInfo::Other(_)) => Err(JingleRefusal::UnsupportedInfo),
        }
    }

    /// The content an info names; the only open one, where it names none.
    fn named(&self, made_by: Option<jingle::Creator>, name: Option<&str>) -> Result<usize, JingleRefusal> {
        let fits = |content: &Content| match name {
            Some(name) => content.id.name == name && made_by.is_none_or(|creator| creator == content.id.creator),
            None => content.is_open(),
        };
        let mut found = (0..self.contents.len()).filter(|at| fits(&self.contents[*at]));
        match (found.next(), found.next()) {
            (Some(at), None) => Ok(at),
            _ => Err(JingleRefusal::UnknownContent),
        }
    }

    fn hear_received(&mut self, now: Instant, at: usize) -> Heard {
        let content = &self.contents[at];
        let is_out = content.expected().is_none_or(|expected| content.moved >= expected);
        match content.stage {
            _ if content.direction != Direction::Give => Err(JingleRefusal::OutOfOrder),
            Stage::Ended(_) => Ok(()),
            Stage::Confirming | Stage::Flowing if is_out => {
                self.end_content(at, EndReason::Done);
                if !self.is_anything_open() {
                    self.linger = Some(now + self.settings.linger); // whoever took it may still end the session
                }
                Ok(())
            }
            _ => Err(JingleRefusal::OutOfOrder),
        }
    }

    fn hear_checksum(&mut self, at: usize, checksum: &jingle::Checksum) -> Heard {
        let content = &mut self.contents[at];
        content.checksums = content.checksums.saturating_add(1);
        if content.direction != Direction::Take || content.checksums > MAX_CHECKSUMS {
            return Err(JingleRefusal::OutOfOrder);
        }
        let waits = content.stage == Stage::Whole && content.until.is_some();
        let id = content.id.clone();
        if let Some(range) = checksum.file.range.as_ref().filter(|range| !range.hashes.is_empty()) {
            let digests = DigestSet::from_hashes(&range.hashes);
            self.tell(Event::Checksum { content: id.clone(), span: Some(Span::of(Some(range))), digests });
        }
        let digests = DigestSet::from_hashes(&checksum.file.metadata.hashes);
        if !digests.is_empty() {
            self.contents[at].told = digests.clone();
            self.tell(Event::Checksum { content: id.clone(), span: None, digests });
            if waits {
                self.contents[at].until = None;
                self.tell(Event::Whole { content: id });
            }
        }
        Ok(())
    }
}

/// Checksums of one file that are listened to.
const MAX_CHECKSUMS: u8 = 16;

/// How often a direction is turned back.
const MAX_TURNS: u8 = 1;
