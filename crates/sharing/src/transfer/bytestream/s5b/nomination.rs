//! Which of two connections counts (XEP-0260 §2.4).

use crate::transfer::bytestream::Side;

/// What a side says about the places of the other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Unknown,
    Used { cid: String, priority: u32 },
    None,
}

pub(super) enum Nominated {
    None,
    /// What we reached.
    Mine(String),
    /// What they reached.
    Peers(String),
}

pub(super) fn nominated(mine: &Verdict, peers: &Verdict, side: Side) -> Nominated {
    match (mine, peers) {
        (Verdict::Used { cid: mine, priority }, Verdict::Used { cid: peers, priority: theirs }) => {
            let is_mine = priority > theirs || (priority == theirs && side == Side::Initiator);
            if is_mine { Nominated::Mine(mine.clone()) } else { Nominated::Peers(peers.clone()) }
        }
        (Verdict::Used { cid, .. }, _) => Nominated::Mine(cid.clone()),
        (_, Verdict::Used { cid, .. }) => Nominated::Peers(cid.clone()),
        _ => Nominated::None,
    }
}
