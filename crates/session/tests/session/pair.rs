//! A client machine against a server machine over a connection of bytes, on a clock that jumps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use balcony_session::client::{self, ClientConfig, ClientStream, Credentials, End, Learned};
use balcony_session::scram::FakeSalts;
use balcony_session::server::{self, Bound, Detached, Leftover, ServerConfig, ServerEnd, ServerStream, WantedResource};
use balcony_session::{ChannelBindings, ScramHash, ScramKeys, StoredKeys};
use balcony_wire::{BareJid, Element, FullJid, Jid, Message, MessageKind, Stanza};

use crate::epoch;

pub const PASSWORD: &str = "wherefore art thou";
pub const SALT: &[u8] = b"0123456789abcdef";

/// Keys of romeo for each hash: derived once, the work is the same in every test.
pub fn keys(hash: ScramHash) -> ScramKeys {
    static KEYS: OnceLock<Vec<ScramKeys>> = OnceLock::new();
    let all = KEYS.get_or_init(|| ScramHash::ALL.map(|hash| ScramKeys::derive(hash, PASSWORD, SALT, 4096).unwrap()).to_vec());
    all.iter().find(|keys| keys.hash() == hash).unwrap().clone()
}

pub fn romeo() -> BareJid {
    "romeo@capulet.example".parse().unwrap()
}

pub fn bindings() -> ChannelBindings {
    ChannelBindings { exporter: Some(vec![7; 32]), server_end_point: Some(vec![8; 32]) }
}

pub fn client_config() -> ClientConfig {
    ClientConfig::new(romeo(), Credentials::Password(PASSWORD.to_owned()))
}

pub fn server_config() -> ServerConfig {
    ServerConfig::new("capulet.example".parse().unwrap(), FakeSalts::new([3; 32], 4096))
}

pub fn message(text: &str) -> Stanza {
    let to: Jid = "juliet@capulet.example".parse().unwrap();
    let mut message = Message::new(MessageKind::Chat, Some(to)).with_body(text);
    message.id = Some(text.to_owned());
    Stanza::Message(message)
}

pub fn body(stanza: &Stanza) -> Option<String> {
    match stanza {
        Stanza::Message(message) => message.body(),
        _ => None,
    }
}

/// The accounts and old sessions behind the server machines of a test.
#[derive(Default)]
pub struct Host {
    pub detached: BTreeMap<String, Detached>,
    pub looked_up: Vec<String>,
    pub resources: u32,
    pub enabled: Vec<Element>,
    pub user_agents: Vec<Option<String>>,
}

/// What a client machine said to its driver, bytes left out.
#[derive(Default)]
pub struct ClientSeen {
    pub online: Vec<(FullJid, bool)>,
    pub learned: Option<Box<Learned>>,
    pub stanzas: Vec<Stanza>,
    pub answers: Vec<(balcony_session::iq_table::RequestId, Result<Option<Element>, balcony_session::iq_table::RequestError>)>,
    pub acknowledged: Vec<balcony_session::sm::Sent>,
    pub lost: Vec<balcony_session::sm::Sent>,
    pub end: Option<End>,
}

impl ClientSeen {
    pub fn bodies(&self) -> Vec<String> {
        self.stanzas.iter().filter_map(body).collect()
    }

    pub fn cause(&self) -> client::Cause {
        self.end.as_ref().expect("the client's stream ended").cause
    }
}

/// What a server machine said to its driver.
#[derive(Default)]
pub struct ServerSeen {
    pub stanzas: Vec<Stanza>,
    pub end: Option<ServerEnd>,
    pub activity: Vec<client::Activity>,
    pub undelivered: Vec<Stanza>,
}

impl ServerSeen {
    pub fn bodies(&self) -> Vec<String> {
        self.stanzas.iter().filter_map(body).collect()
    }
}

/// A small generator: same seed, same test.
pub struct Seed(u64);

impl Seed {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Both machines and what is between them.
pub struct Pair {
    pub now: Instant,
    pub client: ClientStream,
    pub server: ServerStream,
    pub seen: ClientSeen,
    pub served: ServerSeen,
    pub to_server: VecDeque<u8>,
    pub to_client: VecDeque<u8>,
    /// All that was ever delivered, for reading.
    pub said_by_client: Vec<u8>,
    pub said_by_server: Vec<u8>,
    /// Bytes after which the connection is cut, both directions counted.
    pub cut_at: Option<usize>,
    pub is_cut: bool,
    /// Bytes to the server vanish from here on: the session that swallows.
    pub deaf: bool,
    /// Largest piece that is delivered at once.
    pub piece: usize,
    pub seed: Seed,
    pub tls: ChannelBindings,
    /// What the server's end sees, when somebody sits in between.
    pub tls_at_server: Option<ChannelBindings>,
    client_tls: bool,
    server_tls: bool,
    delivered: usize,
}

impl Pair {
    pub fn new(client: ClientConfig, server: &Arc<ServerConfig>, seed: u64) -> Self {
        Self::at(epoch(), client, server, seed)
    }

    pub fn at(now: Instant, client: ClientConfig, server: &Arc<ServerConfig>, seed: u64) -> Self {
        let entropy = |side: u8| {
            let mut entropy = [side; 32];
            entropy[..8].copy_from_slice(&seed.to_be_bytes());
            entropy
        };
        let mut client = ClientStream::new(client, entropy(1), now);
        client.handle_connected(now);
        Self {
            now,
            client,
            server: ServerStream::new(server.clone(), entropy(2), now),
            seen: ClientSeen::default(),
            served: ServerSeen::default(),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            said_by_client: Vec::new(),
            said_by_server: Vec::new(),
            cut_at: None,
            is_cut: false,
            deaf: false,
            piece: usize::MAX,
            seed: Seed::new(seed),
            tls: bindings(),
            tls_at_server: None,
            client_tls: false,
            server_tls: false,
            delivered: 0,
        }
    }

    /// Runs until nobody has anything to say.
    pub fn run(&mut self, host: &mut Host) {
        self.run_with(host, &mut |_| {});
    }

    /// Runs; `act` is called after each round, when both machines are drained.
    pub fn run_with(&mut self, host: &mut Host, act: &mut dyn FnMut(&mut Self)) {
        loop {
            self.drain(host);
            act(self);
            self.drain(host);
            let moved = self.deliver();
            if !moved && self.to_server.is_empty() && self.to_client.is_empty() {
                break;
            }
        }
    }

    fn drain(&mut self, host: &mut Host) {
        loop {
            let from_client = self.client.poll_action();
            let from_server = self.server.poll_action();
            if from_client.is_none() && from_server.is_none() {
                return;
            }
            if let Some(action) = from_client {
                self.perform_client(action);
            }
            if let Some(action) = from_server {
                self.perform_server(action, host);
            }
            if self.client_tls && self.server_tls {
                (self.client_tls, self.server_tls) = (false, false);
                self.client.handle_tls(self.now, self.tls.clone());
                self.server.handle_tls(self.now, self.tls_at_server.clone().unwrap_or(self.tls.clone()));
            }
        }
    }

    fn perform_client(&mut self, action: client::Action) {
        match action {
            client::Action::Write(bytes) if !self.is_cut && !self.deaf => self.to_server.extend(bytes),
            client::Action::Write(_) => {}
            client::Action::StartTls => self.client_tls = true,
            client::Action::Online { jid, resumed, learned, .. } => {
                self.seen.online.push((jid, resumed));
                self.seen.learned = Some(learned);
            }
            client::Action::Stanza(stanza) => self.seen.stanzas.push(stanza),
            client::Action::Answer { request, result } => self.seen.answers.push((request, result)),
            client::Action::Acknowledged(sent) => self.seen.acknowledged.extend(sent),
            client::Action::Lost(sent) => self.seen.lost.extend(sent),
            client::Action::Ended(end) => {
                assert!(self.seen.end.replace(end).is_none(), "a stream ends once");
            }
        }
    }

    fn perform_server(&mut self, action: server::Action, host: &mut Host) {
        match action {
            server::Action::Write(bytes) if !self.is_cut => self.to_client.extend(bytes),
            server::Action::Write(_) | server::Action::Resumable { .. } => {}
            server::Action::StartTls => self.server_tls = true,
            server::Action::LookUp { username, mechanism } => {
                let known = matches!(username.as_str(), "romeo" | "juliet");
                host.looked_up.push(username);
                let hash = mechanism.hash().unwrap_or(ScramHash::Sha256);
                let stored: Option<StoredKeys> = known.then(|| keys(hash).stored());
                self.server.handle_credentials(self.now, stored);
            }
            server::Action::Bind(request) => {
                host.resources += 1;
                host.enabled.extend(request.enable);
                host.user_agents.push(request.user_agent);
                let resource = match request.wanted {
                    WantedResource::Any => format!("any{}", host.resources),
                    WantedResource::Named(name) => name,
                    WantedResource::Tagged(tag) => format!("{tag}/{}", host.resources),
                };
                let bound = Bound { jid: request.account.with_resource(&resource).unwrap(), answers: Vec::new() };
                self.server.handle_bound(self.now, Ok(bound));
            }
            server::Action::Resume { id, .. } => {
                let found = host.detached.remove(&id).ok_or(None);
                self.server.handle_resume(self.now, found);
            }
            server::Action::Stanza(stanza) => self.served.stanzas.push(stanza),
            server::Action::Activity(activity) => self.served.activity.push(activity),
            server::Action::Ended(end) => {
                assert!(self.served.end.replace(end).is_none(), "a stream ends once");
            }
        }
    }

    /// Moves some bytes each way; says whether it did.
    fn deliver(&mut self) -> bool {
        let mut moved = false;
        for to_server in [true, false] {
            let queue = if to_server { &mut self.to_server } else { &mut self.to_client };
            let mut most = queue.len().min(self.piece);
            if most == 0 {
                continue;
            }
            if self.piece != usize::MAX {
                most = 1 + self.seed.below(most);
            }
            if let Some(cut_at) = self.cut_at {
                most = most.min(cut_at - self.delivered);
            }
            let bytes: Vec<u8> = queue.drain(..most).collect();
            self.delivered += bytes.len();
            moved = true;
            if to_server {
                self.said_by_client.extend(&bytes);
                self.server.handle_bytes(self.now, &bytes);
            } else {
                self.said_by_server.extend(&bytes);
                self.client.handle_bytes(self.now, &bytes);
            }
            if self.cut_at == Some(self.delivered) {
                self.cut();
                return true;
            }
        }
        moved
    }

    /// The connection breaks: what is under way is lost, both sides notice.
    pub fn cut(&mut self) {
        self.is_cut = true;
        self.cut_at = None;
        self.to_server.clear();
        self.to_client.clear();
        self.client.handle_closed(self.now);
        self.server.handle_closed(self.now);
    }

    /// Time passes for both, deadline by deadline.
    pub fn pass(&mut self, host: &mut Host, time: Duration) {
        let until = self.now + time;
        loop {
            self.run(host);
            let next = [self.client.deadline(), self.server.deadline()].into_iter().flatten().min();
            match next.filter(|next| *next <= until) {
                Some(next) => {
                    self.now = self.now.max(next);
                    self.client.handle_timeout(self.now);
                    self.server.handle_timeout(self.now);
                }
                None => break,
            }
        }
        self.now = until;
    }

    /// Takes both apart: what the client can go on with, and what the host keeps.
    pub fn part(self, host: &mut Host) -> (Option<client::ResumeState>, ClientSeen, ServerSeen) {
        let mut served = self.served;
        match self.server.into_leftover() {
            Leftover::Nothing => {}
            Leftover::Undelivered { stanzas, .. } => served.undelivered = stanzas.into_iter().map(|sent| sent.stanza).collect(),
            Leftover::Detached(session) => {
                host.detached.insert(session.id().to_owned(), session);
            }
        }
        (self.client.into_resume(), self.seen, served)
    }

    pub fn client_said(&self) -> String {
        String::from_utf8_lossy(&self.said_by_client).into_owned()
    }

    pub fn server_said(&self) -> String {
        String::from_utf8_lossy(&self.said_by_server).into_owned()
    }
}

/// A pair that is logged in.
pub fn online(host: &mut Host) -> Pair {
    let mut pair = Pair::new(client_config(), &Arc::new(server_config()), 1);
    pair.run(host);
    assert_eq!(pair.seen.online.len(), 1, "{:?} {:?}", pair.seen.end, pair.served.end);
    pair
}
