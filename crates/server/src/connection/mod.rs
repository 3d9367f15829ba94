//! The driver of one client connection: feeds the stream machine, performs what it wants, sleeps. No opinions.
//!
//! | part | does |
//! |---|---|
//! | [`socket`] | bytes, TLS |
//! | `balcony_session::server` | the protocol |
//! | [`courier`] | what the client said, to where it belongs |
//! | [`desk`] | the bound session: its mail, and what is left when the connection is gone |
//! | [`in_flight`] | mail that is with the client's stream and not acknowledged |

mod courier;
mod desk;
mod enter;
mod in_flight;
mod socket;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use balcony_session::Security;
use balcony_session::server::{Action, Leftover, ServerConfig, ServerEnd, ServerStream};
use balcony_wire::stream::error::StreamErrorCondition;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use self::desk::{Desk, DeskEvent};
pub(crate) use self::in_flight::InFlight;
use self::socket::{Event, Socket};
use crate::accounts::random;
use crate::guesses::Guesses;
use crate::hub::Hub;
use crate::listener::ended;
use crate::sessions::Control;

/// While more waits to be written, nothing is taken in.
const HIGH_WATER: usize = 256 * 1024;
/// How long a client may take to close its side.
const LINGER: Duration = Duration::from_secs(2);
/// Stanzas taken from the mailbox between two looks at the socket.
const BATCH: usize = 128;

/// What all connections of one port share.
pub(crate) struct Port {
    pub(crate) hub: Arc<Hub>,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) tls: TlsAcceptor,
    pub(crate) guesses: Arc<Guesses>,
    /// `tls-server-end-point` of the certificate.
    pub(crate) end_point: Option<Vec<u8>>,
}

/// One connection.
struct Connection {
    port: Arc<Port>,
    address: IpAddr,
    /// A login counts as a guess until it turns out right.
    guessing: bool,
    stream: ServerStream,
    socket: Socket,
    /// Once an address is bound.
    desk: Option<Desk>,
    alarm: Alarm,
    ending: watch::Receiver<bool>,
    told_to_end: bool,
}

/// Serves one client from its first byte to its end, hibernation included.
pub(crate) async fn serve(stream: TcpStream, address: IpAddr, port: Arc<Port>, ending: watch::Receiver<bool>) {
    let socket = Socket::new(stream, port.hub.limits().slow_reader);
    let machine = ServerStream::new(port.config.clone(), random(), Instant::now());
    let mut connection =
        Connection { port, address, guessing: false, stream: machine, socket, desk: None, alarm: Alarm::new(), ending, told_to_end: false };
    if connection.port.config.security == Security::DirectTls {
        connection.encrypt().await;
    }
    connection.run().await;
}

/// Turns a client away in words, where it can be done without a handshake.
pub(crate) fn turn_away(stream: &TcpStream, port: &Port) {
    if port.config.security == Security::DirectTls {
        return;
    }
    let now = Instant::now();
    let mut machine = ServerStream::new(port.config.clone(), random(), now);
    machine.close(now, Some((StreamErrorCondition::ResourceConstraint, "there are too many connections".to_owned())));
    while let Some(action) = machine.poll_action() {
        if let Action::Write(bytes) = action {
            // A fresh socket has room for these few bytes; one that has none is not waited for.
            let _ = stream.try_write(&bytes);
        }
    }
}

impl Connection {
    async fn run(mut self) {
        loop {
            let mut end = self.perform().await;
            if end.is_none() {
                self.exchange();
                end = self.perform().await;
            }
            if let Some(end) = end {
                return self.end(end).await;
            }
            if let Some(desk) = &mut self.desk {
                desk.settle(self.stream.acknowledged(), self.stream.sent(), self.socket.is_flushed());
                if desk.is_to_be_taken_over()
                    && let Some(detached) = self.stream.take_over(Instant::now())
                {
                    return self.hand_over(detached).await;
                }
            }
            self.wait().await;
        }
    }

    /// Does what the machine wants. `Some` when it is over.
    async fn perform(&mut self) -> Option<ServerEnd> {
        while let Some(action) = self.stream.poll_action() {
            match action {
                Action::Write(bytes) => self.socket.push(bytes),
                Action::StartTls => self.encrypt().await,
                Action::LookUp { username, mechanism } => self.look_up(&username, mechanism).await,
                Action::Bind(request) => self.bind(request).await,
                Action::Resume { account, id } => self.resume(&account, &id).await,
                Action::Resumable { id } => {
                    if let Some(desk) = &self.desk {
                        self.port.hub.sessions().make_resumable(id, desk.session());
                    }
                }
                Action::Stanza(stanza) => {
                    if let Some(desk) = &mut self.desk {
                        desk.hear(stanza);
                    }
                }
                // Nothing is held back from an inactive client.
                Action::Activity(_) => {}
                Action::Ended(end) => return Some(end),
            }
        }
        None
    }

    async fn encrypt(&mut self) {
        let patience = self.port.hub.limits().login_deadline;
        match self.socket.encrypt(&self.port.tls, self.port.end_point.as_deref(), patience).await {
            Some(bindings) => self.stream.handle_tls(Instant::now(), bindings),
            None => self.stream.handle_closed(Instant::now()),
        }
    }

    /// Carries what the client said, and takes in what others said to it.
    fn exchange(&mut self) {
        let Some(desk) = &mut self.desk else { return };
        let now = Instant::now();
        let room = if self.socket.unsent() < HIGH_WATER { BATCH } else { 0 };
        desk.exchange(room, |stanza| self.stream.send(now, stanza).map(|()| self.stream.sent()));
        if desk.is_awaited() {
            self.stream.hurry(now);
        }
        // Of these a crash loses nothing any more.
        let safe = desk.newly_safe(self.stream.pending());
        if safe > 0 {
            self.stream.confirm(now, safe);
        }
    }

    /// Sleeps until something happens, and feeds it to the machine.
    async fn wait(&mut self) {
        let room = self.socket.unsent() < HIGH_WATER;
        let reading = room && self.desk.as_ref().is_none_or(Desk::is_ready_for_more);
        self.alarm.set(self.stream.deadline());
        self.alarm.set(self.desk.as_ref().and_then(Desk::overdue));
        let now = Instant::now;
        tokio::select! {
            event = self.socket.event(reading) => match event {
                Event::Read(count) => self.stream.handle_bytes(now(), self.socket.read(count)),
                Event::Wrote => {}
                Event::Closed => self.stream.handle_closed(now()),
            },
            event = desk::next(self.desk.as_mut(), room) => match event {
                DeskEvent::Progress => {}
                DeskEvent::Told(Control::Close(condition, words)) => self.stream.close(now(), Some((condition, words.to_owned()))),
                DeskEvent::Told(Control::TakeOver(to)) => {
                    if let Some(desk) = &mut self.desk {
                        desk.set_take_over(to);
                    }
                }
                // Its client is here and gets everything itself.
                DeskEvent::Told(Control::Share(_)) => {}
            },
            () = self.alarm.rings() => {
                self.stream.handle_timeout(now());
                if let Some(desk) = &mut self.desk {
                    desk.write_down_late(now(), |h| self.stream.unacknowledged_after(h));
                }
            }
            () = ended(&mut self.ending), if !self.told_to_end => {
                self.told_to_end = true;
                self.stream.close(now(), Some((StreamErrorCondition::SystemShutdown, "the server goes down".to_owned())));
            }
        }
    }

    /// Gives the session to another connection of the same client; this one only says good-bye.
    async fn hand_over(mut self, detached: balcony_session::server::Detached) {
        while let Some(action) = self.stream.poll_action() {
            if let Action::Write(bytes) = action {
                self.socket.push(bytes);
            }
        }
        if let Some(desk) = self.desk
            && let Err(back) = desk.hand_over(detached)
        {
            let (desk, detached) = *back;
            // The other connection is gone already: this session waits for the next.
            tokio::spawn(self.socket.close(LINGER));
            return desk.hibernate(detached, self.port.config.resume_for, self.ending).await;
        }
        self.socket.close(LINGER).await;
    }

    async fn end(self, end: ServerEnd) {
        tracing::debug!(why = end.words, "a client connection is over");
        let linger = if self.told_to_end { LINGER / 10 } else { LINGER };
        let closing = tokio::spawn(self.socket.close(linger));
        if let Some(desk) = self.desk {
            match self.stream.into_leftover() {
                Leftover::Detached(detached) => desk.hibernate(detached, self.port.config.resume_for, self.ending).await,
                Leftover::Undelivered { stanzas, .. } => desk.finish(stanzas).await,
                Leftover::Nothing => desk.finish(Vec::new()).await,
            }
        }
        let _ = closing.await;
    }
}

/// A timer that is moved as seldom as possible: it may ring early, never late.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::from_secs(3600))) }
    }

    fn set(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else { return };
        if deadline < self.sleep.deadline() || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(deadline);
        }
    }

    async fn rings(&mut self) {
        self.sleep.as_mut().await;
    }
}
