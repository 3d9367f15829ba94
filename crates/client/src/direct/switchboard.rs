//! Who gets what comes for sessions and streams: a table that the connection's task looks into. Each stanza goes straight into the
//! bounded mailbox of its session, found by who sent it together with the id they chose; nobody reaches the session of somebody else.
//! What begins something new goes to the reception. Where there are too many, the answer is given at once.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html> (§7.1, §10)
//! XEP-0047 In-Band Bytestreams, v2.0.1 <https://xmpp.org/extensions/xep-0047.html> (§2.2)

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use balcony_sharing::plan::Contacts;
use balcony_sharing::transfer::jingle::{self, Bounds, Direction, JingleRefusal};
use balcony_wire::jingle::Jingle;
use balcony_wire::jingle_file::JingleFile;
use balcony_wire::stanza::{DefinedCondition, MessageKind, PresenceKind};
use balcony_wire::{BareJid, Element, FullJid, Iq, IqKind, Message, Presence, StanzaError, ns};
use tokio::sync::{mpsc, watch};

use super::publish::Expected;

/// What may wait for one session or stream; a peer that keeps to the windows we know of never fills it.
const MAILBOX: usize = 64;
/// Devices of which that is remembered.
const SLOW: usize = 64;
/// What begins something new and waits to be looked at.
const ARRIVALS: usize = 64;
/// Of these, what comes from one person: nobody keeps the others out.
const OF_ONE: usize = 16;
/// Transfers with one device of which nobody keeps a table but this one.
const WITH_ONE: usize = 64;
/// Sessions and other transfers in all.
const IN_ALL: usize = 256;
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
}

/// The table. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Switchboard {
    table: Arc<Mutex<Table>>,
    arrivals: mpsc::Sender<(Arrival, Place)>,
    account: BareJid,
    contacts: watch::Receiver<Arc<Contacts>>,
    expected: Expected,
}

#[derive(Debug)]
struct Table {
    /// Which sessions may be there.
    open: jingle::Table,
    /// What waits to be looked at, by who sent it.
    waiting: HashMap<BareJid, usize>,
    sessions: HashMap<Key, mpsc::Sender<Mail>>,
    in_band: HashMap<Key, mpsc::Sender<InBand>>,
    /// What we proposed, by whom it is for and its id.
    proposals: HashMap<(BareJid, String), mpsc::Sender<Message>>,
    /// Devices that take blocks of in-band streams only one by one, the latest last.
    slow: VecDeque<FullJid>,
}

/// The place that something new takes until it was looked at.
#[derive(Debug)]
pub(crate) struct Place {
    person: BareJid,
    table: Arc<Mutex<Table>>,
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

/// A mailbox. Dropping it takes it out of the table.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    mail: mpsc::Receiver<T>,
    table: Arc<Mutex<Table>>,
    entry: Entry,
}

/// The mailbox of an in-band stream.
pub(crate) type InBandMail = Mailbox<InBand>;

#[derive(Debug)]
enum Entry {
    Session(Key),
    InBand(Key),
    Proposal(BareJid, String),
}

impl Arrival {
    fn person(&self) -> Option<BareJid> {
        match self {
            Self::Session(request) | Self::Start(request) | Self::Older(request) => request.from.as_ref().map(|from| from.bare()),
            Self::Added(peer, _) => Some(peer.bare()),
            Self::Message(message) => message.from.as_ref().map(|from| from.bare()),
        }
    }

    /// The answer where there is no room.
    fn refused(self) -> Option<Iq> {
        match self {
            Self::Session(request) | Self::Start(request) | Self::Older(request) => Some(too_many(&request)),
            Self::Added(..) | Self::Message(_) => None,
        }
    }
}

/// There is no room for one more session, or there is one of that name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    TooMany,
    Taken,
}

impl Switchboard {
    /// The table, and where the reception finds what is new.
    pub(crate) fn new(
        account: BareJid,
        contacts: watch::Receiver<Arc<Contacts>>,
        expected: Expected,
    ) -> (Self, mpsc::Receiver<(Arrival, Place)>) {
        let (arrivals, arriving) = mpsc::channel(ARRIVALS);
        let table = Table {
            open: jingle::Table::new(BOUNDS),
            waiting: HashMap::new(),
            sessions: HashMap::new(),
            in_band: HashMap::new(),
            proposals: HashMap::new(),
            slow: Default::default(),
        };
        (Self { table: Arc::new(Mutex::new(table)), arrivals, account, contacts, expected }, arriving)
    }

    /// For somebody without contacts.
    #[cfg(test)]
    pub(crate) fn alone() -> (Self, mpsc::Receiver<(Arrival, Place)>) {
        let account = "juliet@capulet.example".parse().expect("an address");
        Self::new(account, watch::channel(Arc::default()).1, Expected::new().0)
    }

    /// Whether a person is known here: a contact, or ourselves.
    pub(crate) fn knows(&self, person: &BareJid) -> bool {
        *person == self.account || self.contacts.borrow().groups(person).is_some()
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
                Some(mailbox) => put(mailbox, InBand::Request(request)),
                None => Some(request.refuse(StanzaError::new(DefinedCondition::ItemNotFound))),
            },
            ns::JINGLE_PUB => self.arrive(Arrival::Start(request)),
            _ => self.arrive(Arrival::Older(request)),
        }
    }

    fn jingle(&self, key: Key, request: Iq) -> Option<Iq> {
        let (IqKind::Set(payload) | IqKind::Get(payload)) = &request.kind else { return None };
        let (begins, asks) = (payload.attr("action") == Some("session-initiate"), asks(payload));
        if let Some(mailbox) = self.table().sessions.get(&key) {
            return put(mailbox, Mail::Request(Box::new(request)));
        }
        if !begins {
            return Some(unknown_session(&request));
        }
        // One that we asked for may come from anybody.
        let request = self.expected.take(request)?;
        // To those whom the person does not know we look like a client that has never heard of sessions. They take no room, unless they
        // ask for a file: one that was offered to them by message, perhaps.
        if !asks && !self.knows(&key.peer.bare()) {
            return Some(request.refuse(StanzaError::new(DefinedCondition::ServiceUnavailable)));
        }
        self.arrive(Arrival::Session(request))
    }

    /// Something new that came on another way; what there is no room for is nothing new.
    pub(crate) fn arrive(&self, arrival: Arrival) -> Option<Iq> {
        let Some(person) = arrival.person() else { return arrival.refused() };
        {
            let mut table = self.table();
            let waiting = table.waiting.entry(person.clone()).or_default();
            if *waiting >= OF_ONE {
                return arrival.refused();
            }
            *waiting += 1;
        }
        let place = Place { person, table: Arc::clone(&self.table) };
        let (returned, _) = self.arrivals.try_send((arrival, place)).err()?.into_inner();
        returned.refused()
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
                    let mut table = self.table();
                    let is_full =
                        table.in_band.get(&key).is_some_and(|mailbox| mailbox.try_send(InBand::Message(message.clone())).is_err());
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
                        Some(proposal) => drop(proposal.try_send(message.clone())),
                        None => drop(self.arrive(Arrival::Message(message.clone()))),
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
        table.sessions.retain(|key, mailbox| !is_gone(key) || mailbox.try_send(Mail::Unavailable).is_ok());
    }

    /// A new login: nobody finds our sessions under the new name.
    pub(crate) fn renamed(&self) {
        let mut table = self.table();
        table.sessions.retain(|_, mailbox| mailbox.try_send(Mail::Renamed).is_ok());
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
        self.table().open.begin(&key.peer, &key.sid, direction, files)?;
        Ok(self.opened(key))
    }

    /// A mailbox for a session that the peer begins by this.
    pub(crate) fn admit(&self, key: Key, jingle: &Jingle) -> Result<Mailbox<Mail>, JingleRefusal> {
        match self.table().open.admit(&key.peer, jingle)? {
            jingle::Admission::Known => return Err(JingleRefusal::OutOfOrder),
            // If ours gives way, their refusal of it says so.
            jingle::Admission::New { .. } => {}
        }
        Ok(self.opened(key))
    }

    /// The peer knows of a session of ours.
    pub(crate) fn acknowledged(&self, key: &Key) {
        self.table().open.acknowledged(&key.peer, &key.sid);
    }

    fn opened(&self, key: Key) -> Mailbox<Mail> {
        let (sender, mail) = mpsc::channel(MAILBOX);
        self.table().sessions.insert(key.clone(), sender);
        Mailbox { mail, table: Arc::clone(&self.table), entry: Entry::Session(key) }
    }

    /// A mailbox for a transfer that is no Jingle session, and is told of its peer like one.
    pub(crate) fn session(&self, key: Key) -> Result<Mailbox<Mail>, NoRoom> {
        {
            let table = self.table();
            if table.sessions.contains_key(&key) {
                return Err(NoRoom::Taken);
            }
            let with_one = table.sessions.keys().filter(|other| other.peer == key.peer).count();
            if with_one >= WITH_ONE || table.sessions.len() >= IN_ALL {
                return Err(NoRoom::TooMany);
            }
        }
        Ok(self.opened(key))
    }

    /// A mailbox for an in-band stream; one that was there ends.
    pub(crate) fn in_band(&self, key: Key) -> Mailbox<InBand> {
        let (sender, mail) = mpsc::channel(MAILBOX);
        self.table().in_band.insert(key.clone(), sender);
        Mailbox { mail, table: Arc::clone(&self.table), entry: Entry::InBand(key) }
    }

    /// A mailbox for what is said to a proposal of ours.
    pub(crate) fn proposal(&self, to: BareJid, id: String) -> Mailbox<Message> {
        let (sender, mail) = mpsc::channel(MAILBOX);
        self.table().proposals.insert((to.clone(), id.clone()), sender);
        Mailbox { mail, table: Arc::clone(&self.table), entry: Entry::Proposal(to, id) }
    }

    /// Sessions under way.
    pub(crate) fn sessions(&self) -> usize {
        self.table().sessions.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

impl<T> Mailbox<T> {
    /// What came next; `None` once it is closed. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Option<T> {
        self.mail.recv().await
    }
}

impl Mailbox<InBand> {
    /// Whether the peer is known to take blocks only one by one.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(&self.entry, Entry::InBand(key) if lock(&self.table).slow.contains(&key.peer))
    }

    /// The peer refused a block while others were under way: its next stream gets one at a time.
    pub(crate) fn remember_slow(&self) {
        let Entry::InBand(key) = &self.entry else { return };
        let slow = &mut lock(&self.table).slow;
        slow.retain(|peer| *peer != key.peer);
        slow.push_back(key.peer.clone());
        while slow.len() > SLOW {
            slow.pop_front();
        }
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        // Before its entry goes: one that took its place under the same name stays.
        self.mail.close();
        let mut table = lock(&self.table);
        match &self.entry {
            Entry::Session(key) => {
                table.open.end(&key.peer, &key.sid);
                remove_closed(&mut table.sessions, key);
            }
            Entry::InBand(key) => remove_closed(&mut table.in_band, key),
            Entry::Proposal(to, id) => drop(table.proposals.remove(&(to.clone(), id.clone()))),
        }
    }
}

fn remove_closed<T>(mailboxes: &mut HashMap<Key, mpsc::Sender<T>>, key: &Key) {
    if mailboxes.get(key).is_some_and(mpsc::Sender::is_closed) {
        mailboxes.remove(key);
    }
}

/// No step leaves it half changed.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put<T: Into<Option<Iq>>>(mailbox: &mpsc::Sender<T>, mail: T) -> Option<Iq> {
    match mailbox.try_send(mail) {
        Ok(()) => None,
        Err(mpsc::error::TrySendError::Full(mail)) => mail.into().map(|request| too_many(&request)),
        // It ended a moment ago.
        Err(mpsc::error::TrySendError::Closed(mail)) => mail.into().map(|request| unknown_session(&request)),
    }
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

fn too_many(request: &Iq) -> Iq {
    request.refuse(StanzaError::new(DefinedCondition::ResourceConstraint))
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
mod tests {
    use balcony_wire::Jid;
    use balcony_wire::roster::RosterItem;

    use super::*;

    fn jingle(from: &str, action: &str, sid: &str) -> Iq {
        let payload = Element::new("jingle", ns::JINGLE).with_attr("action", action).with_attr("sid", sid);
        Iq { from: Some(Jid::parse(from).unwrap()), ..Iq::set("1", None, payload) }
    }

    fn switchboard() -> (Switchboard, mpsc::Receiver<(Arrival, Place)>) {
        let known = ["romeo@montague.example", "mercutio@montague.example"].map(|jid| RosterItem::new(Jid::parse(jid).unwrap()));
        let contacts = watch::channel(Arc::new(Contacts::from_items(known))).1;
        Switchboard::new("juliet@capulet.example".parse().unwrap(), contacts, Expected::new().0)
    }

    fn key(peer: &str, sid: &str) -> Key {
        Key { peer: Jid::parse(peer).unwrap().into_full().unwrap(), sid: sid.to_owned() }
    }

    fn refused(answer: Option<Iq>) -> StanzaError {
        match answer.map(|answer| answer.kind) {
            Some(IqKind::Error(error)) => error,
            other => panic!("no error: {other:?}"),
        }
    }

    /// Proves: JIN-D-1.
    #[tokio::test]
    async fn a_session_is_found_by_who_speaks_and_the_id_together() {
        let (switchboard, mut arrivals) = switchboard();
        let mut mine = switchboard.session(key("romeo@montague.example/balcony", "s1")).unwrap();
        assert_eq!(switchboard.take(jingle("romeo@montague.example/balcony", "session-info", "s1")), None);
        assert!(matches!(mine.next().await, Some(Mail::Request(_))));
        for (from, sid) in
            [("romeo@montague.example/other", "s1"), ("mallory@evil.example/x", "s1"), ("romeo@montague.example/balcony", "s2")]
        {
            let error = refused(switchboard.take(jingle(from, "session-terminate", sid)));
            assert_eq!(error.condition, DefinedCondition::ItemNotFound, "{from} {sid}");
            assert_eq!(error.application.unwrap().name(), "unknown-session");
        }
        // Who begins one is somebody else's business, also under an id that is taken with another.
        assert_eq!(switchboard.take(jingle("mercutio@montague.example/x", "session-initiate", "s1")), None);
        assert!(matches!(arrivals.recv().await, Some((Arrival::Session(_), _))));
        drop(mine);
        refused(switchboard.take(jingle("romeo@montague.example/balcony", "session-info", "s1")));
    }

    #[tokio::test]
    async fn who_sends_too_much_is_told_so_at_once() {
        let (switchboard, _arrivals) = switchboard();
        let full = key("romeo@montague.example/balcony", "s1");
        let _session = switchboard.session(full.clone()).unwrap();
        for _ in 0..MAILBOX {
            assert_eq!(switchboard.take(jingle(full.peer.as_str(), "session-info", "s1")), None);
        }
        let error = refused(switchboard.take(jingle(full.peer.as_str(), "session-info", "s1")));
        assert_eq!(error.condition, DefinedCondition::ResourceConstraint);
    }

    /// Proves: JIN-6.3-2, JIN-13-1.
    #[tokio::test]
    async fn strangers_take_no_room_and_one_contact_never_all_of_it() {
        let (switchboard, mut arrivals) = switchboard();
        for _ in 0..ARRIVALS * 2 {
            let error = refused(switchboard.take(jingle("mallory@evil.example/x", "session-initiate", "s")));
            assert_eq!(error.condition, DefinedCondition::ServiceUnavailable, "as if we had never heard of sessions");
        }
        for _ in 0..OF_ONE {
            assert_eq!(switchboard.take(jingle("mercutio@montague.example/x", "session-initiate", "s")), None);
        }
        let error = refused(switchboard.take(jingle("mercutio@montague.example/phone", "session-initiate", "more")));
        assert_eq!(error.condition, DefinedCondition::ResourceConstraint);
        assert_eq!(switchboard.take(jingle("romeo@montague.example/x", "session-initiate", "s")), None);
        // Whatever was looked at makes room.
        drop(arrivals.recv().await);
        assert_eq!(switchboard.take(jingle("mercutio@montague.example/x", "session-initiate", "s")), None);
    }

    #[test]
    fn so_many_sessions_with_one_device_and_so_many_in_all() {
        let (switchboard, _arrivals) = switchboard();
        let mut open = Vec::new();
        let mut fill = |person: &str, count: usize| {
            for sid in 0..count {
                open.push(switchboard.session(key(&format!("{person}@montague.example/balcony"), &format!("s{sid}"))).unwrap());
            }
        };
        fill("romeo", WITH_ONE);
        assert_eq!(switchboard.session(key("romeo@montague.example/balcony", "more")).unwrap_err(), NoRoom::TooMany);
        assert_eq!(switchboard.session(key("romeo@montague.example/balcony", "s0")).unwrap_err(), NoRoom::Taken);
        for person in 0..(IN_ALL - WITH_ONE) / 4 {
            fill(&format!("person{person}"), 4);
        }
        assert_eq!(switchboard.session(key("juliet@capulet.example/balcony", "s")).unwrap_err(), NoRoom::TooMany);
        open.clear();
        assert_eq!(switchboard.sessions(), 0);
    }

    /// Proves: IBB-D-1.
    #[tokio::test]
    async fn chunks_are_taken_only_from_the_peer_of_the_stream() {
        let (switchboard, _arrivals) = switchboard();
        let mut stream = switchboard.in_band(key("romeo@montague.example/balcony", "i1"));
        let data = Element::new("data", ns::IBB).with_attr("sid", "i1").with_attr("seq", "0");
        let chunk = |from: &str| Iq { from: Some(Jid::parse(from).unwrap()), ..Iq::set("1", None, data.clone()) };
        assert_eq!(refused(switchboard.take(chunk("mallory@evil.example/x"))).condition, DefinedCondition::ItemNotFound);
        assert_eq!(switchboard.take(chunk("romeo@montague.example/balcony")), None);
        let mut message = Message::new(MessageKind::Normal, None);
        message.payloads.push(data.clone());
        for from in ["mallory@evil.example/x", "romeo@montague.example/balcony"] {
            message.from = Some(Jid::parse(from).unwrap());
            switchboard.hear(&message);
        }
        assert!(matches!(stream.next().await, Some(InBand::Request(_))));
        assert!(
            matches!(stream.next().await, Some(InBand::Message(message)) if message.from.as_ref().unwrap().domain() == "montague.example")
        );
        // A hole cannot be mended: the stream ends instead.
        for _ in 0..=MAILBOX {
            switchboard.hear(&message);
        }
        for _ in 0..MAILBOX {
            assert!(stream.next().await.is_some());
        }
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_device_that_goes_offline_is_told_to_its_sessions_and_to_no_other() {
        let (switchboard, _arrivals) = switchboard();
        let mut romeos = switchboard.session(key("romeo@montague.example/balcony", "s1")).unwrap();
        let mut others = switchboard.session(key("romeo@montague.example/phone", "s1")).unwrap();
        let mut gone = Presence::new(PresenceKind::Unavailable, None);
        gone.from = Some(Jid::parse("romeo@montague.example/balcony").unwrap());
        switchboard.see(&gone);
        assert!(matches!(romeos.next().await, Some(Mail::Unavailable)));
        switchboard.renamed();
        assert!(matches!(others.next().await, Some(Mail::Renamed)), "nothing came before");
    }
}
