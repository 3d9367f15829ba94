//! XEP-0199 XMPP ping, v2.0.1 <https://xmpp.org/extensions/xep-0199.html>

use balcony_wire::ns;
use futures_util::future::BoxFuture;

use crate::handler::{Answer, Audience, Handler, Place, Registration, Request, Verb};
use crate::hub::Hub;

/// Answers pings at one place.
pub(crate) struct Pings(pub(crate) Place);

impl Handler for Pings {
    fn registration(&self) -> Registration {
        Registration::at(self.0.clone()).taking("ping", ns::PING, &[Verb::Get], Audience::Owner).feature(ns::PING)
    }

    fn answer<'a>(&'a self, _hub: &'a Hub, _request: Request<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
