//! The machine of a session: what it holds, how it begins, what is said and heard of it.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::FullJid;
use balcony_wire::jingle::{self, Jingle, Senders};
use balcony_wire::jingle_file::{JingleFile, Version};

use super::chance::Chance;
use super::content::{Content, Stage, Swap, Vehicle};
use super::heard::Heard;
use super::names::creator;
use super::outgoing::Pending;
use super::{Action, ContentId, Direction, EndReason, Event, JingleRefusal, Means, Settings, Span, StreamId};
use crate::transfer::Reach;
use crate::transfer::bytestream::Side;

/// Between whom a session is. The sid means something only together with the peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Between {
    /// Which device of ours.
    pub own: FullJid,
    /// Which device of theirs.
    pub peer: FullJid,
    /// The id of the session.
    pub sid: String,
}

/// What a session needs to know from the beginning.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the peer can do, as far as it is known; what is not known is tried.
    pub peer: Means,
    /// What may be shown of ourselves.
    pub reach: Reach,
    /// Patience and bounds.
    pub settings: Settings,
    /// Fresh random bytes.
    pub random: [u8; 32],
}

/// One session with one device, from one side. See the [module](super) for how it is driven.
#[derive(Debug)]
pub struct Session {
    pub(super) between: Between,
    pub(super) side: Side,
    pub(super) version: Version,
    pub(super) means: Means,
    pub(super) reach: Reach,
    pub(super) settings: Settings,
    pub(super) chance: Chance,
    pub(super) phase: Phase,
    pub(super) contents: Vec<Content>,
    pub(super) heard: Heard,
    pub(super) pending: Vec<Pending>,
    pub(super) actions: VecDeque<Action>,
    /// When an unavailable peer counts as gone.
    pub(super) vanish: Option<Instant>,
    /// When a session in which nothing is left is ended by us.
    pub(super) linger: Option<Instant>,
    pub(super) next_request: u64,
    next_stream: u32,
}

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Ours, and not yet said.
    Preparing,
    /// Said, and not accepted. If we are to decide: when the answer goes out at the latest, after a first yes.
    Pending { decide_by: Option<Instant> },
    /// Accepted.
    Active,
    /// Ended by the peer; what has arrived is still taken.
    Draining,
    /// Over.
    Over,
}

impl Session {
    /// Offers files to the peer. Own candidates are asked for at once, and the session begins when they are there.
    #[must_use]
    pub fn offer(between: Between, files: Vec<JingleFile>, version: Version, terms: Terms, now: Instant) -> Self {
        Self::begun(between, files, Direction::Give, version, terms, now)
    }

    /// Asks the peer for files, each from the byte its `range` says.
    #[must_use]
    pub fn ask(between: Between, files: Vec<JingleFile>, version: Version, terms: Terms, now: Instant) -> Self {
        Self::begun(between, files, Direction::Take, version, terms, now)
    }

    fn begun(between: Between, files: Vec<JingleFile>, direction: Direction, version: Version, terms: Terms, now: Instant) -> Self {
        let mut session = Self::new(between, Side::Initiator, version, terms, Phase::Preparing);
        for file in files {
            let at = session.push_own(file, direction);
            session.contents[at].is_initial = true;
        }
        for at in 0..session.contents.len() {
            session.prepare(now, at);
        }
        session.proceed(now);
        session
    }

    /// A session that the peer begins. The request is answered by what this returns, before any action is performed.
    ///
    /// # Errors
    /// When it is refused at once; nothing is kept of it then.
    pub fn incoming(between: Between, jingle: &Jingle, terms: Terms, now: Instant) -> Result<Self, JingleRefusal> {
        if jingle.action != jingle::Action::SessionInitiate || jingle.sid != between.sid {
            return Err(JingleRefusal::UnknownSession);
        }
        if jingle.initiator.as_ref().is_some_and(|initiator| *initiator != *between.peer) {
            return Err(JingleRefusal::NotServed); // somebody speaks for somebody else
        }
        let version = jingle.contents.iter().find_map(|content| content.file_description()).map_or(Version::V5, |found| found.version);
        let mut session = Self::new(between, Side::Responder, version, terms, Phase::Pending { decide_by: None });
        session.take_initiate(now, jingle)?;
        session.heard.note(jingle);
        Ok(session)
    }

    fn new(between: Between, side: Side, version: Version, terms: Terms, phase: Phase) -> Self {
        Self {
            between,
            side,
            version,
            means: terms.peer,
            reach: terms.reach,
            settings: terms.settings,
            chance: Chance::new(terms.random),
            phase,
            contents: Vec::new(),
            heard: Heard::default(),
            pending: Vec::new(),
            actions: VecDeque::new(),
            vanish: None,
            linger: None,
            next_request: 0,
            next_stream: 0,
        }
    }

    /// Who talks with whom.
    pub fn between(&self) -> &Between {
        &self.between
    }

    /// Which side we are.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Whether it has come to an end.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Its files, in the order they came, whether they are over or not.
    pub fn contents(&self) -> impl Iterator<Item = &ContentId> {
        self.contents.iter().map(|content| &content.id)
    }

    /// What is known of a file.
    pub fn file(&self, id: &ContentId) -> Option<&JingleFile> {
        self.at(id).map(|at| &self.contents[at].file)
    }

    /// How many bytes of a file moved in this session, and how many are to.
    pub fn moved(&self, id: &ContentId) -> Option<(u64, Option<u64>)> {
        self.at(id).map(|at| (self.contents[at].moved, self.contents[at].expected()))
    }

    /// How a file ended, if it did.
    pub fn ended(&self, id: &ContentId) -> Option<&EndReason> {
        match &self.contents[self.at(id)?].stage {
            Stage::Ended(reason) => Some(reason),
            _ => None,
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn at(&self, id: &ContentId) -> Option<usize> {
        self.contents.iter().position(|content| content.id == *id)
    }

    /// The open content that has this stream.
    pub(super) fn of_stream(&self, stream: StreamId) -> Option<usize> {
        self.contents.iter().position(|content| content.is_open() && content.vehicle.stream() == Some(stream))
    }

    pub(super) fn new_stream(&mut self) -> StreamId {
        self.next_stream += 1;
        StreamId(self.next_stream)
    }

    /// Adds a content of ours, with a name that nobody uses.
    pub(super) fn push_own(&mut self, mut file: JingleFile, direction: Direction) -> usize {
        let id = ContentId { creator: creator(self.side), name: self.chance.token() };
        let span = Span::of(file.range.as_ref());
        file.range = match direction {
            // an offer says that we understand ranges, unless it is about a part
            Direction::Give => self.settings.own.ranges.then(|| span.write()),
            Direction::Take => (!span.is_whole()).then(|| span.write()),
        };
        let mut content = Content::new(id, direction, file, Stage::Preparing);
        content.span = span;
        self.contents.push(content);
        self.contents.len() - 1
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.actions.push_back(Action::Event(event));
    }

    /// Reads the direction of a content that the peer made; `None` where nobody is to send, or a direction makes no sense.
    ///
    /// The creator says nothing about it (XEP-0234 §4.1). Both, which is also what no word means, is read as an offer.
    pub(super) fn direction(&self, content: &jingle::Content) -> Option<Direction> {
        match (content.senders(), self.side) {
            (Senders::None, _) => None,
            (Senders::Both, _) | (Senders::Initiator, Side::Responder) | (Senders::Responder, Side::Initiator) => Some(Direction::Take),
            (Senders::Initiator, Side::Initiator) | (Senders::Responder, Side::Responder) => Some(Direction::Give),
        }
    }

    /// Ends a content without a word to the peer.
    pub(super) fn end_content(&mut self, at: usize, reason: EndReason) {
        self.unload(at, String::new());
        let content = &mut self.contents[at];
        content.stage = Stage::Ended(reason.clone());
        content.until = None;
        let content = content.id.clone();
        self.tell(Event::ContentEnded { content, reason });
    }

    /// Takes the carrier of a content away.
    pub(super) fn unload(&mut self, at: usize, why: String) {
        let content = &mut self.contents[at];
        if let Swap::Ours { stream, .. } = std::mem::replace(&mut content.swap, Swap::None) {
            self.actions.push_back(Action::Drop { stream });
        }
        let old = std::mem::replace(&mut content.vehicle, Vehicle::Broken { why });
        if content.stage == Stage::Flowing || matches!(content.stage, Stage::Confirming | Stage::Whole) {
            self.actions.push_back(Action::Stop { content: content.id.clone() });
        }
        if let Some(sid) = old.sid() {
            content.old_sids.push(sid.to_owned()); // as few as there are swaps
        }
        self.actions.extend(old.stream().map(|stream| Action::Drop { stream }));
    }

    /// Ends everything that is still open.
    pub(super) fn end_session(&mut self, now: Instant, reason: EndReason, is_said: bool) {
        if self.phase == Phase::Over {
            return;
        }
        let agreed = self.side == Side::Initiator || self.contents.iter().any(Content::is_agreed);
        if is_said && matches!(self.phase, Phase::Pending { .. } | Phase::Active) {
            self.say_terminate(now, &reason, agreed);
        }
        for at in 0..self.contents.len() {
            if self.contents[at].is_open() {
                self.end_content(at, reason.clone());
            }
        }
        self.phase = Phase::Over;
        self.pending.clear();
        (self.vanish, self.linger) = (None, None);
        self.tell(Event::Ended(reason));
    }

    /// What became of all contents together: what went wrong first counts.
    pub(super) fn overall(&self) -> EndReason {
        let mut ends = self.contents.iter().filter_map(|content| match &content.stage {
            Stage::Ended(reason) => Some(reason),
            _ => None,
        });
        ends.find(|reason| !reason.is_done()).cloned().unwrap_or(EndReason::Done)
    }

    pub(super) fn is_anything_open(&self) -> bool {
        self.contents.iter().any(Content::is_open)
    }

    /// Whether something is left without this content. What was added waits for what the session began with: without that, there is none.
    pub(super) fn is_going_on(&self, without: Option<usize>) -> bool {
        let is_pending = matches!(self.phase, Phase::Pending { .. });
        let mut others = self.contents.iter().enumerate().filter(|(at, _)| Some(*at) != without);
        others.any(|(_, content)| content.is_open() && (content.is_initial || !is_pending))
    }
}
