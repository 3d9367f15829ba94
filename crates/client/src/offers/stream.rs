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
const PAGE: usize = 100;
/// How long to wait before the catalogue is read again where that failed.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// Offers that something was attached to since, of which one listener is told at once.
const MOST_ATTACHED: usize = 500;

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

/// An offer that is to be told.
#[derive(Clone, Copy, Debug)]
struct Missed {
    key: OfferKey,
    /// It was told before.
    again: bool,
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
    /// To be told first. Each is read from the catalogue in its turn: there may be thousands, and a message is large.
    waiting: VecDeque<Missed>,
    behind: Behind,
}

/// What must be read from the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Behind {
    Nothing,
    /// Offers that were not told yet.
    Offers,
    /// And those that gained a source.
    All,
}

impl Offers {
    /// Those behind the mark, and all that come.
    pub(crate) fn behind(store: Store, account: BareJid, news: broadcast::Receiver<CataloguedOffer>, told: Mark) -> Self {
        Self { store, account, news, told, waiting: VecDeque::new(), behind: Behind::All }
    }

    /// The next offer that this store did not make itself, or one that gained a source; `None` when the account is closed and all
    /// were told. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<CataloguedOffer> {
        loop {
            if self.behind != Behind::Nothing {
                self.catch_up().await;
            }
            if let Some(missed) = self.waiting.front().copied() {
                let offer = self.read(missed).await;
                self.waiting.pop_front();
                self.told.offer = self.told.offer.max(missed.key);
                match offer {
                    Some(offer) => return Some(offer),
                    None => continue,
                }
            }
            match self.news.recv().await {
                Ok(offer) if offer.is_again() && offer.key() <= self.told.offer => return Some(offer),
                Ok(offer) if offer.key().is_next_to(self.told.offer) => {
                    self.told.offer = offer.key();
                    return Some(offer);
                }
                // Messages and sessions are written down by different tasks: what came before it may be told behind it, and is in the
                // catalogue already.
                Ok(offer) if offer.key() > self.told.offer => self.behind = Behind::Offers,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a listener is behind and reads the catalogue");
                    self.behind = Behind::All;
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    async fn read(&self, missed: Missed) -> Option<CataloguedOffer> {
        let store = self.store.clone();
        let read = blocking(move || match store.offer(missed.key)? {
            Some(row) if missed.again => CataloguedOffer::read(&store, &row).map(|offer| offer.map(CataloguedOffer::again)),
            Some(row) => CataloguedOffer::read(&store, &row),
            None => Ok(None),
        });
        read.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a missed offer cannot be read from the catalogue");
            None
        })
    }

    async fn catch_up(&mut self) {
        let (store, account, told, behind) = (self.store.clone(), self.account.clone(), self.told, self.behind);
        match blocking(move || missed(&store, &account, told, behind)).await {
            Ok((missed, attachment)) => {
                self.waiting.extend(missed);
                self.told.attachment = attachment;
                self.behind = Behind::Nothing;
            }
            // They stay in the catalogue: nothing is told before them.
            Err(error) => {
                tracing::error!(%error, "missed offers cannot be read from the catalogue");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Offers that this store did not make, behind the mark, and those before it that something was attached to since, oldest first.
fn missed(store: &Store, account: &BareJid, told: Mark, behind: Behind) -> Result<(Vec<Missed>, AttachmentKey), StoreError> {
    let (attachment, attached) = match behind {
        Behind::All => (store.newest_attachment()?, store.offers_attached_to(account, told.attachment, MOST_ATTACHED)?),
        // Those that gained a source meanwhile are told by themselves.
        Behind::Nothing | Behind::Offers => (told.attachment, Vec::new()),
    };
    let mut found = Vec::new();
    for key in attached.into_iter().filter(|key| *key <= told.offer) {
        let Some(row) = store.offer(key)? else { continue };
        let (alone, joined) = (CataloguedOffer::from_row(&row, &[]), CataloguedOffer::read(store, &row)?);
        // Attached may be what the offer says itself, for clients that only know links.
        if joined.is_some_and(|joined| alone.is_some_and(|alone| alone.places() != joined.places())) {
            found.push(Missed { key, again: true });
        }
    }
    let mut last = told.offer;
    loop {
        let page = store.offers_behind(account, last, PAGE)?;
        let others = page.iter().filter(|row| row.state != OfferState::Own);
        found.extend(others.map(|row| Missed { key: row.key, again: false }));
        match page.last() {
            Some(row) if page.len() == PAGE => last = row.key,
            _ => break,
        }
    }
    Ok((found, attachment))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use balcony_sharing::{Received, dialect};
    use balcony_store::NewOffer;
    use balcony_wire::{Element, Message, Stanza};

    use super::*;

    fn romeo() -> BareJid {
        "romeo@montague.example".parse().unwrap()
    }

    /// An offer in the catalogue of Romeo, as it is told to listeners.
    fn catalogued(store: &Store, id: &str) -> CataloguedOffer {
        let xml = format!(
            "<message xmlns='jabber:client' from='juliet@capulet.example/a' to='romeo@montague.example' type='chat' id='{id}'>\
             <body>https://capulet.example/{id}.jpg</body><x xmlns='jabber:x:oob'><url>https://capulet.example/{id}.jpg</url></x></message>"
        );
        let Stanza::Message(message) = Stanza::read(Element::parse(&xml).unwrap()).unwrap() else { panic!("no message") };
        let offer = dialect::read(&Received::<Message>::direct(message, &romeo()).unwrap()).offers.remove(0);
        let (key, _) = store.add_offer(&NewOffer::new(&offer, xml, SystemTime::now())).unwrap();
        CataloguedOffer::read(store, &store.offer(key).unwrap().unwrap()).unwrap().unwrap()
    }

    #[tokio::test]
    async fn offers_told_out_of_order_are_heard_in_order_and_each_once() {
        let store = Store::in_memory().unwrap();
        let (tell, news) = broadcast::channel(WAITING);
        let mut offers = Offers::behind(store.clone(), romeo(), news, Mark::now(&store).unwrap());
        let begun = catalogued(&store, "0");
        assert_eq!(offers.next().await.map(|offer| offer.key()), Some(begun.key()), "from here on what is told is heard");
        let [first, second, third, fourth] = ["1", "2", "3", "4"].map(|id| catalogued(&store, id));
        for offer in [&begun, &first, &third, &second, &fourth] {
            tell.send(offer.clone()).unwrap();
        }
        drop(tell);
        let mut heard = Vec::new();
        while let Some(offer) = offers.next().await {
            heard.push(offer.key());
        }
        assert_eq!(heard, [first, second, third, fourth].map(|offer| offer.key()));
    }
}
