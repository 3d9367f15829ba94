//! Turns copies on in each new session, and reads the archive from where it was left.
//!
//! XEP-0280 §4; XEP-0313 §4. It holds no handle of the account: whoever drops the last one still closes it.

use std::time::Duration;

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_store::{JobId, Store, StoreError};
use balcony_wire::archive::ArchiveEnd;
use balcony_wire::carbons::Enable;
use balcony_wire::disco::DiscoInfo;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{BareJid, Element, Jid, Payload as _, ns};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Copies;
use super::catch_up::{CatchUp, Mark, PAGE};
use crate::account::reply::ReplyTo;
use crate::account::state::{Command, Connection, Online};
use crate::blocking::blocking;

/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a page of the archive may take, and we to keep what is on it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is written down how far messages came by themselves.
const WRITING: Duration = Duration::from_secs(60);

/// The task.
pub(in crate::account) struct Runner {
    pub(in crate::account) copies: Copies,
    pub(in crate::account) store: Store,
    pub(in crate::account) account: BareJid,
    pub(in crate::account) commands: mpsc::WeakSender<Command>,
    pub(in crate::account) state: watch::Receiver<Connection>,
}

impl Runner {
    /// Runs until the account is closed.
    pub(in crate::account) async fn run(mut self) {
        let mut session = 0;
        let mut writing = Instant::now() + WRITING;
        loop {
            let online = match &*self.state.borrow_and_update() {
                Connection::Online(online) if online.session != session => Some(online.clone()),
                Connection::Ended(_) => break,
                _ => None,
            };
            if let Some(online) = online {
                session = online.session; // a resumed one has what it had
                self.begin(&online).await;
                continue;
            }
            tokio::select! {
                changed = self.state.changed() => if changed.is_err() { break },
                () = sleep_until(writing) => {
                    self.note_newest().await;
                    writing = Instant::now() + WRITING;
                }
            }
        }
        self.note_newest().await;
    }

    async fn begin(&self, online: &Online) {
        let server = Jid::parse(self.account.domain()).ok();
        if !online.learned.carbons && self.info(server).await.is_some_and(|server| server.has(ns::CARBONS)) {
            match self.request(None, Ask::Set(Enable.write()), ANSWER).await {
                Ok(_) => tracing::debug!("copies of what other devices say and hear are on"),
                Err(error) => tracing::debug!(why = word(&error), "the server does not turn copies on"),
            }
        }
        let own = self.info(Some(self.account.clone().into())).await.unwrap_or_default();
        if own.has(ns::MAM) {
            match self.catch_up(online.session).await {
                // Ids in messages are the archive's only where it says that it takes out those of others (XEP-0359 §3.2).
                Ok(true) if own.has(ns::STANZA_ID) => self.copies.caught_up(online.session),
                Ok(true) => {}
                Ok(false) => tracing::debug!("the archive was not read to its end; the next session goes on"),
                Err(error) => tracing::error!(%error, "how far the archive was read cannot be kept"),
            }
        }
    }

    /// Reads what came since the last time; says whether that is all.
    async fn catch_up(&self, session: u64) -> Result<bool, StoreError> {
        let mut work = CatchUp::new(self.mark().await?);
        loop {
            let id = JobId::random().to_string();
            let Some(query) = work.query(&id) else { return Ok(work.is_caught_up()) };
            self.copies.open(&id, query.page.max.unwrap_or(PAGE), work.is_for_news());
            let answer = self.request(None, Ask::Set(query.write()), PATIENCE).await;
            // The results came before the answer, and may still be looked at.
            let is_settled = self.settle().await;
            let Ok(last) = self.copies.close() else { return Ok(false) };
            match answer {
                Ok(Some(end)) if is_settled && self.is_now(session) => match ArchiveEnd::read(&end) {
                    Ok(end) => work.handle_end(&end, last),
                    Err(_) => return Ok(false), // no end of a query is no page to go on with
                },
                Err(RequestError::Refused { error, .. }) if error.condition == DefinedCondition::ItemNotFound => {
                    work.handle_forgotten();
                    continue;
                }
                Ok(_) => return Ok(false),
                Err(error) => {
                    tracing::debug!(why = word(&error), "the archive does not answer");
                    return Ok(false);
                }
            }
            self.remember(work.mark().clone()).await?;
        }
    }

    fn is_now(&self, session: u64) -> bool {
        matches!(&*self.state.borrow(), Connection::Online(online) if online.session == session)
    }

    /// What an address says that it can do.
    async fn info(&self, jid: Option<Jid>) -> Option<DiscoInfo> {
        let answer = self.request(jid, Ask::Get(DiscoInfo::query(None).write()), ANSWER).await;
        answer.ok().flatten().and_then(|element| DiscoInfo::read(&element).ok())
    }

    async fn request(&self, to: Option<Jid>, ask: Ask, timeout: Duration) -> Result<Option<Element>, RequestError> {
        let (reply, answer) = ReplyTo::one();
        let commands = self.commands.upgrade().ok_or(RequestError::NotOnline)?;
        commands.send(Command::Request { to, ask, timeout, reply }).await.map_err(|_| RequestError::NotOnline)?;
        drop(commands);
        answer.await.unwrap_or(Err(RequestError::Disconnected))
    }

    /// Waits until every message that came so far is kept; not over the end of a connection.
    async fn settle(&self) -> bool {
        let (done, settled) = oneshot::channel();
        let Some(commands) = self.commands.upgrade() else { return false };
        let is_asked = commands.send(Command::Settle { done }).await.is_ok();
        drop(commands);
        is_asked && matches!(timeout(PATIENCE, settled).await, Ok(Ok(())))
    }

    async fn note_newest(&self) {
        if let Some(seen) = self.copies.take_newest()
            && let Err(error) = self.remember(Mark::Behind(seen)).await
        {
            tracing::error!(%error, "how far the archive was read cannot be kept");
        }
    }

    async fn mark(&self) -> Result<Mark, StoreError> {
        let (store, name) = (self.store.clone(), setting(&self.account));
        let record = blocking(move || store.setting(&name)).await?;
        Ok(record.as_deref().map(Mark::from_record).unwrap_or_default())
    }

    async fn remember(&self, mark: Mark) -> Result<(), StoreError> {
        let (store, name) = (self.store.clone(), setting(&self.account));
        blocking(move || store.set_setting(&name, mark.to_record().as_deref())).await
    }
}

/// A word for logs, which must not hold addresses.
fn word(error: &RequestError) -> &'static str {
    match error {
        RequestError::Refused { error, .. } => error.condition.as_str(),
        RequestError::TimedOut => "silence",
        RequestError::Disconnected | RequestError::NotOnline => "no connection",
        RequestError::TooLarge { .. } | RequestError::TooMany => "not sent",
    }
}

fn setting(account: &BareJid) -> String {
    format!("archive {account}")
}
