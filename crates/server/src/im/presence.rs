//! RFC 6121 §3 and §4: who is told that somebody is here, and who may know.

use std::sync::Arc;

use balcony_wire::{Element, Jid, Presence, PresenceKind, Stanza};

use super::contacts::{Changed, Push};
use super::offline::Kept;
use super::roster;
use crate::hub::{Hub, Work};
use crate::outbox::Outbox;
use crate::refusal::{Reason, Refusal};
use crate::sessions::{Control, Session};

/// A request is kept until it is answered, one from everybody: it comes without luggage that is larger.
const LONGEST_REQUEST: usize = 4096;

impl Hub {
    /// Handles a presence stanza of a session.
    pub(crate) async fn handle_presence(&self, session: &Arc<Session>, presence: Presence, work: &mut Work) {
        let outcome = match (presence.kind, presence.to.clone()) {
            (PresenceKind::Available, None) => self.available(session, presence.clone(), work).await,
            (PresenceKind::Unavailable, None) => self.leave(session, Some(presence.clone()), &mut work.outbox).await,
            (PresenceKind::Available | PresenceKind::Unavailable, Some(to)) => {
                self.direct(session, presence.clone(), &to, &mut work.outbox)
            }
            (PresenceKind::Probe, Some(to)) => self.probe(session, &to, &mut work.outbox).await,
            (PresenceKind::Error, Some(to)) => {
                self.pass_on(presence.clone(), &to, &mut work.outbox);
                Ok(())
            }
            (PresenceKind::Error | PresenceKind::Probe, None) => Ok(()),
            (kind, Some(to)) => self.subscription(session, presence.clone(), kind, &to, &mut work.outbox).await,
            (_, None) => Err(Reason::Malformed.into()),
        };
        if let Err(refusal) = outcome {
            self.bounce(presence.into(), refusal, &mut work.outbox);
        }
    }

    /// "Here I am", first or again.
    async fn available(&self, session: &Arc<Session>, presence: Presence, work: &mut Work) -> Result<(), Refusal> {
        let (before, takes_now) = session.standing().become_present(Some(presence.clone()));
        let first = before.is_none();
        let outbox = &mut work.outbox;
        self.broadcast(session, &presence, outbox).await?;
        if first {
            for contact in self.contacts().watched(session.localpart()).await? {
                self.show_presence_of(&contact, session, outbox);
            }
            for other in self.sessions().of(session.account()).iter().filter(|other| !Arc::ptr_eq(other, session)) {
                show(other, session, outbox);
            }
            for request in self.contacts().requests(session.localpart()).await? {
                if let Some(request) = stored_stanza(&request) {
                    outbox.tell(session, request);
                }
            }
        }
        if takes_now {
            let waiting = self.offline().waiting(session.localpart()).await?;
            work.handed_out = waiting.last().map(|last| last.id);
            for Kept { stanza, .. } in waiting {
                if let Some(stanza) = stored_stanza(&stanza) {
                    work.outbox.deliver(session, stanza);
                }
            }
            for other in self.sessions().of(session.account()) {
                other.tell(Control::Share(session.clone()));
            }
        }
        Ok(())
    }

    /// To all who see the account's presence: contacts, and its own sessions.
    async fn broadcast(&self, session: &Arc<Session>, presence: &Presence, outbox: &mut Outbox) -> Result<(), Refusal> {
        for contact in self.contacts().watchers(session.localpart()).await? {
            for watcher in self.available_sessions(&contact) {
                outbox.tell(&watcher, Presence { to: Some(contact.clone()), ..presence.clone() });
            }
        }
        for own in self.available_sessions(session.account()) {
            outbox.tell(&own, Presence { to: Some(session.account().clone().into()), ..presence.clone() });
        }
        Ok(())
    }

    /// "I am gone": said by the session, or for it when it is over.
    pub(crate) async fn leave(&self, session: &Arc<Session>, said: Option<Presence>, outbox: &mut Outbox) -> Result<(), Refusal> {
        let (was_here, directed) = {
            let mut standing = session.standing();
            (standing.become_present(None).0.is_some(), std::mem::take(&mut standing.directed))
        };
        let from = Some(Jid::from(session.jid().clone()));
        let gone = Presence { from, kind: PresenceKind::Unavailable, ..said.unwrap_or_default() };
        for address in directed {
            self.pass_on(Presence { to: Some(address.clone()), ..gone.clone() }, &address, outbox);
        }
        if was_here {
            self.broadcast(session, &gone, outbox).await?;
        }
        Ok(())
    }

    /// Presence for one address.
    fn direct(&self, session: &Arc<Session>, presence: Presence, to: &Jid, outbox: &mut Outbox) -> Result<(), Refusal> {
        if to.domain() != self.domain().as_str() && !self.registry().is_host(to.domain()) {
            return Err(Reason::OtherServer.into());
        }
        {
            let mut standing = session.standing();
            if presence.kind == PresenceKind::Unavailable {
                standing.directed.remove(to);
            } else if standing.directed.len() < self.limits().directed_presences || standing.directed.contains(to) {
                standing.directed.insert(to.clone());
            } else {
                return Err(Reason::TooManyDirected.into());
            }
        }
        self.pass_on(presence, to, outbox);
        Ok(())
    }

    /// To one session, or to all that are here of an account.
    fn pass_on(&self, presence: Presence, to: &Jid, outbox: &mut Outbox) {
        if !to.is_bare() {
            if let Some(session) = self.sessions().find(to) {
                outbox.tell(&session, presence);
            }
            return;
        }
        for session in self.available_sessions(to) {
            outbox.tell(&session, presence.clone());
        }
    }

    /// A client asks itself what its server asks for it anyway (RFC 6121 §4.3).
    async fn probe(&self, session: &Arc<Session>, to: &Jid, outbox: &mut Outbox) -> Result<(), Refusal> {
        if self.may_see(to, session.jid()).await? {
            self.show_presence_of(&to.bare(), session, outbox);
        } else {
            let refused = Presence {
                from: Some(to.bare().into()),
                ..Presence::new(PresenceKind::Unsubscribed, Some(session.account().clone().into()))
            };
            outbox.tell(session, refused);
        }
        Ok(())
    }

    /// The current presence of all sessions of an account, for one viewer who may see it.
    fn show_presence_of(&self, account: &Jid, viewer: &Arc<Session>, outbox: &mut Outbox) {
        for session in self.available_sessions(account) {
            show(&session, viewer, outbox);
        }
    }

    async fn subscription(
        &self,
        session: &Arc<Session>,
        presence: Presence,
        kind: PresenceKind,
        to: &Jid,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let (user, contact) = (session.account().clone(), to.bare());
        if user == contact || contact.local().is_none() {
            return Err(Reason::Malformed.into());
        }
        if contact.domain() != self.domain().as_str() {
            return Err(Reason::OtherServer.into());
        }
        let mut stanza = Presence { from: Some(user.clone().into()), to: Some(contact.clone().into()), ..presence };
        let mut words = stanza.clone().into_element().to_xml();
        if words.len() > LONGEST_REQUEST {
            stanza.payloads.clear();
            words = stanza.clone().into_element().to_xml();
        }
        let changed = self.contacts().subscribe(session.localpart(), &contact, kind, words).await?;
        if changed.full {
            return Err(Reason::RosterFull.into());
        }
        self.subscription_changed(&user, &contact, &stanza, changed, outbox);
        Ok(())
    }

    /// Tells all sessions on both sides what a subscription stanza changed.
    pub(crate) fn subscription_changed(&self, user: &Jid, contact: &Jid, stanza: &Presence, changed: Changed, outbox: &mut Outbox) {
        self.push_all(user, changed.to_user, outbox);
        self.push_all(contact, changed.to_contact, outbox);
        if changed.deliver {
            for session in self.sessions().of(&contact.bare()).iter().filter(|session| wants(session, stanza.kind)) {
                outbox.tell(session, stanza.clone());
            }
            match stanza.kind {
                // The contact sees the user from now on.
                PresenceKind::Subscribed => self.show_all(user, contact, outbox),
                PresenceKind::Unsubscribed => self.hide_all(user, contact, outbox),
                // The user sees the contact no more.
                PresenceKind::Unsubscribe => self.hide_all(contact, user, outbox),
                _ => {}
            }
        }
        if let Some(reply) = changed.reply {
            let reply = Presence { from: Some(contact.clone()), ..Presence::new(reply, Some(user.clone())) };
            for session in self.sessions().of(&user.bare()).iter().filter(|session| wants(session, reply.kind)) {
                outbox.tell(session, reply.clone());
            }
            self.show_all(contact, user, outbox);
        }
    }

    fn push_all(&self, account: &Jid, pushes: Vec<Push>, outbox: &mut Outbox) {
        for push in pushes {
            roster::push(self, account, &push, outbox);
        }
    }

    fn show_all(&self, shown: &Jid, to: &Jid, outbox: &mut Outbox) {
        for viewer in self.available_sessions(to) {
            self.show_presence_of(shown, &viewer, outbox);
        }
    }

    fn hide_all(&self, hidden: &Jid, from: &Jid, outbox: &mut Outbox) {
        for viewer in self.available_sessions(from) {
            for session in self.available_sessions(hidden) {
                let gone = Presence::new(PresenceKind::Unavailable, Some(from.clone()));
                outbox.tell(&viewer, Presence { from: Some(session.jid().clone().into()), ..gone });
            }
        }
    }

    /// Sessions of an account that are available.
    fn available_sessions(&self, account: &Jid) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions().of(&account.bare());
        sessions.retain(|session| session.is_available());
        sessions
    }
}

/// Requests go to who is available, the rest to who follows the roster.
fn wants(session: &Session, kind: PresenceKind) -> bool {
    if kind == PresenceKind::Subscribe { session.is_available() } else { session.standing().interested }
}

/// One session's presence for another.
fn show(shown: &Arc<Session>, viewer: &Arc<Session>, outbox: &mut Outbox) {
    let presence = shown.standing().presence.clone();
    if let Some(presence) = presence {
        outbox.tell(viewer, Presence { to: Some(viewer.jid().clone().into()), ..presence });
    }
}

/// A stanza as it was kept.
pub(crate) fn stored_stanza(text: &str) -> Option<Stanza> {
    let read = Element::parse(text)
        .map_err(|error| error.to_string())
        .and_then(|element| Stanza::read(element).map_err(|error| error.to_string()));
    read.map_err(|why| tracing::error!(why, "a kept stanza cannot be read")).ok()
}
