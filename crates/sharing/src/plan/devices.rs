//! Which devices are there just now, what they can do, and which sessions wait for an answer. Pure data: whoever watches presence
//! makes it, plans read it.

use std::collections::{BTreeMap, BTreeSet};

use balcony_wire::jingle_file::Version;
use balcony_wire::{BareJid, Jid};

/// Devices that may be asked for files, by full JID: those that are available now, of contacts and of our own account. The own device is
/// never among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    live: BTreeMap<Jid, Abilities>,
    waiting: BTreeSet<(Jid, String)>,
}

/// What a device says that it can do; nothing, where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Abilities {
    /// Jingle file transfer, by the newest version it knows (XEP-0234).
    pub file_transfer: Option<Version>,
    /// Bytestreams by SOCKS5 (XEP-0260).
    pub s5b: bool,
    /// Bytestreams in band (XEP-0261).
    pub ibb: bool,
    /// It starts sessions that it published (XEP-0358).
    pub published_sessions: bool,
    /// It is to be proposed a session by message first (XEP-0353).
    pub message_initiation: bool,
    /// Stream initiation (XEP-0096).
    pub stream_initiation: bool,
}

impl Abilities {
    /// Whether it can be asked for a file in a session.
    pub fn gives_files(&self) -> bool {
        self.file_transfer.is_some() && (self.s5b || self.ibb)
    }
}

impl Devices {
    /// These devices, by full JID; a bare one is no device and is left out.
    #[must_use]
    pub fn new(devices: impl IntoIterator<Item = (Jid, Abilities)>) -> Self {
        let live = devices.into_iter().filter(|(device, _)| device.resource().is_some()).collect();
        Self { live, waiting: BTreeSet::new() }
    }

    /// The same devices, and these sessions, by peer and id, in which a file is offered and our answer is waited for.
    #[must_use]
    pub fn with_waiting(mut self, sessions: impl IntoIterator<Item = (Jid, String)>) -> Self {
        self.waiting = sessions.into_iter().collect();
        self
    }

    /// What a device can do; `None` if it is not there.
    pub fn get(&self, device: &Jid) -> Option<Abilities> {
        self.live.get(device).copied()
    }

    /// All devices, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Jid, Abilities)> {
        self.live.iter().map(|(device, abilities)| (device, *abilities))
    }

    /// The devices of one account, in the order of their names.
    pub fn of<'a>(&'a self, account: &'a BareJid) -> impl Iterator<Item = (&'a Jid, Abilities)> + 'a {
        self.iter().filter(move |(device, _)| device.bare() == *account)
    }

    /// Whether a session waits for our answer.
    pub fn is_waiting(&self, peer: &Jid, sid: &str) -> bool {
        self.waiting.contains(&(peer.clone(), sid.to_owned()))
    }
}
