//! The task behind an account: connects, feeds the stream machine, carries out what it says, connects again. It has no
//! opinions: when to try again, when to stop, what an answer is, all that comes from `balcony_session`.
//!
//! It owns connection and machine; everybody else talks to it through bounded channels and sees its state in a watch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use balcony_session::Security;
use balcony_session::client::{Action, Advice, ClientConfig, ClientStream, End, Failure, Learned, PeerLimits, ResumeState, SendError};
use balcony_session::connect_plan::{ConnectPlan, Endpoint, SrvAnswer, connect_plan};
use balcony_session::iq_table::{RequestError, RequestId};
use balcony_session::reconnect::{Backoff, BackoffBounds};
use balcony_session::sm::{Sent, SentId};
use balcony_wire::{Element, FullJid, IqKind, Stanza};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::sleep_until;

use super::answers;
use super::bounce::Bounce;
use super::contacts::{self, Approver, Book};
use super::copies::Copies;
use super::devices::{self, DeviceBook};
use super::door::Door;
use super::inbox::Inbox;
use super::options::{Availability, ConnectOptions, ServerAddress};
use super::reply::ReplyTo;
use super::sight::{Shows, Sight};
use super::socket::{Event, Socket};
use super::state::{Command, Connection, Delivery, Online};
use crate::direct::Switchboard;
use crate::net::network::Network;
use crate::net::{NetError, dns};

/// Unwritten bytes above which nothing more is taken from the handles.
const FULL: usize = 1024 * 1024;
/// How often in a row we let ourselves be sent elsewhere without a pause: before TLS anybody on the way can do it.
const MOST_HOPS: u8 = 3;
/// Bytes read at once.
const READ: usize = 16 * 1024;
/// Commands taken before the connection is looked at again.
const BATCH: usize = 64;

/// All the task works with.
pub(crate) struct Driver {
    options: ConnectOptions,
    network: Network,
    commands: mpsc::Receiver<Command>,
    inbox: Inbox,
    state: watch::Sender<Connection>,
    book: Book,
    approver: Approver,
    devices: DeviceBook,
    /// The question for the roster of the present session.
    asked_for_roster: Option<RequestId>,
    bounces: broadcast::Sender<Bounce>,
    copies: Copies,
    sight: Sight,
    door: Door,
    switchboard: Switchboard,
    requests: HashMap<RequestId, ReplyTo>,
    deliveries: HashMap<SentId, oneshot::Sender<Delivery>>,
    connections: u64,
    sessions: u64,
    /// All handles are gone, or one of them said so.
    closing: bool,
}

/// What the task shares with others: where they speak to it, and what they hear from it.
pub(crate) struct Lines {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) inbox: Inbox,
    pub(crate) state: watch::Sender<Connection>,
    pub(crate) book: Book,
    pub(crate) approver: Approver,
    pub(crate) devices: DeviceBook,
    pub(crate) bounces: broadcast::Sender<Bounce>,
    pub(crate) copies: Copies,
    pub(crate) sight: Sight,
    pub(crate) door: Door,
    pub(crate) switchboard: Switchboard,
}

/// What a connection at work waits for.
enum Input {
    Connection(std::io::Result<Event>),
    Inbox,
    Command(Option<Command>),
    Deadline,
}

/// One connection at work.
struct Link {
    stream: ClientStream,
    socket: Socket,
    endpoint: Endpoint,
    began: Instant,
    buffer: Vec<u8>,
}

impl Driver {
    pub(crate) fn new(options: ConnectOptions, network: Network, lines: Lines) -> Self {
        let Lines { approver, commands, inbox, state, book, devices, bounces, copies, sight, door, switchboard } = lines;
        Self {
            approver,
            sight,
            door,
            switchboard,
            copies,
            bounces,
            book,
            devices,
            asked_for_roster: None,
            options,
            network,
            commands,
            inbox,
            state,
            requests: HashMap::new(),
            deliveries: HashMap::new(),
            connections: 0,
            sessions: 0,
            closing: false,
        }
    }

    /// Runs until the account is closed or cannot be connected any more. The first failure ends it too: whoever connects waits
    /// for an answer; reconnecting is for those who were there once.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(BackoffBounds::default());
        let mut resume = None;
        let mut elsewhere = None;
        let mut hops = 0;
        loop {
            let (end, left) = self.connection(resume.take(), elsewhere.take(), &mut backoff).await;
            tracing::info!(cause = ?end.cause, "the stream ended");
            let stops = end.advice() == Advice::Stop || self.sessions == 0 || self.closing;
            elsewhere = end.other_host.as_deref().and_then(address_in).filter(|_| hops < MOST_HOPS && !self.closing);
            if stops && elsewhere.is_none() {
                self.give_up(left, end);
                return;
            }
            hops = if elsewhere.is_some() { hops + 1 } else { 0 };
            resume = left;
            if elsewhere.is_none() {
                let pause = backoff.failed(Instant::now(), random_number());
                self.state.send_replace(Connection::Waiting { why: end.clone(), pause });
                self.wait(pause).await;
                if self.closing {
                    self.give_up(resume, end);
                    return;
                }
            }
            self.state.send_replace(Connection::Connecting);
        }
    }

    /// Waits before the next attempt; answers meanwhile that nobody is logged in.
    async fn wait(&mut self, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                command = self.commands.recv() => match command {
                    Some(Command::Send { done, .. }) => { let _ = done.send(Err(SendError::NotOnline)); }
                    Some(Command::Request { reply, .. }) => reply.say(Err(RequestError::NotOnline)),
                    // There is no connection to say it of, or to send it on.
                    Some(Command::Settle { .. } | Command::Answer(_)) => {}
                    Some(Command::Probe) => return,
                    Some(Command::Close) | None => { self.closing = true; return; }
                },
            }
        }
    }

    /// The end: everybody who waits is told.
    fn give_up(&mut self, resume: Option<ResumeState>, end: End) {
        self.lost(resume.map(ResumeState::give_up).unwrap_or_default());
        self.deliveries.clear();
        // Whoever waits hears that the connection was lost.
        self.requests.clear();
        self.state.send_replace(Connection::Ended(end));
    }

    /// One connection from dialling to its end.
    async fn connection(
        &mut self,
        resume: Option<ResumeState>,
        elsewhere: Option<ServerAddress>,
        backoff: &mut Backoff,
    ) -> (End, Option<ResumeState>) {
        self.connections += 1;
        self.inbox.reconnect();
        let began = Instant::now();
        let location = resume.as_ref().and_then(ResumeState::location).and_then(address_in);
        let mut failures = Vec::new();
        for endpoint in self.endpoints(elsewhere, location).await {
            match self.reach(&endpoint).await {
                Ok((socket, bindings)) => {
                    let mut stream = ClientStream::new(self.config(endpoint.security, resume), random(), Instant::now());
                    match bindings {
                        Some(bindings) => stream.handle_tls(Instant::now(), bindings),
                        None => stream.handle_connected(Instant::now()),
                    }
                    let link = Link { stream, socket, endpoint, began, buffer: vec![0; READ] };
                    return self.drive(link, backoff).await;
                }
                Err(failure) => failures.push(failure),
            }
        }
        // A bad certificate is worth more words than the closed port next to it.
        let certificate = failures.iter().position(|failure| matches!(failure, Failure::Certificate(_)));
        let not_offered = || Failure::Connect(format!("{} says that it offers no XMPP to clients", self.options.account.domain()));
        let failure = match certificate {
            Some(at) => failures.swap_remove(at),
            None => failures.into_iter().next_back().unwrap_or_else(not_offered),
        };
        let mut stream = ClientStream::new(self.config(Security::StartTls, resume), random(), began);
        stream.handle_failure(Instant::now(), failure);
        self.drain_unconnected(stream)
    }

    fn drain_unconnected(&mut self, mut stream: ClientStream) -> (End, Option<ResumeState>) {
        loop {
            match stream.poll_action() {
                Some(Action::Ended(end)) => return (end, stream.into_resume()),
                Some(action) => self.perform_offline(action),
                // The machine always ends on a failure; if it ever does not, connecting timed out.
                None => stream.handle_timeout(Instant::now() + Duration::from_secs(3600)),
            }
        }
    }

    fn perform_offline(&mut self, action: Action) {
        match action {
            Action::Answer { request, result } => self.answered(request, result),
            Action::Lost(sent) => self.lost(sent),
            Action::Acknowledged(sent) => self.acknowledged(&sent),
            Action::Write(_) | Action::StartTls | Action::Online { .. } | Action::Stanza(_) | Action::Ended(_) => {}
        }
    }

    fn config(&self, security: Security, resume: Option<ResumeState>) -> ClientConfig {
        let mut config = ClientConfig::new(self.options.account.clone(), self.options.credentials.clone());
        config.resource.clone_from(&self.options.resource);
        config.security = security;
        config.floor = self.options.floor;
        // Whoever hides sends something and leaves.
        config.carbons = self.options.availability != Availability::Hidden;
        config.confirms = true;
        config.resume = resume;
        config
    }

    /// Where to connect to, in order.
    async fn endpoints(&self, elsewhere: Option<ServerAddress>, location: Option<ServerAddress>) -> Vec<Endpoint> {
        let security = self.options.server.as_ref().map_or(Security::StartTls, |(_, security)| *security);
        let at = |address: ServerAddress| Endpoint { host: address.host, port: address.port, security };
        let mut endpoints: Vec<Endpoint> = elsewhere.into_iter().chain(location).map(at).collect();
        if let Some((address, _)) = &self.options.server {
            endpoints.push(at(address.clone()));
            return endpoints;
        }
        let domain = self.options.account.domain();
        let ascii = match url::Host::parse(domain) {
            Ok(host) => host.to_string(),
            Err(_) => domain.to_owned(), // the look-up will say what is wrong with it
        };
        let (starttls, direct): (SrvAnswer, SrvAnswer) = match self.network.proxy() {
            // Nothing is looked up around the proxy, and SOCKS5 asks for no SRV records.
            Some(_) => (SrvAnswer::None, SrvAnswer::None),
            None => dns::srv(&ascii).await,
        };
        if let ConnectPlan::Try(planned) = connect_plan(&ascii, starttls, direct, random()) {
            endpoints.extend(planned);
        }
        endpoints
    }

    /// Connects, with direct TLS also the handshake.
    async fn reach(&self, endpoint: &Endpoint) -> Result<(Socket, Option<balcony_session::ChannelBindings>), Failure> {
        let mut socket = Socket::connect(&endpoint.host, endpoint.port, &self.network).await.map_err(failure)?;
        let bindings = match endpoint.security {
            Security::StartTls => None,
            Security::DirectTls => Some(socket.encrypt(&self.network, self.options.account.domain()).await.map_err(failure)?),
        };
        Ok((socket, bindings))
    }

    /// Feed, perform, sleep.
    async fn drive(&mut self, mut link: Link, backoff: &mut Backoff) -> (End, Option<ResumeState>) {
        loop {
            while let Some(action) = link.stream.poll_action() {
                if let Action::Ended(end) = action {
                    link.socket.close().await;
                    return (end, link.stream.into_resume());
                }
                self.perform(&mut link, action, backoff).await;
            }
            self.input(&mut link).await;
        }
    }

    async fn input(&mut self, link: &mut Link) {
        let deadline = link.stream.deadline();
        // A server acknowledges nothing that came behind a message that is not safe yet: blocks of a file may be many until then.
        let takes_commands = link.socket.waiting() < FULL && link.stream.has_room() && !self.closing;
        let has_room = self.inbox.has_room();
        // Nothing is read while the last messages wait for whoever looks at them.
        let buffer: &mut [u8] = if has_room { &mut link.buffer } else { &mut [] };
        let input = tokio::select! {
            event = link.socket.event(buffer) => Input::Connection(event),
            () = self.inbox.moved() => Input::Inbox,
            command = self.commands.recv(), if takes_commands => Input::Command(command),
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => Input::Deadline,
        };
        let now = Instant::now();
        match input {
            Input::Connection(Ok(Event::Wrote)) => {}
            Input::Connection(Ok(Event::Read(0))) => link.stream.handle_closed(now),
            Input::Connection(Ok(Event::Read(read))) => link.stream.handle_bytes(now, &link.buffer[..read]),
            Input::Connection(Err(error)) => link.stream.handle_failure(now, Failure::Io(error.to_string())),
            Input::Inbox => {
                self.inbox.hand_over();
                link.stream.confirm(now, self.inbox.newly_kept());
            }
            Input::Command(command) => self.commands_from(command, &mut link.stream),
            Input::Deadline => link.stream.handle_timeout(now),
        }
    }

    /// Takes a command, and those right behind it, so that they are written in one piece.
    fn commands_from(&mut self, first: Option<Command>, stream: &mut ClientStream) {
        let mut next = first;
        for _ in 0..BATCH {
            match next {
                Some(command) => self.command(command, stream),
                None => {
                    self.closing = true;
                    stream.confirm(Instant::now(), self.inbox.newly_kept());
                    stream.close(Instant::now());
                }
            }
            match self.commands.try_recv() {
                Ok(command) if !self.closing => next = Some(command),
                _ => return,
            }
        }
        if let Some(command) = next {
            self.command(command, stream);
        }
    }

    fn command(&mut self, command: Command, stream: &mut ClientStream) {
        let now = Instant::now();
        match command {
            Command::Send { stanza, done } => {
                let shows = Shows::of(&stanza);
                let sent = stream.send(now, *stanza).map(|id| {
                    let (sender, receiver) = oneshot::channel();
                    if self.acknowledges() {
                        self.deliveries.insert(id, sender);
                    } else {
                        let _ = sender.send(Delivery::Unknowable);
                    }
                    receiver
                });
                let is_sent = sent.is_ok();
                // Whoever asked may have gone meanwhile, here and below.
                let _ = done.send(sent);
                self.went_out(is_sent, shows, stream);
            }
            Command::Request { to, ask, timeout, reply } => {
                let shows = Shows::word(to.as_ref());
                let request = stream.request(now, to, ask, timeout);
                self.requests.insert(request, reply);
                self.went_out(stream.awaits(request), shows, stream);
            }
            Command::Settle { done } => self.inbox.settle(done),
            // As below: who asked runs into a deadline of their own.
            Command::Answer(answer) => drop(stream.answer(now, *answer)),
            Command::Probe => stream.probe(now),
            Command::Close => {
                self.closing = true;
                stream.confirm(Instant::now(), self.inbox.newly_kept());
                stream.close(now);
            }
        }
    }

    fn acknowledges(&self) -> bool {
        matches!(&*self.state.borrow(), Connection::Online(online) if online.learned.acknowledged)
    }

    async fn perform(&mut self, link: &mut Link, action: Action, backoff: &mut Backoff) {
        match action {
            Action::Write(bytes) => link.socket.queue(&bytes),
            Action::StartTls => {
                let done = match link.socket.flush().await {
                    Ok(()) => link.socket.encrypt(&self.network, self.options.account.domain()).await.map_err(failure),
                    Err(error) => Err(Failure::Io(error.to_string())),
                };
                match done {
                    Ok(bindings) => link.stream.handle_tls(Instant::now(), bindings),
                    Err(failure) => link.stream.handle_failure(Instant::now(), failure),
                }
            }
            Action::Online { jid, resumed, learned, limits } => {
                backoff.online(Instant::now());
                self.online(link, jid, resumed, *learned, limits);
            }
            Action::Stanza(stanza) => self.received(stanza, &mut link.stream),
            Action::Answer { request, result } => {
                self.answered(request, result);
                self.ask_devices(&mut link.stream);
            }
            Action::Acknowledged(sent) => self.acknowledged(&sent),
            Action::Lost(sent) => self.lost(sent),
            Action::Ended(_) => {}
        }
    }

    fn online(&mut self, link: &mut Link, jid: FullJid, resumed: bool, learned: Learned, limits: PeerLimits) {
        if !resumed {
            self.sessions += 1;
            // Before presence: then nothing that changes meanwhile is missed (RFC 6121 §2.2).
            self.asked_for_roster = Some(link.stream.request(Instant::now(), None, Book::question(), contacts::ANSWER));
            self.copies.begin_session(self.sessions);
            self.sight.begin_session();
            self.devices.begin_session(jid.clone());
            self.switchboard.renamed();
            if let Some(presence) = answers::presence(self.options.availability) {
                // The stream ended again already; then there is nobody to tell.
                let _ = link.stream.send(Instant::now(), presence.into());
            }
        }
        tracing::info!(resumed, mechanism = %learned.mechanism, sasl2 = learned.sasl2, "logged in");
        // From here on the floor holds for reconnections as well.
        self.options.floor = self.options.floor.max(Some(learned.mechanism));
        let online = Online {
            jid,
            learned,
            limits,
            tls: link.socket.tls_version().unwrap_or("no TLS"),
            host: link.endpoint.host.clone(),
            security: link.endpoint.security,
            took: link.began.elapsed(),
            connection: self.connections,
            session: self.sessions,
        };
        self.state.send_replace(Connection::Online(Arc::new(online)));
    }

    fn received(&mut self, stanza: Stanza, stream: &mut ClientStream) {
        match stanza {
            Stanza::Message(message) => {
                if let Some(bounce) = Bounce::of(&message) {
                    message.from.iter().for_each(|from| self.sight.came_back(&from.bare()));
                    let _ = self.bounces.send(bounce); // nobody is sending just now; it is looked at below as well
                }
                self.switchboard.hear(&message);
                self.inbox.put(message);
            }
            Stanza::Iq(iq) if matches!(iq.kind, IqKind::Get(_) | IqKind::Set(_)) => {
                if answers::is_roster_push(&iq, &self.options.account) {
                    self.book.pushed(&iq.kind);
                    self.devices.look_again();
                }
                // If the queue is full or the stream over, the asker runs into a deadline of their own.
                if let Some(answer) = self.door.take(iq) {
                    let _ = stream.answer(Instant::now(), answer);
                }
                self.ask_devices(stream);
            }
            Stanza::Presence(presence) => {
                self.devices.see(&presence);
                self.switchboard.see(&presence);
                self.approver.hear(&presence);
                self.ask_devices(stream);
            }
            Stanza::Iq(_) => {}
        }
    }

    fn answered(&mut self, request: RequestId, result: Result<Option<Element>, RequestError>) {
        let Some(result) = self.devices.answered(request, result) else { return };
        if self.asked_for_roster == Some(request) {
            self.asked_for_roster = None;
            self.book.answered(self.sessions, result);
            self.devices.look_again();
        } else if let Some(reply) = self.requests.remove(&request) {
            reply.say(result);
        }
    }

    /// What the connection took shows us from here on, before the server acknowledges it: they may ask back earlier than that. By what is
    /// lost with its connection nobody sees us: the next session begins with nobody. Whose devices see us may be asked what they can do.
    fn went_out(&mut self, is_sent: bool, shows: Shows, stream: &mut ClientStream) {
        if is_sent && self.sight.wrote(shows) {
            self.devices.look_again();
            self.ask_devices(stream);
        }
    }

    /// Asks devices that came what they can do.
    fn ask_devices(&mut self, stream: &mut ClientStream) {
        while let Some((device, ask)) = self.devices.question() {
            let request = stream.request(Instant::now(), Some(device.clone()), ask, devices::ANSWER);
            self.devices.asked(request, device);
        }
    }

    fn acknowledged(&mut self, sent: &[Sent]) {
        for id in sent.iter().filter_map(|sent| sent.id) {
            if let Some(done) = self.deliveries.remove(&id) {
                let _ = done.send(Delivery::Acknowledged);
            }
        }
    }

    fn lost(&mut self, sent: Vec<Sent>) {
        for id in sent.iter().filter_map(|sent| sent.id) {
            if let Some(done) = self.deliveries.remove(&id) {
                let _ = done.send(Delivery::Lost);
            }
        }
    }
}

/// `host` or `host:port`, as servers name other places.
fn address_in(text: &str) -> Option<ServerAddress> {
    text.parse().ok().or_else(|| {
        let host = text.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| ServerAddress { host: host.to_owned(), port: 5222 })
    })
}

/// As the machine wants to hear it.
fn failure(error: NetError) -> Failure {
    let words = crate::words::with_causes(&error);
    match error {
        NetError::Certificate { .. } => Failure::Certificate(words),
        NetError::Tls { .. } => Failure::Tls(words),
        NetError::Unknown { .. }
        | NetError::TimedOut { .. }
        | NetError::Unreachable { .. }
        | NetError::Proxy { .. }
        | NetError::Forbidden(_) => Failure::Connect(words),
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    bytes
}

fn random_number() -> u64 {
    let bytes = random();
    u64::from_be_bytes(bytes[..8].try_into().expect("eight of 32 bytes"))
}
