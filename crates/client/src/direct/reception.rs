//! Looks at what begins something new, one after another: who may begin it, and whether there is room.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html> (§6.3, §13)

use std::sync::Arc;

use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Iq, StanzaError};
use tokio::sync::mpsc;

use super::switchboard::Arrival;
use super::{Desk, Key};
use crate::account::Connection;

/// Runs until the account is gone.
pub(super) async fn run(desk: Arc<Desk>, mut arrivals: mpsc::Receiver<Arrival>) {
    let mut state = desk.state.clone();
    loop {
        let arrival = tokio::select! {
            arrival = arrivals.recv() => arrival,
            _ = state.wait_for(|state| matches!(state, Connection::Ended(_))) => return,
        };
        let Some(arrival) = arrival else { return };
        match arrival {
            Arrival::Session(request) => session(&desk, request).await,
            Arrival::Start(request) | Arrival::Older(request) => refuse(&desk, &request, DefinedCondition::ServiceUnavailable).await,
            Arrival::Message(_) => {}
        }
    }
}

async fn refuse(desk: &Desk, request: &Iq, condition: DefinedCondition) {
    desk.courier.answer(request.refuse(StanzaError::new(condition))).await;
}

/// Somebody opens a session. To those whom the person does not know we look like a client that has never heard of sessions.
async fn session(desk: &Arc<Desk>, request: Iq) {
    let Some(_key) = desk.known(&request) else { return refuse(desk, &request, DefinedCondition::ServiceUnavailable).await };
    refuse(desk, &request, DefinedCondition::ServiceUnavailable).await;
}

impl Desk {
    /// Who asks, if they are somebody with whom we open sessions: a contact, or another device of ours.
    fn known(&self, request: &Iq) -> Option<Key> {
        let peer = request.from.clone()?.into_full().ok()?;
        let person = peer.bare();
        let is_known = person == self.account || self.contacts.borrow().groups(&person).is_some();
        let balcony_wire::IqKind::Set(payload) = &request.kind else { return None };
        is_known.then(|| Key { sid: payload.attr("sid").unwrap_or_default().to_owned(), peer })
    }
}
