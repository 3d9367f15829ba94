//! What is shared live: rows in the store that somebody renews, people to whom this device is shown, and what they were told, so that they
//! can be told again when the device gets another name.

use std::time::{Duration, SystemTime};

use balcony_sharing::Source;
use balcony_sharing::dialect::{Lives, OutgoingSources, write_sources};
use balcony_store::{Change, OutboxState, Outgoing, StoreError};
use balcony_wire::{BareJid, FullJid, Jid, ns};

use super::ShareError;
use super::outbox::{dispatch, random_id};
use super::sending::xml;
use crate::account::{Account, Connection};
use crate::blocking::blocking;

/// How long a share lives that nobody renews.
const LIFE: Duration = Duration::from_secs(180);
/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(60);
/// How often strangers who may have come meanwhile are shown that we are there.
const SHOWN: Duration = Duration::from_secs(5);

/// Shares in the store, until they are ended.
#[derive(Debug)]
pub(super) struct Lent {
    account: Account,
    pub(super) ids: Vec<String>,
    /// People who see that this device is there because we show it to them.
    pub(super) shown: Vec<BareJid>,
}

impl Lent {
    pub(super) fn new(account: &Account, ids: Vec<String>) -> Self {
        Self { account: account.clone(), ids, shown: Vec::new() }
    }

    pub(super) async fn show(&self, is_there: bool) {
        show(&self.account, &self.shown, is_there).await;
    }

    pub(super) fn take(&mut self) -> Self {
        Self { account: self.account.clone(), ids: std::mem::take(&mut self.ids), shown: std::mem::take(&mut self.shown) }
    }

    pub(super) async fn end(mut self) -> Result<(), StoreError> {
        let ids = std::mem::take(&mut self.ids);
        let (store, jid, gone) = (self.account.store().clone(), self.account.jid().clone(), ids.clone());
        let done = blocking(move || gone.iter().try_for_each(|id| store.end_share(&jid, id).map(drop))).await;
        ids.iter().for_each(|id| self.account.giver().end(id));
        self.show(false).await;
        done
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let ids = std::mem::take(&mut self.ids);
        if ids.is_empty() {
            return;
        }
        ids.iter().for_each(|id| self.account.giver().end(id));
        let (store, jid) = (self.account.store().clone(), self.account.jid().clone());
        // Without a runtime they end by themselves, a little later.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (account, shown) = (self.account.clone(), std::mem::take(&mut self.shown));
            drop(runtime.spawn(async move { show(&account, &shown, false).await }));
            drop(runtime.spawn_blocking(move || ids.iter().try_for_each(|id| store.end_share(&jid, id).map(drop))));
        }
    }
}

/// Those who are told and do not see when this device is there.
pub(super) async fn strangers(account: &Account, to: &[Jid]) -> Vec<BareJid> {
    let contacts = account.contacts().await;
    let people = to.iter().map(Jid::bare);
    people.filter(|person| person != account.jid() && !contacts.sees_us(person)).collect()
}

async fn show(account: &Account, people: &[BareJid], is_there: bool) {
    for person in people {
        // Offline there is nobody to show it to; the next session does it again.
        let _ = account.show(person, is_there).await;
    }
}

/// What was told to one person, so that they can be told again where the files are.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) to: Jid,
    pub(super) to_room: bool,
    /// The message that offers the files.
    pub(super) message: String,
    /// Id of the share in the message, if it has one, and what it is published as.
    pub(super) shares: Vec<(Option<String>, String)>,
}

pub(super) fn source(own: &FullJid, published: &str) -> Source {
    Source::Published { from: own.clone().into(), id: published.to_owned(), applications: vec![ns::JINGLE_FILE_TRANSFER_5.to_owned()] }
}

pub(super) fn life(now: SystemTime, ends_at: Option<SystemTime>) -> SystemTime {
    ends_at.map_or(now + LIFE, |ends_at| ends_at.min(now + LIFE))
}

/// Sends messages that are whole, by way of the outbox.
pub(super) async fn send(account: &Account, rows: Vec<Outgoing>) -> Result<(), ShareError> {
    let ids: Vec<String> = rows.iter().map(|row| row.origin_id.clone()).collect();
    let (store, jid) = (account.store().clone(), account.jid().clone());
    blocking(move || {
        let changes: Vec<Change<'_>> = rows.iter().map(|outgoing| Change::Add { outgoing, batch: None }).collect();
        store.change_outbox(&jid, &changes)
    })
    .await?;
    dispatch(account, &ids).await?.into_iter().collect()
}

/// Keeps shares alive, and says where they are when this device gets another name.
pub(super) struct Keeper {
    account: Account,
    ids: Vec<String>,
    told: Vec<Told>,
    named: FullJid,
    /// In which session of the account it was shown that we are there.
    session: Option<u64>,
    shown: Vec<BareJid>,
    ends_at: Option<SystemTime>,
}

impl Keeper {
    pub(super) fn new(account: &Account, lent: &Lent, told: Vec<Told>, named: FullJid, ends_at: Option<SystemTime>) -> Self {
        let (ids, shown) = (lent.ids.clone(), lent.shown.clone());
        Self { account: account.clone(), ids, told, named, session: None, shown, ends_at }
    }

    pub(super) async fn keep(mut self) {
        let mut connection = self.account.connection();
        let (mut renewal, mut showing) = (tokio::time::interval(RENEWED), tokio::time::interval(SHOWN));
        loop {
            tokio::select! {
                _ = renewal.tick() => {}
                _ = showing.tick(), if !self.shown.is_empty() => {
                    show(&self.account, &self.shown, true).await;
                    continue;
                }
                changed = connection.changed() => if changed.is_err() { return },
                () = until(self.ends_at) => return,
            }
            let now = match &*connection.borrow_and_update() {
                Connection::Online(online) => Some((online.jid.clone(), online.session)),
                Connection::Ended(_) => return,
                Connection::Connecting | Connection::Waiting { .. } => None,
            };
            self.renew().await;
            let Some((name, session)) = now else { continue };
            if self.session.replace(session).is_some_and(|before| before != session) {
                show(&self.account, &self.shown, true).await;
            }
            if name != self.named {
                self.named = name;
                self.tell_again().await;
            }
        }
    }

    async fn renew(&self) {
        let (store, jid, ids) = (self.account.store().clone(), self.account.jid().clone(), self.ids.clone());
        let until = life(SystemTime::now(), self.ends_at);
        if let Err(error) = blocking(move || ids.iter().try_for_each(|id| store.live_on(&jid, id, until).map(drop))).await {
            tracing::warn!(%error, "live shares could not be renewed");
        }
    }

    /// The address that was told leads nowhere any more.
    async fn tell_again(&self) {
        let source_of = |told: &Told, (share, published): &(Option<String>, String)| {
            let attached = OutgoingSources {
                to: told.to.clone(),
                to_room: told.to_room,
                id: random_id(),
                target: told.message.clone(),
                share: share.clone(),
                sources: vec![source(&self.named, published)],
                lives: Lives::Shortly,
            };
            let mut row =
                Outgoing::preparing(self.account.jid().clone(), attached.id.clone(), told.to.clone(), Vec::new(), SystemTime::now());
            (row.stanza, row.state) = (Some(xml(write_sources(&attached))), OutboxState::Ready);
            row
        };
        let rows: Vec<Outgoing> = self.told.iter().flat_map(|told| told.shares.iter().map(move |share| source_of(told, share))).collect();
        if let Err(error) = send(&self.account, rows).await {
            // its words name people
            tracing::warn!(class = ?error.class(), "not everybody could be told where live shares are now");
        }
    }
}

async fn until(at: Option<SystemTime>) {
    match at {
        Some(at) => tokio::time::sleep(at.duration_since(SystemTime::now()).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
