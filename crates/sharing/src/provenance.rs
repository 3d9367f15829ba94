//! Who says so, and how we know: decided once, where a stanza comes in, carried along from there.
//!
//! Only the constructors here make a [`Provenance`], and each checks what its way of coming asks for: a message comes straight
//! from its sender, through a room, as a carbon or from an archive, or was sent by ourselves.

pub(crate) mod copies;

use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Jid, Message};

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
    /// Handed out by the archive of our own account (XEP-0313).
    Archive,
    /// Said in a room once and handed out by an archive; the sender is an occupant, whose nick proves nothing.
    RoomArchive,
}

/// Why a stanza has no provenance to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// A room reflects it: who speaks is decided by the room's rules, not by the address.
    #[error("the message comes from a room and not from a person")]
    Room,
    /// No room reflects it.
    #[error("the message does not come from a room")]
    NoRoom,
    /// A copy that does not come from the own account.
    #[error("{0} hands us a copy of a message, which only our own account may do")]
    Forged(Jid),
    /// An archived message from somebody whose archive it cannot be.
    #[error("{0} hands us an archived message, which only our own archive or that of the room may do")]
    ForeignArchive(Jid),
    /// An archived message that answers no open query.
    #[error("it is the result of no query that is open")]
    NotAsked,
    /// There is no copied message inside.
    #[error("the message holds no copy of another one")]
    NoCopy,
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
    /// A message that came to `account` straight from its sender. One without `from` is from the account itself (RFC 6120 §8.1.2.1).
    ///
    /// # Errors
    /// [`ProvenanceError::Room`] for a message of type groupchat.
    pub fn direct(message: Message, account: &BareJid) -> Result<Self, ProvenanceError> {
        if message.kind == MessageKind::Groupchat {
            return Err(ProvenanceError::Room);
        }
        let sender = message.from.clone().unwrap_or_else(|| account.clone().into());
        let way = if sender.bare() == *account { Way::Own } else { Way::Direct };
        Ok(Self::of(message, account, sender, way))
    }

    /// A message that a room reflects.
    ///
    /// # Errors
    /// [`ProvenanceError::NoRoom`] for any type but groupchat, and without a sender.
    pub fn room(message: Message, account: &BareJid) -> Result<Self, ProvenanceError> {
        match message.from.clone() {
            Some(sender) if message.kind == MessageKind::Groupchat => Ok(Self::of(message, account, sender, Way::Room)),
            _ => Err(ProvenanceError::NoRoom),
        }
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
        Ok(Self { inner: message, provenance: Provenance::from_record(record)? })
    }

    fn of(message: Message, account: &BareJid, sender: Jid, way: Way) -> Self {
        let provenance = Provenance { account: account.clone(), sender, addressee: message.to.clone(), way };
        Self { inner: message, provenance }
    }
}

impl Provenance {
    /// Of what stands in a stanza that is no message.
    pub(crate) fn of_stanza(sender: Jid, addressee: Option<Jid>, account: BareJid) -> Self {
        let way = if sender.bare() == account { Way::Own } else { Way::Direct };
        Self { account, sender, addressee, way }
    }

    /// Our account that it came to, or from.
    pub fn account(&self) -> &BareJid {
        &self.account
    }

    /// Who said it.
    pub fn sender(&self) -> &Jid {
        &self.sender
    }

    /// How it came.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Whether one of our own devices said it.
    pub fn is_own(&self) -> bool {
        self.sender.bare() == self.account
    }

    /// The other side of the conversation: the sender, or whom we sent it to.
    pub fn conversation(&self) -> BareJid {
        match &self.addressee {
            Some(addressee) if self.is_own() => addressee.bare(),
            _ => self.sender.bare(),
        }
    }

    /// Whether both were said by the same person: by bare JID outside rooms; in rooms nobody can be told yet (decision 5).
    pub fn is_same_sender(&self, other: &Self) -> bool {
        !self.way.is_room() && !other.way.is_room() && self.sender.bare() == other.sender.bare()
    }

    /// A note for the catalogue; [`Received::from_record`] reads it.
    pub fn to_record(&self) -> String {
        let addressee = self.addressee.as_ref().map_or("", Jid::as_str);
        [self.way.as_str(), self.account.as_str(), self.sender.as_str(), addressee].join("\n")
    }

    fn from_record(record: &str) -> Result<Self, ProvenanceError> {
        let fields: Vec<_> = record.split('\n').collect();
        let [way, account, sender, addressee] = fields[..] else { return Err(ProvenanceError::Record) };
        let jid = |text: &str| Jid::from_server(text).map_err(|_| ProvenanceError::Record);
        Ok(Self {
            way: Way::from_name(way).ok_or(ProvenanceError::Record)?,
            account: jid(account)?.into_bare().map_err(|_| ProvenanceError::Record)?,
            sender: jid(sender)?,
            addressee: if addressee.is_empty() { None } else { Some(jid(addressee)?) },
        })
    }
}

impl Way {
    const ALL: [Self; 7] = [Self::Direct, Self::Own, Self::CarbonReceived, Self::CarbonSent, Self::Room, Self::Archive, Self::RoomArchive];

    /// The word that notes and `explain` use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Own => "own",
            Self::CarbonReceived => "carbon-received",
            Self::CarbonSent => "carbon-sent",
            Self::Room => "room",
            Self::Archive => "archive",
            Self::RoomArchive => "room-archive",
        }
    }

    /// Whether the sender is known by a nick only.
    pub fn is_room(self) -> bool {
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
            Way::Archive => write!(f, "sent by {}, kept in our archive", self.sender),
            Way::RoomArchive => write!(f, "sent by somebody in a room as {}, kept in an archive", self.sender),
        }
    }
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
        assert_eq!(Received::direct(reflected.clone(), &juliet()), Err(ProvenanceError::Room));
        let said = Received::room(reflected, &juliet()).unwrap();
        assert!(!said.provenance().is_same_sender(said.provenance()), "a nick alone is no proof");
    }

    #[test]
    fn a_note_for_the_catalogue_comes_back_as_it_was() {
        let sent = message("<message xmlns='jabber:client' to='romeo@montague.lit'><body>hi</body></message>");
        let own = Received::own(sent.clone(), &juliet());
        assert!(own.provenance().is_own());
        assert_eq!(own.provenance().conversation().as_str(), "romeo@montague.lit");
        assert_eq!(Received::from_record(sent.clone(), &own.provenance().to_record()).unwrap(), own);
        for forged in ["", "direct", "direct\na@b\n\n", "x\na@b\nc@d\n", "direct\na@b/r\nc@d\n", "direct\na@b\nc@d\n\n"] {
            assert_eq!(Received::from_record(sent.clone(), forged), Err(ProvenanceError::Record), "{forged:?}");
        }
    }
}
