//! The proxies of the account's server: found once on each connection, in the background, since whoever wants to send waits for it.
//!
//! XEP-0065 SOCKS5 Bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html> (§4)
//! XEP-0030 Service discovery, v2.5.0 <https://xmpp.org/extensions/xep-0030.html>

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use balcony_session::client::Ask;
use balcony_sharing::transfer::bytestream::{OwnCandidate, OwnPlace};
use balcony_wire::bytestreams::Query;
use balcony_wire::disco::{DiscoInfo, DiscoItems};
use balcony_wire::{Jid, Payload};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::account::Connection;
use crate::direct::Courier;

/// How long the server, or an item of it, may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the others are waited for when one proxy is known.
const GRACE: Duration = Duration::from_millis(50);
/// Items of the server that are asked.
const ITEMS: usize = 20;
/// Addresses of proxies that are kept.
const MOST: usize = 4;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Proxies {
    courier: Courier,
    server: Jid,
    connection: watch::Receiver<Connection>,
    known: Arc<Mutex<Option<Known>>>,
}

#[derive(Clone, Debug)]
struct Known {
    connection: u64,
    found: watch::Receiver<Found>,
}

#[derive(Clone, Debug, Default)]
struct Found {
    proxies: Vec<OwnCandidate>,
    is_all: bool,
}

impl Proxies {
    /// Those of `server`, by way of an account's connection.
    pub(crate) fn new(courier: Courier, server: Jid, connection: watch::Receiver<Connection>) -> Self {
        Self { courier, server, connection, known: Arc::default() }
    }

    /// Looks for them if nobody did on this connection. Returns at once.
    pub(crate) fn warm(&self) {
        let _ = self.found();
    }

    /// Those that are known before long; perhaps none.
    pub(crate) async fn within(&self, patience: Duration) -> Vec<OwnCandidate> {
        match self.found() {
            Some(found) => known_by(found, patience).await,
            None => Vec::new(),
        }
    }

    fn found(&self) -> Option<watch::Receiver<Found>> {
        let connection = match &*self.connection.borrow() {
            Connection::Online(online) => online.connection,
            Connection::Connecting | Connection::Waiting { .. } | Connection::Ended(_) => return None,
        };
        Some(self.found_on(connection))
    }

    fn found_on(&self, connection: u64) -> watch::Receiver<Found> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known
            && known.connection == connection
        {
            return known.found.clone();
        }
        let (tell, found) = watch::channel(Found::default());
        *known = Some(Known { connection, found: found.clone() });
        tokio::spawn(look(self.courier.clone(), self.server.clone(), tell));
        found
    }
}

/// Some are better than none when time is up, and when whoever looks is gone; with one in hand nobody waits long for more.
async fn known_by(mut found: watch::Receiver<Found>, patience: Duration) -> Vec<OwnCandidate> {
    let _ = timeout(patience, async {
        let _ = found.wait_for(|found| found.is_all || !found.proxies.is_empty()).await;
        timeout(GRACE, found.wait_for(|found| found.is_all)).await.map(drop)
    })
    .await;
    found.borrow().proxies.clone()
}

async fn look(courier: Courier, server: Jid, tell: watch::Sender<Found>) {
    let items = items(&courier, server).await;
    let mut asking: FuturesUnordered<_> = items.into_iter().map(|item| hosts(&courier, item)).collect();
    while let Some(hosts) = asking.next().await {
        tell.send_modify(|found| {
            found.proxies.extend(hosts);
            found.proxies.truncate(MOST);
        });
    }
    tell.send_modify(|found| found.is_all = true);
}

async fn items(courier: &Courier, server: Jid) -> Vec<Jid> {
    let Some(items) = get::<DiscoItems>(courier, server.clone(), DiscoItems::query(None).write()).await else { return Vec::new() };
    let services = items.items.into_iter().filter(|item| item.node.is_none() && item.jid != server).map(|item| item.jid);
    services.take(ITEMS).collect()
}

/// Where a service is, if it is a proxy that lets us.
async fn hosts(courier: &Courier, item: Jid) -> Vec<OwnCandidate> {
    let info = get::<DiscoInfo>(courier, item.clone(), DiscoInfo::query(None).write()).await;
    if !info.is_some_and(|info| info.is("proxy", "bytestreams")) {
        return Vec::new();
    }
    let Some(answer) = get::<Query>(courier, item.clone(), Query::default().write()).await else { return Vec::new() };
    let hosts = answer.hosts().iter().take(MOST).enumerate();
    let host = |(at, host): (usize, &balcony_wire::bytestreams::StreamHost)| OwnCandidate {
        host: host.host.clone(),
        port: host.port.unwrap_or(balcony_wire::bytestreams::DEFAULT_PORT),
        place: OwnPlace::Proxy(host.jid.clone()),
        preference: 1000 - u16::try_from(at).unwrap_or(1000),
    };
    hosts.map(host).collect()
}

/// Who does not answer, or refuses, is no proxy for us.
async fn get<P: Payload>(courier: &Courier, to: Jid, question: balcony_wire::Element) -> Option<P> {
    let answer = courier.ask(to, Ask::Get(question), ANSWER).await.ok()??;
    P::read(&answer).ok()
}

#[cfg(test)]
mod tests {
    use balcony_session::iq_table::RequestError;
    use balcony_wire::stanza::{DefinedCondition, Stanza};
    use balcony_wire::{Element, IqKind, StanzaError};
    use tokio::sync::mpsc;

    use super::*;
    use crate::account::state::Command;

    /// What a listing of XEP-0065 answers.
    fn listed(example: &str) -> Element {
        let xml = testing_corpus::example(&format!("xep-0065/{example}.xml")).in_stream();
        match Stanza::read(Element::parse(&xml).unwrap()).unwrap() {
            Stanza::Iq(iq) => match iq.kind {
                IqKind::Result(payload) => payload.unwrap(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// The server of the listings; a service of which `silent` speaks says nothing, ever. Counts its questions.
    fn server(silent: &'static str) -> (Proxies, watch::Receiver<usize>, mpsc::Sender<Command>) {
        let (commands, mut taken) = mpsc::channel(16);
        let (_, connection) = watch::channel(Connection::Connecting);
        let proxies = Proxies::new(Courier::new(commands.downgrade()), Jid::parse("example.com").unwrap(), connection);
        let (count, questions) = watch::channel(0);
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Some(command) = taken.recv().await {
                let Command::Request { to: Some(to), ask: Ask::Get(question), reply, .. } = command else { continue };
                count.send_modify(|count| *count += 1);
                if to.as_str() == silent {
                    unanswered.push(reply);
                    continue;
                }
                let answer = match (to.as_str(), question.ns()) {
                    ("example.com", _) => Ok(Some(listed("04-server-replies-to-service-discovery-request"))),
                    ("streamer.example.com", "http://jabber.org/protocol/bytestreams") => {
                        Ok(Some(listed("08-proxy-informs-requester-of-network-address")))
                    }
                    ("streamer.example.com", _) => Ok(Some(listed("06-server-replies-to-service-discovery-request"))),
                    _ => {
                        let error = StanzaError::new(DefinedCondition::ServiceUnavailable);
                        Err(RequestError::Refused { from: Some(to.clone()), error })
                    }
                };
                reply.say(answer);
            }
        });
        (proxies, questions, commands)
    }

    fn streamer() -> OwnCandidate {
        let place = OwnPlace::Proxy(Jid::parse("streamer.example.com").unwrap());
        OwnCandidate { host: "24.24.24.1".to_owned(), port: 7625, place, preference: 1000 }
    }

    /// XEP-0065 examples 3 to 8.
    /// Proves: S5B-4-1.
    #[tokio::test]
    async fn the_proxies_of_the_server_are_asked_once_on_each_connection() {
        let (proxies, questions, _online) = server("nobody");
        let patience = Duration::from_secs(60);
        for connection in [1, 1, 2] {
            assert_eq!(known_by(proxies.found_on(connection), patience).await, [streamer()]);
        }
        assert_eq!(*questions.borrow(), 2 * 5, "items, three infos, one address; and again on the next connection");
        assert_eq!(proxies.within(patience).await, [], "without a connection there is nobody to ask");
    }

    #[tokio::test]
    async fn a_service_that_says_nothing_holds_nobody_up() {
        let (proxies, _questions, _online) = server("news.example.com");
        let found = timeout(Duration::from_secs(60), known_by(proxies.found_on(1), Duration::from_secs(600))).await.unwrap();
        assert_eq!(found, [streamer()], "what answered by then is there");
        let (proxies, _questions, _online) = server("example.com");
        assert_eq!(known_by(proxies.found_on(1), Duration::from_millis(50)).await, []);
    }

    /// XEP-0065 example 9, and one that is no streamhost now.
    #[tokio::test]
    async fn a_proxy_that_does_not_want_us_is_none() {
        let (proxies, _questions, _online) = server("streamer.example.com");
        assert_eq!(known_by(proxies.found_on(1), Duration::from_millis(50)).await, []);
    }
}
