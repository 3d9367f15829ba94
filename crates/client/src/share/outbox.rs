//! What is to go out and has not: sent once by one process, taken up again after a crash.
//!
//! XEP-0198 Stream management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>
//! XEP-0199 XMPP ping, v2.0.1 <https://xmpp.org/extensions/xep-0199.html>
//! XEP-0359 Unique and stable stanza IDs, v0.7.0 <https://xmpp.org/extensions/xep-0359.html>
//! Status: partial: an origin-id names each message of ours, and an offer; no stanza-id is given by the server or relied upon by the client.

use std::fs::File;
use std::time::Duration;

use balcony_session::client::{Ask, SendError};
use balcony_store::{OutboxState, Outgoing, Store, StoreError};
use balcony_wire::ping::Ping;
use balcony_wire::{BareJid, Jid, Message, Payload as _};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::{Sent, ShareError, work};
use crate::account::Account;
use crate::account::bounce::Bounce;
use crate::account::state::Delivery;
use crate::blocking::blocking;
use crate::events::Events;

/// Sessions that may be lost under one message before somebody is asked to look at it.
const TRIES: u32 = 5;
/// How long a server that acknowledges nothing may take to answer a ping.
const PING: Duration = Duration::from_secs(30);
/// How long a message that is acknowledged is waited for to come back.
const RETURN: Duration = Duration::from_secs(5);
/// Messages taken up at once.
const MOST: usize = 500;

/// What became of the messages that were left in the outbox.
#[derive(Debug, Default)]
pub struct Resumed {
    /// Those that are out now.
    pub sent: Vec<Sent>,
    /// Those that failed for good, with their addressee.
    pub failed: Vec<(Jid, ShareError)>,
    /// Another Balcony is sending from this store just now; its messages were left alone.
    pub busy: bool,
}

/// Held while messages are prepared and sent, by any number of processes; or alone, while what others left is taken up.
pub(super) struct Guard {
    /// The lock goes with the file, also after `kill -9`.
    _file: Option<File>,
}

impl Guard {
    /// Waits while somebody takes up what was left.
    pub(super) async fn sending(store: &Store) -> Result<Self, ShareError> {
        let file = Self::file(store)?;
        let locked = blocking(move || file.map(|file| file.lock_shared().map(|()| file)).transpose());
        Ok(Self { _file: locked.await.map_err(|_| ShareError::Broken)? })
    }

    /// `None` while anybody is sending.
    fn alone(store: &Store) -> Result<Option<Self>, ShareError> {
        match Self::file(store)? {
            None => Ok(Some(Self { _file: None })),
            Some(file) => Ok(file.try_lock().is_ok().then_some(Self { _file: Some(file) })),
        }
    }

    fn file(store: &Store) -> Result<Option<File>, ShareError> {
        let Some(path) = store.dir().map(|dir| dir.join("outbox.lock")) else { return Ok(None) };
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        opened.map(Some).map_err(|source| ShareError::Unreadable { path, source })
    }
}

/// Takes up what an earlier run left: uploads what was not uploaded, sends what was not sent. What may have arrived already goes
/// again with the same id.
pub(crate) async fn resume(account: &Account) -> Result<Resumed, ShareError> {
    let store = account.store().clone();
    let Some(_guard) = Guard::alone(&store)? else { return Ok(Resumed { busy: true, ..Resumed::default() }) };
    let mut resumed = Resumed::default();
    for outgoing in rows(account, OutboxState::Preparing).await? {
        let to = outgoing.to.clone();
        match work::resume_one(account.clone(), outgoing, Events::nobody()).await {
            Ok(sent) => resumed.sent.push(sent),
            Err(error @ (ShareError::Offline(_) | ShareError::Waiting { .. } | ShareError::Store(_))) => return Err(error),
            Err(error) => resumed.failed.push((to, error)),
        }
    }
    for outgoing in rows(account, OutboxState::Sending).await? {
        note(account, &outgoing.origin_id, Store::unclaim).await?;
    }
    for outgoing in rows(account, OutboxState::Ready).await? {
        match dispatch(account, &outgoing.origin_id).await {
            Err(error @ ShareError::Returned { .. }) => {
                resumed.failed.push((outgoing.to, error));
                continue;
            }
            // Whoever has it or gave it up knows.
            Err(ShareError::Elsewhere | ShareError::GivenUp) => continue,
            done => done?,
        }
        let message = message_of(&outgoing)?;
        let (store, jid, own) = (store.clone(), account.jid().clone(), message.clone());
        blocking(move || work::remember(&store, &jid, own)).await?;
        resumed.sent.push(Sent { files: Vec::new(), messages: vec![message] });
    }
    Ok(resumed)
}

/// Sends a message that is ready, and returns when the account's server has it. Dropping the future leaves it in the outbox.
pub(super) async fn dispatch(account: &Account, origin_id: &str) -> Result<(), ShareError> {
    for _ in 0..TRIES {
        account.online().await.map_err(|why| ShareError::Waiting { why })?;
        let message = match note(account, origin_id, claim).await?? {
            Claim::Claimed(message) => *message,
            Claim::AlreadyOut => return Ok(()),
            Claim::Elsewhere => return Err(ShareError::Elsewhere),
            Claim::GivenUp => return Err(ShareError::GivenUp),
        };
        let (to, mut bounces) = (message.to.clone(), account.bounces());
        let arrived = has_arrived(account, origin_id, message).await?;
        if let Some(returned) = to.and_then(|to| returned(&mut bounces, account, origin_id, to)) {
            failed(account, origin_id, &returned).await?;
            return Err(returned);
        }
        if arrived {
            note(account, origin_id, Store::mark_sent).await?;
            return Ok(());
        }
        note(account, origin_id, Store::unclaim).await?;
    }
    match account.online().await {
        Err(why) => Err(ShareError::Waiting { why }),
        Ok(_) => Err(ShareError::Unsendable(SendError::NotOnline)),
    }
}

/// Sends what was claimed; says whether the server has it. What the server would not take is noted before the error is given.
async fn has_arrived(account: &Account, origin_id: &str, message: Message) -> Result<bool, ShareError> {
    let delivery = match account.send_tracked(message.into()).await {
        Ok(delivery) => delivery.await.unwrap_or(Delivery::Lost),
        Err(SendError::NotOnline) => Delivery::Lost,
        Err(error @ SendError::TooLarge { .. }) => {
            let error = error.into();
            failed(account, origin_id, &error).await?;
            return Err(error);
        }
        Err(error @ SendError::QueueFull) => {
            note(account, origin_id, Store::unclaim).await?;
            return Err(error.into());
        }
    };
    Ok(match delivery {
        // It came back by now if the server returns it at once, as for accounts that are not there.
        Delivery::Acknowledged => {
            is_through(account, RETURN).await;
            true
        }
        Delivery::Unknowable => is_through(account, PING).await,
        Delivery::Lost => false,
    })
}

/// What came of asking for the right to send a message.
#[derive(Debug)]
enum Claim {
    /// It is ours, and this is the message.
    Claimed(Box<Message>),
    /// The server has it already.
    AlreadyOut,
    /// Somebody else has it: another process sends it, or prepares it anew.
    Elsewhere,
    /// It failed, or a person gave it up.
    GivenUp,
}

/// Asks for the right to send a message.
fn claim(store: &Store, account: &BareJid, origin_id: &str) -> Result<Result<Claim, ShareError>, StoreError> {
    let is_ours = store.claim(account, origin_id)?;
    let Some(outgoing) = store.outgoing(account, origin_id)? else { return Ok(Ok(Claim::GivenUp)) };
    Ok(match outgoing.state {
        OutboxState::Sending if is_ours => message_of(&outgoing).map(|message| Claim::Claimed(Box::new(message))),
        OutboxState::Sent => Ok(Claim::AlreadyOut),
        OutboxState::Failed => Ok(Claim::GivenUp),
        OutboxState::Preparing | OutboxState::Ready | OutboxState::Sending => Ok(Claim::Elsewhere),
    })
}

async fn failed(account: &Account, origin_id: &str, why: &ShareError) -> Result<(), StoreError> {
    let why = why.to_string();
    note(account, origin_id, move |store, account, id| store.mark_failed(account, id, &why)).await.map(drop)
}

/// Does something to a row of the outbox.
async fn note<T, F>(account: &Account, origin_id: &str, change: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&Store, &BareJid, &str) -> Result<T, StoreError> + Send + 'static,
{
    let (store, jid, id) = (account.store().clone(), account.jid().clone(), origin_id.to_owned());
    blocking(move || change(&store, &jid, &id)).await
}

/// A server answers in order: one that answers now, with whatever, had the message before.
async fn is_through(account: &Account, patience: Duration) -> bool {
    use balcony_session::iq_table::RequestError;
    let server = Jid::parse(account.jid().domain()).ok();
    let answer = account.request(server, Ask::Get(Ping.write()), patience).await;
    matches!(answer, Ok(_) | Err(RequestError::Refused { .. }))
}

/// What came back of a message, if it did.
fn returned(bounces: &mut Receiver<Bounce>, account: &Account, origin_id: &str, to: Jid) -> Option<ShareError> {
    loop {
        match bounces.try_recv() {
            Ok(bounce) if bounce.is_about(origin_id, &to, account.jid()) => {
                let why = bounce.words(&to);
                return Some(ShareError::Returned { to, why });
            }
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
        }
    }
}

async fn rows(account: &Account, state: OutboxState) -> Result<Vec<Outgoing>, ShareError> {
    let (store, jid) = (account.store().clone(), account.jid().clone());
    Ok(blocking(move || store.outbox(&jid, state, MOST)).await?)
}

/// The message of a row.
pub(super) fn message_of(outgoing: &Outgoing) -> Result<Message, ShareError> {
    outgoing.stanza.as_deref().and_then(work::parse).ok_or(ShareError::Record("its text"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const MESSAGE: &str = "<message xmlns='jabber:client' to='juliet@capulet.example' id='m1'><body>hello</body></message>";

    fn store(state: OutboxState) -> (Store, BareJid) {
        let (store, account): (_, BareJid) = (Store::in_memory().unwrap(), "romeo@montague.example".parse().unwrap());
        let to = Jid::parse("juliet@capulet.example").unwrap();
        let row = Outgoing::preparing(account.clone(), "m1".to_owned(), to, Vec::new(), SystemTime::now());
        store.add_outgoing(&Outgoing { stanza: Some(MESSAGE.to_owned()), state, ..row }).unwrap();
        (store, account)
    }

    #[test]
    fn only_one_gets_the_message_and_the_others_are_told_why_not() {
        let (store, account) = store(OutboxState::Ready);
        let claim = || claim(&store, &account, "m1").unwrap().unwrap();
        assert!(matches!(claim(), Claim::Claimed(message) if message.id.as_deref() == Some("m1")));
        assert!(matches!(claim(), Claim::Elsewhere));
        store.mark_sent(&account, "m1").unwrap();
        assert!(matches!(claim(), Claim::AlreadyOut));
    }

    #[test]
    fn what_was_given_up_is_not_taken_for_sent() {
        for (state, given_up) in [(OutboxState::Failed, true), (OutboxState::Preparing, false)] {
            let (store, account) = store(state);
            let claim = claim(&store, &account, "m1").unwrap().unwrap();
            assert_eq!(matches!(claim, Claim::GivenUp), given_up, "{claim:?}");
            assert_eq!(matches!(claim, Claim::Elsewhere), !given_up, "{claim:?}");
            assert_eq!(store.outgoing(&account, "m1").unwrap().unwrap().state, state);
        }
    }
}
