//! What sessions with people's devices come to: an attempt for each device that is there and able, or the reason why there is none. Who
//! may have the file although the offer does not say so is asked by its hash: the sender's devices, one's own other devices, contacts
//! who announced themselves by attaching (decisions 33, 44).
//!
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>

use std::collections::BTreeSet;

use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::{BareJid, Jid, ns};

use super::{Abilities, Answer, Attempt, Circumstances, Devices, How, LeftOut, Reason};
use crate::offer::{NamedBy, Place};
use crate::transfer::{Reach, SessionRequest, SessionWay};
use crate::{Exposure, Offer, Proof, Source, SourceKey};

/// Devices of one account that are asked by hash without being named.
const MOST_OF_ONE: usize = 4;
/// Devices of all people that are asked by hash without being named.
const MOST: usize = 8;

/// A session with one device, directly or by way of servers.
pub(super) struct Pair {
    /// It may show our address.
    pub(super) direct: Attempt,
    /// It does not. None where there is nobody to hide from.
    pub(super) relayed: Option<Attempt>,
}

/// What a place that is a person's device comes to; nothing for places of other kinds.
pub(super) fn named(place: &Place, offer: &Offer, around: &Circumstances) -> Option<Vec<Result<Pair, LeftOut>>> {
    let whom = match &place.source {
        Source::Published { from, .. } => from,
        Source::ByHash { jid, .. } => jid,
        Source::Session { peer, .. } | Source::Stream { peer, .. } => peer,
        _ => return None,
    };
    let left_out = |reason| vec![Err(LeftOut { source: place.source.key(), what: place.source.to_string(), reason })];
    Some(match asked(place, whom, offer, around) {
        Ok(asked) => asked.into_iter().map(|(source, device)| Ok(pair(&source, &place.named_by, device, offer, around))).collect(),
        Err(reason) => left_out(reason),
    })
}

/// A device that can be asked.
type Device = (Jid, Abilities, SessionWay);

/// Each device of a place that can be asked, with the source that it is alone, or why none can.
fn asked(place: &Place, whom: &Jid, offer: &Offer, around: &Circumstances) -> Result<Vec<(Source, Device)>, Reason> {
    check_names(place, whom, offer)?;
    let devices = around.devices.as_deref().ok_or(Reason::Offline)?;
    let alone = |peer: &Jid, sid: &str, way| match devices.is_waiting(peer, sid) {
        true => Ok(vec![(place.source.clone(), (peer.clone(), devices.get(peer).unwrap_or_default(), way))]),
        false => Err(Reason::SessionOver),
    };
    match &place.source {
        Source::Session { peer, sid, content } => alone(peer, sid, SessionWay::Offered { sid: sid.clone(), content: content.clone() }),
        Source::Stream { peer, sid } => alone(peer, sid, SessionWay::Initiated { sid: sid.clone() }),
        Source::Published { id, applications, .. } => {
            let able = able(devices, whom, |abilities| abilities.published_sessions)?;
            let one = |(device, abilities): (Jid, Abilities)| {
                let source = Source::Published { from: device.clone(), id: id.clone(), applications: applications.clone() };
                (source, (device, abilities, SessionWay::Published { id: id.clone() }))
            };
            Ok(able.into_iter().map(one).collect())
        }
        _ => Ok(able(devices, whom, |_| true)?.into_iter().map(by_hash).collect()),
    }
}

/// Whether this offer lets such a place be used at all, whoever is there.
fn check_names(place: &Place, whom: &Jid, offer: &Offer) -> Result<(), Reason> {
    let has_proof = offer.proof() == Proof::Digest;
    match &place.source {
        Source::ByHash { .. } if !has_proof => return Err(Reason::HashMissing),
        Source::Published { applications, .. } if !are_for_files(applications) => {
            return Err(Reason::Unsupported("published sessions of other kinds"));
        }
        _ => {}
    }
    let provenance = offer.provenance();
    let is_of = |person: &Jid| if provenance.is_in_room() { whom == person } else { whom.bare() == person.bare() };
    match &place.named_by {
        NamedBy::Other(other) if !is_of(other) => Err(Reason::NotTheirs),
        NamedBy::Sender if !has_proof && !is_of(provenance.sender()) => Err(Reason::NotTheSenders),
        _ => Ok(()),
    }
}

/// An empty list is one that the form of the source cannot hold.
fn are_for_files(applications: &[String]) -> bool {
    let is_for_files = |application: &String| [ns::JINGLE_FILE_TRANSFER_5, ns::JINGLE_FILE_TRANSFER_4].contains(&application.as_str());
    applications.is_empty() || applications.iter().any(is_for_files)
}

/// Those of a person's devices that are there and able, or the one that is named.
fn able(devices: &Devices, whom: &Jid, is_able: impl Fn(Abilities) -> bool) -> Result<Vec<(Jid, Abilities)>, Reason> {
    let is_meant = |device: &Jid| if whom.resource().is_some() { device == whom } else { device.bare() == whom.bare() };
    let live: Vec<_> = devices.iter().filter(|(device, _)| is_meant(device)).collect();
    if live.is_empty() {
        return Err(Reason::NobodyThere(whom.clone()));
    }
    let able = live.into_iter().filter(|(_, abilities)| abilities.gives_files() && is_able(*abilities));
    let able: Vec<_> = able.take(MOST_OF_ONE).map(|(device, abilities)| (device.clone(), abilities)).collect();
    if able.is_empty() { Err(Reason::NotAble(whom.clone())) } else { Ok(able) }
}

fn by_hash((device, abilities): (Jid, Abilities)) -> (Source, Device) {
    let source = Source::ByHash { jid: device.clone(), uri: format!("xmpp:{device}?jingle-ft") };
    (source, (device, abilities, SessionWay::ByHash))
}

/// Devices that the offer does not name and that may have the file all the same; none where no digest proves what they give.
pub(super) fn implied(offer: &Offer, around: &Circumstances) -> Vec<Pair> {
    let Some(devices) = around.devices.as_deref().filter(|_| offer.proof() == Proof::Digest) else { return Vec::new() };
    let provenance = offer.provenance();
    let own = Some((provenance.account().clone(), NamedBy::Sender));
    let sender = provenance.person().map(|person| (person, NamedBy::Sender));
    let announced = offer.places().iter().filter_map(|place| announced(place, offer, around));
    let mut seen: BTreeSet<SourceKey> = offer.places().iter().map(|place| place.source.key()).collect();
    let mut pairs = Vec::new();
    for (account, named_by) in own.into_iter().chain(sender).chain(announced) {
        let able = devices.of(&account).filter(|(_, abilities)| abilities.gives_files()).take(MOST_OF_ONE);
        for (source, device) in able.map(|(device, abilities)| by_hash((device.clone(), abilities))) {
            if pairs.len() < MOST && seen.insert(source.key()) {
                pairs.push(pair(&source, &named_by, device, offer, around));
            }
        }
    }
    pairs
}

/// A contact who said of their own devices that they give the file.
fn announced(place: &Place, offer: &Offer, around: &Circumstances) -> Option<(BareJid, NamedBy)> {
    let NamedBy::Other(other) = &place.named_by else { return None };
    let (Source::Published { from: device, .. } | Source::ByHash { jid: device, .. }) = &place.source else { return None };
    let is_theirs = !offer.provenance().is_in_room() && device.bare() == other.bare();
    (is_theirs && around.contacts.groups(&other.bare()).is_some()).then(|| (other.bare(), place.named_by.clone()))
}

fn pair(source: &Source, named_by: &NamedBy, device: Device, offer: &Offer, around: &Circumstances) -> Pair {
    let (peer, abilities, way) = device;
    let is_own = peer.bare() == *offer.provenance().account();
    let attempt = |reach, exposure| {
        let request = SessionRequest { peer: peer.clone(), abilities, way: way.clone(), file: told(offer), reach, takes_unproven: false };
        Attempt { source: source.key(), named_by: named_by.clone(), how: How::Session(Box::new(request)), exposure }
    };
    if is_own {
        // Our own server knows where both of our devices are.
        let reach = if hides(around) { Reach::Relay } else { Reach::Direct };
        return Pair { direct: attempt(reach, Exposure::OwnServer(peer.domain().to_owned())), relayed: None };
    }
    let relayed = Some(attempt(Reach::Relay, Exposure::ViaProxy(peer.clone())));
    Pair { direct: attempt(Reach::Direct, Exposure::Peer(peer.clone())), relayed }
}

/// Whether the person wants no device of anybody to see their address.
pub(super) fn hides(around: &Circumstances) -> bool {
    around.answers.contains(&Answer::RelayOnly)
}

/// What is said about the file when somebody is asked for it.
fn told(offer: &Offer) -> FileMetadata {
    let FileMetadata { name, media_type, size, hashes, hash_used, .. } = offer.file().clone();
    let hashes = hashes.into_iter().filter(|hash| hash.digest().is_some()).collect();
    FileMetadata { name, media_type, size, hashes, hash_used, ..FileMetadata::default() }
}

/// In which order ways are tried that reveal alike: what waits, what was published, what is asked by hash.
pub(super) fn order(how: &How) -> u8 {
    match how {
        How::Session(request) => match request.way {
            SessionWay::Offered { .. } | SessionWay::Initiated { .. } => 1,
            SessionWay::Published { .. } => 2,
            SessionWay::ByHash => 3,
        },
        How::Http(_) | How::Encrypted { .. } | How::Carried { .. } | How::Bits { .. } => 0,
    }
}
