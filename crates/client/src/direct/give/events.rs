//! What happens while files are given to those who ask, for showing.

use balcony_wire::Jid;

use crate::direct::WayTaken;

/// Something happened to a file that somebody asked for.
#[derive(Clone, Debug)]
pub struct GivingEvent {
    /// Who gets it.
    pub to: Jid,
    /// The name it was offered under.
    pub name: Option<String>,
    /// Bytes of the whole file.
    pub size: u64,
    /// What happened.
    pub step: GivingStep,
    /// The live share it belongs to.
    pub(crate) share: Option<String>,
}

/// How far it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GivingStep {
    /// They may have it; a way for the bytes is looked for.
    Began,
    /// Bytes go by this way, from this byte on.
    Going {
        /// which way
        way: WayTaken,
        /// how many they had before
        from: u64,
    },
    /// Bytes went out.
    Progress {
        /// how far in the file
        sent: u64,
    },
    /// They have all they wanted.
    Done,
    /// It ended before.
    Failed {
        /// why
        why: String,
    },
}
