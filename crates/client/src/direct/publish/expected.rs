//! The session that somebody starts because we asked them to: taken by who starts it and what they said that it will be called, and
//! only for files (decision 19). Their `session-initiate` may come before we have read the answer that names it: what comes from them
//! meanwhile is held, a little of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_wire::jingle::{Action, Jingle};
use balcony_wire::jingle_pub::{Start, Starting};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{FullJid, Iq, IqKind, Jid, Payload as _, StanzaError};
use tokio::sync::{mpsc, oneshot};

use crate::direct::courier::Courier;
use crate::direct::switchboard::Key;
use crate::direct::{DirectError, Stage};

/// How long a device may take to say how it will call the session.
const ANSWER: Duration = Duration::from_secs(20);
/// Sessions of one device that are held while its answer is on the way.
const HELD: usize = 8;
/// What is heavier is not held.
const HEAVIEST: usize = 64 << 10;

/// Sessions that were asked for. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    table: Arc<Mutex<Table>>,
    /// Where what was held in vain goes on to.
    back: mpsc::Sender<Iq>,
}

#[derive(Debug, Default)]
struct Table {
    /// By device: how many answers are on their way, and what came meanwhile.
    asked: HashMap<FullJid, (usize, Vec<Iq>)>,
    named: HashMap<Key, oneshot::Sender<Iq>>,
}

/// A session that was named and has not begun. Dropping it takes it for a stranger's again.
#[derive(Debug)]
pub(crate) struct Coming {
    key: Key,
    comes: oneshot::Receiver<Iq>,
    table: Arc<Mutex<Table>>,
}

impl Expected {
    /// The table; what was held and is nothing of ours comes out of the other end, to be looked at like any offer.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Iq>) {
        let (back, given_back) = mpsc::channel(4 * HELD);
        (Self { table: Arc::default(), back }, given_back)
    }

    /// Asks a device to start what it published. Shows it that we are there.
    pub(crate) async fn ask(&self, courier: &Courier, peer: &FullJid, id: &str, patience: Option<Duration>) -> Result<Coming, DirectError> {
        let asking = self.asking(peer);
        let ask = Ask::Get(Start { id: id.to_owned() }.write());
        let answer = courier.ask(Jid::from(peer.clone()), ask, patience.unwrap_or(ANSWER)).await;
        let starting = match answer {
            Ok(Some(payload)) => Starting::read(&payload).ok(),
            Ok(None) => None,
            Err(error) => return Err(refused(peer, error)),
        };
        let what = || "it said that it starts a session, and not which".to_owned();
        let Starting { sid } = starting.ok_or_else(|| DirectError::Rules { peer: Jid::from(peer.clone()), what: what() })?;
        Ok(asking.named(sid))
    }

    /// Looks at a `session-initiate` that came; gives it back where nobody asked for it.
    pub(crate) fn take(&self, request: Iq) -> Option<Iq> {
        let (IqKind::Set(payload), Some(Ok(peer))) = (&request.kind, request.from.clone().map(Jid::into_full)) else {
            return Some(request);
        };
        let key = Key { sid: payload.attr("sid").unwrap_or_default().to_owned(), peer };
        let mut table = self.lock();
        if let Some(named) = table.named.remove(&key) {
            // Whoever asked has given up meanwhile: it is a session like any other.
            return named.send(request).err();
        }
        match table.asked.get_mut(&key.peer) {
            Some((_, held)) if held.len() < HELD && payload.weight() < HEAVIEST => {
                held.push(request);
                None
            }
            Some(_) | None => Some(request),
        }
    }

    fn asking(&self, peer: &FullJid) -> Asking {
        self.lock().asked.entry(peer.clone()).or_default().0 += 1;
        Asking { expected: self.clone(), peer: peer.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

/// An answer that is on its way.
struct Asking {
    expected: Expected,
    peer: FullJid,
}

impl Asking {
    /// The session will be called so; it may be among what is held.
    fn named(self, sid: String) -> Coming {
        let key = Key { peer: self.peer.clone(), sid };
        let (sender, comes) = oneshot::channel();
        let mut table = self.expected.lock();
        let held = table.asked.get_mut(&self.peer).and_then(|(_, held)| {
            let at =
                held.iter().position(|request| matches!(&request.kind, IqKind::Set(payload) if payload.attr("sid") == Some(&key.sid)))?;
            Some(held.remove(at))
        });
        match held {
            // The other end is at hand.
            Some(request) => drop(sender.send(request)),
            None => drop(table.named.insert(key.clone(), sender)),
        }
        drop(table);
        Coming { key, comes, table: Arc::clone(&self.expected.table) }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut table = self.expected.lock();
        let Some((count, _)) = table.asked.get_mut(&self.peer) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        for request in table.asked.remove(&self.peer).map(|(_, held)| held).unwrap_or_default() {
            // More than anybody offers at once: their session runs into its own deadline.
            let _ = self.expected.back.try_send(request);
        }
    }
}

impl Coming {
    /// How it is called.
    pub(crate) fn sid(&self) -> &str {
        &self.key.sid
    }

    /// The request that begins it; `None` where it is not about files, with the answer to it. Wait with a deadline.
    pub(crate) async fn begins(&mut self) -> Result<Iq, Iq> {
        let Ok(request) = (&mut self.comes).await else { return std::future::pending().await };
        if is_about_files(&request) { Ok(request) } else { Err(request.refuse(StanzaError::new(DefinedCondition::NotAcceptable))) }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        lock(&self.table).named.remove(&self.key);
    }
}

fn is_about_files(request: &Iq) -> bool {
    let IqKind::Set(payload) = &request.kind else { return false };
    let Ok(jingle) = Jingle::read(payload) else { return false };
    jingle.action == Action::SessionInitiate && !jingle.contents.is_empty() && jingle.files().count() == jingle.contents.len()
}

/// No step leaves it half changed.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(peer: &FullJid, error: RequestError) -> DirectError {
    let peer = Jid::from(peer.clone());
    match error {
        RequestError::Refused { .. } => DirectError::NotAvailable { peer },
        RequestError::TimedOut => DirectError::Silent { peer, stage: Stage::Asking },
        _ => DirectError::Offline,
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::Element;

    use super::*;

    fn peer() -> FullJid {
        Jid::parse("romeo@montague.example/balcony").unwrap().into_full().unwrap()
    }

    fn initiate(from: &str, sid: &str) -> Iq {
        let xml = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{sid}'><content creator='initiator' name='a' senders='initiator'>\
             <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file/></description></content></jingle>"
        );
        Iq { from: Some(Jid::parse(from).unwrap()), ..Iq::set("1", None, Element::parse(&xml).unwrap()) }
    }

    /// Decision 19.
    /// Proves: JPUB-D-1.
    #[tokio::test]
    async fn only_the_session_that_was_named_by_whom_we_asked_is_taken() {
        let (expected, _) = Expected::new();
        let mut coming = expected.asking(&peer()).named("s1".to_owned());
        for (from, sid) in
            [("romeo@montague.example/balcony", "s2"), ("romeo@montague.example/other", "s1"), ("mallory@evil.example/x", "s1")]
        {
            assert!(expected.take(initiate(from, sid)).is_some(), "{from} {sid}");
        }
        assert!(expected.take(initiate("romeo@montague.example/balcony", "s1")).is_none());
        assert_eq!(coming.sid(), "s1");
        assert!(coming.begins().await.is_ok());
        assert!(expected.take(initiate("romeo@montague.example/balcony", "s1")).is_some(), "once");
    }

    #[tokio::test]
    async fn a_session_that_overtakes_the_answer_is_held_and_others_go_on() {
        let (expected, mut back) = Expected::new();
        let asking = expected.asking(&peer());
        assert!(expected.take(initiate("romeo@montague.example/balcony", "s1")).is_none());
        assert!(expected.take(initiate("romeo@montague.example/balcony", "s2")).is_none());
        assert!(expected.take(initiate("juliet@capulet.example/balcony", "s1")).is_some());
        let mut coming = asking.named("s2".to_owned());
        assert!(coming.begins().await.is_ok());
        assert_eq!(back.try_recv().unwrap(), initiate("romeo@montague.example/balcony", "s1"));
        assert!(back.try_recv().is_err());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_a_session_like_any_other() {
        let (expected, mut back) = Expected::new();
        drop(expected.asking(&peer()).named("s1".to_owned()));
        assert!(expected.take(initiate("romeo@montague.example/balcony", "s1")).is_some());
        let asking = expected.asking(&peer());
        for sid in 0..HELD {
            assert!(expected.take(initiate("romeo@montague.example/balcony", &sid.to_string())).is_none());
        }
        assert!(expected.take(initiate("romeo@montague.example/balcony", "more")).is_some(), "no more are held");
        drop(asking);
        assert!((0..HELD).all(|_| back.try_recv().is_ok()) && lock(&expected.table).asked.is_empty());
    }

    /// Decision 19.
    /// Proves: JPUB-D-1.
    #[tokio::test]
    async fn a_session_about_something_else_than_files_is_refused() {
        let (expected, _) = Expected::new();
        let rtp = "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s1'><content creator='initiator' name='a'>\
                   <description xmlns='urn:xmpp:jingle:apps:rtp:1'/></content></jingle>";
        let mut coming = expected.asking(&peer()).named("s1".to_owned());
        let request = Iq { from: Some(Jid::from(peer())), ..Iq::set("1", None, Element::parse(rtp).unwrap()) };
        assert!(expected.take(request).is_none());
        let answer = coming.begins().await.unwrap_err();
        assert!(matches!(answer.kind, IqKind::Error(error) if error.condition == DefinedCondition::NotAcceptable));
    }
}
