//! RFC 6121 §8.5: where a message goes.
//!
//! XEP-0203 Delayed delivery, v2.0 <https://xmpp.org/extensions/xep-0203.html>
//! Status: complete.
//! XEP-0334 Message processing hints, v1.0.0 <https://xmpp.org/extensions/xep-0334.html>
//! Status: partial: the server obeys `no-store` and `no-permanent-store`; there is no archive and no copy that the others could be about.

use std::time::{Duration, Instant, SystemTime};

use balcony_wire::datetime::DateTime;
use balcony_wire::delay::Delay;
use balcony_wire::{Element, Jid, Message, MessageKind, Stanza, ns};

use super::offline::Stored;
use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::refusal::Reason;

/// Between the sending of a message and its arrival at a stream; who came in between gets it twice rather than never.
const IN_DOUBT: Duration = Duration::from_secs(5);

/// What becomes of a message that has no session of its full address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// To all sessions of the account that take messages.
    ToAll,
    /// Kept until one comes.
    Keep,
    /// Returned.
    Refuse,
    /// Dropped, as the RFC says.
    Ignore,
}

/// The table of RFC 6121 §8.5.4, for bare addresses and for full ones without session. `takers`: whether a session of
/// non-negative priority is there.
fn fate(kind: MessageKind, to_full: bool, takers: bool) -> Fate {
    match kind {
        MessageKind::Error => Fate::Ignore,
        MessageKind::Groupchat => Fate::Refuse,
        MessageKind::Normal | MessageKind::Headline if to_full => Fate::Refuse,
        MessageKind::Headline if !takers => Fate::Ignore,
        _ if takers => Fate::ToAll,
        MessageKind::Normal | MessageKind::Chat | MessageKind::Headline => Fate::Keep,
    }
}

impl Hub {
    /// Delivers a message at once if its addressee has sessions; hands it back if not.
    pub(crate) fn deliver_now(&self, message: Message, outbox: &mut Outbox) -> Option<Message> {
        let Some(to) = &message.to else { return Some(message) };
        if to.domain() != self.domain().as_str() || to.local().is_none() {
            return Some(message);
        }
        if !to.is_bare()
            && let Some(session) = self.sessions().find(to)
        {
            outbox.deliver(&session, message);
            return None;
        }
        let mut takers: Vec<_> = self.sessions().of(&to.bare());
        takers.retain(|session| session.takes_messages());
        if takers.is_empty() || fate(message.kind, !to.is_bare(), true) != Fate::ToAll {
            return Some(message);
        }
        for session in &takers[1..] {
            outbox.deliver(session, message.clone());
        }
        outbox.deliver(&takers[0], message);
        None
    }

    /// Delivers, keeps, returns or drops a message.
    pub(crate) async fn route_message(&self, message: Message, sent_at: Instant, outbox: &mut Outbox) {
        let Some(message) = self.deliver_now(message, outbox) else { return };
        match self.keep(&message, sent_at).await {
            Ok(None) => {}
            Ok(Some(kept)) => self.fetch_back(message, kept, outbox).await,
            Err(reason) => self.bounce(message.into(), reason.into(), outbox),
        }
    }

    /// Keeps a message; its number, if it is one to be kept.
    async fn keep(&self, message: &Message, sent_at: Instant) -> Result<Option<i64>, Reason> {
        let Some(to) = &message.to else { return Ok(None) };
        if to.domain() != self.domain().as_str() {
            return Err(if self.registry().is_host(to.domain()) { Reason::NobodyThere } else { Reason::OtherServer });
        }
        let Some(account) = to.local() else { return Err(Reason::NobodyThere) };
        let is_full = !to.is_bare();
        match fate(message.kind, is_full, false) {
            Fate::Ignore => return Ok(None),
            // Where somebody is there it would be taken in silence: an error tells that nobody is.
            Fate::Refuse | Fate::ToAll if is_full && !self.sees_addressee(message).await => return Ok(None),
            Fate::Refuse | Fate::ToAll => return Err(Reason::NobodyThere),
            Fate::Keep if only_says_that_somebody_types(message) => return Ok(None),
            Fate::Keep if forbids_storing(message) && !self.sees_addressee(message).await => return Ok(None),
            Fate::Keep if forbids_storing(message) => return Err(Reason::NotStored),
            Fate::Keep => {}
        }
        let at = SystemTime::now() - sent_at.elapsed();
        match self.offline().store(account, stamped(message.clone(), self.domain(), at).into_element().to_xml()).await {
            Ok(Stored::Kept(id)) => Ok(Some(id)),
            // Strangers hear it as well, although it tells them that nobody is there: to drop what the server says it has would be worse, and
            // XEP-0160 §2 asks for the error. Only by filling the store can anybody bring it about, which the addressee sees.
            Ok(Stored::Full) => Err(Reason::OfflineFull),
            Ok(Stored::NoAccount) => Err(Reason::NobodyThere),
            Err(error) => {
                tracing::error!(%error, "a message could not be kept");
                Err(Reason::Broken)
            }
        }
    }

    /// Whether the sender may know if the addressee is there (RFC 6121 §8.5.3.2.1 leaves error or silence to us).
    async fn sees_addressee(&self, message: &Message) -> bool {
        let Some((to, from)) = message.to.as_ref().zip(message.from.as_ref()) else { return false };
        self.may_see(to, from).await.unwrap_or_else(|error| {
            tracing::error!(%error, "nobody can say who may see whom");
            false
        })
    }

    /// Somebody may have come while the message was being kept, and have looked too early: then it is delivered after all.
    async fn fetch_back(&self, message: Message, kept: i64, outbox: &mut Outbox) {
        let Some(to) = message.to.as_ref().filter(|to| self.sessions().of(&to.bare()).iter().any(|session| session.takes_messages()))
        else {
            return;
        };
        match self.offline().take_back(to.local().unwrap_or_default(), kept).await {
            // Whoever came sees it twice at worst.
            Ok(true) => drop(self.deliver_now(message, outbox)),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "a kept message waits longer than it must"),
        }
    }

    /// What a session that is over did not take: on to other sessions, kept, or returned.
    pub(crate) async fn return_undelivered(&self, undelivered: Vec<(Stanza, Instant)>, outbox: &mut Outbox) {
        for (stanza, sent_at) in undelivered {
            match stanza {
                Stanza::Message(message) => {
                    if !self.had_by_others(&message, sent_at) {
                        self.route_message(message, sent_at, outbox).await;
                    }
                }
                Stanza::Presence(_) => {}
                Stanza::Iq(_) => self.bounce(stanza, Reason::NobodyThere.into(), outbox),
            }
        }
    }

    /// A stanza that was sent a while ago, saying so.
    pub(crate) fn delayed(&self, stanza: Stanza, sent_at: Instant) -> Stanza {
        match stanza {
            Stanza::Message(message) => stamped(message, self.domain(), SystemTime::now() - sent_at.elapsed()).into(),
            other => other,
        }
    }

    /// A message to the bare address went to all who took messages then; who came later has not got it.
    fn had_by_others(&self, message: &Message, sent_at: Instant) -> bool {
        let Some(to) = message.to.as_ref().filter(|to| to.is_bare()) else { return false };
        let there = |since: Instant| since + IN_DOUBT < sent_at;
        self.sessions().of(&to.bare()).iter().any(|session| session.standing().taking_since.is_some_and(there))
    }
}

/// Whether a message should reach whoever it is for also when that takes until after a crash.
pub(crate) fn is_worth_keeping(message: &Message) -> bool {
    fate(message.kind, false, false) == Fate::Keep && !only_says_that_somebody_types(message) && !forbids_storing(message)
}

/// `<delay/>` by the domain, unless it is there already.
pub(crate) fn stamped(message: Message, domain: &Jid, at: SystemTime) -> Message {
    let by_us = |delay: Result<Delay, _>| delay.is_ok_and(|delay| delay.from.as_ref() == Some(domain));
    if message.payloads_of::<Delay>().any(by_us) {
        return message;
    }
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default();
    match i64::try_from(seconds).ok().and_then(DateTime::from_unix) {
        Some(stamp) => message.with(&Delay { stamp, from: Some(domain.clone()), reason: None }),
        None => message,
    }
}

/// XEP-0334: not to be stored, not even for a while.
fn forbids_storing(message: &Message) -> bool {
    message.payloads.iter().any(|payload| payload.ns() == ns::HINTS && matches!(payload.name(), "no-store" | "no-permanent-store"))
}

/// XEP-0085 and nothing else: out of date by the time it could be delivered.
fn only_says_that_somebody_types(message: &Message) -> bool {
    let passing = |payload: &Element| {
        payload.ns() == "http://jabber.org/protocol/chatstates" || payload.name() == "thread" || payload.ns() == ns::HINTS
    };
    !message.payloads.is_empty() && message.payloads.iter().all(passing)
}

#[cfg(test)]
mod tests {
    use MessageKind::{Chat, Error, Groupchat, Headline, Normal};

    use super::*;

    /// Proves: C6121-8-1.
    #[test]
    fn messages_go_where_the_table_of_rfc_6121_sends_them() {
        let table = [
            // kind, bare with takers, bare without, full without session: with takers, without
            (Normal, Fate::ToAll, Fate::Keep, Fate::Refuse, Fate::Refuse),
            (Chat, Fate::ToAll, Fate::Keep, Fate::ToAll, Fate::Keep),
            (Groupchat, Fate::Refuse, Fate::Refuse, Fate::Refuse, Fate::Refuse),
            (Headline, Fate::ToAll, Fate::Ignore, Fate::Refuse, Fate::Refuse),
            (Error, Fate::Ignore, Fate::Ignore, Fate::Ignore, Fate::Ignore),
        ];
        for (kind, bare, bare_alone, full, full_alone) in table {
            let fates = [fate(kind, false, true), fate(kind, false, false), fate(kind, true, true), fate(kind, true, false)];
            assert_eq!(fates, [bare, bare_alone, full, full_alone], "{kind:?}");
        }
    }

    #[test]
    fn a_kept_message_is_stamped_once() {
        let domain = Jid::parse("localhost").unwrap();
        let once = stamped(Message::new(Chat, None).with_body("hi"), &domain, SystemTime::UNIX_EPOCH);
        let delay = once.payload::<Delay>().unwrap().unwrap();
        assert_eq!((delay.stamp.unix(), delay.from), (0, Some(domain.clone())));
        assert_eq!(stamped(once.clone(), &domain, SystemTime::now()), once);
    }
}
