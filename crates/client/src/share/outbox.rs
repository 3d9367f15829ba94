//! What is to go out and has not: sent once by one process, taken up again after a crash.
//!
//! XEP-0198 Stream management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>
//! XEP-0199 XMPP ping, v2.0.1 <https://xmpp.org/extensions/xep-0199.html>
//! XEP-0359 Unique and stable stanza IDs, v0.7.0 <https://xmpp.org/extensions/xep-0359.html>
//! Status: partial: an origin-id names each message of ours, and an offer; no stanza-id is given by the server or relied upon by the client.

use std::fs::File;

use balcony_session::client::{Ask, SendError};
use balcony_store::{OutboxState, Outgoing, Store, StoreError};
use balcony_wire::ping::Ping;
use balcony_wire::{Jid, Message, Payload as _};
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::{Events, Sent, ShareError, work};
use crate::account::Account;
use crate::account::bounce::Bounce;
use crate::account::state::Delivery;
use crate::blocking::blocking;

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
        match work::go_on(account.clone(), outgoing, Events::nobody()).await {
            Ok(sent) => resumed.sent.push(sent),
            Err(error @ (ShareError::Offline(_) | ShareError::Waiting { .. } | ShareError::Store(_))) => return Err(error),
            Err(error) => resumed.failed.push((to, error)),
        }
    }
    for outgoing in rows(account, OutboxState::Sending).await? {
        let (store, jid, id) = (store.clone(), account.jid().clone(), outgoing.origin_id);
        blocking(move || store.unclaim(&jid, &id)).await?;
    }
    for outgoing in rows(account, OutboxState::Ready).await? {
        match dispatch(account, &outgoing.origin_id).await {
            Err(error @ ShareError::Returned { .. }) => {
                resumed.failed.push((outgoing.to, error));
                continue;
            }
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
    let store = account.store().clone();
    for _ in 0..TRIES {
        account.online().await.map_err(|why| ShareError::Waiting { why })?;
        let Some(message) = claim(account, origin_id).await? else { return Ok(()) };
        let (to, mut bounces) = (message.to.clone(), account.bounces());
        let delivery = match account.send_tracked(message.into()).await {
            Ok(delivery) => delivery.await.unwrap_or(Delivery::Lost),
            Err(SendError::NotOnline) => Delivery::Lost,
            Err(error @ SendError::TooLarge { .. }) => {
                let (jid, id, why) = (account.jid().clone(), origin_id.to_owned(), error.to_string());
                blocking(move || store.mark_failed(&jid, &id, &why)).await?;
                return Err(error.into());
            }
            Err(error @ SendError::QueueFull) => {
                unclaim(&store, account, origin_id).await?;
                return Err(error.into());
            }
        };
        let arrived = match delivery {
            // It came back by now if the server returns it at once, as for accounts that are not there.
            Delivery::Acknowledged => {
                is_through(account, RETURN).await;
                true
            }
            Delivery::Unknowable => is_through(account, PING).await,
            Delivery::Lost => false,
        };
        if let Some(returned) = to.and_then(|to| returned(&mut bounces, account, origin_id, to)) {
            let (jid, id, why) = (account.jid().clone(), origin_id.to_owned(), returned.to_string());
            blocking(move || store.mark_failed(&jid, &id, &why)).await?;
            return Err(returned);
        }
        if arrived {
            let (store, jid, id) = (store.clone(), account.jid().clone(), origin_id.to_owned());
            blocking(move || store.mark_sent(&jid, &id)).await?;
            return Ok(());
        }
        unclaim(&store, account, origin_id).await?;
    }
    match account.online().await {
        Err(why) => Err(ShareError::Waiting { why }),
        Ok(_) => Err(ShareError::Unsendable(SendError::NotOnline)),
    }
}

/// The right to send a message, and the message; `None` if somebody else has it or it is out already.
async fn claim(account: &Account, origin_id: &str) -> Result<Option<Message>, ShareError> {
    let (store, jid, id) = (account.store().clone(), account.jid().clone(), origin_id.to_owned());
    let claimed = blocking(move || Ok::<_, StoreError>(if store.claim(&jid, &id)? { store.outgoing(&jid, &id)? } else { None })).await?;
    claimed.map(|outgoing| message_of(&outgoing)).transpose()
}

async fn unclaim(store: &Store, account: &Account, origin_id: &str) -> Result<(), ShareError> {
    let (store, jid, id) = (store.clone(), account.jid().clone(), origin_id.to_owned());
    blocking(move || store.unclaim(&jid, &id)).await?;
    Ok(())
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
