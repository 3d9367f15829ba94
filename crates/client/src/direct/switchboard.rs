//! Who gets what comes for sessions and streams: a table that the connection's task looks into. Each stanza goes straight into the
//! bounded mailbox of its session, found by who sent it together with the id they chose; nobody reaches the session of somebody else.
//! What begins something new goes to the reception. Where there are too many, the answer is given at once.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html> (§7.1, §10)
//! XEP-0047 In-Band Bytestreams, v2.0.1 <https://xmpp.org/extensions/xep-0047.html> (§2.2)

mod mailbox;
mod room;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use balcony_sharing::transfer::jingle::{self, Bounds, Direction, JingleRefusal};
use balcony_wire::element::Node;
use balcony_wire::jingle::Jingle;
use balcony_wire::jingle_file::JingleFile;
use balcony_wire::stanza::{DefinedCondition, MessageKind, PresenceKind};
use balcony_wire::{BareJid, Element, FullJid, Iq, IqKind, Message, Presence, StanzaError, ns};
use tokio::sync::mpsc;

pub(crate) use mailbox::InBandMail;
pub(super) use mailbox::Mailbox;
use mailbox::{Entry, Letter, put};
pub(super) use room::Held;
use room::{Full, Rooms};

use super::publish::Expected;
use crate::account::door::as_if_nobody_was_here;
use crate::account::sight::{Sight, View};

/// What may wait for one session or stream; a peer that keeps to the windows we know of never fills it.
const MAILBOX: usize = 64;
/// A block of 65,535 bytes as it is written, some white space in it, and its attributes.
const LONGEST_BLOCK: usize = 96 * 1024;
/// What begins something new and waits to be looked at.
const ARRIVALS: usize = 64;
/// Of these, what comes from one person: nobody keeps the others out.
const OF_ONE: usize = 16;
/// And of these, what comes from all together whom the person does not know: they keep no contact out, by however many names they come.
const OF_STRANGERS: usize = 32;
/// Transfers with one person of which nobody keeps a table but this one.
const WITH_ONE: usize = 64;
/// Sessions and other transfers in all: those that others began, which [`room`] shares out, and as many of ours.
const IN_ALL: usize = 512;
/// A few dozen files at once are fine, thousands are not.
const BOUNDS: Bounds = Bounds { per_device: WITH_ONE, per_person: WITH_ONE, in_all: IN_ALL };

/// Names a session or a stream: who it is with, and the id that only means something together with them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) peer: FullJid,
    pub(crate) sid: String,
}

/// What comes to a session.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A request of the peer, to be answered.
    Request(Box<Iq>),
    /// The peer's device went offline.
    Unavailable,
    /// We ourselves are somebody else since: a new login.
    Renamed,
}

/// What comes to an in-band stream. Whoever gets it answers the requests.
#[derive(Debug)]
pub(crate) enum InBand {
    /// `open`, `data` or `close`, to be answered.
    Request(Iq),
    /// `data` in a message, which nobody answers.
    Message(Message),
}

/// What begins something new.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A Jingle `session-initiate`.
    Session(Iq),
    /// What a session offers beside what it began with.
    Added(FullJid, Element),
    /// `start` of a published session.
    Start(Iq),
    /// Stream initiation, and SOCKS5 hosts or in-band streams that nobody registered.
    Older(Iq),
    /// A message about a session to come.
    Message(Message),
    /// Whatever somebody asks to whom this device is not shown.
    Unseen(Iq),
}

/// The table. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Switchboard {
    table: Arc<Mutex<Table>>,
    arrivals: mpsc::Sender<(Arrival, Place)>,
    rooms: Rooms,
    sight: Sight,
    expected: Expected,
}

#[derive(Debug)]
struct Table {
    /// Which sessions may be there.
    open: jingle::Table,
    /// What waits to be looked at, by who sent it.
    waiting: HashMap<BareJid, usize>,
    sessions: HashMap<Key, mpsc::Sender<Letter<Mail>>>,
    in_band: HashMap<Key, mpsc::Sender<Letter<InBand>>>,
    /// What we proposed, by whom it is for and its id.
    proposals: HashMap<(BareJid, String), mpsc::Sender<Letter<Message>>>,
    /// Devices that take blocks of in-band streams only one by one, the latest last.
    slow: VecDeque<FullJid>,
}

/// The place that something new takes until it was looked at.
#[derive(Debug)]
pub(crate) struct Place {
    person: BareJid,
    held: Option<Held>,
    table: Arc<Mutex<Table>>,
}

impl Place {
    /// The room that it takes, for what it becomes.
    pub(super) fn into_held(mut self) -> Option<Held> {
        self.held.take()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if let Some(waiting) = table.waiting.get_mut(&self.person) {
            *waiting -= 1;
            if *waiting == 0 {
                table.waiting.remove(&self.person);
            }
        }
    }
}

impl Arrival {
    fn person(&self) -> Option<BareJid> {
        match self {
            Self::Session(request) | Self::Start(request) | Self::Older(request) | Self::Unseen(request) => {
                request.from.as_ref().map(|from| from.bare())
            }
            Self::Added(peer, _) => Some(peer.bare()),
            Self::Message(message) => message.from.as_ref().map(|from| from.bare()),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Session(request) | Self::Start(request) | Self::Older(request) | Self::Unseen(request) => weight_of(request),
            Self::Added(..) => 0, // its session holds it
            Self::Message(message) => message.payloads.iter().map(Element::weight).sum(),
        }
    }

    /// The answer where there is no room.
    fn refused(self, why: &JingleRefusal) -> Option<Iq> {
        match self {
            Self::Session(request) | Self::Start(request) | Self::Older(request) => Some(request.refuse(why.error())),
            Self::Unseen(request) => Some(as_if_nobody_was_here(&request)),
            Self::Added(..) | Self::Message(_) => None,
        }
    }
}

/// There is no room for one more session, or there is one of that name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    TooMany,
    /// What waits of that person is too large.
    TooLarge,
    Taken,
}

impl NoRoom {
    /// The stanza error that says so.
    pub(super) fn error(self) -> StanzaError {
        match self {
            Self::TooMany => JingleRefusal::Busy.error(),
            Self::TooLarge => JingleRefusal::TooLarge.error(),
            Self::Taken => StanzaError::new(DefinedCondition::Conflict),
        }
    }
}

impl From<Full> for NoRoom {
    fn from(full: Full) -> Self {
        match full {
            Full::Sessions => Self::TooMany,
            Full::Bytes => Self::TooLarge,
        }
    }
}

impl From<Full> for JingleRefusal {
    fn from(full: Full) -> Self {
        match full {
            Full::Sessions => Self::Busy,
            Full::Bytes => Self::TooLarge,
        }
    }
}

impl Switchboard {
    /// The table, and where the reception finds what is new.
    pub(crate) fn new(sight: Sight, expected: Expected) -> (Self, mpsc::Receiver<(Arrival, Place)>) {
        let (arrivals, arriving) = mpsc::channel(ARRIVALS);
        let table = Table {
            open: jingle::Table::new(BOUNDS),
            waiting: HashMap::new(),
            sessions: HashMap::new(),
            in_band: HashMap::new(),
            proposals: HashMap::new(),
            slow: Default::default(),
        };
        (Self { table: Arc::new(Mutex::new(table)), arrivals, rooms: Rooms::default(), sight, expected }, arriving)
    }

    /// For somebody without contacts.
    #[cfg(test)]
    pub(crate) fn alone() -> (Self, mpsc::Receiver<(Arrival, Place)>) {
        Self::new(Sight::with_contacts("juliet@capulet.example", &[]), Expected::new().0)
    }

    /// Whether a person is in the roster, or ourselves: what they may learn is [`Switchboard::view`].
    pub(crate) fn knows(&self, person: &BareJid) -> bool {
        self.sight.knows(person)
    }

    /// What somebody may learn of this device. Whoever has a session with it knows that it is there.
    pub(crate) fn view(&self, who: &BareJid) -> View {
        let view = self.sight.view(who);
        let is_theirs = |key: &Key| key.peer.bare_str() == who.as_str();
        if view == View::Nothing && self.table().sessions.keys().any(is_theirs) { View::Shown } else { view }
    }

    /// Takes a request of somebody who may learn nothing, as far as is known without looking into the store.
    pub(crate) fn unseen(&self, request: Iq) -> Option<Iq> {
        self.arrive(Arrival::Unseen(request))
    }

    /// Whether a request is about sessions or streams.
    pub(crate) fn is_for_us(request: &Iq) -> bool {
        let (IqKind::Set(payload) | IqKind::Get(payload)) = &request.kind else { return false };
        let is_set = matches!(request.kind, IqKind::Set(_));
        match payload.ns() {
            ns::JINGLE | ns::IBB | STREAM_INITIATION | ns::BYTESTREAMS => is_set,
            ns::JINGLE_PUB => payload.name() == "start",
            _ => false,
        }
    }

    /// Takes a request; gives the answer at once where nobody is there for it, or too much waits.
    pub(crate) fn take(&self, request: Iq) -> Option<Iq> {
        let (IqKind::Set(payload) | IqKind::Get(payload)) = &request.kind else { return None };
        let sid = payload.attr("sid").unwrap_or_default().to_owned();
        let peer = request.from.clone().and_then(|from| from.into_full().ok());
        let Some(peer) = peer else { return Some(request.refuse(StanzaError::new(DefinedCondition::ServiceUnavailable))) };
        let key = Key { peer, sid };
        match payload.ns() {
            ns::JINGLE => self.jingle(key, request),
            ns::IBB => match self.table().in_band.get(&key) {
                Some(_) if !is_block(payload) => Some(request.refuse(StanzaError::new(DefinedCondition::BadRequest))),
                Some(mailbox) => put(mailbox, InBand::Request(request), None),
                None => Some(request.refuse(StanzaError::new(DefinedCondition::ItemNotFound))),
            },
            ns::JINGLE_PUB => self.arrive(Arrival::Start(request)),
            _ => self.arrive(Arrival::Older(request)),
        }
    }

    fn jingle(&self, key: Key, request: Iq) -> Option<Iq> {
        let (IqKind::Set(payload) | IqKind::Get(payload)) = &request.kind else { return None };
        let (begins, asks) = (payload.attr("action") == Some("session-initiate"), asks(payload));
        let mailbox = self.table().sessions.get(&key).cloned();
        if let Some(mailbox) = mailbox {
            return match self.hold(&key, payload.weight()) {
                Ok(held) => put(&mailbox, Mail::Request(Box::new(request)), Some(held)),
                Err(full) => Some(request.refuse(JingleRefusal::from(full).error())),
            };
        }
        if !begins {
            return Some(unknown_session(&request));
        }
        // One that we asked for may come from anybody.
        let request = self.expected.take(request)?;
        // Whoever does not always see us may ask for what was offered to them, and offer nothing. They take no room for it.
        if !asks && self.view(&key.peer.bare()) < View::Presence {
            return Some(as_if_nobody_was_here(&request));
        }
        self.arrive(Arrival::Session(request))
    }

    /// Something new that came on another way; what there is no room for is nothing new.
    pub(crate) fn arrive(&self, arrival: Arrival) -> Option<Iq> {
        let Some(person) = arrival.person() else { return arrival.refused(&JingleRefusal::Busy) };
        let held = match self.rooms.take(person.clone(), self.knows(&person), 0, arrival.weight()) {
            Ok(held) => held,
            Err(full) => return arrival.refused(&full.into()),
        };
        {
            let mut table = self.table();
            let of_strangers = || table.waiting.iter().filter(|(other, _)| !self.knows(other)).map(|(_, count)| count).sum::<usize>();
            if !self.knows(&person) && of_strangers() >= OF_STRANGERS {
                return arrival.refused(&JingleRefusal::Busy);
            }
            let waiting = table.waiting.entry(person.clone()).or_default();
            if *waiting >= OF_ONE {
                return arrival.refused(&JingleRefusal::Busy);
            }
            *waiting += 1;
        }
        let place = Place { person, held: Some(held), table: Arc::clone(&self.table) };
        let (returned, _) = self.arrivals.try_send((arrival, place)).err()?.into_inner();
        returned.refused(&JingleRefusal::Busy)
    }

    /// Room for what somebody says.
    fn hold(&self, key: &Key, bytes: usize) -> Result<Held, Full> {
        let person = key.peer.bare();
        let is_known = self.knows(&person);
        self.rooms.take(person, is_known, 0, bytes)
    }

    /// Room for a session that somebody begins by what is so heavy; what it took when it arrived, it takes no second time.
    fn hold_session(&self, key: &Key, bytes: usize, arrived: Option<Held>) -> Result<Held, Full> {
        let mut held = arrived.map_or_else(|| self.hold(key, bytes), Ok)?;
        held.more(1, 0).map(|()| held)
    }

    /// Listens to a message: chunks of streams, words about sessions to come.
    pub(crate) fn hear(&self, message: &Message) {
        let Some(from) = message.from.clone() else { return };
        for payload in &message.payloads {
            match payload.ns() {
                // Of what comes back only blocks are of use: their stream has a hole.
                other if other != ns::IBB && message.kind == MessageKind::Error => {}
                ns::IBB => {
                    let sid = payload.attr("sid").unwrap_or_default().to_owned();
                    let Ok(peer) = from.clone().into_full() else { continue };
                    let key = Key { peer, sid };
                    // What else is in the message does not wait along with it.
                    let block = Message { from: Some(from.clone()), payloads: vec![payload.clone()], ..Message::new(message.kind, None) };
                    let mut table = self.table();
                    let is_lost = |mailbox: &mpsc::Sender<Letter<InBand>>| {
                        !is_block(payload) || mailbox.try_send((InBand::Message(block), None)).is_err()
                    };
                    let is_full = table.in_band.get(&key).is_some_and(is_lost);
                    if is_full {
                        // Nobody can be asked to send it again: a stream with a hole is no stream.
                        table.in_band.remove(&key);
                    }
                }
                ns::JINGLE_MESSAGE => {
                    let id = payload.attr("id").unwrap_or_default().to_owned();
                    let proposal = self.table().proposals.get(&(from.bare(), id)).cloned();
                    match proposal {
                        // It hears the next one, or its own deadline.
                        Some(proposal) => drop(proposal.try_send((message.clone(), None))),
                        // What others propose who do not see us is answered by nobody.
                        None if self.view(&from.bare()) == View::Presence => drop(self.arrive(Arrival::Message(message.clone()))),
                        None => {}
                    }
                    return;
                }
                _ => {}
            }
        }
    }

    /// Looks at a presence: a device that goes offline ends its sessions.
    pub(crate) fn see(&self, presence: &Presence) {
        if presence.kind != PresenceKind::Unavailable {
            return;
        }
        let Some(from) = &presence.from else { return };
        let mut table = self.table();
        let is_gone = |key: &Key| *key.peer == *from || (from.is_bare() && key.peer.bare_str() == from.as_str());
        // Whoever cannot take it any more has to end.
        table.sessions.retain(|key, mailbox| !is_gone(key) || mailbox.try_send((Mail::Unavailable, None)).is_ok());
    }

    /// A new login: nobody finds our sessions under the new name.
    pub(crate) fn renamed(&self) {
        let mut table = self.table();
        table.sessions.retain(|_, mailbox| mailbox.try_send((Mail::Renamed, None)).is_ok());
        table.in_band.clear();
        table.proposals.clear();
    }

    /// A mailbox for a session of ours about these files.
    pub(crate) fn begin<'a>(
        &self,
        key: Key,
        direction: Direction,
        files: impl IntoIterator<Item = &'a JingleFile>,
    ) -> Result<Mailbox<Mail>, JingleRefusal> {
        let held = self.hold(&key, 0)?;
        self.table().open.begin(&key.peer, &key.sid, direction, files)?;
        Ok(self.opened(key, held))
    }

    /// A mailbox for a session that the peer begins by this, which is so heavy and may have room already.
    pub(super) fn admit(&self, key: Key, jingle: &Jingle, bytes: usize, arrived: Option<Held>) -> Result<Mailbox<Mail>, JingleRefusal> {
        let held = self.hold_session(&key, bytes, arrived)?;
        match self.table().open.admit(&key.peer, jingle)? {
            jingle::Admission::Known => return Err(JingleRefusal::OutOfOrder),
            // If ours gives way, their refusal of it says so.
            jingle::Admission::New { .. } => {}
        }
        Ok(self.opened(key, held))
    }

    /// The peer knows of a session of ours.
    pub(crate) fn acknowledged(&self, key: &Key) {
        self.table().open.acknowledged(&key.peer, &key.sid);
    }

    fn opened(&self, key: Key, held: Held) -> Mailbox<Mail> {
        let (sender, mail) = mpsc::channel(MAILBOX);
        self.table().sessions.insert(key.clone(), sender);
        Mailbox { mail, table: Arc::clone(&self.table), entry: Entry::Session(key), held: Some(held) }
    }

    /// A mailbox for a transfer that is no Jingle session, and is told of its peer like one.
    pub(crate) fn session(&self, key: Key) -> Result<Mailbox<Mail>, NoRoom> {
        let held = self.hold(&key, 0)?;
        self.older(key, held)
    }

    /// The same, where the peer begins it by this.
    pub(super) fn admit_older(&self, key: Key, request: &Iq, arrived: Option<Held>) -> Result<Mailbox<Mail>, NoRoom> {
        let held = self.hold_session(&key, weight_of(request), arrived)?;
        self.older(key, held)
    }

    fn older(&self, key: Key, held: Held) -> Result<Mailbox<Mail>, NoRoom> {
        {
            let table = self.table();
            if table.sessions.contains_key(&key) {
                return Err(NoRoom::Taken);
            }
            let with_one = table.sessions.keys().filter(|other| other.peer.bare_str() == key.peer.bare_str()).count();
            if with_one >= WITH_ONE || table.sessions.len() >= IN_ALL {
                return Err(NoRoom::TooMany);
            }
        }
        Ok(self.opened(key, held))
    }

    /// A mailbox for an in-band stream; one that was there ends.
    pub(crate) fn in_band(&self, key: Key) -> Mailbox<InBand> {
        let (sender, mail) = mpsc::channel(MAILBOX);
        self.table().in_band.insert(key.clone(), sender);
        Mailbox { mail, table: Arc::clone(&self.table), entry: Entry::InBand(key), held: None }
    }

    /// A mailbox for what is said to a proposal of ours.
    pub(crate) fn proposal(&self, to: BareJid, id: String) -> Mailbox<Message> {
        let (sender, mail) = mpsc::channel(MAILBOX);
        self.table().proposals.insert((to.clone(), id.clone()), sender);
        Mailbox { mail, table: Arc::clone(&self.table), entry: Entry::Proposal(to, id), held: None }
    }

    /// Sessions under way.
    pub(crate) fn sessions(&self) -> usize {
        self.table().sessions.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

/// No step leaves it half changed.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<Mail> for Option<Iq> {
    fn from(mail: Mail) -> Self {
        match mail {
            Mail::Request(request) => Some(*request),
            Mail::Unavailable | Mail::Renamed => None,
        }
    }
}

impl From<InBand> for Option<Iq> {
    fn from(mail: InBand) -> Self {
        match mail {
            InBand::Request(request) => Some(request),
            InBand::Message(_) => None,
        }
    }
}

/// Whether a session is about what we have, and nothing else.
fn asks(jingle: &Element) -> bool {
    let mut contents = jingle.children().filter(|child| child.name() == "content").peekable();
    contents.peek().is_some() && contents.all(|content| content.attr("senders") == Some("responder"))
}

/// Whether it is no longer than a block of a stream can be: nothing longer waits for a reader who takes their time.
fn is_block(payload: &Element) -> bool {
    let attributes = payload.attributes().iter().map(|attribute| attribute.value().len());
    let inside = payload.nodes().iter().map(|node| match node {
        Node::Text(text) => text.len(),
        Node::Element(_) => LONGEST_BLOCK,
    });
    attributes.chain(inside).sum::<usize>() < LONGEST_BLOCK
}

fn weight_of(request: &Iq) -> usize {
    request.request().map(Element::weight).unwrap_or_default()
}

/// Whether it was never there or is over: nobody can tell.
pub(super) fn unknown_session(request: &Iq) -> Iq {
    let is_jingle = matches!(&request.kind, IqKind::Set(payload) | IqKind::Get(payload) if payload.ns() == ns::JINGLE);
    let error = StanzaError::new(DefinedCondition::ItemNotFound);
    request.refuse(if is_jingle { error.with_application(Element::new("unknown-session", ns::JINGLE_ERRORS)) } else { error })
}

/// Stream initiation, XEP-0095.
const STREAM_INITIATION: &str = "http://jabber.org/protocol/si";

#[cfg(test)]
mod crowded;
#[cfg(test)]
mod tests;
