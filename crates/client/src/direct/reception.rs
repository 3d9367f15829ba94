//! Looks at what begins something new, one after another: who may begin it, whether there is room, and what is offered in it. An offer
//! goes into the catalogue like any other; its session waits for the answer.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html> (§6.3, §13)

use std::sync::Arc;

use balcony_sharing::Received;
use balcony_store::StoreError;
use balcony_wire::jingle::Jingle;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, FullJid, Iq, IqKind, Jid, Payload as _, StanzaError};
use tokio::sync::{broadcast, mpsc};

use super::give::Asked;
use super::switchboard::{Arrival, Key, Place};
use super::task::Task;
use super::{Desk, proposing, publish, si};
use crate::account::Connection;
use crate::account::door::as_if_nobody_was_here;
use crate::blocking::blocking;
use crate::offers::{self, CataloguedOffer};

/// Where offers go.
#[derive(Clone)]
pub(super) struct Shelf {
    pub(super) desk: offers::Desk,
    pub(super) news: broadcast::Sender<CataloguedOffer>,
}

/// Runs until the account is gone.
pub(super) async fn run(desk: Arc<Desk>, shelf: Shelf, mut arrivals: mpsc::Receiver<(Arrival, Place)>, mut back: mpsc::Receiver<Iq>) {
    let mut state = desk.state.clone();
    loop {
        let arrival = tokio::select! {
            arrival = arrivals.recv() => arrival.map(|(arrival, place)| (arrival, Some(place))),
            // What was taken for a session that we asked for is looked at like any other.
            request = back.recv() => request.map(|request| (Arrival::Session(request), None)),
            _ = state.wait_for(|state| matches!(state, Connection::Ended(_))) => return,
        };
        let Some((arrival, place)) = arrival else { return };
        match arrival {
            Arrival::Session(request) => session(&desk, &shelf, request, place).await,
            Arrival::Added(peer, jingle) => shelf.keep(peer, jingle).await,
            Arrival::Start(request) => drop(tokio::spawn(start(Arc::clone(&desk), request, place))),
            Arrival::Older(request) => si::arrive(&desk, &shelf, request, place).await,
            // Only where somebody waits for offers: the account itself listens for its clones.
            Arrival::Message(message) if shelf.news.receiver_count() > 1 => proposing::answer(&desk, &message).await,
            Arrival::Message(_) => {}
            Arrival::Unseen(request) => drop(tokio::spawn(unseen(Arc::clone(&desk), request, place))),
        }
    }
}

async fn refuse(desk: &Desk, request: &Iq, condition: DefinedCondition) {
    desk.courier.answer(request.refuse(StanzaError::new(condition))).await;
}

/// Somebody asks something to whom this device is not shown. Only if something of ours was offered to them, or would be given to them by a
/// rule, do they get an answer of ours; whatever they ask, it takes one look to know that.
async fn unseen(desk: Arc<Desk>, request: Iq, place: Option<Place>) {
    let may_ask = match &request.from {
        Some(asker) => desk.giver.has_something_for(asker).await,
        None => true, // our server
    };
    drop(place);
    let answer = if may_ask { desk.door.answer(request) } else { Some(as_if_nobody_was_here(&request)) };
    if let Some(answer) = answer {
        desk.courier.answer(answer).await;
    }
}

/// Somebody opens a session. The place is taken as long as it is looked at; what it holds is the session's then.
async fn session(desk: &Arc<Desk>, shelf: &Shelf, request: Iq, place: Option<Place>) {
    let Some(key) = key(&request) else { return refuse(desk, &request, DefinedCondition::ServiceUnavailable).await };
    if desk.is_seen_by(&key.peer.bare()) {
        return begin(desk, shelf, key, &request, place).await;
    }
    // Whoever else comes here asks for a file: looking takes a while, and nobody waits for that here.
    let (desk, shelf) = (Arc::clone(desk), shelf.clone());
    tokio::spawn(async move {
        if gives(&desk, &key.peer, &request).await {
            begin(&desk, &shelf, key, &request, place).await;
        } else {
            desk.courier.answer(as_if_nobody_was_here(&request)).await;
        }
    });
}

async fn begin(desk: &Arc<Desk>, shelf: &Shelf, key: Key, request: &Iq, place: Option<Place>) {
    let IqKind::Set(payload) = &request.kind else { return };
    match desk.incoming(&key, request, place.and_then(Place::into_held)) {
        Ok(beginning) => {
            desk.courier.answer(request.result(None)).await;
            let peer = key.peer.clone();
            Task::spawn(desk, key, beginning);
            shelf.keep(peer, payload.clone()).await;
        }
        Err(answer) => desk.courier.answer(*answer).await,
    }
}

/// Whether somebody may have the first file that they ask for.
async fn gives(desk: &Desk, peer: &FullJid, request: &Iq) -> bool {
    let IqKind::Set(payload) = &request.kind else { return false };
    let Ok(jingle) = Jingle::read(payload) else { return false };
    let Some(file) = jingle.files().next().map(|(_, file)| file.metadata.clone()) else { return false };
    desk.giver.find(&Jid::from(peer.clone()), Asked::ByFile(Box::new(file))).await.is_some()
}

/// Who begins which session.
fn key(request: &Iq) -> Option<Key> {
    let peer = request.from.clone()?.into_full().ok()?;
    let IqKind::Set(payload) = &request.kind else { return None };
    Some(Key { sid: payload.attr("sid").unwrap_or_default().to_owned(), peer })
}

/// Somebody asks for a session that we published. The place is taken until they have their answer.
async fn start(desk: Arc<Desk>, request: Iq, _place: Option<Place>) {
    let started = publish::start(&desk.giver, &request).await;
    desk.courier.answer(started.answer).await;
    let peer = request.from.and_then(|from| from.into_full().ok());
    if let Some(((sid, gift), peer)) = started.session.zip(peer) {
        // They run into a deadline of their own.
        let watcher = desk.giver.watch(&Jid::from(peer.clone()), &gift);
        if let Err(error) = desk.give(peer, sid, gift, Some(watcher)) {
            tracing::info!(class = ?error.class(), "a published session could not be started");
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
