//! Offers that came and went: the stanza as it was, who said it, and what became of it. Lists are newest first and bounded.

use std::time::SystemTime;

use balcony_sharing::{DigestSet, Offer};
use balcony_wire::BareJid;
use balcony_wire::hashes::{Digest, HashAlgo};
use rusqlite::types::ToSql;
use rusqlite::{Connection, Row, params};

use super::bounds::Standing;
use super::{bounded, known, to_millis, to_size, to_time};
use crate::{BlobRef, Store, StoreError};

/// Names the row of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferKey(pub(super) i64);

/// An offer to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOffer {
    /// Our account.
    pub account: BareJid,
    /// With whom.
    pub conversation: BareJid,
    /// Who said it.
    pub sender: BareJid,
    /// In a room: which occupant, by what the room says that nobody can take from them.
    pub occupant: Option<String>,
    /// Whether the person knows them.
    pub standing: Standing,
    /// The message: its origin-id, else its id. Without one it cannot be told from a repetition and is a new offer each time.
    pub message: Option<String>,
    /// Ids of the message by which others may attach to it (XEP-0367 §4.1), at most 8.
    pub targets: Vec<String>,
    /// Which offer of the message, counted from 0.
    pub position: usize,
    /// `Provenance::to_record`
    pub provenance: String,
    /// The message as XML.
    pub stanza: String,
    /// A name to show.
    pub name: String,
    /// Bytes announced.
    pub size: Option<u64>,
    /// Digests claimed, for finding it; they prove nothing.
    pub digests: DigestSet,
    /// When.
    pub received_at: SystemTime,
    /// What became of it.
    pub state: OfferState,
}

/// An offer as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRow {
    /// Names it.
    pub key: OfferKey,
    /// Our account.
    pub account: BareJid,
    /// With whom.
    pub conversation: BareJid,
    /// Who said it.
    pub sender: BareJid,
    /// The message: its origin-id, else its id.
    pub message: Option<String>,
    /// Which offer of the message, counted from 0.
    pub position: usize,
    /// For `Received::from_record`.
    pub provenance: String,
    /// The message as XML.
    pub stanza: String,
    /// A name to show.
    pub name: String,
    /// Bytes announced.
    pub size: Option<u64>,
    /// When.
    pub received_at: SystemTime,
    /// What became of it.
    pub state: OfferState,
    /// SHA-256 of the copy in the store.
    pub blob: Option<Digest>,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfferState {
    /// Nothing yet.
    #[default]
    New,
    /// A person is to be asked.
    Asking,
    /// Its bytes are on their way, or stopped halfway: there is a job in staging.
    Fetching,
    /// Its bytes are in the store.
    Here,
    /// No source gave it; the outcomes say why.
    Failed,
    /// The person or the policy said no.
    Declined,
    /// Its bytes were in the store until a sweep took them. They are not fetched again unasked.
    Swept,
    /// We offer it ourselves.
    Own,
}

/// Which offers to list.
#[derive(Clone, Copy, Debug)]
pub enum Listing<'a> {
    /// All of them.
    All,
    /// Those of an account.
    Account(&'a BareJid),
    /// Those of a conversation of an account.
    Conversation(&'a BareJid, &'a BareJid),
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT offers.id, account, conversation, sender, message, position, provenance, stanzas.stanza, name, size, received_at, state, blob
                FROM offers JOIN stanzas ON stanzas.id = offers.stanza ",
            $rest
        )
    };
}

const ALL: &str = select!("WHERE (received_at, offers.id) < (?1, ?2) ORDER BY received_at DESC, offers.id DESC LIMIT ?3");
const OF_ACCOUNT: &str =
    select!("WHERE account = ?4 AND (received_at, offers.id) < (?1, ?2) ORDER BY received_at DESC, offers.id DESC LIMIT ?3");
const OF_CONVERSATION: &str = select!(
    "WHERE account = ?4 AND conversation = ?5 AND (received_at, offers.id) < (?1, ?2) ORDER BY received_at DESC, offers.id DESC LIMIT ?3"
);
const BEHIND: &str = select!("WHERE offers.id > ?1 AND +account = ?2 ORDER BY offers.id LIMIT ?3");
const BY_KEY: &str = select!("WHERE offers.id = ?1");
const BY_DIGEST: &str = select!(
    "JOIN offer_digests ON offer_digests.offer = offers.id WHERE algo = ?1 AND digest = ?2 ORDER BY offer_digests.offer DESC LIMIT ?3"
);
const BY_BLOB: &str = select!("WHERE blob = ?1 ORDER BY received_at DESC, offers.id DESC LIMIT ?2");
const SET_STATE: &str = "UPDATE offers SET state = ?2 WHERE id = ?1";
const IS_HERE: &str = "UPDATE offers SET state = 'here', blob = ?2 WHERE id = ?1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[ALL, OF_ACCOUNT, OF_CONVERSATION, BY_KEY, BY_DIGEST, BY_BLOB];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (ALL, "INDEX offers_by_time (received_at<?)"),
    (OF_ACCOUNT, "INDEX offers_by_account (account=? AND received_at<?)"),
    (OF_CONVERSATION, "INDEX offers_by_conversation (account=? AND conversation=? AND received_at<?)"),
    (BY_DIGEST, "PRIMARY KEY (algo=? AND digest=?)"),
    (BY_BLOB, "INDEX offers_by_blob (blob=?)"),
    (BEHIND, "offers USING INTEGER PRIMARY KEY (rowid>?)"),
];

impl NewOffer {
    /// What there is to write down of an offer; `stanza` is the message it was in. It is new, and a stranger's: [`Self::own`] and
    /// [`Self::of_contact`] say otherwise.
    #[must_use]
    pub fn new(offer: &Offer, stanza: String, received_at: SystemTime) -> Self {
        let provenance = offer.provenance();
        Self {
            account: provenance.account().clone(),
            conversation: provenance.conversation(),
            sender: provenance.sender().bare(),
            occupant: provenance.occupant().map(str::to_owned),
            standing: Standing::Stranger,
            message: offer.id().message.clone(),
            targets: provenance.target_ids().to_vec(),
            position: offer.id().index,
            provenance: provenance.to_record(),
            stanza,
            name: offer.name().to_string(),
            size: offer.size(),
            digests: offer.digests().clone(),
            received_at,
            state: OfferState::New,
        }
    }

    /// This store made it. What another device of the account offers is news here and is not own.
    #[must_use]
    pub fn own(self) -> Self {
        Self { state: OfferState::Own, standing: Standing::Contact, ..self }
    }

    /// The person knows who says it.
    #[must_use]
    pub fn of_contact(self) -> Self {
        Self { standing: Standing::Contact, ..self }
    }
}

impl OfferState {
    const ALL: [Self; 8] = [Self::New, Self::Asking, Self::Fetching, Self::Here, Self::Failed, Self::Declined, Self::Swept, Self::Own];

    /// The word that the catalogue and programs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Asking => "asking",
            Self::Fetching => "fetching",
            Self::Here => "here",
            Self::Failed => "failed",
            Self::Declined => "declined",
            Self::Swept => "swept",
            Self::Own => "own",
        }
    }

    fn from_record(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl OfferKey {
    /// The number that people type.
    pub fn number(self) -> i64 {
        self.0
    }

    /// Whether nothing was written down between that one and this.
    pub fn is_next_to(self, earlier: Self) -> bool {
        earlier.0.checked_add(1) == Some(self.0)
    }

    /// From a number that a person typed or a sidecar holds; whether there is such an offer is another question.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }
}

impl std::fmt::Display for OfferKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Store {
    /// The newest offers, newest first; `before` goes on where an earlier list ended.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn offers(&self, listing: Listing<'_>, before: Option<&OfferRow>, limit: usize) -> Result<Vec<OfferRow>, StoreError> {
        let at = before.map_or(i64::MAX, |row| to_millis(row.received_at));
        let (id, limit) = (before.map_or(i64::MAX, |row| row.key.0), bounded(limit));
        match listing {
            Listing::All => self.offer_rows(ALL, &[&at, &id, &limit]),
            Listing::Account(account) => self.offer_rows(OF_ACCOUNT, &[&at, &id, &limit, &account.as_str()]),
            Listing::Conversation(account, with) => {
                self.offer_rows(OF_CONVERSATION, &[&at, &id, &limit, &account.as_str(), &with.as_str()])
            }
        }
    }

    /// Offers of an account in the order in which they were written down, behind `last`: what an archive told late is late.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn offers_behind(&self, account: &BareJid, last: OfferKey, limit: usize) -> Result<Vec<OfferRow>, StoreError> {
        self.offer_rows(BEHIND, &[&last.0, &account.as_str(), &bounded(limit)])
    }

    /// The offer that was written down last, of any account; 0 where there is none.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn newest_offer(&self) -> Result<OfferKey, StoreError> {
        const NEWEST_OFFER: &str = "SELECT ifnull(max(id), 0) FROM offers";
        self.catalogue().with(|connection| connection.prepare_cached(NEWEST_OFFER)?.query_row([], |row| row.get(0).map(OfferKey)))
    }

    /// One offer.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn offer(&self, key: OfferKey) -> Result<Option<OfferRow>, StoreError> {
        Ok(self.offer_rows(BY_KEY, &[&key.0])?.pop())
    }

    /// Offers that claim one of these digests, the last written first; SHA-1 finds nothing.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn offers_claiming(&self, digests: &DigestSet, limit: usize) -> Result<Vec<OfferRow>, StoreError> {
        let mut rows: Vec<OfferRow> = Vec::new();
        for digest in digests.iter().filter(|digest| digest.algo().is_proof()) {
            let found = self.offer_rows(BY_DIGEST, &[&digest.algo().name(), &digest.as_bytes(), &bounded(limit)])?;
            rows.extend(found);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.key));
        rows.dedup_by_key(|row| row.key);
        rows.truncate(limit);
        Ok(rows)
    }

    /// Offers whose bytes are this file, newest first.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn offers_of_blob(&self, sha256: &Digest, limit: usize) -> Result<Vec<OfferRow>, StoreError> {
        self.offer_rows(BY_BLOB, &[&sha256.as_bytes(), &bounded(limit)])
    }

    /// Notes what became of an offer. For [`OfferState::Here`] there is [`Store::offer_is_here`]. But for what a person decided, a loss
    /// of power may take it back: then the offer is looked at once more.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such offer; when the catalogue fails.
    pub fn set_offer_state(&self, key: OfferKey, state: OfferState) -> Result<(), StoreError> {
        let set = |connection: &mut Connection| connection.prepare_cached(SET_STATE)?.execute(params![key.0, state.as_str()]);
        let changed = if state == OfferState::Declined { self.catalogue().with(set) } else { self.catalogue().with_lightly(set) }?;
        if changed == 1 { Ok(()) } else { Err(StoreError::Unknown("the offer")) }
    }

    /// Notes that the bytes of an offer are in the store. A loss of power may take that back: the bytes are found by their digests then.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such offer; when the catalogue fails, or the file is not in it any more.
    pub fn offer_is_here(&self, key: OfferKey, blob: &BlobRef) -> Result<(), StoreError> {
        let changed = self
            .catalogue()
            .with_lightly(|connection| connection.prepare_cached(IS_HERE)?.execute(params![key.0, blob.sha256().as_bytes()]))?;
        if changed == 1 { Ok(()) } else { Err(StoreError::Unknown("the offer")) }
    }

    fn offer_rows(&self, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<OfferRow>, StoreError> {
        let raw: Vec<RawOffer> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map(values, RawOffer::read)?.collect()
        })?;
        raw.into_iter().map(|raw| known(raw.into_row(), "offer")).collect()
    }
}

/// A row before its words are understood.
struct RawOffer {
    texts: [String; 6],
    id: i64,
    message: Option<String>,
    position: i64,
    size: Option<i64>,
    received_at: i64,
    state: String,
    blob: Option<Vec<u8>>,
}

impl RawOffer {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            texts: [row.get(1)?, row.get(2)?, row.get(3)?, row.get(6)?, row.get(7)?, row.get(8)?],
            message: row.get(4)?,
            position: row.get(5)?,
            size: row.get(9)?,
            received_at: row.get(10)?,
            state: row.get(11)?,
            blob: row.get(12)?,
        })
    }

    fn into_row(self) -> Option<OfferRow> {
        let [account, conversation, sender, provenance, stanza, name] = self.texts;
        Some(OfferRow {
            key: OfferKey(self.id),
            account: jid(&account)?,
            conversation: jid(&conversation)?,
            sender: jid(&sender)?,
            message: self.message,
            position: usize::try_from(self.position).ok()?,
            provenance,
            stanza,
            name,
            size: self.size.map(to_size),
            received_at: to_time(self.received_at),
            state: OfferState::from_record(&self.state)?,
            blob: match self.blob {
                Some(bytes) => Some(Digest::new(HashAlgo::Sha256, bytes).ok()?),
                None => None,
            },
        })
    }
}

/// Whose it is, for what may collide and for bounds: an address has no slash before its resource.
pub(super) fn speaker(sender: &BareJid, occupant: Option<&str>) -> String {
    match occupant {
        Some(occupant) => format!("{sender}/{occupant}"),
        None => sender.as_str().to_owned(),
    }
}

/// An address of ours or as a server handed it to us (decision 64).
pub(super) fn jid(text: &str) -> Option<BareJid> {
    balcony_wire::Jid::from_server(text).ok()?.into_bare().ok()
}
