//! Which sessions there are: ids mean something only together with the peer, nobody opens them without end, and where both sides
//! begin the same one at once the lower id wins (XEP-0166 §7.1, §7.2.16).

use std::collections::BTreeMap;

use balcony_wire::FullJid;
use balcony_wire::jingle::{Action, Jingle, Senders};
use balcony_wire::jingle_file::JingleFile;

use super::{Direction, JingleRefusal};
use crate::transfer::bytestream::Side;
use crate::{Agreement, DigestSet};

/// How many sessions may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// With one device, begun by it.
    pub per_device: usize,
    /// With all devices of one person, begun by them.
    pub per_person: usize,
    /// In all, whoever began them.
    pub in_all: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_device: 16, per_person: 32, in_all: 256 }
    }
}

/// The sessions that are open. Whoever drives them asks here before anything is made for a stranger.
#[derive(Debug, Default)]
pub struct Table {
    bounds: Bounds,
    open: BTreeMap<(FullJid, String), Entry>,
}

#[derive(Debug)]
struct Entry {
    side: Side,
    /// What ours are about, as long as the peer has not acknowledged them: only then both can have begun at once.
    subjects: Vec<Subject>,
}

/// What becomes of a request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is for a session that is there.
    Known,
    /// It begins a session, which is in the table now.
    New {
        /// Our own session about the same, which is over by that.
        instead_of: Option<String>,
    },
}

/// What is to go from whom: two sessions about the same are one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    direction: Direction,
    digests: DigestSet,
    name: Option<String>,
    size: Option<u64>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, open: BTreeMap::new() }
    }

    /// Puts a session of ours in, before it is begun.
    ///
    /// # Errors
    /// When there are too many, or there is one of that id with this peer.
    pub fn begin<'a>(
        &mut self,
        peer: &FullJid,
        sid: &str,
        direction: Direction,
        files: impl IntoIterator<Item = &'a JingleFile>,
    ) -> Result<(), JingleRefusal> {
        let key = (peer.clone(), sid.to_owned());
        if self.open.len() >= self.bounds.in_all || self.open.contains_key(&key) {
            return Err(JingleRefusal::Busy);
        }
        let subjects = files.into_iter().map(|file| Subject::new(direction, file)).collect();
        self.open.insert(key, Entry { side: Side::Initiator, subjects });
        Ok(())
    }

    /// The peer acknowledged a session of ours: from now on it cannot have begun the same without knowing.
    pub fn acknowledged(&mut self, peer: &FullJid, sid: &str) {
        if let Some(entry) = self.open.get_mut(&(peer.clone(), sid.to_owned())) {
            entry.subjects.clear();
        }
    }

    /// Looks at a request that came from `peer`.
    ///
    /// # Errors
    /// When it is for no session, or begins one that cannot be.
    pub fn admit(&mut self, peer: &FullJid, jingle: &Jingle) -> Result<Admission, JingleRefusal> {
        let key = (peer.clone(), jingle.sid.clone());
        if self.open.contains_key(&key) {
            return Ok(Admission::Known);
        }
        if jingle.action != Action::SessionInitiate {
            return Err(JingleRefusal::UnknownSession);
        }
        let instead_of = self.rival(peer, jingle).map(str::to_owned);
        if instead_of.as_ref().is_some_and(|ours| *ours < jingle.sid) {
            return Err(JingleRefusal::TieBreak);
        }
        let theirs = || self.open.iter().filter(|(_, entry)| entry.side == Side::Responder).map(|((device, _), _)| device);
        let by_device = theirs().filter(|device| *device == peer).count();
        let by_person = theirs().filter(|device| device.bare() == peer.bare()).count();
        if by_device >= self.bounds.per_device || by_person >= self.bounds.per_person || self.open.len() >= self.bounds.in_all {
            return Err(JingleRefusal::Busy);
        }
        self.open.insert(key, Entry { side: Side::Responder, subjects: Vec::new() });
        Ok(Admission::New { instead_of })
    }

    /// A session is over.
    pub fn end(&mut self, peer: &FullJid, sid: &str) {
        self.open.remove(&(peer.clone(), sid.to_owned()));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A session of ours with that device about the same, which it cannot have known of.
    fn rival(&self, peer: &FullJid, jingle: &Jingle) -> Option<&str> {
        let theirs: Vec<Subject> = jingle
            .files()
            .map(|(content, file)| {
                let direction = if content.senders() == Senders::Responder { Direction::Give } else { Direction::Take };
                Subject::new(direction, file)
            })
            .collect();
        let is_same = |entry: &Entry| entry.subjects.iter().any(|own| theirs.iter().any(|subject| own.is_same(subject)));
        self.open.iter().find(|((device, _), entry)| device == peer && is_same(entry)).map(|((_, sid), _)| sid.as_str())
    }
}

impl Subject {
    fn new(direction: Direction, file: &JingleFile) -> Self {
        let metadata = &file.metadata;
        Self { direction, digests: DigestSet::from_hashes(&metadata.hashes), name: metadata.name.clone(), size: metadata.size }
    }

    /// Whether the same file goes the same way: by digest, or by name and size where there is none.
    fn is_same(&self, other: &Self) -> bool {
        self.direction == other.direction
            && match self.digests.agreement(&other.digests) {
                Agreement::Same | Agreement::Alike => true,
                Agreement::Different => false,
                Agreement::Unknown => self.name.is_some() && self.name == other.name && self.size == other.size,
            }
    }
}
