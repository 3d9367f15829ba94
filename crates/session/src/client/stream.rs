//! The machine itself: what may be put in and taken out.

use std::time::{Duration, Instant};

use balcony_wire::{FullJid, Iq, Jid, Stanza};

use super::{Action, Activity, Ask, ClientConfig, Failure, ResumeState, SendError};
use crate::binding::ChannelBindings;
use crate::iq_table::RequestId;
use crate::sm::SentId;

/// A client's stream: one connection from opening to end. For the next connection make a new one, with
/// [`ClientStream::into_resume`] of this one in its configuration.
///
/// Order of driving: any `handle_*`, `send`, `request`, `answer`, `close`; then [`ClientStream::poll_action`] until `None`;
/// then sleep until [`ClientStream::deadline`] or the next input. Nothing is lost when a driver stops between two polls.
/// After [`Action::Ended`] every input is ignored.
#[derive(Debug)]
pub struct ClientStream {}

impl ClientStream {
    /// A stream that waits for its connection. `entropy` must be fresh for every stream.
    #[must_use]
    pub fn new(_config: ClientConfig, _entropy: [u8; 32], _now: Instant) -> Self {
        todo!()
    }

    /// TCP is open. With direct TLS the handshake comes first: do it and call [`ClientStream::handle_tls`] instead.
    pub fn handle_connected(&mut self, _now: Instant) {
        todo!()
    }

    /// The TLS handshake is done and the certificate is good for the domain of the account.
    pub fn handle_tls(&mut self, _now: Instant, _bindings: ChannelBindings) {
        todo!()
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, _now: Instant, _bytes: &[u8]) {
        todo!()
    }

    /// The connection is closed.
    pub fn handle_closed(&mut self, _now: Instant) {
        todo!()
    }

    /// Something below the stream went wrong.
    pub fn handle_failure(&mut self, _now: Instant, _failure: Failure) {
        todo!()
    }

    /// [`ClientStream::deadline`] has passed. Calling it early does no harm.
    pub fn handle_timeout(&mut self, _now: Instant) {
        todo!()
    }

    /// Sends a message, a presence or an iq whose answer does not matter. Costs one pass over the stanza.
    ///
    /// # Errors
    /// When not online, when the server would refuse its size, or when too much waits for acknowledgement.
    pub fn send(&mut self, _now: Instant, _stanza: Stanza) -> Result<SentId, SendError> {
        todo!()
    }

    /// Asks something; `None` asks the own account. The answer comes as [`Action::Answer`], exactly once, also when nothing
    /// could be sent, nobody answered within `timeout`, or the session was lost.
    pub fn request(&mut self, _now: Instant, _to: Option<Jid>, _ask: Ask, _timeout: Duration) -> RequestId {
        todo!()
    }

    /// Forgets a request: its answer will not come out.
    pub fn cancel(&mut self, _request: RequestId) {
        todo!()
    }

    /// Sends the answer to an iq that came as [`Action::Stanza`]; make it with [`Iq::result`] or [`Iq::refuse`].
    ///
    /// # Errors
    /// As [`ClientStream::send`].
    pub fn answer(&mut self, _now: Instant, _answer: Iq) -> Result<SentId, SendError> {
        todo!()
    }

    /// Tells the server whether somebody looks (XEP-0352); nothing is sent where it would not understand.
    pub fn set_activity(&mut self, _now: Instant, _activity: Activity) {
        todo!()
    }

    /// Asks at once whether the server is there (after a change of networks, after sleep): the connection is dead if no
    /// answer comes within [`super::Timing::answer`].
    pub fn probe(&mut self, _now: Instant) {
        todo!()
    }

    /// Closes the stream: what was sent before is flushed, acknowledgement is asked for, the session is over.
    pub fn close(&mut self, _now: Instant) {
        todo!()
    }

    /// What to do next; `None` until the next input.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }

    /// When to call [`ClientStream::handle_timeout`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Who we are, once online.
    pub fn jid(&self) -> Option<&FullJid> {
        todo!()
    }

    /// What is left for another connection to go on with, after [`Action::Ended`] or when the driver drops the
    /// connection. `None` when there is nothing to resume: then [`Action::Lost`] has come already.
    #[must_use]
    pub fn into_resume(self) -> Option<ResumeState> {
        todo!()
    }
}
