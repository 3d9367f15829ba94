//! Offers as a stream: what came since the account was connected, then what comes, and again what gained a source.

use std::collections::VecDeque;

use balcony_store::{AttachmentKey, OfferKey, OfferState, Store, StoreError};
use balcony_wire::BareJid;
use tokio::sync::broadcast;

use super::CataloguedOffer;
use crate::blocking::blocking;

/// Offers that may wait for one listener; one that lags more reads the rest from the catalogue.
pub(crate) const WAITING: usize = 32;
/// Offers read from the catalogue at once.
const PAGE: usize = 500;

/// Up to where the catalogue was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    offer: OfferKey,
    attachment: AttachmentKey,
}

impl Mark {
    /// All that is in the catalogue by now.
    pub(crate) fn now(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { offer: store.newest_offer()?, attachment: store.newest_attachment()? })
    }
}

/// Offers as they come in, oldest first. Each is in the catalogue before it is told; none is lost to a slow listener.
///
/// An offer that was told before comes again, with all its sources, when one was attached to it and it is neither here nor declined
/// ([`CataloguedOffer::is_again`]): what waited or failed may go on now. One that has a listener's attention may come twice.
#[derive(Debug)]
pub struct Offers {
    store: Store,
    account: BareJid,
    news: broadcast::Receiver<CataloguedOffer>,
    /// What was told.
    told: Mark,
    /// Read from the catalogue, to be told first.
    waiting: VecDeque<CataloguedOffer>,
    /// Some were missed and must be read from the catalogue.
    behind: bool,
}

impl Offers {
    /// Those behind the mark, and all that come.
    pub(crate) fn behind(store: Store, account: BareJid, news: broadcast::Receiver<CataloguedOffer>, told: Mark) -> Self {
        Self { store, account, news, told, waiting: VecDeque::new(), behind: true }
    }

    /// The next offer that this store did not make itself, or one that gained a source; `None` when the account is closed and all
    /// were told. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<CataloguedOffer> {
        loop {
            if self.behind {
                self.catch_up().await;
            }
            if let Some(offer) = self.waiting.pop_front() {
                self.told.offer = self.told.offer.max(offer.key());
                return Some(offer);
            }
            match self.news.recv().await {
                Ok(offer) if offer.is_again() && offer.key() <= self.told.offer => return Some(offer),
                Ok(offer) if offer.key() > self.told.offer => {
                    self.told.offer = offer.key();
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
        let (store, account, told) = (self.store.clone(), self.account.clone(), self.told);
        match blocking(move || missed(&store, &account, told)).await {
            Ok((missed, attachment)) => {
                self.waiting.extend(missed);
                self.told.attachment = attachment;
            }
            // They stay in the catalogue; new ones come all the same.
            Err(error) => tracing::error!(%error, "missed offers cannot be read from the catalogue"),
        }
        self.behind = false;
    }
}

/// Offers that this store did not make, behind the mark, and those before it that something was attached to since, oldest first.
fn missed(store: &Store, account: &BareJid, told: Mark) -> Result<(Vec<CataloguedOffer>, AttachmentKey), StoreError> {
    let attachment = store.newest_attachment()?;
    let mut found = Vec::new();
    for key in store.offers_attached_to(account, told.attachment, PAGE)?.into_iter().filter(|key| *key <= told.offer) {
        let Some(row) = store.offer(key)? else { continue };
        let (alone, joined) = (CataloguedOffer::from_row(&row, &[]), CataloguedOffer::read(store, &row)?);
        // Attached may be what the offer says itself, for clients that only know links.
        found.extend(joined.filter(|joined| alone.is_some_and(|alone| alone.places() != joined.places())).map(CataloguedOffer::again));
    }
    let mut last = told.offer;
    loop {
        let page = store.offers_behind(account, last, PAGE)?;
        for row in page.iter().filter(|row| row.state != OfferState::Own) {
            found.extend(CataloguedOffer::read(store, row)?);
        }
        match page.last() {
            Some(row) if page.len() == PAGE => last = row.key,
            _ => break,
        }
    }
    Ok((found, attachment))
}
