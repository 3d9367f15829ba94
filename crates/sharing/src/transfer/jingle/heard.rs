//! What was acknowledged once is acknowledged again without effect: networks may deliver a request twice, also behind others.

use balcony_wire::Payload as _;
use balcony_wire::jingle::{Action, Jingle};
use sha2::{Digest as _, Sha256};

/// Requests that were acknowledged, and how many came at all.
#[derive(Debug, Default)]
pub(super) struct Heard {
    marks: Vec<[u8; 32]>,
    pub(super) count: u32,
}

impl Heard {
    /// Whether the same was acknowledged lately.
    pub(super) fn knows(&self, jingle: &Jingle) -> bool {
        counts(&jingle.action) && self.marks.contains(&mark(jingle))
    }

    pub(super) fn note(&mut self, jingle: &Jingle) {
        if !counts(&jingle.action) {
            return;
        }
        if self.marks.len() >= KEPT {
            self.marks.remove(0);
        }
        self.marks.push(mark(jingle));
    }
}

/// Marks that are kept.
const KEPT: usize = 32;

/// Others do the same when they come twice, or may be meant twice.
fn counts(action: &Action) -> bool {
    use Action as A;
    matches!(
        action,
        A::SessionInitiate
            | A::SessionAccept
            | A::ContentAdd
            | A::ContentAccept
            | A::ContentReject
            | A::ContentRemove
            | A::TransportReplace
            | A::TransportAccept
            | A::TransportReject
    )
}

fn mark(jingle: &Jingle) -> [u8; 32] {
    Sha256::digest(jingle.write().to_xml()).into()
}
