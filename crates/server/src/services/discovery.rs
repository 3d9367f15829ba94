//! Discovery, answered from what is registered and from nothing else.
//!
//! XEP-0030 Service discovery, v2.5.0 <https://xmpp.org/extensions/xep-0030.html>
//! XEP-0115 Entity capabilities, v1.6.0 <https://xmpp.org/extensions/xep-0115.html>

use balcony_wire::caps::{Caps, verification_string};
use balcony_wire::disco::{DiscoInfo, DiscoItems};
use balcony_wire::{Payload as _, ns};
use futures_util::future::BoxFuture;
use sha1::{Digest as _, Sha1};

use crate::handler::{Answer, Audience, Handler, Place, Registration, Request, Verb};
use crate::hub::Hub;
use crate::refusal::Reason;

/// Names the program in caps.
const NODE: &str = "https://balcony.im/server";

/// disco#info and disco#items of one place.
pub(crate) struct Discovery(pub(crate) Place);

impl Handler for Discovery {
    fn registration(&self) -> Registration {
        let registration = Registration::at(self.0.clone())
            .taking(DiscoInfo::NAME, DiscoInfo::NS, &[Verb::Get], Audience::Everybody)
            .taking(DiscoItems::NAME, DiscoItems::NS, &[Verb::Get], Audience::Everybody)
            .feature(ns::DISCO_INFO)
            .feature(ns::DISCO_ITEMS);
        match self.0 {
            // XEP-0160 §3: messages for who is not there are kept.
            Place::Server => registration.identity("server", "im", "Balcony").feature(ns::CAPS).feature("msgoffline"),
            Place::Account => registration.identity("account", "registered", "Account"),
            Place::Host(_) => registration,
        }
    }

    fn answer<'a>(&'a self, hub: &'a Hub, request: Request<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            if self.0 == Place::Account && !hub.may_see(request.to, request.from).await? {
                return Err(Reason::NobodyThere.into());
            }
            let node = request.payload.attr("node").map(str::to_owned);
            let described = hub.registry().info(&self.0);
            if request.payload.is(DiscoItems::NAME, DiscoItems::NS) {
                let items = if self.0 == Place::Server && node.is_none() { hub.registry().items() } else { Vec::new() };
                return Ok(Some(DiscoItems { node, items, result_set: None }.write()));
            }
            let known = node.is_none() || (self.0 == Place::Server && node == Some(caps_of(&described).disco_node()));
            if known { Ok(Some(DiscoInfo { node, ..described }.write())) } else { Err(Reason::NoSuchNode.into()) }
        })
    }
}

/// XEP-0115 caps of what a place announces.
pub(crate) fn caps_of(info: &DiscoInfo) -> Caps {
    let sha1 = |input: &[u8]| Sha1::digest(input).to_vec();
    let ver = verification_string(info, sha1).expect("the registry holds nothing twice");
    Caps { hash: "sha-1".into(), node: NODE.into(), ver }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Registry;

    #[test]
    fn what_is_announced_twice_is_told_once_and_has_caps() {
        let mut registry = Registry::default();
        registry.register(Discovery(Place::Server));
        registry.register(crate::services::Pings(Place::Server));
        registry.register(crate::services::Pings(Place::Server));
        let info = registry.info(&Place::Server);
        assert_eq!(info.features.iter().filter(|feature| *feature == ns::PING).count(), 1);
        assert!(info.is("server", "im") && info.has(ns::DISCO_ITEMS));
        assert_eq!(caps_of(&info).ver.len(), 28);
    }
}
