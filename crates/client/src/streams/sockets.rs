//! The sockets of one stream: listens, dials and asks proxies, as its machine says, and keeps what stands until somebody takes it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use balcony_session::client::Ask;
use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::addresses::{Company, bare, may_dial, may_dial_unseen};
use balcony_sharing::transfer::bytestream::s5b::Settings;
use balcony_sharing::transfer::bytestream::{Line, OwnCandidate, OwnPlace, SocketAction, SocketEvent, Way};
use balcony_wire::bytestreams::{Activate, Query, QueryPayload};
use balcony_wire::{Jid, Payload as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::interfaces::own_addresses;
use super::listener::{Listeners, Visitor};
use super::proxies::Proxies;
use super::socks;
use crate::direct::Courier;
use crate::net::network::Network;
use crate::net::{NetError, dial, dns};

/// How long we wait for the proxies of the server before we offer what there is without them.
const PROXIES: Duration = Duration::from_millis(500);
/// How long the handshake of a connection may take once it is there.
const HANDSHAKE: Duration = Duration::from_secs(8);
/// How long a proxy may take to join two connections.
const ACTIVATION: Duration = Duration::from_secs(12);
/// Addresses on which we listen.
const LISTENERS: usize = 8;
/// Results that may wait.
const WAITING: usize = 32;

/// Who is on the other side, and where we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// How well we know them.
    pub(crate) company: Company,
    /// This is a test on one machine: its own addresses are offered and dialled.
    pub(crate) loopback: bool,
}

/// How patient machines are to be: other people's proxies take their time.
pub(crate) fn settings(network: &Network) -> Settings {
    let mut settings = Settings::default();
    if network.proxy().is_some() {
        settings.pace.window = Duration::from_secs(20);
        settings.pace.least = Duration::from_secs(15);
        settings.pace.hurry = Duration::from_secs(4);
        settings.activation = Duration::from_secs(40);
    }
    settings
}

/// See the module. Dropping it closes whatever was not taken.
#[derive(Debug)]
pub(crate) struct Sockets {
    network: Network,
    courier: Courier,
    proxies: Proxies,
    surroundings: Surroundings,
    listeners: Option<Listeners>,
    visits: (mpsc::Sender<Visitor>, mpsc::Receiver<Visitor>),
    visitors: Vec<Visitor>,
    /// Connections at the other end of which somebody is.
    answered: (mpsc::Sender<Line>, mpsc::Receiver<Line>),
    own_proxies: Vec<OwnCandidate>,
    tasks: JoinSet<Done>,
    dialling: HashMap<Line, AbortHandle>,
    standing: HashMap<Line, TcpStream>,
    /// A place that the peer named was tried: whoever is there sees from where.
    came_to_them: bool,
}

#[derive(Debug)]
enum Done {
    Dialled(Line, Result<TcpStream, String>),
    Activated(Result<(), String>),
}

impl Sockets {
    /// Nothing is opened yet.
    pub(crate) fn new(network: Network, courier: Courier, proxies: Proxies, surroundings: Surroundings) -> Self {
        Self {
            network,
            courier,
            proxies,
            surroundings,
            listeners: None,
            visits: mpsc::channel(WAITING),
            visitors: Vec::new(),
            answered: mpsc::channel(WAITING),
            own_proxies: Vec::new(),
            tasks: JoinSet::new(),
            dialling: HashMap::new(),
            standing: HashMap::new(),
            came_to_them: false,
        }
    }

    /// Where others can reach us: opens listeners, unless addresses are hidden, and names the proxies of our server. Takes half a second
    /// at most. Nothing is shown to anybody by it.
    pub(crate) async fn gather(&mut self, reach: Reach) -> Vec<OwnCandidate> {
        self.proxies.warm();
        let mut own = match (reach, self.network.proxy()) {
            (Reach::Direct, None) => self.listen().await,
            // Who goes through a proxy cannot be reached, and does not want to be.
            _ => Vec::new(),
        };
        self.own_proxies = self.proxies.within(PROXIES).await;
        own.extend(self.own_proxies.iter().cloned());
        own
    }

    async fn listen(&mut self) -> Vec<OwnCandidate> {
        let Surroundings { company, loopback } = self.surroundings;
        let addresses = own_addresses(company, loopback);
        let told: Vec<_> = addresses.iter().take(LISTENERS).map(|own| own.address).collect();
        let (listeners, open) = Listeners::open(told, self.visits.0.clone()).await;
        self.listeners = Some(listeners);
        let candidate = |at: SocketAddr| OwnCandidate {
            host: at.ip().to_string(),
            port: at.port(),
            place: OwnPlace::Listener,
            preference: addresses.iter().find(|own| own.address == at.ip()).map_or(0, |own| own.preference),
        };
        open.into_iter().map(candidate).collect()
    }

    /// Whether the peer may have seen our address by what was tried so far.
    pub(crate) fn came_to_them(&self) -> bool {
        self.came_to_them
    }

    /// Does what the machine wants; what becomes of it comes out of [`Sockets::event`].
    pub(crate) fn perform(&mut self, action: SocketAction) {
        match action {
            SocketAction::Expect { dstaddr } => {
                if let Some(listeners) = &self.listeners {
                    listeners.expect(dstaddr);
                }
            }
            SocketAction::Dial { line, host, port, dstaddr } => self.dial(line, host, port, dstaddr),
            SocketAction::HangUp { line } => {
                self.standing.remove(&line);
                if let Some(dialling) = self.dialling.remove(&line) {
                    dialling.abort();
                }
            }
            SocketAction::Activate { proxy, sid, target } => {
                let courier = self.courier.clone();
                self.tasks.spawn(async move { Done::Activated(activate(&courier, proxy, sid, target).await) });
            }
        }
    }

    fn dial(&mut self, line: Line, host: String, port: u16, dstaddr: String) {
        let is_ours = matches!(line, Line::OwnProxy(_)) || self.own_proxies.iter().any(|own| own.is_at(&host, port));
        self.came_to_them |= !is_ours && self.network.proxy().is_none();
        let rule = if is_ours { Rule::Ours } else { Rule::Theirs(self.surroundings) };
        let (network, named, answered) = (self.network.clone(), line.clone(), self.answered.0.clone());
        let task = self.tasks.spawn(async move {
            let result = match open(&network, rule, &host, port).await {
                Ok(mut stream) => {
                    let _ = answered.try_send(named.clone()); // no more than a hint
                    ask_for(&mut stream, &dstaddr).await.map(|()| stream)
                }
                Err(why) => Err(why),
            };
            Done::Dialled(named, result)
        });
        if let Some(before) = self.dialling.insert(line, task) {
            before.abort();
        }
    }

    /// What happened next. Safe to drop and call again.
    pub(crate) async fn event(&mut self) -> SocketEvent {
        loop {
            tokio::select! {
                Some(visitor) = self.visits.1.recv() => {
                    self.visitors.push(visitor);
                    return SocketEvent::Connected;
                }
                Some(line) = self.answered.1.recv() => return SocketEvent::Answered { line },
                Some(done) = self.tasks.join_next() => match done {
                    Ok(Done::Activated(result)) => return SocketEvent::Activated(result),
                    Ok(Done::Dialled(line, result)) if self.dialling.remove(&line).is_some() => {
                        let result = result.map(|stream| drop(self.standing.insert(line.clone(), stream)));
                        return SocketEvent::Dialled { line, result };
                    }
                    // Given up meanwhile.
                    Ok(Done::Dialled(..)) | Err(_) => {}
                },
            }
        }
    }

    /// The connection that bytes are to take; `None` if it is not there any more. Everything else may be dropped then.
    pub(crate) fn take(&mut self, way: &Way) -> Option<TcpStream> {
        match way {
            Way::Dialled(line) | Way::Proxy { line, .. } => self.standing.remove(line),
            Way::Listener { at } => {
                let is_there = |visitor: &Visitor| match at {
                    Some((host, port)) => visitor.at.port() == *port && visitor.at.ip().to_string() == *host,
                    None => true,
                };
                while let Ok(visitor) = self.visits.1.try_recv() {
                    self.visitors.push(visitor);
                }
                // Who came twice wants the later one.
                let found = self.visitors.iter().rposition(is_there)?;
                Some(self.visitors.swap_remove(found).stream)
            }
        }
    }
}

/// Whose place it is, which says what addresses it may have.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Our server named it.
    Ours,
    /// The peer did.
    Theirs(Surroundings),
}

impl Rule {
    fn check(self, address: IpAddr, port: u16) -> Result<(), String> {
        match self {
            Self::Ours => Ok(()),
            Self::Theirs(Surroundings { company, loopback }) => may_dial(address, port, company, loopback),
        }
    }

    /// For names that somebody else will look up.
    fn check_unseen(self, host: &str, port: u16) -> Result<(), String> {
        match self {
            Self::Ours => Ok(()),
            Self::Theirs(Surroundings { loopback, .. }) => may_dial_unseen(host, port, loopback),
        }
    }
}

/// Opens one connection. The addresses of a name are judged and those very addresses dialled.
async fn open(network: &Network, rule: Rule, host: &str, port: u16) -> Result<TcpStream, String> {
    let host = bare(host);
    if let Some(proxy) = network.proxy() {
        rule.check_unseen(host, port)?;
        return proxy.open(host, port).await.map_err(|error| words(&error));
    }
    let found = dns::addresses(host, port).await.map_err(|error| words(&error))?;
    let mut refused = "the name has no address".to_owned();
    let mut allowed = Vec::new();
    for address in found {
        match rule.check(address.ip(), port) {
            Ok(()) => allowed.push(address),
            Err(why) => refused = why,
        }
    }
    if allowed.is_empty() {
        return Err(refused);
    }
    dial::dial(host, allowed).await.map_err(|error| words(&error))
}

/// Asks who is there for the stream.
async fn ask_for(stream: &mut TcpStream, dstaddr: &str) -> Result<(), String> {
    timeout(HANDSHAKE, socks::ask_for(stream, dstaddr)).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// Without the address, which is another person's.
fn words(error: &NetError) -> String {
    match error {
        NetError::Unknown { .. } => "its name is not known".to_owned(),
        NetError::TimedOut { .. } => "no answer in time".to_owned(),
        NetError::Unreachable { source, .. } => source.kind().to_string(),
        NetError::Proxy { why, .. } => why.clone(),
        NetError::Forbidden(_) | NetError::Certificate { .. } | NetError::Tls { .. } => "it is not allowed".to_owned(),
    }
}

async fn activate(courier: &Courier, proxy: Jid, sid: String, target: Jid) -> Result<(), String> {
    let query = Query::new(sid, QueryPayload::Activate(Activate { target })).write();
    let answer = courier.ask(proxy, Ask::Set(query), ACTIVATION).await;
    answer.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
