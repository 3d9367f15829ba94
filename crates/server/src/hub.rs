//! The middle of the server: what a stanza of a client leads to.
//!
//! Reads nothing from sockets and writes nothing to them: stanzas go in, deliveries come out, in order. What can be
//! decided from memory alone is ([`Hub::quick`]); the rest may wait for the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use balcony_wire::{BareJid, Iq, IqKind, Jid, Message, MessageKind, Presence, PresenceKind, Stanza, StanzaError};

use crate::accounts::Accounts;
use crate::database::{Database, DatabaseError};
use crate::handler::{Audience, Place, Registry, Request, Verb};
use crate::im::contacts::Contacts;
use crate::im::offline::Offline;
use crate::im::spool::Spool;
use crate::outbox::Outbox;
use crate::refusal::{Reason, Refusal};
use crate::sessions::{Session, Sessions};
use crate::settings::ServerLimits;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Hub {
    domain: BareJid,
    limits: ServerLimits,
    accounts: Accounts,
    contacts: Contacts,
    offline: Offline,
    spool: Spool,
    sessions: Sessions,
    registry: Registry,
    ids: AtomicU64,
}

/// What one stanza led to.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) outbox: Outbox,
    /// Kept messages up to this one are in the outbox: to be forgotten when they are on the wire.
    pub(crate) handed_out: Option<i64>,
}

impl Hub {
    pub(crate) fn new(
        domain: BareJid,
        limits: ServerLimits,
        database: &Database,
        spool: Spool,
        accounts: Accounts,
        registry: Registry,
    ) -> Self {
        Self {
            contacts: Contacts::new(database.clone(), domain.as_str(), limits.roster_items, limits.roster_bytes),
            offline: Offline::new(database.clone(), limits.offline_messages, limits.offline_bytes),
            spool,
            domain,
            limits,
            accounts,
            sessions: Sessions::default(),
            registry,
            ids: AtomicU64::default(),
        }
    }

    pub(crate) fn domain(&self) -> &BareJid {
        &self.domain
    }

    pub(crate) fn limits(&self) -> &ServerLimits {
        &self.limits
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(crate) fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    pub(crate) fn offline(&self) -> &Offline {
        &self.offline
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.spool
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// An id for a request of the server's own.
    pub(crate) fn fresh_id(&self) -> String {
        format!("push-{}", self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether `viewer` may see what an account shows its contacts.
    pub(crate) async fn may_see(&self, account: &Jid, viewer: &Jid) -> Result<bool, DatabaseError> {
        match account.local() {
            Some(_) if account.bare() == viewer.bare() => Ok(true),
            Some(localpart) => self.contacts.may_see(localpart, viewer).await,
            None => Ok(false),
        }
    }

    /// Handles what needs no waiting: messages and answers for who is here. Hands everything else back.
    pub(crate) fn quick(&self, stanza: Stanza, outbox: &mut Outbox) -> Option<Stanza> {
        match stanza {
            Stanza::Message(message) => self.deliver_now(message, outbox).map(Stanza::Message),
            Stanza::Iq(iq) => match iq.to.as_ref().filter(|to| !to.is_bare()).and_then(|to| self.sessions.find(to)) {
                Some(session) => {
                    outbox.deliver(&session, iq);
                    None
                }
                None => Some(iq.into()),
            },
            other @ Stanza::Presence(_) => Some(other),
        }
    }

    /// Handles one stanza of a session. Those of one session must come one after the other.
    pub(crate) async fn process(&self, session: &Arc<Session>, stanza: Stanza) -> Work {
        let mut work = Work::default();
        match stanza {
            Stanza::Message(mut message) => {
                // No addressee: the own account (RFC 6120 §10.3.1).
                message.to.get_or_insert_with(|| session.account().clone().into());
                self.route_message(message, Instant::now(), &mut work.outbox).await;
            }
            Stanza::Presence(presence) => self.handle_presence(session, presence, &mut work).await,
            Stanza::Iq(iq) => self.handle_iq(session, iq, &mut work.outbox).await,
        }
        work
    }

    async fn handle_iq(&self, session: &Arc<Session>, iq: Iq, outbox: &mut Outbox) {
        let (verb, payload) = match &iq.kind {
            IqKind::Get(payload) => (Verb::Get, payload),
            IqKind::Set(payload) => (Verb::Set, payload),
            // Answers to what the server asked, or to nothing: never answered (RFC 6120 §8.2.3).
            IqKind::Result(_) | IqKind::Error(_) => return,
        };
        let account = Jid::from(session.account().clone());
        let to = iq.to.as_ref().unwrap_or(&account);
        let mut after = Outbox::default();
        let outcome = self.answer(session, to, verb, payload, &mut after).await;
        let answer = match outcome {
            Ok(payload) => iq.result(payload),
            Err(refusal) => iq.refuse(refusal.to_stanza_error()),
        };
        outbox.tell(session, answer);
        outbox.append(after);
    }

    async fn answer(
        &self,
        session: &Arc<Session>,
        to: &Jid,
        verb: Verb,
        payload: &balcony_wire::Element,
        outbox: &mut Outbox,
    ) -> Result<Option<balcony_wire::Element>, Refusal> {
        let place = self.place(to)?;
        let (handler, audience) = self.registry.find(&place, verb, payload).ok_or(Reason::NotUnderstood)?;
        if place == Place::Account && audience == Audience::Owner && *to != **session.account() {
            return Err(Reason::NotYours.into());
        }
        handler.answer(self, Request { from: session.jid(), to, verb, payload, outbox }).await
    }

    /// Which place an address is.
    fn place(&self, to: &Jid) -> Result<Place, Reason> {
        match (to.local(), to.resource()) {
            _ if to.domain() != self.domain.as_str() && !self.registry.is_host(to.domain()) => Err(Reason::OtherServer),
            (None, None) if to.domain() == self.domain.as_str() => Ok(Place::Server),
            (None, None) => Ok(Place::Host(to.domain().to_owned())),
            (Some(_), None) if to.domain() == self.domain.as_str() => Ok(Place::Account),
            _ => Err(Reason::NobodyThere),
        }
    }

    /// Returns a stanza to its sender with an error, unless that must not be (RFC 6120 §8.3.1).
    pub(crate) fn bounce(&self, stanza: Stanza, refusal: Refusal, outbox: &mut Outbox) {
        let Some(sender) = stanza.from().and_then(|from| self.sessions.find(from)) else { return };
        if let Some(error) = error_reply(stanza, refusal.to_stanza_error()) {
            outbox.tell(&sender, error);
        }
    }
}

/// The error to return for a stanza; `None` for what is never answered.
fn error_reply(stanza: Stanza, error: StanzaError) -> Option<Stanza> {
    match stanza {
        Stanza::Message(message) if message.kind != MessageKind::Error => {
            let reply = Message { from: message.to, id: message.id, ..Message::new(MessageKind::Error, message.from) };
            Some(reply.with(&error).into())
        }
        Stanza::Presence(presence) if presence.kind != PresenceKind::Error => {
            let reply = Presence { from: presence.to, id: presence.id, ..Presence::new(PresenceKind::Error, presence.from) };
            Some(reply.with(&error).into())
        }
        Stanza::Iq(iq) if iq.request().is_some() => Some(iq.refuse(error).into()),
        _ => None,
    }
}
