//! Contents that the peer makes: what begins a session, and what is added to it.

use std::time::Instant;

use balcony_wire::jingle::{self, Jingle};
use balcony_wire::jingle_file::JingleFile;

use super::content::{Content, Stage, Vehicle};
use super::incoming::Heard;
use super::names::creator;
use super::session::Session;
use super::{ContentId, Direction, EndReason, Event, JingleRefusal, Unsupported};
use crate::transfer::bytestream::Side;

impl Session {
    /// session-initiate: the files in it, or why there are none.
    pub(super) fn take_initiate(&mut self, now: Instant, jingle: &Jingle) -> Heard {
        if !jingle.contents.iter().any(|content| content.disposition.as_deref().is_none_or(|disposition| disposition == "session")) {
            return Err(JingleRefusal::BadRequest("a session begins with a content of disposition session"));
        }
        let new = self.read_new(jingle)?;
        self.take_new(now, new, true);
        Ok(())
    }

    pub(super) fn hear_add(&mut self, now: Instant, jingle: &Jingle) -> Heard {
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
        let mut file = content.file().cloned();
        if let Some(JingleFile { metadata, .. }) = &mut file {
            // Many sessions may wait for long: what is only for people to look at takes little room in them, and is not said back.
            metadata.descs.retain(|desc| desc.text.len() <= LONGEST_DESC);
        }
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
}

/// Bytes of a content's name at most.
const LONGEST_NAME: usize = 256;
/// Bytes of a description that is kept here at most; the catalogue has the longer ones.
const LONGEST_DESC: usize = 1024;
