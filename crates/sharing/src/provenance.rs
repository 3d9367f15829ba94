//! Who says so, and how we know: decided once, where a stanza comes in, carried along from there.
//!
//! Only the constructors here make a [`Provenance`], and each checks what its way of coming asks for: a message comes straight
//! from its sender, through a room, as a carbon or from an archive, or was sent by ourselves.

pub(crate) mod copies;
mod record;
mod room;

pub use room::RoomFacts;

use balcony_wire::jingle::Jingle;
use balcony_wire::stanza::MessageKind;
use balcony_wire::stanza_ids::OriginId;
use balcony_wire::stream_initiation::Si;
use balcony_wire::{BareJid, Element, Jid, Message, Payload as _};

use crate::dialect::{initiation, session};

/// Something together with who it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<T> {
    inner: T,
    provenance: Provenance,
}

/// Who said something, to which of our accounts, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    account: BareJid,
    sender: Jid,
    addressee: Option<Jid>,
    way: Way,
    talk: Talk,
    speaker: Speaker,
    targets: Vec<String>,
}

/// How something came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Straight from its sender, stamped by the servers on the way.
    Direct,
    /// We sent it ourselves.
    Own,
    /// Sent to another of our devices and copied to us by our own account (XEP-0280).
    CarbonReceived,
    /// Sent by another of our devices and copied to us by our own account (XEP-0280).
    CarbonSent,
    /// Reflected by a room; the sender is an occupant, whose nick proves nothing.
    Room,
    /// Said to us alone by an occupant of a room (XEP-0045 §7.5), whose nick proves nothing.
    RoomPrivate,
    /// Handed out by the archive of our own account (XEP-0313).
    Archive,
    /// Said in a room once and handed out by an archive; the sender is an occupant, whose nick proves nothing.
    RoomArchive,
    /// In a session that its sender opened with us (XEP-0166).
    Session,
    /// An error: somebody on the way gives back what we said ourselves. Nothing in it is the sender's word (decision 50).
    Bounce,
}

/// Within which people something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Talk {
    /// With one person.
    Person(BareJid),
    /// In a room, for all to hear.
    Room(BareJid),
    /// With one occupant of a room.
    Private(Jid),
}

/// What tells one speaker from another (decision 5).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Speaker {
    /// The bare JID.
    Person,
    /// In rooms the occupant-id, else the real address; each only where the room vouches for it.
    Occupant { id: Option<String>, real: Option<BareJid> },
    /// Nobody: it only repeats what somebody else said.
    Echo,
}

/// Why a stanza has no provenance to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// A room reflects it: who speaks is decided by the room's rules, not by the address.
    #[error("the message comes from a room and not from a person")]
    Room,
    /// No room reflects it, or another one than is spoken of.
    #[error("the message does not come from a room")]
    NoRoom,
    /// A copy that does not come from the own account.
    #[error("{0} hands us a copy of a message, which only our own account may do")]
    Forged(Jid),
    /// A copy of what we are said to have sent, in somebody else's name.
    #[error("the copy of what another of our devices sent names {0} as its sender")]
    NotOurs(Jid),
    /// An archived message from somebody whose archive it cannot be.
    #[error("{0} hands us an archived message, which only our own archive or that of the room may do")]
    ForeignArchive(Jid),
    /// An archived message that answers no open query.
    #[error("it is the result of no query that is open")]
    NotAsked,
    /// There is no copied message inside.
    #[error("the message holds no copy of another one")]
    NoCopy,
    /// A session is opened by a device, and this is none.
    #[error("{0} is no device that could open a session")]
    NoDevice(Jid),
    /// What speaks of a session and opens none, or has no name to be answered by.
    #[error("no session is opened by it")]
    NoSession,
    /// A record of the catalogue that nobody here wrote.
    #[error("the stored note about who sent this cannot be read")]
    Record,
}

impl<T> Received<T> {
    /// What came.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// What came, taken out.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Who it came from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}

impl Received<Message> {
    /// A message that came to `account` straight from its sender, or in private through a room that says so. One without `from` is
    /// from the account itself (RFC 6120 §8.1.2.1). An error is nobody's word.
    ///
    /// # Errors
    /// [`ProvenanceError::Room`] for a message of type groupchat.
    pub fn direct(message: Message, account: &BareJid) -> Result<Self, ProvenanceError> {
        if message.kind == MessageKind::Groupchat {
            return Err(ProvenanceError::Room);
        }
        let sender = message.from.clone().unwrap_or_else(|| account.clone().into());
        let way = match message.kind {
            MessageKind::Error => Way::Bounce,
            _ if sender.bare() == *account => Way::Own,
            _ if room::is_private(&message) => Way::RoomPrivate,
            _ => Way::Direct,
        };
        Ok(Self::of(message, account, sender, way))
    }

    /// What a device offers `account` in a session that it opens or adds to: the `jingle` element of its request, as if it stood in a
    /// message, since that is how offers are kept. The peer is the `from` that servers stamped; who the element calls initiator is
    /// nobody's proof.
    ///
    /// # Errors
    /// [`ProvenanceError::NoDevice`] for a peer that is none, [`ProvenanceError::NoSession`] for an element that opens nothing.
    pub fn session(peer: &Jid, account: &BareJid, jingle: &Element) -> Result<Self, ProvenanceError> {
        let device = peer.resource().ok_or_else(|| ProvenanceError::NoDevice(peer.clone()))?;
        let sid = jingle.attr("sid").filter(|sid| is_usable_id(sid) && Jingle::matches(jingle)).ok_or(ProvenanceError::NoSession)?;
        if !session::is_offer(jingle) {
            return Err(ProvenanceError::NoSession);
        }
        // Other programs count their sessions from 1 at each start, so what is offered is a part of the name.
        let id = format!("jingle {sid} {device} {}", session::fingerprint(jingle));
        let message = Message {
            from: Some(peer.clone()),
            to: Some(account.clone().into()),
            id: Some(id),
            payloads: vec![jingle.clone()],
            ..Message::new(MessageKind::Normal, None)
        };
        Ok(Self::of(message, account, peer.clone(), Way::Session))
    }

    /// What a device offers `account` by stream initiation: the `si` element of its request, as if it stood in a message.
    ///
    /// # Errors
    /// As for [`Received::session`].
    pub fn initiation(peer: &Jid, account: &BareJid, si: &Element) -> Result<Self, ProvenanceError> {
        let device = peer.resource().ok_or_else(|| ProvenanceError::NoDevice(peer.clone()))?;
        if !Si::matches(si) || !initiation::is_offer(si) {
            return Err(ProvenanceError::NoSession);
        }
        let message = Message {
            from: Some(peer.clone()),
            to: Some(account.clone().into()),
            id: Some(format!("si {} {device}", si.attr("id").unwrap_or_default())),
            payloads: vec![si.clone()],
            ..Message::new(MessageKind::Normal, None)
        };
        Ok(Self::of(message, account, peer.clone(), Way::Session))
    }

    /// A message that we send from `account`.
    #[must_use]
    pub fn own(message: Message, account: &BareJid) -> Self {
        let sender = message.from.clone().filter(|from| from.bare() == *account).unwrap_or_else(|| account.clone().into());
        Self::of(message, account, sender, Way::Own)
    }

    /// A message read from the catalogue together with the note that [`Provenance::to_record`] made.
    ///
    /// # Errors
    /// [`ProvenanceError::Record`] when the note is none of ours.
    pub fn from_record(message: Message, record: &str) -> Result<Self, ProvenanceError> {
        let provenance = Provenance::from_record(&message, record)?;
        Ok(Self { inner: message, provenance })
    }

    fn of(message: Message, account: &BareJid, sender: Jid, way: Way) -> Self {
        let provenance = Provenance::of_message(&message, account.clone(), sender, way);
        Self { inner: message, provenance }
    }
}

impl Provenance {
    /// What a message says of itself that its way of coming makes believable; what only a room can vouch for is still missing.
    fn of_message(message: &Message, account: BareJid, sender: Jid, way: Way) -> Self {
        let addressee = message.to.clone();
        let is_own = sender.bare() == account;
        let peer = if is_own { addressee.clone().unwrap_or_else(|| account.clone().into()) } else { sender.clone() };
        let talk = match () {
            () if way.is_reflected() || message.kind == MessageKind::Groupchat => Talk::Room(peer.bare()),
            () if peer.resource().is_some() && (way == Way::RoomPrivate || room::is_private(message)) => Talk::Private(peer),
            () => Talk::Person(peer.bare()),
        };
        let speaker = match &talk {
            _ if way == Way::Bounce => Speaker::Echo,
            Talk::Room(_) if is_own => Speaker::Occupant { id: None, real: Some(account.clone()) },
            Talk::Room(_) => Speaker::Occupant { id: None, real: None },
            Talk::Private(_) if !is_own => Speaker::Occupant { id: None, real: None },
            Talk::Private(_) | Talk::Person(_) => Speaker::Person,
        };
        let targets = if matches!(talk, Talk::Room(_)) || way == Way::Bounce { Vec::new() } else { own_ids(message) };
        Self { account, sender, addressee, way, talk, speaker, targets }
    }

    /// Of what stands in a stanza that is no message.
    pub(crate) fn of_stanza(sender: Jid, addressee: Option<Jid>, account: BareJid) -> Self {
        let way = if sender.bare() == account { Way::Own } else { Way::Direct };
        let peer = addressee.as_ref().filter(|_| way == Way::Own).unwrap_or(&sender);
        let talk = Talk::Person(peer.bare());
        Self { account, sender, addressee, way, talk, speaker: Speaker::Person, targets: Vec::new() }
    }

    /// Our account that it came to, or from.
    pub fn account(&self) -> &BareJid {
        &self.account
    }

    /// Who said it.
    pub fn sender(&self) -> &Jid {
        &self.sender
    }

    /// The person who said it: the bare JID, in rooms the real one where the room shows it. A nick is no person.
    pub fn person(&self) -> Option<BareJid> {
        match &self.speaker {
            Speaker::Person => Some(self.sender.bare()),
            Speaker::Occupant { real, .. } => real.clone(),
            Speaker::Echo => None,
        }
    }

    /// In rooms: who of those in it, by what the room says and nobody can take from them. None where the room vouches for nobody.
    pub fn occupant(&self) -> Option<&str> {
        match &self.speaker {
            Speaker::Occupant { id, real } => id.as_deref().or(real.as_ref().map(|real| real.as_str())),
            Speaker::Person | Speaker::Echo => None,
        }
    }

    /// How it came.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Whether one of our own devices said it.
    pub fn is_own(&self) -> bool {
        self.person().is_some_and(|person| person == self.account)
    }

    /// Whether it was said in a room, to all or in private.
    pub fn is_in_room(&self) -> bool {
        !matches!(self.talk, Talk::Person(_))
    }

    /// The other side of the conversation: the sender, whom we sent it to, or the room.
    pub fn conversation(&self) -> BareJid {
        match &self.talk {
            Talk::Person(person) => person.clone(),
            Talk::Room(room) => room.clone(),
            Talk::Private(occupant) => occupant.bare(),
        }
    }

    /// Whether both belong to one conversation. What is said in private in a room belongs to the occupant's nick, not to the room.
    pub fn is_same_conversation(&self, other: &Self) -> bool {
        self.account == other.account && self.talk == other.talk
    }

    /// Whether both were said by the same person: by bare JID outside rooms; in the same room by occupant-id, else by the real
    /// address, never by nick (decision 5).
    pub fn is_same_sender(&self, other: &Self) -> bool {
        match (&self.speaker, &other.speaker) {
            (Speaker::Person, Speaker::Person) => self.sender.bare() == other.sender.bare(),
            (Speaker::Occupant { id: Some(id), .. }, Speaker::Occupant { id: Some(other_id), .. }) => {
                self.conversation() == other.conversation() && id == other_id
            }
            (Speaker::Occupant { real: Some(real), .. }, Speaker::Occupant { real: Some(other_real), .. }) => {
                self.conversation() == other.conversation() && real == other_real
            }
            _ => false,
        }
    }

    /// By which ids other messages may belong to this one, the surest first (XEP-0367 §4.1): in rooms the one that the room gave,
    /// elsewhere the origin-id, then the id of the message. None where nothing can name it.
    pub fn target_ids(&self) -> &[String] {
        &self.targets
    }

    /// By which name the message is known in the catalogue, so that a repetition is told: the surest of its ids. Where a room gives
    /// none, its own id counts together with the nick, as everybody may choose any.
    pub(crate) fn name_of(&self, message: &Message) -> Option<String> {
        let in_room = || own_ids(message).into_iter().next().map(|id| format!("{}\n{id}", self.sender.resource().unwrap_or_default()));
        self.targets.first().cloned().or_else(|| if self.way.is_reflected() { in_room() } else { None })
    }
}

impl Way {
    const ALL: [Self; 10] = [
        Self::Direct,
        Self::Own,
        Self::CarbonReceived,
        Self::CarbonSent,
        Self::Room,
        Self::RoomPrivate,
        Self::Archive,
        Self::RoomArchive,
        Self::Session,
        Self::Bounce,
    ];

    /// The word that notes and `explain` use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Own => "own",
            Self::CarbonReceived => "carbon-received",
            Self::CarbonSent => "carbon-sent",
            Self::Room => "room",
            Self::RoomPrivate => "room-private",
            Self::Archive => "archive",
            Self::RoomArchive => "room-archive",
            Self::Session => "session",
            Self::Bounce => "bounce",
        }
    }

    /// Whether the sender is known by a nick.
    pub fn is_room(self) -> bool {
        self.is_reflected() || self == Self::RoomPrivate
    }

    /// Whether a room said it to all.
    fn is_reflected(self) -> bool {
        matches!(self, Self::Room | Self::RoomArchive)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == name)
    }
}

impl std::fmt::Display for Provenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.way {
            Way::Direct => write!(f, "sent by {}", self.sender),
            Way::Own => write!(f, "sent by ourselves ({})", self.sender),
            Way::CarbonReceived => write!(f, "sent by {}, copied by our account", self.sender),
            Way::CarbonSent => write!(f, "sent by our other device {}", self.sender),
            Way::Room => write!(f, "sent by somebody in a room as {}", self.sender),
            Way::RoomPrivate => write!(f, "sent to us alone by somebody in a room as {}", self.sender),
            Way::Archive => write!(f, "sent by {}, kept in our archive", self.sender),
            Way::RoomArchive => write!(f, "sent by somebody in a room as {}, kept in an archive", self.sender),
            Way::Session => write!(f, "offered by {} in a session", self.sender),
            Way::Bounce => write!(f, "given back by {}", self.sender),
        }
    }
}

/// Longest id that is used, in bytes.
const MAX_ID: usize = 1023;

/// Whether an id of somebody else is fit to be compared and kept.
pub(crate) fn is_usable_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID && !id.chars().any(char::is_control)
}

/// The ids that a message bears by its sender's choice: origin-id, then its own.
fn own_ids(message: &Message) -> Vec<String> {
    let origin = message.payload::<OriginId>().and_then(Result::ok).map(|origin| origin.id);
    let mut ids: Vec<String> = origin.into_iter().chain(message.id.clone()).filter(|id| is_usable_id(id)).collect();
    ids.dedup();
    ids
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use balcony_wire::Element;
    use balcony_wire::stanza::Stanza;

    use super::*;

    pub(super) fn message(xml: &str) -> Message {
        match Stanza::read(Element::parse(xml).unwrap()).unwrap() {
            Stanza::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn juliet() -> BareJid {
        Jid::parse("juliet@capulet.lit").unwrap().into_bare().unwrap()
    }

    #[test]
    fn a_room_is_no_person() {
        let reflected = message("<message xmlns='jabber:client' type='groupchat' from='room@muc.lit/romeo'><body>hi</body></message>");
        assert_eq!(Received::direct(reflected, &juliet()), Err(ProvenanceError::Room));
    }

    /// Decision 50.
    #[test]
    fn an_error_is_nobodys_word() {
        let bounce =
            message("<message xmlns='jabber:client' type='error' id='1' from='romeo@montague.lit/orchard' to='juliet@capulet.lit'/>");
        let said = Received::direct(bounce, &juliet()).unwrap();
        let provenance = said.provenance();
        assert_eq!((provenance.way(), provenance.person(), provenance.target_ids()), (Way::Bounce, None, &[][..]));
        assert!(!provenance.is_same_sender(provenance) && !provenance.is_own());
        assert_eq!(provenance.to_string(), "given back by romeo@montague.lit/orchard");
        let own = message("<message xmlns='jabber:client' type='error' from='juliet@capulet.lit' to='juliet@capulet.lit/1'/>");
        assert!(!Received::direct(own, &juliet()).unwrap().provenance().is_own());
    }

    /// Decision 5.
    /// Proves: SFS-6-D1.
    #[test]
    fn a_person_is_the_same_on_all_devices_and_nobody_else_is() {
        let by = |from: &str| {
            let xml = format!("<message xmlns='jabber:client' from='{from}' to='juliet@capulet.lit/1'/>");
            Received::direct(message(&xml), &juliet()).unwrap().provenance
        };
        assert!(by("romeo@montague.lit/orchard").is_same_sender(&by("romeo@montague.lit/phone")));
        assert!(by("romeo@montague.lit/orchard").is_same_sender(&by("romeo@montague.lit")));
        for other in ["mallory@montague.lit", "romeo@evil.example", "montague.lit", "montague.lit/romeo", "juliet@capulet.lit"] {
            assert!(!by("romeo@montague.lit/orchard").is_same_sender(&by(other)), "{other}");
        }
    }

    #[test]
    fn a_message_is_named_by_its_origin_id_then_by_its_own() {
        let ids = |attributes: &str, inside: &str| {
            let xml = format!("<message xmlns='jabber:client' from='romeo@montague.lit/1' {attributes}>{inside}</message>");
            Received::direct(message(&xml), &juliet()).unwrap().provenance.targets
        };
        let origin = "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>";
        assert_eq!(ids("id='m'", origin), ["o", "m"]);
        assert_eq!(ids("id='o'", origin), ["o"]);
        assert_eq!(ids("id='m'", ""), ["m"]);
        assert_eq!(ids("", ""), [""; 0]);
        assert_eq!(ids("id=''", ""), [""; 0]);
        assert_eq!(ids("id='a&#10;b'", ""), [""; 0], "it would be two lines of a note");
        assert_eq!(ids(&format!("id='{}'", "a".repeat(MAX_ID + 1)), ""), [""; 0]);
        let foreign = "<stanza-id xmlns='urn:xmpp:sid:0' id='s' by='romeo@montague.lit'/>";
        assert_eq!(ids("id='m'", foreign), ["m"], "outside rooms nobody else names messages");
    }
}
