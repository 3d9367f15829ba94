//! Messages that come as copies: what other devices of the account said and heard (carbons), and what came while this one was
//! away (the archive). Whoever else wraps a message made it up.
//!
//! Where a copy comes from is checked by [`Received::carbon`] and [`Received::archive`]; which query is open is known here.
//!
//! XEP-0280 Message carbons, v1.0.1 <https://xmpp.org/extensions/xep-0280.html>
//! XEP-0313 Message archive management, v1.1.3 <https://xmpp.org/extensions/xep-0313.html>
//! Status: partial: the archive of the own account is read forward from where it was left; those of rooms are not asked.
//! XEP-0359 Unique and stable stanza IDs, v0.7.0 <https://xmpp.org/extensions/xep-0359.html>

mod catch_up;
mod run;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use balcony_sharing::{ProvenanceError, Received};
use balcony_wire::archive::ArchiveResult;
use balcony_wire::carbons::{Private, Received as ReceivedCopy, Sent as SentCopy};
use balcony_wire::hints::Hint;
use balcony_wire::stanza_ids::StanzaId;
use balcony_wire::{BareJid, Message, Payload};

pub(super) use run::Runner;

use catch_up::Seen;

/// What is known about copies, shared by whoever asks for them, whoever connects and whoever looks at messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The session that goes on now.
    session: u64,
    /// The session in which the archive was read to its end: from then on each message moves the mark.
    caught_up_in: Option<u64>,
    /// The query that is open to the own archive.
    open: Option<Open>,
    /// The last message that came by itself since the archive was read to its end.
    newest: Option<Seen>,
}

#[derive(Debug)]
struct Open {
    id: String,
    /// Results that may still come.
    left: u64,
    is_for_news: bool,
    is_kept: bool,
    last: Option<Seen>,
}

/// Messages of an archive were lost on the way into the catalogue.
#[derive(Debug)]
struct NotKept;

/// A message as it came in.
#[derive(Debug)]
pub(crate) enum Came {
    /// By itself: who says so is still to be decided.
    Alone(Message),
    /// As a copy: who said it is decided.
    Copied {
        /// The message inside.
        received: Received<Message>,
        /// When it was said, if the archive tells.
        at: Option<SystemTime>,
    },
}

/// Why a copy is left alone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwanted {
    #[error(transparent)]
    NotBelieved(#[from] ProvenanceError),
    /// It was said to one device alone (XEP-0280 §9, XEP-0334 §4.3).
    #[error("whoever said it did not want it copied")]
    Private,
    /// It only tells where the archive ends.
    #[error("it is no news")]
    NoNews,
    #[error("the archive sends more than it was asked for")]
    TooMany,
}

impl Unwanted {
    /// A word for logs, which must not hold addresses.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::NotBelieved(ProvenanceError::Room | ProvenanceError::NoRoom) => "room",
            Self::NotBelieved(ProvenanceError::Forged(_) | ProvenanceError::NotOurs(_)) => "forged copy",
            Self::NotBelieved(ProvenanceError::ForeignArchive(_) | ProvenanceError::NotAsked) => "archive not asked",
            Self::NotBelieved(ProvenanceError::NoCopy | ProvenanceError::Record) => "no message inside",
            Self::NotBelieved(ProvenanceError::NoDevice(_) | ProvenanceError::NoSession) => "no session",
            Self::Private => "private",
            Self::NoNews => "no news",
            Self::TooMany => "too many",
        }
    }
}

impl Copies {
    /// Takes a message out of its wrapping, if it has one and that may be believed.
    pub(crate) fn unwrap(&self, message: Message, account: &BareJid) -> Result<Came, Unwanted> {
        let holds = |matches: fn(&balcony_wire::Element) -> bool| message.payloads.iter().any(matches);
        if holds(ReceivedCopy::matches) || holds(SentCopy::matches) {
            let received = Received::carbon(&message, account)?;
            let is_private = has::<Private>(received.inner()) || hints(received.inner()).any(|hint| hint == Hint::NoCopy);
            return if is_private { Err(Unwanted::Private) } else { Ok(Came::Copied { received, at: None }) };
        }
        match message.payload::<ArchiveResult>() {
            Some(Ok(result)) => self.archived(&message, &result, account),
            Some(Err(_)) => Err(ProvenanceError::NoCopy.into()), // a result that holds nothing
            None => Ok(Came::Alone(message)),
        }
    }

    fn archived(&self, message: &Message, result: &ArchiveResult, account: &BareJid) -> Result<Came, Unwanted> {
        let mut state = self.state();
        // Without a query that is open no id of one is right.
        let Some(open) = &mut state.open else { return Err(ProvenanceError::NotAsked.into()) };
        let received = Received::archive(message, account, Some(&open.id))?;
        open.left = open.left.checked_sub(1).ok_or(Unwanted::TooMany)?;
        let stamp = result.forwarded.delay.as_ref().map(|delay| delay.stamp);
        open.last = result.id.clone().map(|id| Seen { id, at: stamp }).or_else(|| open.last.take());
        if !open.is_for_news {
            return Err(Unwanted::NoNews);
        }
        // Nobody said anything later than now.
        Ok(Came::Copied { received, at: stamp.map(|stamp| stamp.to_system_time().min(SystemTime::now())) })
    }

    /// The id that the own archive gave a message, for those that have no other.
    pub(crate) fn archive_id(message: &Message, account: &BareJid) -> Option<String> {
        let own = |id: &StanzaId| id.by.as_str() == account.as_str();
        let ids = message.payloads.iter().filter(|payload| StanzaId::matches(payload)).filter_map(|payload| StanzaId::read(payload).ok());
        match message.payload::<ArchiveResult>() {
            Some(result) => result.ok()?.id,
            None => ids.into_iter().find(own).map(|id| id.id),
        }
    }

    /// A message came by itself: once the archive was read to its end, it goes on behind this one.
    pub(crate) fn came(&self, archive_id: Option<String>) {
        let mut state = self.state();
        if let Some(id) = archive_id.filter(|_| state.caught_up_in == Some(state.session)) {
            state.newest = Some(Seen { id, at: Some(SystemTime::now().into()) });
        }
    }

    /// A message could not be written down: the archive is read from before it again in the next session.
    pub(crate) fn not_kept(&self) {
        let mut state = self.state();
        (state.caught_up_in, state.newest) = (None, None);
        if let Some(open) = &mut state.open {
            open.is_kept = false;
        }
    }

    /// Another session begins: what came in between is in the archive only.
    pub(super) fn begin_session(&self, session: u64) {
        let mut state = self.state();
        state.session = session;
        state.open = None;
    }

    fn open(&self, id: &str, most: u64, is_for_news: bool) {
        self.state().open = Some(Open { id: id.to_owned(), left: most, is_for_news, is_kept: true, last: None });
    }

    /// Ends the query; the last message that it gave, or that not all of them are kept.
    fn close(&self) -> Result<Option<Seen>, NotKept> {
        match self.state().open.take() {
            Some(open) if open.is_kept => Ok(open.last),
            _ => Err(NotKept),
        }
    }

    fn caught_up(&self, session: u64) {
        self.state().caught_up_in = Some(session);
    }

    fn take_newest(&self) -> Option<Seen> {
        self.state().newest.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step here leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has<P: Payload>(message: &Message) -> bool {
    message.payloads.iter().any(P::matches)
}

fn hints(message: &Message) -> impl Iterator<Item = Hint> {
    message.payloads.iter().filter(|payload| Hint::matches(payload)).filter_map(|payload| Hint::read(payload).ok())
}

#[cfg(test)]
mod tests {
    use balcony_sharing::Way;
    use balcony_wire::{Element, Stanza};

    use super::*;

    fn juliet() -> BareJid {
        "juliet@capulet.example".parse().unwrap()
    }

    fn message(xml: &str) -> Message {
        match Stanza::read(Element::parse(xml).unwrap()).unwrap() {
            Stanza::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// As in example 10 of XEP-0280, with other names.
    fn carbon(from: &str, inside: &str) -> Message {
        message(&format!(
            "<message xmlns='jabber:client' from='{from}' to='juliet@capulet.example/balcony' type='chat'><received xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='romeo@montague.example/orchard' \
             to='juliet@capulet.example/chamber' type='chat'><body>hi</body>{inside}</message></forwarded></received></message>"
        ))
    }

    fn result(from: &str, query: &str, id: &str) -> Message {
        message(&format!(
            "<message xmlns='jabber:client'{from} to='juliet@capulet.example/chamber'><result xmlns='urn:xmpp:mam:2' queryid='{query}' id='{id}'>\
             <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/><message xmlns='jabber:client' \
             from='romeo@montague.example/orchard' to='juliet@capulet.example/chamber' type='chat'><body>hi</body></message></forwarded></result>\
             </message>"
        ))
    }

    /// Proves: C0280-7-1, SEC-1-1.
    #[test]
    fn a_carbon_of_anybody_but_the_own_account_is_nothing_at_all() {
        let copies = Copies::default();
        let came = copies.unwrap(carbon("juliet@capulet.example", ""), &juliet()).unwrap();
        assert!(matches!(came, Came::Copied { received, .. } if received.provenance().way() == Way::CarbonReceived));
        for forger in ["mallory@evil.example", "juliet@capulet.example/phone", "capulet.example", "romeo@montague.example/orchard"] {
            assert!(copies.unwrap(carbon(forger, ""), &juliet()).is_err(), "{forger}");
        }
    }

    #[test]
    fn what_was_said_to_one_device_alone_is_left_alone() {
        let copies = Copies::default();
        for wish in ["<private xmlns='urn:xmpp:carbons:2'/>", "<no-copy xmlns='urn:xmpp:hints'/>"] {
            assert!(matches!(copies.unwrap(carbon("juliet@capulet.example", wish), &juliet()), Err(Unwanted::Private)), "{wish}");
        }
        assert!(copies.unwrap(carbon("juliet@capulet.example", "<store xmlns='urn:xmpp:hints'/>"), &juliet()).is_ok());
    }

    /// Proves: C0313-8-1.
    #[test]
    fn results_count_for_the_query_that_is_open_and_no_more_of_them_than_asked_for() {
        let copies = Copies::default();
        let read = |from: &str, query: &str| copies.unwrap(result(from, query, "1"), &juliet());
        assert!(read("", "q1").is_err(), "no query is open");
        copies.open("q1", 2, true);
        for (from, query) in [(" from='mallory@evil.example'", "q1"), (" from='juliet@capulet.example/phone'", "q1"), ("", "q2"), ("", "")]
        {
            assert!(read(from, query).is_err(), "{from} {query}");
        }
        for from in ["", " from='juliet@capulet.example'"] {
            let Ok(Came::Copied { received, at }) = read(from, "q1") else { panic!("{from}") };
            assert_eq!(received.provenance().way(), Way::Archive);
            assert_eq!(at.map(|at| balcony_wire::datetime::DateTime::from(at).unix()), Some(1_278_803_305));
        }
        assert!(matches!(read("", "q1"), Err(Unwanted::TooMany)));
        assert_eq!(copies.close().unwrap().unwrap().id, "1");
        assert!(read("", "q1").is_err(), "the query is over");
    }

    #[test]
    fn only_messages_of_a_session_that_is_caught_up_move_the_mark() {
        let copies = Copies::default();
        copies.begin_session(1);
        copies.came(Some("a".to_owned()));
        assert_eq!(copies.take_newest(), None);
        copies.caught_up(1);
        copies.came(Some("b".to_owned()));
        copies.came(None);
        assert_eq!(copies.take_newest().unwrap().id, "b");
        copies.begin_session(2);
        copies.came(Some("c".to_owned()));
        assert_eq!(copies.take_newest(), None, "what came between a and c is not here yet");
    }

    #[test]
    fn the_mark_does_not_move_past_a_message_that_could_not_be_written_down() {
        let copies = Copies::default();
        copies.begin_session(1);
        copies.caught_up(1);
        copies.came(Some("a".to_owned()));
        copies.not_kept();
        copies.came(Some("b".to_owned()));
        assert_eq!(copies.take_newest(), None);
        copies.open("q1", 2, true);
        copies.not_kept();
        assert!(copies.close().is_err());
        assert!(copies.close().is_err(), "another session has closed it");
    }

    #[test]
    fn only_the_own_archive_names_messages_for_us() {
        let by = |by: &str| {
            let id = format!("<stanza-id xmlns='urn:xmpp:sid:0' id='7' by='{by}'/>");
            Copies::archive_id(&message(&format!("<message xmlns='jabber:client' from='a@b/c'>{id}</message>")), &juliet())
        };
        assert_eq!(by("juliet@capulet.example").as_deref(), Some("7"));
        assert_eq!((by("montague.example"), by("juliet@capulet.example/x")), (None, None));
        assert_eq!(Copies::archive_id(&result("", "q", "9"), &juliet()).as_deref(), Some("9"));
    }
}
