//! Carries stanzas of sessions to the connection's task. It holds no handle of the account: whoever drops the last one still closes it.

use std::time::Duration;

use balcony_session::client::{Ask, SendError};
use balcony_session::iq_table::RequestError;
use balcony_wire::{Iq, Jid, Stanza};
use tokio::sync::{mpsc, oneshot};

use crate::account::reply::{Answer, ReplyTo};
use crate::account::state::Command;
use crate::streams::SharedRoad;

/// The answer to a question, when it comes.
pub(crate) type Answering = oneshot::Receiver<Answer>;

/// The way out for everything that sessions and their streams say. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Courier {
    commands: mpsc::WeakSender<Command>,
    road: SharedRoad,
}

impl Courier {
    pub(crate) fn new(commands: mpsc::WeakSender<Command>) -> Self {
        Self { commands, road: SharedRoad::default() }
    }

    /// What all streams in band share.
    pub(crate) fn road(&self) -> &SharedRoad {
        &self.road
    }

    /// Asks and waits; exactly one answer, or the reason why there is none. Dropping the future forgets the answer, not the question.
    pub(crate) async fn ask(&self, to: Jid, ask: Ask, timeout: Duration) -> Answer {
        self.begin(to, ask, timeout).await.await.unwrap_or(Err(RequestError::Disconnected))
    }

    /// Asks; the answer comes later, so that several questions may be under way. Waits while the connection is behind.
    pub(crate) async fn begin(&self, to: Jid, ask: Ask, timeout: Duration) -> Answering {
        let (reply, answer) = ReplyTo::one();
        self.begin_for(reply, to, ask, timeout).await;
        answer
    }

    /// As [`Courier::begin`]; the answer goes where it is said.
    pub(crate) async fn begin_for(&self, reply: ReplyTo, to: Jid, ask: Ask, timeout: Duration) {
        match self.commands() {
            Some(commands) => {
                // Where the account is closed, the command is dropped, which says so.
                let _ = commands.send(Command::Request { to: Some(to), ask, timeout, reply }).await;
            }
            None => reply.say(Err(RequestError::NotOnline)),
        }
    }

    /// Sends the answer to a request of somebody else.
    pub(crate) async fn answer(&self, answer: Iq) {
        if let Some(commands) = self.commands() {
            let _ = commands.send(Command::Answer(Box::new(answer))).await; // the account is closed: nobody waits
        }
    }

    /// Sends a message or a presence; returns when it is on its way.
    pub(crate) async fn say(&self, stanza: impl Into<Stanza>) -> Result<(), SendError> {
        let commands = self.commands().ok_or(SendError::NotOnline)?;
        let (done, sent) = oneshot::channel();
        let command = Command::Send { stanza: Box::new(stanza.into()), done };
        commands.send(command).await.map_err(|_| SendError::NotOnline)?;
        drop(commands);
        sent.await.unwrap_or(Err(SendError::NotOnline)).map(drop)
    }

    fn commands(&self) -> Option<mpsc::Sender<Command>> {
        self.commands.upgrade()
    }
}
