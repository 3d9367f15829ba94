//! Stream initiation: what was spoken before Jingle, for devices that know nothing better. An offer that comes waits for its answer like a
//! session, and is found, taken and refused as one; one of ours is sent only to a device without Jingle file transfer.
//!
//! The opinions are in `balcony_sharing::transfer::si` and `balcony_sharing::transfer::bytestream::socks5`.
//!
//! XEP-0095 Stream initiation, v1.2 <https://xmpp.org/extensions/xep-0095.html>
//! XEP-0096 SI file transfer, v1.3.1 <https://xmpp.org/extensions/xep-0096.html>
//! XEP-0065 SOCKS5 bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>
//! XEP-0047 In-band bytestreams, v2.0.1 <https://xmpp.org/extensions/xep-0047.html>

mod giving;
mod opening;
mod taking;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Iq, IqKind, StanzaError, ns};
use tokio::sync::mpsc;

pub(super) use giving::offer;

use super::reception::Shelf;
use super::switchboard::{Key, Place};
use super::{Desk, WayTaken};

/// Lists of hosts that may wait for one stream; a sender has no reason to send more than one.
const LISTS: usize = 4;

/// Which streams may be opened towards us by a list of hosts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Older(Arc<Mutex<HashMap<Key, mpsc::Sender<Iq>>>>);

/// Where the lists of hosts for one stream come. Dropping it takes no more of them.
#[derive(Debug)]
struct Hosts {
    key: Key,
    lists: mpsc::Receiver<Iq>,
    older: Older,
}

impl Older {
    /// Expects a list of hosts for this stream, from its peer alone.
    fn expect(&self, key: &Key) -> Hosts {
        let (sender, lists) = mpsc::channel(LISTS);
        self.table().insert(key.clone(), sender);
        Hosts { key: key.clone(), lists, older: self.clone() }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Key, mpsc::Sender<Iq>>> {
        // No step leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hosts {
    /// The next list; `None` once another expectation took the place. Safe to drop and call again.
    async fn next(&mut self) -> Option<Iq> {
        self.lists.recv().await
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.lists.close();
        let mut table = self.older.table();
        if table.get(&self.key).is_some_and(mpsc::Sender::is_closed) {
            table.remove(&self.key);
        }
    }
}

/// Takes what the reception does not know: offers of files, and lists of hosts for streams that were agreed on. To those who do not
/// see us we look like nobody.
pub(super) async fn arrive(desk: &Arc<Desk>, shelf: &Shelf, request: Iq, place: Option<Place>) {
    let IqKind::Set(payload) = &request.kind else { return refuse(desk, &request, DefinedCondition::ServiceUnavailable).await };
    let peer = request.from.clone().and_then(|from| from.into_full().ok()).filter(|peer| desk.is_seen_by(&peer.bare()));
    match (payload.ns(), peer) {
        (ns::SI, Some(peer)) => taking::offered(desk, shelf, peer, request, place.and_then(Place::into_held)).await,
        (ns::BYTESTREAMS, Some(peer)) => {
            let key = Key { peer, sid: payload.attr("sid").unwrap_or_default().to_owned() };
            let expected = desk.older.table().get(&key).cloned();
            // XEP-0065 §5.3: whoever does not want it says so.
            let returned = match expected {
                Some(lists) => lists.try_send(request).err().map(mpsc::error::TrySendError::into_inner),
                None => Some(request),
            };
            if let Some(request) = returned {
                refuse(desk, &request, DefinedCondition::NotAcceptable).await;
            }
        }
        _ => refuse(desk, &request, DefinedCondition::ServiceUnavailable).await,
    }
}

async fn refuse(desk: &Desk, request: &Iq, condition: DefinedCondition) {
    desk.courier.answer(request.refuse(StanzaError::new(condition))).await;
}

#[cfg(test)]
mod tests {
    use balcony_wire::{Element, Jid};

    use super::*;

    fn key(peer: &str) -> Key {
        Key { peer: Jid::parse(peer).unwrap().into_full().unwrap(), sid: "s".to_owned() }
    }

    #[tokio::test]
    async fn hosts_are_expected_from_one_device_for_one_stream_and_as_long_as_somebody_waits() {
        let older = Older::default();
        let mut romeos = older.expect(&key("romeo@montague.lit/phone"));
        assert!(older.table().get(&key("mallory@evil.lit/x")).is_none());
        let request = Iq::set("1", None, Element::new("query", ns::BYTESTREAMS));
        older.table()[&key("romeo@montague.lit/phone")].try_send(request.clone()).unwrap();
        assert_eq!(romeos.next().await, Some(request));
        let again = older.expect(&key("romeo@montague.lit/phone"));
        drop(romeos);
        assert_eq!(older.table().len(), 1, "who came later stays");
        drop(again);
        assert!(older.table().is_empty());
    }
}
