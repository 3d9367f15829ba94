//! An account that is connected, and stays so.

pub(crate) mod answers;
pub(crate) mod driver;
mod options;
mod report;
mod socket;
mod upload_service;

pub use driver::{Connection, Online};
pub use options::{Availability, ConnectOptions, NoServerAddress, ServerAddress};
pub use report::Report;
pub use upload_service::{Services, UploadService};

use std::sync::Arc;
use std::time::Duration;

use balcony_session::client::{Ask, End, SendError};
use balcony_session::iq_table::RequestError;
use balcony_wire::{BareJid, Element, Jid, Message, Stanza};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::error::{Class, ConnectError, class_of};
use crate::net::tls::Trust;
use driver::{Command, Delivery, Driver};

/// Commands that may wait for the connection's task.
const COMMANDS: usize = 256;
/// Messages that may wait to be looked at.
const MESSAGES: usize = 256;

/// An account that is connected. Cheap to clone; the connection is closed when the last clone is dropped, politely with
/// [`Account::close`].
#[derive(Clone)]
pub struct Account {
    inner: Arc<Inner>,
}

struct Inner {
    jid: BareJid,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<Connection>,
    /// The services of one connection, by its number.
    services: Mutex<Option<(u64, Arc<Services>)>>,
}

/// The account is not connected any more.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the account is offline: {0}")]
pub struct OfflineError(pub End);

impl OfflineError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        class_of(self.0.cause)
    }
}

impl Account {
    /// Connects and logs in. From then on a lost connection is taken up again by itself, with growing pauses; what cannot
    /// be mended by trying again ends it ([`Connection::Ended`]).
    ///
    /// Tells the resolver the domain, the server the IP address and, if [`Availability`] says so, contacts the presence.
    /// Dropping the future closes what was begun.
    ///
    /// # Errors
    /// When the first attempt fails, for whatever reason.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        let trust = Trust::new(options.ca_pem.as_deref())?;
        let (commands, taken) = mpsc::channel(COMMANDS);
        let (messages, _inbox): (_, mpsc::Receiver<Message>) = mpsc::channel(MESSAGES);
        let (state, watched) = watch::channel(Connection::Connecting);
        let jid = options.account.clone();
        tokio::spawn(Driver::new(options, trust, taken, messages, state).run());
        let account = Self { inner: Arc::new(Inner { jid, commands, state: watched, services: Mutex::new(None) }) };
        match account.online().await {
            Ok(_) => Ok(account),
            Err(OfflineError(end)) => Err(ConnectError::Ended(end)),
        }
    }

    /// The account.
    pub fn jid(&self) -> &BareJid {
        &self.inner.jid
    }

    /// How the connection is, and how it changes.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.inner.state.clone()
    }

    /// The present login; waits while a lost connection is being taken up again. Safe to drop.
    ///
    /// # Errors
    /// When it will not come back by itself.
    pub async fn online(&self) -> Result<Arc<Online>, OfflineError> {
        let mut state = self.inner.state.clone();
        loop {
            match &*state.borrow_and_update() {
                Connection::Online(online) => return Ok(Arc::clone(online)),
                Connection::Ended(end) => return Err(OfflineError(end.clone())),
                Connection::Connecting | Connection::Waiting { .. } => {}
            }
            if state.changed().await.is_err() {
                return Err(OfflineError(closed(&state)));
            }
        }
    }

    /// Asks somebody something; `None` asks the own account. Exactly one answer, or the reason why there is none. Dropping the
    /// future forgets the answer, not the question.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(&self, to: Option<Jid>, ask: Ask, timeout: Duration) -> Result<Option<Element>, RequestError> {
        let (done, answer) = oneshot::channel();
        let command = Command::Request { to, ask, timeout, done };
        self.inner.commands.send(command).await.map_err(|_| RequestError::NotOnline)?;
        answer.await.unwrap_or(Err(RequestError::Disconnected))
    }

    /// Sends a stanza; returns when it is on its way, not when it arrived. Dropping the future early may or may not send it.
    ///
    /// # Errors
    /// When not online, or when the server would not take it.
    pub async fn send(&self, stanza: impl Into<Stanza>) -> Result<(), SendError> {
        self.send_tracked(stanza.into()).await.map(drop)
    }

    /// As [`Account::send`], and says later what became of it.
    pub(crate) async fn send_tracked(&self, stanza: Stanza) -> Result<oneshot::Receiver<Delivery>, SendError> {
        let (done, sent) = oneshot::channel();
        let command = Command::Send { stanza: Box::new(stanza), done };
        self.inner.commands.send(command).await.map_err(|_| SendError::NotOnline)?;
        sent.await.unwrap_or(Err(SendError::NotOnline))
    }

    /// Looks at once whether the connection is alive, or tries at once to connect again: after a change of networks, after sleep.
    pub async fn probe(&self) {
        // A closed account needs no probe.
        let _ = self.inner.commands.send(Command::Probe).await;
    }

    /// The server's services, asked for once on each connection. Safe to drop.
    ///
    /// # Errors
    /// When the account is offline for good.
    pub async fn services(&self) -> Result<Arc<Services>, OfflineError> {
        let online = self.online().await?;
        let mut known = self.inner.services.lock().await;
        if let Some((connection, services)) = &*known
            && *connection == online.connection
        {
            return Ok(Arc::clone(services));
        }
        let services = Arc::new(upload_service::discover(self).await);
        *known = Some((online.connection, Arc::clone(&services)));
        Ok(services)
    }

    /// What the account's server can do. Asks the server, its items and the account. Safe to drop.
    ///
    /// # Errors
    /// When the account is offline for good.
    pub async fn report(&self) -> Result<Report, OfflineError> {
        report::report(self).await
    }

    /// Closes the stream: what was sent before is flushed and, where the server does that, acknowledged. Returns when it is over.
    pub async fn close(&self) {
        // If the task is gone already, so is the stream.
        let _ = self.inner.commands.send(Command::Close).await;
        let mut state = self.inner.state.clone();
        let _ = state.wait_for(|state| matches!(state, Connection::Ended(_))).await;
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

/// Why the task is gone: what it said last.
fn closed(state: &watch::Receiver<Connection>) -> End {
    match &*state.borrow() {
        Connection::Ended(end) | Connection::Waiting { why: end, .. } => end.clone(),
        Connection::Connecting | Connection::Online(_) => driver::broken_off(),
    }
}
