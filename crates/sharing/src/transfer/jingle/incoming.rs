//! What the peer asks of a session: acknowledged or refused at once; decisions follow.

use std::time::Instant;

use balcony_wire::jingle::{self, Action as Verb, Jingle, Senders, SessionInfo, Transport};

use super::content::{Content, Stage, Swap, Vehicle};
use super::names::creator;
use super::outgoing::{About, Show};
use super::session::{Phase, Session};
use super::{ContentId, Direction, EndReason, Event, JingleRefusal, Span, Unsupported};
use crate::DigestSet;
use crate::transfer::bytestream::Side;
use crate::transfer::bytestream::s5b::S5bRefusal;

type Heard = Result<(), JingleRefusal>;

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

    /// session-initiate: the files in it, or why there are none.
    pub(super) fn take_initiate(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        if !jingle.contents.iter().any(|content| content.disposition.as_deref().is_none_or(|disposition| disposition == "session")) {
            return Err(JingleRefusal::BadRequest("a session begins with a content of disposition session"));
        }
        let new = self.read_new(jingle)?;
        self.take_new(now, new, true);
        Ok(())
    }

    fn hear_add(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        let new = self.read_new(jingle)?;
        self.linger = None;
        self.take_new(now, new, false);
        Ok(())
    }

    /// Contents that the peer made, and for each whether it cannot be met.
    fn read_new(&self, jingle: &Jingle) -> Result<Vec<(Content, Option<EndReason>)>, JingleRefusal> {
        let made_by = match self.side {
            Side::Initiator => creator(Side::Responder),
            Side::Responder => creator(Side::Initiator),
        };
        if jingle.contents.is_empty() {
            return Err(JingleRefusal::BadRequest("there is no content"));
        }
        if self.contents.len() + jingle.contents.len() > self.settings.max_contents {
            return Err(JingleRefusal::Busy);
        }
        let mut new: Vec<(Content, Option<EndReason>)> = Vec::new();
        for content in &jingle.contents {
            let name = content.name.as_deref().filter(|name| name.len() <= LONGEST_NAME);
            let name = name.ok_or(JingleRefusal::BadRequest("a content has a name"))?;
            let id = ContentId { creator: made_by, name: name.to_owned() };
            if content.creator.is_some_and(|creator| creator != made_by) {
                return Err(JingleRefusal::BadRequest("creator is who makes the content"));
            }
            if self.at(&id).is_some() || new.iter().any(|(known, _)| known.id == id) {
                return Err(JingleRefusal::BadRequest("there is a content of that name already"));
            }
            if content.description.is_none() || content.transport.is_none() {
                return Err(JingleRefusal::BadRequest("a content has a description and a transport"));
            }
            new.push(self.read_content(id, content));
        }
        Ok(new)
    }

    fn read_content(&self, id: ContentId, content: &jingle::Content) -> (Content, Option<EndReason>) {
        let direction = self.direction(content);
        let file = content.file().cloned();
        let application = content.file_description().is_some_and(|found| found.version == self.version);
        let fault = if content.security.is_some() {
            Some(EndReason::Security)
        } else if file.is_none() || !application {
            Some(EndReason::Unsupported(Unsupported::Application))
        } else if direction.is_none() {
            Some(EndReason::Unsupported(Unsupported::Senders))
        } else if !content.transport.as_ref().is_some_and(|transport| self.can_take(transport)) {
            Some(EndReason::Unsupported(Unsupported::Transport))
        } else {
            None
        };
        let mut read = Content::new(id, direction.unwrap_or(Direction::Take), file.unwrap_or_default(), Stage::Undecided);
        read.vehicle = Vehicle::Proposed(content.transport.clone());
        (read, fault)
    }

    fn take_new(&mut self, now: Instant, new: Vec<(Content, Option<EndReason>)>, is_initial: bool) {
        let first = self.contents.len();
        let mut faults = Vec::new();
        for (mut content, fault) in new {
            content.is_initial = is_initial;
            content.until = Some(now + self.settings.decision_timeout);
            self.contents.push(content);
            faults.push(fault);
        }
        for (at, fault) in (first..).zip(faults) {
            if let Some(reason) = fault {
                self.refuse(now, at, reason);
            }
            if !self.contents[at].is_open() {
                continue;
            }
            let Content { id, file, direction, .. } = &self.contents[at];
            let (content, file) = (id.clone(), Box::new(file.clone()));
            let event = match direction {
                Direction::Take => Event::Offered { content, file },
                Direction::Give => Event::Asked { content, file },
            };
            self.tell(event);
        }
    }

    fn hear_accept(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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
                self.end_content(at, EndReason::PeerDeclined(super::Words::default()));
            }
        }
        for (at, content) in accepted {
            self.accepted(now, at, content);
        }
        self.settle(now);
        Ok(())
    }

    fn hear_content_accept(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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
    fn hear_removed(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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

    /// The direction of a content changes: `none` holds it, its own lets it go on, any other is met by a contrary one, once.
    fn hear_modify(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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

    fn hear_info(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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

    fn hear_transport(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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

    fn hear_replace(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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
    fn hear_replaced(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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
                _ if reason.is_done() => Some(EndReason::PeerStopped(super::Words::default())),
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
    fn each<'a>(&self, jingle: &'a Jingle) -> Result<Vec<(usize, &'a jingle::Content)>, JingleRefusal> {
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

/// Bytes of a content's name at most.
const LONGEST_NAME: usize = 256;

/// Checksums of one file that are listened to.
const MAX_CHECKSUMS: u8 = 16;

/// How often a direction is turned back.
const MAX_TURNS: u8 = 1;
