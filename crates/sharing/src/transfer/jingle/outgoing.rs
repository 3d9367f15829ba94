//! What is said to the peer, and what its answers mean.

use std::time::Instant;

use balcony_wire::jingle::{self, Action as Verb, Checksum, FileDescription, Jingle, JingleError, Received, SessionInfo, Transport};
use balcony_wire::jingle_file::{FileRange, JingleFile};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Payload as _, StanzaError};

use super::content::{Content, Stage, Swap, Vehicle};
use super::session::{Phase, Session};
use super::{Action, ContentId, EndReason, RequestId};
use crate::transfer::bytestream::Side;

/// A request of ours that is not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) id: RequestId,
    pub(super) about: About,
    pub(super) until: Instant,
}

/// What a request of ours is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The session as a whole.
    Initiate,
    Accept,
    /// Nothing depends on the answer.
    Info,
    Terminate,
    /// A content depends on it.
    Add(ContentId),
    ContentAccept(ContentId),
    Replace(ContentId),
    ReplaceAccept(ContentId),
    Modify(ContentId),
}

impl About {
    /// In the words for people.
    pub(super) fn step(&self) -> &'static str {
        match self {
            Self::Initiate => "offer of the session",
            Self::Accept => "acceptance",
            Self::Info | Self::Terminate => "message",
            Self::Add(_) => "file that was added",
            Self::ContentAccept(_) => "acceptance of a file",
            Self::Replace(_) | Self::ReplaceAccept(_) => "change of the way",
            Self::Modify(_) => "change of the direction",
        }
    }
}

/// How much of a content a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Its name.
    Name,
    /// The file and the transport.
    All,
    /// The transport, and from which byte it goes on if that is to be said.
    Transport { with_range: bool },
}

impl Session {
    pub(super) fn say(&mut self, now: Instant, about: About, jingle: &Jingle) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let patience = match about {
            About::Initiate => self.settings.first_answer_timeout,
            About::Replace(_) => self.settings.replace_timeout,
            _ => self.settings.answer_timeout,
        };
        self.pending.push(Pending { id, about, until: now + patience });
        self.actions.push_back(Action::Ask { id, jingle: jingle.write() });
    }

    pub(super) fn jingle(&self, action: Verb) -> Jingle {
        let mut jingle = Jingle::new(action, self.between.sid.clone());
        match jingle.action {
            Verb::SessionInitiate => jingle.initiator = Some(self.between.own.clone().into_jid()),
            Verb::SessionAccept => jingle.responder = Some(self.between.own.clone().into_jid()),
            _ => {}
        }
        jingle
    }

    /// A request about one content.
    pub(super) fn about(&self, action: Verb, at: usize, show: Show) -> Jingle {
        self.jingle(action).with_content(self.show(at, show))
    }

    /// A content as it is written.
    pub(super) fn show(&self, at: usize, show: Show) -> jingle::Content {
        let content = &self.contents[at];
        let mut written = jingle::Content::new(content.id.creator, content.id.name.clone());
        if show == Show::Name {
            return written;
        }
        written.senders = Some(content.senders(self.side));
        written.transport = transport(content);
        let file = match show {
            Show::All => Some(content.file.clone()),
            Show::Transport { with_range: true } => {
                let rest = content.rest();
                let range = FileRange { offset: Some(rest.offset), length: rest.length, hashes: Vec::new() };
                Some(JingleFile { range: Some(range), ..JingleFile::default() })
            }
            _ => None,
        };
        written.description = file.map(|file| FileDescription::new(self.version, file).into());
        written
    }

    /// `transport-info` of a content.
    pub(super) fn say_transport(&mut self, now: Instant, at: usize, transport: Transport) {
        let mut jingle = self.about(Verb::TransportInfo, at, Show::Name);
        jingle.contents[0].transport = Some(transport);
        self.say(now, About::Info, &jingle);
    }

    /// Refuses or takes back a content of which others are left.
    pub(super) fn say_removed(&mut self, now: Instant, at: usize, reason: &EndReason) {
        let content = &self.contents[at];
        let verb = match content.stage {
            Stage::Preparing => return, // nobody heard of it
            Stage::Undecided | Stage::Agreed => Verb::ContentReject,
            _ => Verb::ContentRemove,
        };
        let agreed = content.is_agreed() || content.is_ours(self.side);
        let jingle = self.about(verb, at, Show::Name).with_reason(reason.to_reason(agreed));
        self.say(now, About::Info, &jingle);
    }

    pub(super) fn say_terminate(&mut self, now: Instant, reason: &EndReason, agreed: bool) {
        let jingle = self.jingle(Verb::SessionTerminate).with_reason(reason.to_reason(agreed));
        self.say(now, About::Terminate, &jingle);
    }

    pub(super) fn say_received(&mut self, now: Instant, at: usize) {
        let ContentId { creator, name } = self.contents[at].id.clone();
        let received = Received { version: self.version, creator: Some(creator), name: Some(name) };
        let jingle = self.jingle(Verb::SessionInfo).with_info(SessionInfo::Received(received));
        self.say(now, About::Info, &jingle);
    }

    pub(super) fn say_checksum(&mut self, now: Instant, at: usize, file: JingleFile) {
        let ContentId { creator, name } = self.contents[at].id.clone();
        let checksum = Checksum { version: self.version, creator: Some(creator), name: Some(name), file };
        let jingle = self.jingle(Verb::SessionInfo).with_info(SessionInfo::Checksum(Box::new(checksum)));
        self.say(now, About::Info, &jingle);
    }

    /// The peer answered a request of ours, or its server did.
    pub fn handle_answer(&mut self, now: Instant, id: RequestId, answer: Result<(), StanzaError>) {
        let Some(at) = self.pending.iter().position(|pending| pending.id == id) else { return };
        let Pending { about, .. } = self.pending.remove(at);
        match answer {
            Ok(()) => {
                self.vanish = None;
                self.acknowledged(now, &about);
            }
            Err(error) => self.refused(now, &about, &error),
        }
    }

    fn acknowledged(&mut self, now: Instant, about: &About) {
        if let About::ReplaceAccept(content) = about
            && let Some(at) = self.at(content)
            && matches!(self.contents[at].swap, Swap::Opening)
        {
            self.contents[at].swap = Swap::None;
            self.connect(now, at);
        }
    }

    fn refused(&mut self, now: Instant, about: &About, error: &StanzaError) {
        let reason = EndReason::refused(&self.between.peer, about.step(), error);
        if JingleError::of(error) == Some(JingleError::UnknownSession) {
            return self.end_session(now, EndReason::Forgotten, false);
        }
        // from its server, as the device itself knew of the session
        let is_gone = matches!(error.condition, DefinedCondition::ServiceUnavailable | DefinedCondition::RecipientUnavailable);
        match about {
            About::Terminate => {}
            About::Initiate => self.end_session(now, reason, false),
            _ if is_gone && error.application.is_none() => self.end_session(now, EndReason::PeerGone, false),
            About::Info | About::Modify(_) => {}
            About::Accept => self.end_session(now, reason, true),
            About::Add(content) => self.added_in_vain(now, content, reason),
            About::Replace(content) if reason == EndReason::TieBroken => self.await_theirs(now, content),
            About::ContentAccept(content) | About::Replace(content) | About::ReplaceAccept(content) => {
                if let Some(at) = self.at(content).filter(|at| self.contents[*at].is_open()) {
                    let why = self.contents[at].lost(reason.to_string());
                    self.refuse(now, at, why);
                }
            }
        }
    }

    /// The peer does not even want to hear of a content.
    fn added_in_vain(&mut self, now: Instant, content: &ContentId, reason: EndReason) {
        if let Some(at) = self.at(content).filter(|at| self.contents[*at].is_open()) {
            self.end_content(at, reason);
            self.settle(now);
        }
    }

    /// Both replaced a transport at once, and their word counts.
    fn await_theirs(&mut self, now: Instant, content: &ContentId) {
        if let Some(at) = self.at(content)
            && let Swap::Ours { stream, .. } = self.contents[at].swap
        {
            self.actions.push_back(Action::Drop { stream });
            self.contents[at].swap = Swap::Awaited { until: now + self.settings.answer_timeout };
        }
    }

    /// Requests that were not answered in time.
    pub(super) fn expire_requests(&mut self, now: Instant) {
        while let Some(at) = self.pending.iter().position(|pending| pending.until <= now) {
            let about = self.pending.remove(at).about;
            let reason = EndReason::NoAnswer(about.step());
            match &about {
                About::Info | About::Terminate | About::Modify(_) => {}
                About::Initiate | About::Accept => self.end_session(now, reason, true),
                About::Add(content) | About::ContentAccept(content) | About::Replace(content) | About::ReplaceAccept(content) => {
                    if let Some(at) = self.at(content).filter(|at| self.contents[*at].is_open()) {
                        let is_broken = self.contents[at].moved > 0;
                        let reason = if is_broken { self.contents[at].lost(reason.to_string()) } else { reason };
                        self.refuse(now, at, reason);
                    }
                }
            }
        }
    }

    /// Whether the same is being asked by us for this content.
    pub(super) fn is_asking(&self, about: &About) -> bool {
        self.pending.iter().any(|pending| pending.about == *about)
    }

    /// What comes next from the peer shows that it heard this.
    pub(super) fn heard_us(&mut self, about: &About) {
        self.pending.retain(|pending| pending.about != *about);
    }

    /// Whether in a conflict our word counts.
    pub(super) fn wins(&self) -> bool {
        self.side == Side::Initiator
    }

    pub(super) fn is_active(&self) -> bool {
        self.phase == Phase::Active
    }
}

/// The transport of a content as we write it.
fn transport(content: &Content) -> Option<Transport> {
    match (&content.swap, &content.vehicle) {
        (Swap::Ours { terms, .. }, _) | (_, Vehicle::InBand { terms, .. }) => Some(Transport::Ibb(terms.transport())),
        (_, Vehicle::Socks { s5b, .. }) => Some(Transport::S5b(s5b.transport())),
        _ => None,
    }
}
