//! The XMPP side: where the proxy is, and which streams are to run.
//!
//! XEP-0065 SOCKS5 bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>

use std::sync::Arc;

use balcony_wire::bytestreams::{Activate, Query, QueryPayload, StreamHost};
use balcony_wire::{Jid, Payload as _, ns};
use futures_util::future::BoxFuture;

use super::{Proxy, address_of};
use crate::handler::{Answer, Audience, Handler, Place, Registration, Request, Verb};
use crate::hub::Hub;
use crate::refusal::{Reason, Refusal};

/// The XMPP side of the service.
#[derive(Debug)]
pub(crate) struct Relays(pub(crate) Arc<Proxy>);

impl Handler for Relays {
    fn registration(&self) -> Registration {
        Registration::at(Place::Host(self.0.jid.domain().to_owned()))
            .taking(Query::NAME, Query::NS, &[Verb::Get, Verb::Set], Audience::Everybody)
            .identity("proxy", "bytestreams", "File transfer relay")
            .feature(ns::BYTESTREAMS)
    }

    fn answer<'a>(&'a self, hub: &'a Hub, request: Request<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            if request.from.domain() != hub.domain().as_str() || !self.0.serves(request.account()) {
                return Err(Reason::NoRelay.into());
            }
            match request.verb {
                Verb::Get => self.tell(request.payload.attr("sid")).map(|query| Some(query.write())),
                Verb::Set => self.activate(hub, &request).await.map(|()| None),
            }
        })
    }
}

impl Relays {
    /// Where to connect to (§4).
    fn tell(&self, sid: Option<&str>) -> Result<Query, Refusal> {
        if !self.0.shares.has_room() {
            return Err(Reason::RelayFull.into());
        }
        let streamhost = StreamHost { jid: self.0.jid.clone(), host: self.0.host.clone(), port: Some(self.0.port) };
        // Versions before 1.8 name a stream in the question, and look for it in the answer.
        Ok(Query { sid: sid.map(str::to_owned), payload: QueryPayload::Hosts(vec![streamhost]), ..Query::default() })
    }

    /// Lets a stream of the asking user run (§6.3.5).
    async fn activate(&self, hub: &Hub, request: &Request<'_>) -> Result<(), Refusal> {
        let malformed = |words: &str| Refusal::from(Reason::Malformed).with_words(words);
        let query = Query::read(request.payload).map_err(|error| malformed(&error.to_string()))?;
        let QueryPayload::Activate(Activate { target }) = query.payload else { return Err(malformed("there is nothing to activate")) };
        let sid = query.sid.ok_or_else(|| malformed("the stream has no sid"))?;
        let outcome = self.0.activate(request.account(), address_of(&sid, request.from.as_str(), target.as_str())).await;
        match outcome {
            Err(Reason::NoSuchStream) if self.is_of_somebody_else(hub, request, &sid, &target) => Err(Reason::NotYourStream.into()),
            outcome => outcome.map_err(Into::into),
        }
    }

    /// Whether both wait for a stream of that sid, but by other words than those of this request: asked for by the target, or by another
    /// device of the same account.
    fn is_of_somebody_else(&self, hub: &Hub, request: &Request<'_>, sid: &str, target: &Jid) -> bool {
        let from = request.from;
        let turned_round = address_of(sid, target.as_str(), from.as_str());
        let by_other_devices =
            hub.sessions().of(&from.bare()).into_iter().map(|session| address_of(sid, session.jid().as_str(), target.as_str()));
        std::iter::once(turned_round).chain(by_other_devices).any(|address| self.0.is_known(address))
    }
}
