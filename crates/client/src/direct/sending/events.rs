//! What is told of files on their way straight to a device.

use balcony_sharing::{DigestSet, MediaType};
use balcony_wire::Jid;

use crate::direct::{DirectError, WayTaken};

/// What went out.
#[derive(Clone, Debug)]
pub struct SentDirectly {
    /// Files that arrived, in the order in which they were named.
    pub files: Vec<DirectFile>,
    /// Those that did not, by name, and why.
    pub failed: Vec<(String, DirectError)>,
}

/// A file that arrived: the other side says that it has it.
#[derive(Clone, Debug)]
pub struct DirectFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its type.
    pub media_type: MediaType,
    /// Its digests; empty where they were told behind the bytes only.
    pub digests: DigestSet,
    /// Which device has it.
    pub device: Jid,
    /// Which way the bytes took, the last one if there were several; `None`: they had the file already.
    pub way: Option<WayTaken>,
    /// Whether addresses of ours were shown to that device.
    pub address_shown: bool,
}

/// What happens while files go to a device. `position` counts the files, from 0.
#[derive(Debug)]
#[non_exhaustive]
pub enum DirectEvent {
    /// A file was looked at.
    Looked {
        /// which
        position: usize,
        /// its name
        name: String,
        /// its bytes
        size: u64,
        /// its type
        media_type: MediaType,
    },
    /// Nobody, or more than one device, is to be seen: all are asked which of them takes it.
    Looking {
        /// whose devices
        person: Jid,
    },
    /// Its digests are taken before it is offered.
    Hashing {
        /// which
        position: usize,
    },
    /// It is offered; their answer is waited for.
    Offered {
        /// which
        position: usize,
        /// to which device
        device: Jid,
    },
    /// They take it; a way for the bytes is looked for.
    Accepted {
        /// which
        position: usize,
    },
    /// A way did not work; the next one is tried.
    FellBack {
        /// which
        position: usize,
        /// why
        why: String,
    },
    /// Bytes begin to flow.
    Begins {
        /// which
        position: usize,
        /// which way they take
        way: WayTaken,
        /// the first of them; more than 0 where something is there already
        from_byte: u64,
        /// whether addresses of ours were shown to the device
        address_shown: bool,
    },
    /// Bytes went out. Not every piece is told.
    Progress {
        /// which
        position: usize,
        /// up to which byte
        sent: u64,
        /// bytes of the file
        size: u64,
    },
    /// It broke off, and goes on in a new session when they are there again; or what they had did not fit, and it begins anew.
    Again {
        /// which
        position: usize,
        /// why
        why: DirectError,
    },
    /// They say that they have it.
    Delivered {
        /// which
        position: usize,
        /// what and how
        file: DirectFile,
    },
    /// A file did not get there.
    NotSent {
        /// which
        position: usize,
        /// why
        why: DirectError,
    },
    /// The end; the last one.
    Ended(Result<SentDirectly, DirectError>),
}
