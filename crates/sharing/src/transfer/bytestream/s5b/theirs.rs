//! What of a peer's candidates is tried, and in which order.

use balcony_wire::jingle::{Candidate, CandidateKind};

use crate::transfer::bytestream::addresses::is_same_host;
use crate::transfer::bytestream::dialler::Spot;
use crate::transfer::bytestream::{Line, OwnCandidate};

/// Candidates of a peer that are tried, the best of each kind.
const MOST_DIRECT: usize = 12;
const MOST_PROXIES: usize = 4;

/// Their places that are worth trying, the best first: each once, however often it is named, and no more than a few.
///
/// Who hides the address cannot take anybody's word for what is a proxy: with `hidden` only these are tried.
pub(super) fn spots(theirs: &[Candidate], dstaddr: &str, hidden: Option<&[OwnCandidate]>) -> Vec<Spot> {
    let may_try = |candidate: &&Candidate| match hidden {
        None => true,
        Some(own) => is_proxy(candidate) && own.iter().any(|own| own.is_at(&candidate.host, candidate.port())),
    };
    let mut theirs: Vec<&Candidate> = theirs.iter().filter(may_try).collect();
    theirs.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
    let mut spots: Vec<Spot> = Vec::new();
    let (mut direct, mut proxies) = (0, 0);
    for candidate in theirs {
        let line = Line::Theirs(candidate.cid.clone());
        let port = candidate.port();
        let is_known = |spot: &Spot| spot.line == line || (spot.port == port && is_same_host(&spot.host, &candidate.host));
        let (count, most) = if is_proxy(candidate) { (&mut proxies, MOST_PROXIES) } else { (&mut direct, MOST_DIRECT) };
        if spots.iter().any(is_known) || *count == most {
            continue;
        }
        *count += 1;
        let (host, priority) = (candidate.host.clone(), candidate.priority);
        spots.push(Spot { line, host, port, dstaddr: dstaddr.to_owned(), priority, is_proxy: is_proxy(candidate) });
    }
    spots
}

pub(super) fn is_proxy(candidate: &Candidate) -> bool {
    candidate.kind == CandidateKind::Proxy
}
