//! The byte streams of stream initiation, opened by us or towards us, under the id of the offer.

use std::time::Instant;

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::ibb::Terms;
use balcony_sharing::transfer::bytestream::socks5::{Action, Requester, Stream, Target};
use balcony_sharing::transfer::bytestream::{OwnCandidate, Way};
use balcony_wire::bytestreams::Query;
use balcony_wire::in_band::Open;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Iq, IqKind, Jid, Payload as _, StanzaError};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use super::WayTaken;
use crate::direct::switchboard::Key;
use crate::direct::{Courier, Desk, InBand};
use crate::streams::{Sockets, settings};

/// Whose end of the stream we are: who we are to the peer, and what may be shown.
pub(super) struct End<'a> {
    pub(super) desk: &'a Desk,
    pub(super) key: &'a Key,
    pub(super) own: Jid,
    pub(super) reach: Reach,
}

impl End<'_> {
    fn stream(&self) -> Stream {
        Stream { sid: self.key.sid.clone(), own: self.own.clone(), peer: self.peer(), reach: self.reach }
    }

    fn peer(&self) -> Jid {
        Jid::from(self.key.peer.clone())
    }

    /// Connects to one of the hosts that the peer lists; answers its request in any case.
    pub(super) async fn dial(&self, request: &Iq) -> Result<(TcpStream, WayTaken), String> {
        let courier = &self.desk.courier;
        let query = request
            .request()
            .ok_or("nothing is in the request".to_owned())
            .and_then(|payload| Query::read(payload).map_err(|error| error.to_string()));
        let query = match query {
            Ok(query) => query,
            Err(why) => {
                answer(courier, request, Err(DefinedCondition::BadRequest)).await;
                return Err(why);
            }
        };
        let mut sockets = self.desk.sockets(&self.key.peer);
        let proxies = sockets.gather(Reach::Relay).await;
        let mut target = match Target::new(Instant::now(), self.stream(), settings(&self.desk.network), &proxies, &query) {
            Ok(target) => target,
            Err(condition) => {
                answer(courier, request, Err(condition)).await;
                return Err("their list of hosts cannot be used".to_owned());
            }
        };
        loop {
            while let Some(action) = target.poll_action() {
                match action {
                    Action::Socket(action) => sockets.perform(action),
                    Action::Answer(result) => answer(courier, request, result).await,
                    Action::Stands(way) => return taken(&mut sockets, &way),
                    Action::Failed(why) => return Err(why.to_string()),
                    Action::Ask(_) => {} // the other side asks
                }
            }
            let deadline = target.deadline();
            tokio::select! {
                event = sockets.event() => target.handle_socket(Instant::now(), event),
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => target.handle_timeout(Instant::now()),
            }
        }
    }

    /// Lists these hosts to the peer, and waits until one of them is used.
    pub(super) async fn list(&self, mut sockets: Sockets, own: Vec<OwnCandidate>) -> Result<(TcpStream, WayTaken), String> {
        let (mut requester, mut asked) = (Requester::new(Instant::now(), self.stream(), settings(&self.desk.network), own), None);
        loop {
            while let Some(action) = requester.poll_action() {
                match action {
                    Action::Socket(action) => sockets.perform(action),
                    Action::Ask(query) => {
                        // The machine is less patient.
                        let patience = settings(&self.desk.network).verdict * 2;
                        asked = Some(self.desk.courier.begin(self.peer(), Ask::Set(query), patience).await);
                    }
                    Action::Stands(way) => return taken(&mut sockets, &way),
                    Action::Failed(why) => return Err(why.to_string()),
                    Action::Answer(_) => {} // nobody asks us
                }
            }
            let deadline = requester.deadline();
            let answered = async {
                match &mut asked {
                    Some(answer) => answer.await.unwrap_or(Err(RequestError::Disconnected)),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = answered => {
                    asked = None;
                    let answer = answer.as_ref().map(Option::as_ref).map_err(ToString::to_string);
                    requester.handle_answer(Instant::now(), answer);
                }
                event = sockets.event() => requester.handle_socket(Instant::now(), event),
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => requester.handle_timeout(Instant::now()),
            }
        }
    }
}

/// What the peer wants of a stream in band that it opens: its terms, which nothing agreed on before. Anything else is answered here.
pub(super) async fn terms(courier: &Courier, key: &Key, mail: &InBand) -> Option<Terms> {
    let InBand::Request(request) = mail else { return None };
    let opened = match &request.kind {
        IqKind::Set(payload) if Open::matches(payload) => Open::read(payload).map_err(|_| DefinedCondition::BadRequest),
        _ => Err(DefinedCondition::ItemNotFound),
    };
    match opened {
        Ok(open) => Some(Terms { sid: key.sid.clone(), block_size: open.block_size, stanza: open.stanza }),
        Err(condition) => {
            answer(courier, request, Err(condition)).await;
            None
        }
    }
}

async fn answer(courier: &Courier, request: &Iq, result: Result<Element, DefinedCondition>) {
    let answer = match result {
        Ok(payload) => request.result(Some(payload)),
        Err(condition) => request.refuse(StanzaError::new(condition)),
    };
    courier.answer(answer).await;
}

fn taken(sockets: &mut Sockets, way: &Way) -> Result<(TcpStream, WayTaken), String> {
    let stream = sockets.take(way).ok_or_else(|| "the connection is gone".to_owned())?;
    Ok(match way {
        Way::Proxy { proxy, .. } => (stream, WayTaken::Proxy(proxy.clone())),
        Way::Listener { .. } | Way::Dialled(_) => (stream, WayTaken::Direct),
    })
}
