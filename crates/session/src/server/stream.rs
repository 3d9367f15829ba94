//! The machine itself: what may be put in and taken out.

use std::sync::Arc;
use std::time::Instant;

use balcony_wire::stream::error::StreamErrorCondition;
use balcony_wire::{FullJid, Stanza, StanzaError};

use super::{Action, Bound, Detached, Leftover, ServerConfig};
use crate::binding::ChannelBindings;
use crate::scram::StoredKeys;

/// The server's side of one client connection, from its first byte to its end.
///
/// Order of driving: any `handle_*`, `send`, `close`; then [`ServerStream::poll_action`] until `None`; then sleep until
/// [`ServerStream::deadline`] or the next input.
#[derive(Debug)]
pub struct ServerStream {}

impl ServerStream {
    /// A connection was accepted (with direct TLS: call [`ServerStream::handle_tls`] after the handshake). `entropy` must
    /// be fresh for every stream.
    #[must_use]
    pub fn new(_config: Arc<ServerConfig>, _entropy: [u8; 32], _now: Instant) -> Self {
        todo!()
    }

    /// The TLS handshake is done.
    pub fn handle_tls(&mut self, _now: Instant, _bindings: ChannelBindings) {
        todo!()
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, _now: Instant, _bytes: &[u8]) {
        todo!()
    }

    /// The connection is closed or broken.
    pub fn handle_closed(&mut self, _now: Instant) {
        todo!()
    }

    /// [`ServerStream::deadline`] has passed. Calling it early does no harm.
    pub fn handle_timeout(&mut self, _now: Instant) {
        todo!()
    }

    /// Answers [`Action::LookUp`].
    pub fn handle_credentials(&mut self, _now: Instant, _keys: Option<StoredKeys>) {
        todo!()
    }

    /// The store cannot be asked just now: answers [`Action::LookUp`] with `temporary-auth-failure`.
    pub fn handle_credentials_unavailable(&mut self, _now: Instant) {
        todo!()
    }

    /// Answers [`Action::Bind`].
    pub fn handle_bound(&mut self, _now: Instant, _bound: Result<Bound, StanzaError>) {
        todo!()
    }

    /// Answers [`Action::Resume`]: the session, or how many stanzas of it had been handled if that is still known.
    pub fn handle_resume(&mut self, _now: Instant, _session: Result<Detached, Option<u32>>) {
        todo!()
    }

    /// Sends a stanza to the client.
    ///
    /// # Errors
    /// Hands it back when nobody is logged in here any more or too much waits for acknowledgement: to be stored or bounced.
    pub fn send(&mut self, _now: Instant, _stanza: Stanza) -> Result<(), Box<Stanza>> {
        todo!()
    }

    /// Another connection resumes this session: ends this stream with `conflict` and hands the session over. `None` when
    /// there is no session that could be resumed. Poll the rest of the actions after it.
    pub fn take_over(&mut self, _now: Instant) -> Option<Detached> {
        todo!()
    }

    /// Ends the stream, with a stream error if there is a reason. The session cannot be resumed then.
    pub fn close(&mut self, _now: Instant, _reason: Option<(StreamErrorCondition, String)>) {
        todo!()
    }

    /// What to do next; `None` until the next input.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }

    /// When to call [`ServerStream::handle_timeout`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Whether a question ([`Action::LookUp`], [`Action::Bind`], [`Action::Resume`]) waits for its answer: a driver that
    /// wants to stop reading the socket meanwhile may. Nothing is lost if it does not.
    pub fn is_waiting(&self) -> bool {
        todo!()
    }

    /// The client's address, once bound.
    pub fn jid(&self) -> Option<&FullJid> {
        todo!()
    }

    /// What is left after [`Action::Ended`].
    #[must_use]
    pub fn into_leftover(self) -> Leftover {
        todo!()
    }
}
