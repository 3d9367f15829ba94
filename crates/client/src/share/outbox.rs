//! What is to go out and has not: sent once by one process, taken up again after a crash.
//!
//! XEP-0198 Stream management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>
//! XEP-0199 XMPP ping, v2.0.1 <https://xmpp.org/extensions/xep-0199.html>
//! XEP-0359 Unique and stable stanza IDs, v0.7.0 <https://xmpp.org/extensions/xep-0359.html>
//! Status: partial: an origin-id names each message of ours, and an offer; no stanza-id is given by the server.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::time::Duration;

use balcony_session::client::{Ask, SendError};
use balcony_store::{Change, JobId, OutboxState, Outgoing, Store, StoreError};
use balcony_wire::file_sharing::FileSharing;
use balcony_wire::ping::Ping;
use balcony_wire::{BareJid, Element, Jid, Message, Payload as _, Stanza};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};
use tokio::sync::oneshot;

use super::announced::{self, Promise};
use super::{FileFrom, FileToShare, Sent, ShareError, own, sending};
use crate::account::Account;
use crate::account::bounce::Bounce;
use crate::account::state::Delivery;
use crate::bits::SmallPicture;
use crate::blocking::blocking;

/// Sessions that may be lost under one message before somebody is asked to look at it.
const TRIES: u32 = 5;
/// How long a server that acknowledges nothing may take to answer a ping.
const PING: Duration = Duration::from_secs(30);
/// How long a message that is acknowledged is waited for to come back.
const RETURN: Duration = Duration::from_secs(5);
/// Messages read at once.
const MOST: usize = 500;
/// Messages that are in the stream at once: one write to the disk before, and one after they arrived.
const GROUP: usize = 64;

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

/// Takes up what an earlier run left: sends what is ready, uploads what was not uploaded. What may have arrived already goes
/// again with the same id. One message that fails is no reason to leave the others.
pub(crate) async fn resume(account: &Account) -> Result<Resumed, ShareError> {
    let store = account.store().clone();
    let Some(_guard) = Guard::alone(&store)? else { return Ok(Resumed { busy: true, ..Resumed::default() }) };
    let mut resumed = Resumed::default();
    loop {
        let ids: Vec<String> = rows(account, OutboxState::Sending).await?.into_iter().map(|row| row.origin_id).collect();
        if ids.is_empty() {
            break;
        }
        unclaim(account, ids).await?;
    }
    send_ready(account, &mut resumed).await?;
    // Each is either out of this list afterwards, or waits for another day.
    let mut seen = HashSet::new();
    loop {
        let waiting: Vec<Outgoing> =
            rows(account, OutboxState::Preparing).await?.into_iter().filter(|row| seen.insert(row.origin_id.clone())).collect();
        if waiting.is_empty() {
            return Ok(resumed);
        }
        for outgoing in waiting {
            let to = outgoing.to.clone();
            match resume_one(account, outgoing).await {
                Ok(sent) if sent.messages.is_empty() => {}
                Ok(sent) => resumed.sent.push(sent),
                Err(error @ (ShareError::Offline(_) | ShareError::Waiting { .. } | ShareError::Store(_))) => return Err(error),
                Err(error) => resumed.failed.push((to, error)),
            }
        }
    }
}

/// Sends messages that are whole.
async fn send_ready(account: &Account, resumed: &mut Resumed) -> Result<(), ShareError> {
    loop {
        let ready = rows(account, OutboxState::Ready).await?;
        if ready.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = ready.iter().map(|row| row.origin_id.clone()).collect();
        let fates = dispatch(account, &ids).await?;
        let mut out = Vec::new();
        for (outgoing, fate) in ready.into_iter().zip(fates) {
            match fate {
                Ok(()) => out.extend(message_of(&outgoing)),
                // Whoever has it or gave it up knows.
                Err(ShareError::Elsewhere | ShareError::GivenUp) => {}
                Err(error) => resumed.failed.push((outgoing.to, error)),
            }
        }
        resumed.sent.extend(out.into_iter().map(|message| Sent { files: Vec::new(), messages: vec![message] }));
    }
}

/// Goes on with a message whose files were not all uploaded.
async fn resume_one(account: &Account, outgoing: Outgoing) -> Result<Sent, ShareError> {
    let (store, row) = (account.store().clone(), outgoing.clone());
    let read = blocking(move || read_wanted(&row, &store)).await;
    match read {
        Ok(Draft::Offer(files, text)) => sending::resume_one(account, outgoing, files, text).await,
        Ok(Draft::Promise(promise, from)) => announced::resume_promise(account, outgoing, &promise, from).await,
        Err(error @ ShareError::Store(_)) => Err(error),
        Err(error) => {
            sending::give_up(account, &[outgoing.origin_id], &error.to_string()).await?;
            Err(error)
        }
    }
}

/// What a message of the outbox was meant to be.
enum Draft {
    /// An offer of these files, with these words.
    Offer(Vec<FileToShare>, Option<String>),
    /// A source for what was offered before.
    Promise(Box<Promise>, FileFrom),
}

/// Reads what a message of the outbox was meant to be; blocks.
fn read_wanted(outgoing: &Outgoing, store: &Store) -> Result<Draft, ShareError> {
    let message = message_of(outgoing)?;
    if let Some(promise) = Promise::of(&message) {
        let file = outgoing.files.first().ok_or(ShareError::Record("its file"))?;
        return Ok(Draft::Promise(Box::new(promise), FileFrom::from_record(file, store)?));
    }
    let shares = message.payloads_of::<FileSharing>().collect::<Result<Vec<_>, _>>().map_err(|_| ShareError::Record("a file in it"))?;
    if shares.len() != outgoing.files.len() {
        return Err(ShareError::Record("its files"));
    }
    let wanted = shares.into_iter().zip(&outgoing.files).map(|(share, file)| {
        let said = share.file.unwrap_or_default();
        let from = FileFrom::from_record(file, store)?;
        let picture = said.thumbnails.first().map(|thumbnail| SmallPicture::kept(thumbnail, store)).transpose()?.flatten();
        Ok(FileToShare { from, id: share.id, name: said.name, descriptions: said.descs, disposition: share.disposition, picture })
    });
    let wanted = wanted.collect::<Result<Vec<_>, ShareError>>()?;
    Ok(Draft::Offer(wanted, message.body()))
}

/// Sends messages that are ready, in order, and returns when the account's server has them: what became of each. Dropping the
/// future leaves them in the outbox.
pub(super) async fn dispatch(account: &Account, ids: &[String]) -> Result<Vec<Result<(), ShareError>>, ShareError> {
    let mut fates = Vec::with_capacity(ids.len());
    for group in ids.chunks(GROUP) {
        fates.extend(dispatch_group(account, group).await?);
    }
    Ok(fates)
}

type Fates<'a> = Vec<(&'a String, Option<Result<(), ShareError>>)>;

async fn dispatch_group(account: &Account, ids: &[String]) -> Result<Vec<Result<(), ShareError>>, ShareError> {
    let mut fates: Fates<'_> = ids.iter().map(|id| (id, None)).collect();
    for _ in 0..TRIES {
        if fates.iter().all(|(_, fate)| fate.is_some()) {
            break;
        }
        account.online().await.map_err(|why| ShareError::Waiting { why })?;
        send_once(account, &mut fates).await?;
    }
    let why_not = || async {
        match account.online().await {
            Err(why) => ShareError::Waiting { why },
            Ok(_) => ShareError::Unsendable(SendError::NotOnline),
        }
    };
    let mut done = Vec::with_capacity(fates.len());
    for (_, fate) in fates {
        match fate {
            Some(fate) => done.push(fate),
            None => return Err(why_not().await),
        }
    }
    Ok(done)
}

/// Claims those that are open, hands them to the stream one behind the other, and waits until it is known which arrived.
async fn send_once(account: &Account, fates: &mut Fates<'_>) -> Result<(), ShareError> {
    let open: Vec<usize> = (0..fates.len()).filter(|at| fates[*at].1.is_none()).collect();
    let claims = claim_all(account, open.iter().map(|at| fates[*at].0.clone()).collect()).await?;
    let mut bounces = account.bounces();
    let (mut sent, mut lost, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let mut said: BTreeMap<usize, Message> = BTreeMap::new();
    for (at, claim) in open.into_iter().zip(claims) {
        let message = match claim {
            Ok(Claim::Claimed(message)) => *message,
            // It would fail again, and whatever is behind it would wait.
            Err(error) => {
                failed.push((at, error));
                continue;
            }
            Ok(Claim::AlreadyOut) => {
                fates[at].1 = Some(Ok(()));
                continue;
            }
            Ok(Claim::Elsewhere) => {
                fates[at].1 = Some(Err(ShareError::Elsewhere));
                continue;
            }
            Ok(Claim::GivenUp) => {
                fates[at].1 = Some(Err(ShareError::GivenUp));
                continue;
            }
        };
        let to = message.to.clone();
        said.insert(at, message.clone());
        match account.send_tracked(message.into()).await {
            Ok(delivery) => sent.push((at, to, delivery)),
            // Others of ours fill the queue: it is tried again when those before have arrived.
            Err(SendError::NotOnline | SendError::QueueFull) => lost.push(at),
            Err(error @ SendError::TooLarge { .. }) => failed.push((at, ShareError::from(error))),
        }
    }
    let arrived = arrivals(account, sent, &mut lost).await;
    let returned = returned(&mut bounces, account, &arrived, fates);
    let mut out = Vec::new();
    for (at, _) in arrived {
        match returned.iter().position(|(returned, _)| *returned == at) {
            Some(_) => {}
            None => out.push(at),
        }
    }
    failed.extend(returned);
    // First what we offer, then that it is out: killed in between, it goes again under the same id, and nobody is offered it anew.
    own::remember(account, out.iter().filter_map(|at| said.remove(at)).collect()).await?;
    settle(account, fates, out, lost, failed).await
}

type Deliveries = Vec<(usize, Option<Jid>, oneshot::Receiver<Delivery>)>;

/// Those that the server has. What it returns at once, as for accounts that are not there, came back by then.
async fn arrivals(account: &Account, sent: Deliveries, lost: &mut Vec<usize>) -> Vec<(usize, Option<Jid>)> {
    let (mut arrived, mut unknowable) = (Vec::new(), Vec::new());
    for (at, to, delivery) in sent {
        match delivery.await.unwrap_or(Delivery::Lost) {
            Delivery::Acknowledged => arrived.push((at, to)),
            Delivery::Unknowable => unknowable.push((at, to)),
            Delivery::Lost => lost.push(at),
        }
    }
    if !unknowable.is_empty() {
        if is_through(account, PING).await {
            arrived.append(&mut unknowable);
        } else {
            lost.extend(unknowable.into_iter().map(|(at, _)| at));
        }
    } else if !arrived.is_empty() {
        is_through(account, RETURN).await;
    }
    arrived
}

/// Writes down what became of them, all at once.
async fn settle(
    account: &Account,
    fates: &mut Fates<'_>,
    out: Vec<usize>,
    lost: Vec<usize>,
    failed: Vec<(usize, ShareError)>,
) -> Result<(), ShareError> {
    let id = |at: &usize| fates[*at].0.clone();
    let (sent, again): (Vec<String>, Vec<String>) = (out.iter().map(id).collect(), lost.iter().map(id).collect());
    let why: Vec<(String, String)> = failed.iter().map(|(at, error)| (id(at), error.to_string())).collect();
    let (store, jid) = (account.store().clone(), account.jid().clone());
    blocking(move || {
        let sent = sent.iter().map(|id| Change::Sent(id));
        let again = again.iter().map(|id| Change::Unclaim(id));
        let failed = why.iter().map(|(id, why)| Change::Failed { id, why });
        store.change_outbox(&jid, &sent.chain(again).chain(failed).collect::<Vec<_>>())
    })
    .await?;
    out.into_iter().for_each(|at| fates[at].1 = Some(Ok(())));
    failed.into_iter().for_each(|(at, error)| fates[at].1 = Some(Err(error)));
    Ok(())
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

async fn claim_all(account: &Account, ids: Vec<String>) -> Result<Vec<Result<Claim, ShareError>>, StoreError> {
    let (store, jid) = (account.store().clone(), account.jid().clone());
    blocking(move || claim(&store, &jid, &ids)).await
}

/// Asks for the right to send messages.
fn claim(store: &Store, account: &BareJid, ids: &[String]) -> Result<Vec<Result<Claim, ShareError>>, StoreError> {
    let are_ours = store.change_outbox(account, &ids.iter().map(|id| Change::Claim(id)).collect::<Vec<_>>())?;
    let claim = |(id, is_ours): (&String, bool)| {
        let Some(outgoing) = store.outgoing(account, id)? else { return Ok(Ok(Claim::GivenUp)) };
        Ok(match outgoing.state {
            OutboxState::Sending if is_ours => message_of(&outgoing).map(|message| Claim::Claimed(Box::new(message))),
            OutboxState::Sent => Ok(Claim::AlreadyOut),
            OutboxState::Failed => Ok(Claim::GivenUp),
            OutboxState::Preparing | OutboxState::Ready | OutboxState::Sending => Ok(Claim::Elsewhere),
        })
    };
    ids.iter().zip(are_ours).map(claim).collect()
}

/// Nobody knows whether they arrived: they may go again.
async fn unclaim(account: &Account, ids: Vec<String>) -> Result<(), StoreError> {
    let (store, jid) = (account.store().clone(), account.jid().clone());
    blocking(move || store.change_outbox(&jid, &ids.iter().map(|id| Change::Unclaim(id)).collect::<Vec<_>>())).await.map(drop)
}

/// A server answers in order: one that answers now, with whatever, had the message before.
async fn is_through(account: &Account, patience: Duration) -> bool {
    use balcony_session::iq_table::RequestError;
    let server = Jid::parse(account.jid().domain()).ok();
    let answer = account.request(server, Ask::Get(Ping.write()), patience).await;
    matches!(answer, Ok(_) | Err(RequestError::Refused { .. }))
}

/// What came back of those that the server took.
fn returned(
    bounces: &mut Receiver<Bounce>,
    account: &Account,
    sent: &[(usize, Option<Jid>)],
    fates: &Fates<'_>,
) -> Vec<(usize, ShareError)> {
    let mut returned: Vec<(usize, ShareError)> = Vec::new();
    loop {
        let bounce = match bounces.try_recv() {
            Ok(bounce) => bounce,
            Err(TryRecvError::Lagged(_)) => continue,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return returned,
        };
        let about = sent.iter().filter_map(|(at, to)| Some((*at, to.as_ref()?)));
        if let Some((at, to)) = about.into_iter().find(|(at, to)| bounce.is_about(fates[*at].0, to, account.jid()))
            && returned.iter().all(|(known, _)| *known != at)
        {
            returned.push((at, ShareError::Returned { to: to.clone(), why: bounce.words(to) }));
        }
    }
}

async fn rows(account: &Account, state: OutboxState) -> Result<Vec<Outgoing>, ShareError> {
    let (store, jid) = (account.store().clone(), account.jid().clone());
    Ok(blocking(move || store.outbox(&jid, state, MOST)).await?)
}

/// The message of a row.
pub(super) fn message_of(outgoing: &Outgoing) -> Result<Message, ShareError> {
    outgoing.stanza.as_deref().and_then(parse).ok_or(ShareError::Record("its text"))
}

/// A stored stanza as a message.
fn parse(stanza: &str) -> Option<Message> {
    match Stanza::read(Element::parse(stanza).ok()?) {
        Ok(Stanza::Message(message)) => Some(message),
        _ => None,
    }
}

/// A name for a share or a message that nobody can guess.
pub(super) fn random_id() -> String {
    JobId::random().to_string()
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
        let claim = || claim(&store, &account, &["m1".to_owned()]).unwrap().pop().unwrap().unwrap();
        assert!(matches!(claim(), Claim::Claimed(message) if message.id.as_deref() == Some("m1")));
        assert!(matches!(claim(), Claim::Elsewhere));
        store.mark_sent(&account, "m1").unwrap();
        assert!(matches!(claim(), Claim::AlreadyOut));
    }

    #[test]
    fn what_was_given_up_is_not_taken_for_sent() {
        for (state, given_up) in [(OutboxState::Failed, true), (OutboxState::Preparing, false)] {
            let (store, account) = store(state);
            let claim = claim(&store, &account, &["m1".to_owned()]).unwrap().pop().unwrap().unwrap();
            assert_eq!(matches!(claim, Claim::GivenUp), given_up, "{claim:?}");
            assert_eq!(matches!(claim, Claim::Elsewhere), !given_up, "{claim:?}");
            assert_eq!(store.outgoing(&account, "m1").unwrap().unwrap().state, state);
        }
    }
}
