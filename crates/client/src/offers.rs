//! What others offer: read from messages as they come, written into the catalogue, then told to everybody who listens.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use balcony_sharing::plan::{Question, Refusal, Wait};
use balcony_sharing::{Offer, Plan, Received, dialect};
use balcony_store::{Listing, NewOffer, OfferKey, OfferRow, OfferState, Store, StoreError};
use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Element, Message, Stanza};
use tokio::sync::broadcast;

use crate::account::bounce::Bounce;
use crate::account::copies::{Came, Copies};
use crate::account::inbox::Arrivals;
use crate::blocking::blocking;
use crate::fetch::SharedFile;

/// Offers that may wait for one listener; one that lags more reads the rest from the catalogue.
pub(crate) const WAITING: usize = 32;
/// Offers read from the catalogue at once.
const PAGE: usize = 500;

/// An offer in the catalogue, with the message that made it.
#[derive(Clone, Debug)]
pub struct CataloguedOffer {
    key: OfferKey,
    offer: Arc<Offer>,
    message: Arc<Message>,
    received_at: SystemTime,
    state: OfferState,
}

/// What to do about an offer.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The file is here already.
    Have(SharedFile),
    /// Fetch it by this plan, now.
    Fetch(Plan),
    /// Ask the person first.
    Ask(Question),
    /// Nothing to do but wait.
    Wait(Wait),
    /// It cannot or must not be fetched.
    Refuse(Refusal),
}

impl CataloguedOffer {
    /// Names its row in the catalogue.
    pub fn key(&self) -> OfferKey {
        self.key
    }

    /// The offer itself.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The message that made it.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// When it came.
    pub fn received_at(&self) -> SystemTime {
        self.received_at
    }

    /// What had become of it when it was read.
    pub fn state(&self) -> OfferState {
        self.state
    }

    /// Reads the offer of a row again; `None` if today's reading finds no such offer in the message.
    pub fn from_row(row: &OfferRow) -> Option<Self> {
        let element = Element::parse(&row.stanza).ok()?;
        let Ok(Stanza::Message(message)) = Stanza::read(element) else { return None };
        let received = Received::from_record(message, &row.provenance).ok()?;
        let offer = dialect::read(&received).offers.into_iter().nth(row.position)?;
        Some(Self {
            key: row.key,
            offer: Arc::new(offer),
            message: Arc::new(received.into_inner()),
            received_at: row.received_at,
            state: row.state,
        })
    }
}

impl Deref for CataloguedOffer {
    type Target = Offer;

    fn deref(&self) -> &Offer {
        &self.offer
    }
}

/// Offers as they come in, oldest first. Each is in the catalogue before it is told; none is lost to a slow listener.
#[derive(Debug)]
pub struct Offers {
    store: Store,
    account: BareJid,
    news: broadcast::Receiver<CataloguedOffer>,
    /// The last one told.
    last: OfferKey,
    /// Read from the catalogue, to be told first.
    waiting: VecDeque<CataloguedOffer>,
    /// Some were missed and must be read from the catalogue.
    behind: bool,
}

impl Offers {
    /// Those behind `last`, and all that come.
    pub(crate) fn behind(store: Store, account: BareJid, news: broadcast::Receiver<CataloguedOffer>, last: OfferKey) -> Self {
        Self { store, account, news, last, waiting: VecDeque::new(), behind: true }
    }

    /// The next offer that this store did not make itself; `None` when the account is closed and all were told. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<CataloguedOffer> {
        loop {
            if self.behind {
                self.catch_up().await;
            }
            if let Some(offer) = self.waiting.pop_front() {
                self.last = self.last.max(offer.key);
                return Some(offer);
            }
            match self.news.recv().await {
                Ok(offer) if offer.key > self.last => {
                    self.last = offer.key;
                    return Some(offer);
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a listener is behind and reads the catalogue");
                    self.behind = true;
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    async fn catch_up(&mut self) {
        let (store, account, last) = (self.store.clone(), self.account.clone(), self.last);
        match blocking(move || newer(&store, &account, last)).await {
            Ok(missed) => self.waiting.extend(missed),
            // They stay in the catalogue; new ones come all the same.
            Err(error) => tracing::error!(%error, "missed offers cannot be read from the catalogue"),
        }
        self.behind = false;
    }
}

/// Offers that this store did not make, behind `last`, oldest first.
fn newer(store: &Store, account: &BareJid, last: OfferKey) -> Result<Vec<CataloguedOffer>, StoreError> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = store.offers(Listing::Account(account), before.as_ref(), PAGE)?;
        let is_end = page.len() < PAGE || page.iter().any(|row| row.key <= last);
        found.extend(page.iter().filter(|row| row.key > last && row.state != OfferState::Own).filter_map(CataloguedOffer::from_row));
        match page.into_iter().next_back() {
            Some(row) if !is_end => before = Some(row),
            _ => break,
        }
    }
    found.sort_by_key(|offer: &CataloguedOffer| offer.key);
    Ok(found)
}

/// The newest row of an account; whatever comes later has a higher key.
pub(crate) fn newest(store: &Store) -> Result<OfferKey, StoreError> {
    let newest = store.offers(Listing::All, None, 1)?;
    Ok(newest.first().map_or(OfferKey::from_number(0), |row| row.key))
}

/// Looks at messages until there are no more; says which are kept before it tells of them.
pub(crate) async fn watch(
    store: Store,
    account: BareJid,
    mut arrivals: Arrivals,
    copies: Copies,
    news: broadcast::Sender<CataloguedOffer>,
) {
    while let Some(message) = arrivals.next().await {
        let (store, account, copies) = (store.clone(), account.clone(), copies.clone());
        let taken = blocking(move || take(&store, &account, &copies, message)).await;
        // Also what could not be kept: it would fail again, and all that comes behind it would wait.
        arrivals.keep();
        match taken {
            Ok(offers) => {
                for offer in offers {
                    let _ = news.send(offer); // nobody listens; it is in the catalogue
                }
            }
            Err(error) => tracing::error!(%error, "an offer cannot be written into the catalogue"),
        }
    }
}

/// A message that comes back after its sender was told that the server has it is found in the outbox, as failed.
fn note_return(store: &Store, account: &BareJid, message: &Message) -> Result<(), StoreError> {
    let Some((bounce, id)) = Bounce::of(message).zip(message.id.as_deref()) else { return Ok(()) };
    match store.outgoing(account, id)? {
        Some(sent) if bounce.is_about(id, &sent.to, account) => store.mark_returned(account, id, &bounce.words(&sent.to)).map(drop),
        _ => Ok(()),
    }
}

/// Whether this store sent the message: then a copy of it came back. What another device of the account sent is news here.
fn is_ours(store: &Store, account: &BareJid, received: &Received<Message>) -> Result<bool, StoreError> {
    match received.inner().id.as_deref() {
        Some(id) if received.provenance().is_own() => Ok(store.outgoing(account, id)?.is_some()),
        _ => Ok(false),
    }
}

fn left_alone(why: &impl std::fmt::Display) -> Vec<CataloguedOffer> {
    tracing::debug!(%why, "a message was left alone");
    Vec::new()
}

/// Writes the offers of a message into the catalogue; gives those that are new and not our own.
fn take(store: &Store, account: &BareJid, copies: &Copies, message: Message) -> Result<Vec<CataloguedOffer>, StoreError> {
    // An error holds what we said ourselves.
    if message.kind == MessageKind::Error {
        return note_return(store, account, &message).map(|()| Vec::new());
    }
    let archive_id = Copies::archive_id(&message, account);
    let (received, received_at) = match copies.unwrap(message, account) {
        Ok(Came::Copied { received, at }) => (received, at.unwrap_or_else(SystemTime::now)),
        Ok(Came::Alone(message)) => {
            let received = Received::direct(message, account);
            copies.kept(archive_id.clone());
            match received {
                Ok(received) => (received, SystemTime::now()),
                Err(error) => return Ok(left_alone(&error)),
            }
        }
        Err(error) => return Ok(left_alone(&error)),
    };
    let offers = dialect::read(&received).offers;
    if offers.is_empty() {
        return Ok(Vec::new());
    }
    let stanza = received.inner().clone().into_element().to_xml();
    let state = if is_ours(store, account, &received)? { OfferState::Own } else { OfferState::New };
    let message = Arc::new(received.into_inner());
    // A message without any id of its own comes once all the same, if an archive names it.
    let id = |offer: &Offer| offer.id().message.clone().or_else(|| archive_id.as_ref().map(|id| format!("archive {id}")));
    let row = |offer| NewOffer { state, message: id(offer), ..NewOffer::new(offer, stanza.clone(), received_at) };
    let added = store.add_offers(&offers.iter().map(row).collect::<Vec<_>>())?;
    let mut new = Vec::new();
    for (offer, (key, is_new)) in offers.into_iter().zip(added) {
        if is_new && state != OfferState::Own {
            new.push(CataloguedOffer { key, offer: Arc::new(offer), message: message.clone(), received_at, state });
        }
    }
    Ok(new)
}
