//! What we tell of ourselves: candidates of ours with ids and priorities.

use balcony_wire::Jid;
use balcony_wire::jingle::{Candidate, CandidateKind};
use sha2::{Digest as _, Sha256};

use crate::transfer::Reach;
use crate::transfer::bytestream::{OwnCandidate, OwnPlace};

/// Listeners that are told of: more than any machine has interfaces that matter.
const MOST_DIRECT: usize = 8;
/// Proxies that are told of.
const MOST_PROXIES: usize = 4;

/// Candidates of ours: no place twice, none that the other side named before (XEP-0260 §2.2), none that reach forbids.
pub(super) fn candidates(own: &[OwnCandidate], theirs: &[Candidate], jid: &Jid, reach: Reach, random: &[u8; 32]) -> Vec<Candidate> {
    let mut told: Vec<&OwnCandidate> = Vec::new();
    let (mut direct, mut proxies) = (0, 0);
    for candidate in own {
        let is_known = told.iter().any(|other| other.is_at(&candidate.host, candidate.port))
            || theirs.iter().any(|other| candidate.is_at(&other.host, other.port()));
        let (count, most) = match candidate.place {
            OwnPlace::Listener if reach == Reach::Relay => continue,
            OwnPlace::Listener => (&mut direct, MOST_DIRECT),
            OwnPlace::Proxy(_) => (&mut proxies, MOST_PROXIES),
        };
        if !is_known && *count < most {
            *count += 1;
            told.push(candidate);
        }
    }
    told.into_iter().enumerate().map(|(at, own)| candidate(own, jid, cid(random, at))).collect()
}

fn candidate(own: &OwnCandidate, jid: &Jid, cid: String) -> Candidate {
    let (kind, jid) = match &own.place {
        OwnPlace::Listener => (CandidateKind::Direct, jid.clone()),
        OwnPlace::Proxy(proxy) => (CandidateKind::Proxy, proxy.clone()),
    };
    Candidate { cid, host: own.host.clone(), jid, port: Some(own.port), priority: kind.priority(own.preference), kind }
}

/// An id that nobody guesses.
fn cid(random: &[u8; 32], at: usize) -> String {
    let hash = Sha256::new().chain_update(random).chain_update(at.to_be_bytes()).finalize();
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
