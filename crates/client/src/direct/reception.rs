//! Looks at what begins something new, one after another: who may begin it, whether there is room, and what is offered in it. An offer
//! goes into the catalogue like any other; its session waits for the answer.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html> (§6.3, §13)

use std::sync::Arc;

use balcony_sharing::Received;
use balcony_store::StoreError;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, FullJid, Iq, IqKind, Jid, StanzaError};
use tokio::sync::{broadcast, mpsc};

use super::switchboard::{Arrival, Key};
use super::task::Task;
use super::{Desk, publish, si};
use crate::account::Connection;
use crate::blocking::blocking;
use crate::offers::{self, CataloguedOffer};

/// Where offers go.
pub(super) struct Shelf {
    pub(super) desk: offers::Desk,
    pub(super) news: broadcast::Sender<CataloguedOffer>,
}

/// Runs until the account is gone.
pub(super) async fn run(desk: Arc<Desk>, shelf: Shelf, mut arrivals: mpsc::Receiver<Arrival>, mut back: mpsc::Receiver<Iq>) {
    let mut state = desk.state.clone();
    loop {
        let arrival = tokio::select! {
            arrival = arrivals.recv() => arrival,
            // What was taken for a session that we asked for is looked at like any other.
            request = back.recv() => request.map(Arrival::Session),
            _ = state.wait_for(|state| matches!(state, Connection::Ended(_))) => return,
        };
        let Some(arrival) = arrival else { return };
        match arrival {
            Arrival::Session(request) => {
                if let Some(request) = desk.expected.take(request) {
                    session(&desk, &shelf, request).await;
                }
            }
            Arrival::Added(peer, jingle) => shelf.keep(peer, jingle).await,
            Arrival::Start(request) => drop(tokio::spawn(start(Arc::clone(&desk), request))),
            Arrival::Older(request) => si::arrive(&desk, &shelf, request).await,
            Arrival::Message(_) => {}
        }
    }
}

async fn refuse(desk: &Desk, request: &Iq, condition: DefinedCondition) {
    desk.courier.answer(request.refuse(StanzaError::new(condition))).await;
}

/// Somebody opens a session. To those whom the person does not know we look like a client that has never heard of sessions.
async fn session(desk: &Arc<Desk>, shelf: &Shelf, request: Iq) {
    let key = known(desk, &request);
    let (Some(key), IqKind::Set(payload)) = (key, &request.kind) else {
        return refuse(desk, &request, DefinedCondition::ServiceUnavailable).await;
    };
    match desk.incoming(&key, &request) {
        Ok(beginning) => {
            desk.courier.answer(request.result(None)).await;
            let peer = key.peer.clone();
            Task::spawn(desk, key, beginning);
            shelf.keep(peer, payload.clone()).await;
        }
        Err(answer) => desk.courier.answer(*answer).await,
    }
}

/// Who asks, if they are somebody with whom we open sessions.
fn known(desk: &Desk, request: &Iq) -> Option<Key> {
    let peer = request.from.clone()?.into_full().ok()?;
    let IqKind::Set(payload) = &request.kind else { return None };
    desk.knows(&peer.bare()).then(|| Key { sid: payload.attr("sid").unwrap_or_default().to_owned(), peer })
}

/// Somebody asks for a session that we published.
async fn start(desk: Arc<Desk>, request: Iq) {
    let started = publish::start(&desk.giver, &request).await;
    desk.courier.answer(started.answer).await;
    let peer = request.from.and_then(|from| from.into_full().ok());
    if let Some(((sid, gift), peer)) = started.session.zip(peer) {
        // They run into a deadline of their own.
        let watcher = desk.giver.watch(&Jid::from(peer.clone()), &gift);
        if let Err(error) = desk.give(peer, sid, gift, Some(watcher)) {
            tracing::info!(%error, "a published session could not be started");
        }
    }
}

impl Shelf {
    /// Puts what a session offers into the catalogue, and tells of it.
    async fn keep(&self, peer: FullJid, jingle: Element) {
        let desk = self.desk.clone();
        self.tell(blocking(move || desk.take_session(&peer, &jingle)).await);
    }

    /// As [`Shelf::keep`], for stream initiation.
    pub(super) async fn keep_initiation(&self, peer: FullJid, si: Element) {
        let desk = self.desk.clone();
        let Ok(received) = Received::initiation(&peer, &desk.account, &si) else { return }; // what it offers was read before
        self.tell(blocking(move || desk.take_opened(&received)).await);
    }

    fn tell(&self, taken: Result<Vec<CataloguedOffer>, StoreError>) {
        match taken {
            Ok(offers) => {
                for offer in offers {
                    let _ = self.news.send(offer); // nobody listens; it is in the catalogue
                }
            }
            Err(error) => tracing::error!(%error, "an offer cannot be written into the catalogue"),
        }
    }
}
