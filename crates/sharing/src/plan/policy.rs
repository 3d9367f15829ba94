//! A person's standing rules: what may be fetched unasked, what needs a question, what never happens.

use crate::ExposureKind;

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Do it.
    Fetch,
    /// Ask each time.
    Ask,
    /// Never.
    Never,
}

/// Whose files are fetched without anybody asking for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// Nobody's.
    Nobody,
    /// Those of contacts (decision 41).
    Contacts,
    /// Everybody's.
    Everybody,
}

/// A person's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose files are fetched unasked.
    pub unasked: Unasked,
    /// The largest file fetched unasked, in bytes.
    pub unasked_limit: u64,
    /// Whether anything is fetched unasked where bytes cost money.
    pub unasked_when_metered: bool,
    /// What may be revealed to the sender's server.
    pub senders_server: Rule,
    /// What may be revealed to hosts that neither side's server vouches for.
    pub third_hosts: Rule,
    /// What may be revealed to a peer's device.
    pub peers: Rule,
    /// Files that nothing can prove.
    pub unproven: Rule,
}

impl Default for Policy {
    /// Contacts' files up to 16 MiB, from their server or ours; a question before anything else.
    fn default() -> Self {
        Self {
            unasked: Unasked::Contacts,
            unasked_limit: 16 << 20,
            unasked_when_metered: false,
            senders_server: Rule::Fetch,
            third_hosts: Rule::Ask,
            peers: Rule::Ask,
            unproven: Rule::Ask,
        }
    }
}

impl Policy {
    /// What the rules say of a source that reveals so much. What everybody on the way can see is never done.
    pub fn rule_for(&self, exposure: ExposureKind) -> Rule {
        match exposure {
            ExposureKind::Nothing | ExposureKind::OwnServer => Rule::Fetch,
            ExposureKind::Presence | ExposureKind::SendersServer => self.senders_server,
            ExposureKind::ThirdHost => self.third_hosts,
            ExposureKind::Peer => self.peers,
            ExposureKind::Everybody => Rule::Never,
        }
    }
}
