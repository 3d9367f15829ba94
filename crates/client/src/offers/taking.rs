//! What becomes of a message that came: who said it, what it offers, what it attaches; all of it in the catalogue before anybody hears.

use std::sync::Arc;
use std::time::SystemTime;

use balcony_sharing::attach::Attachment;
use balcony_sharing::plan::Contacts;
use balcony_sharing::{Offer, Received, Way, dialect};
use balcony_store::{NewOffer, OfferKey, OfferState, Store, StoreError};
use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Element, Jid, Message};
use tokio::sync::{broadcast, watch};

use super::{CataloguedOffer, attached};
use crate::account::bounce::Bounce;
use crate::account::copies::{Came, Copies};
use crate::account::inbox::Arrivals;
use crate::blocking::blocking;

/// Who takes messages in, and what they know.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) account: BareJid,
    pub(crate) copies: Copies,
    /// What they offer stays when strangers offer too much.
    pub(crate) contacts: watch::Receiver<Arc<Contacts>>,
}

impl Desk {
    /// Looks at messages until there are no more; says which are kept before it tells of them.
    pub(crate) async fn watch(self, mut arrivals: Arrivals, news: broadcast::Sender<CataloguedOffer>) {
        while let Some(message) = arrivals.next().await {
            let desk = self.clone();
            let taken = blocking(move || desk.take(message)).await;
            if taken.is_err() {
                self.copies.not_kept();
            }
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

    /// Writes what a message offers and attaches into the catalogue; gives the offers that are new and not our own, and those that
    /// gained a source.
    fn take(&self, message: Message) -> Result<Vec<CataloguedOffer>, StoreError> {
        let (account, copies) = (&self.account, &self.copies);
        // An error holds what we said ourselves.
        if message.kind == MessageKind::Error {
            return note_return(&self.store, account, &message).map(|()| Vec::new());
        }
        let archive_id = Copies::archive_id(&message, account);
        let (received, received_at) = match copies.unwrap(message, account) {
            Ok(Came::Copied { received, at }) => (received, at.unwrap_or_else(SystemTime::now)),
            Ok(Came::Alone(message)) => {
                let received = Received::direct(message, account);
                copies.came(archive_id.clone());
                match received {
                    Ok(received) => (received, SystemTime::now()),
                    Err(_) => return Ok(left_alone("a room speaks")), // there is no other reason
                }
            }
            Err(error) => return Ok(left_alone(error.word())),
        };
        self.keep(&received, received_at, archive_id.as_deref())
    }

    /// As [`Desk::take_opened`], for the `jingle` element by which a device opens a session.
    pub(crate) fn take_session(&self, peer: &Jid, jingle: &Element) -> Result<Vec<CataloguedOffer>, StoreError> {
        match Received::session(peer, &self.account, jingle) {
            Ok(received) => self.take_opened(&received),
            Err(_) => Ok(left_alone("a session that offers nothing")),
        }
    }

    /// Writes what a device offers in a session into the catalogue; gives the offers that are new, and those that are offered again
    /// because an earlier session broke. It came by iq, so no archive has it.
    pub(crate) fn take_opened(&self, received: &Received<Message>) -> Result<Vec<CataloguedOffer>, StoreError> {
        self.keep(received, SystemTime::now(), None)
    }

    /// Writes down what a message says, whoever said it.
    fn keep(
        &self,
        received: &Received<Message>,
        received_at: SystemTime,
        archive_id: Option<&str>,
    ) -> Result<Vec<CataloguedOffer>, StoreError> {
        let store = &self.store;
        let mut reading = dialect::read(received);
        if !self.is_unanswered(received) {
            reading.offers.retain(|offer| !offer.is_proposal()); // the session that follows offers it
        }
        let attachment = Attachment::of(&reading, received.provenance(), received_at);
        if reading.offers.is_empty() && attachment.is_none() {
            return Ok(Vec::new());
        }
        let stanza = received.inner().clone().into_element().to_xml();
        // A message without any id of its own comes once all the same, if an archive names it.
        let archived = || archive_id.map(|id| format!("archive {id}"));
        let id = |offer: &Offer| match offer.is_proposal() {
            true => dialect::proposal_id(received.inner()),
            false => offer.id().message.clone().or_else(archived),
        };
        let rows = self.rows(received, &reading.offers, &stanza, received_at, id)?;
        let mut added = store.add_offers(&rows)?.into_iter();
        let mut news = match &attachment {
            Some(attachment) => attached::take(store, attachment, received.inner(), received_at)?,
            None => Vec::new(),
        };
        // What is attached to one of them names the message, and was there before all of them.
        if let Some((first, true)) = added.clone().next() {
            attached::join(&mut reading.offers, &store.attachments_of(first)?);
        }
        let message = Arc::new(received.inner().clone());
        for (offer, row) in reading.offers.into_iter().zip(rows) {
            match added.next() {
                Some((key, true)) if row.state != OfferState::Own => {
                    let (offer, message, state) = (Arc::new(offer), message.clone(), row.state);
                    news.push(CataloguedOffer { key, offer, message, received_at, state, again: false });
                }
                // The session of another time is over, so this is one that can be had again.
                Some((key, false)) if received.provenance().way() == Way::Session => news.extend(again(store, key)?),
                _ => {}
            }
        }
        Ok(news)
    }

    /// Whether a proposal in it is answered by nobody: those who do not see when we are there learn nothing by it, so the person hears of it
    /// instead. What other devices of ours propose is no news.
    fn is_unanswered(&self, said: &Received<Message>) -> bool {
        let person = said.provenance().person();
        person.is_some_and(|person| person != self.account && !self.contacts.borrow().sees_us(&person))
    }

    fn rows(
        &self,
        received: &Received<Message>,
        offers: &[Offer],
        stanza: &str,
        received_at: SystemTime,
        id: impl Fn(&Offer) -> Option<String>,
    ) -> Result<Vec<NewOffer>, StoreError> {
        let is_ours = is_ours(&self.store, &self.account, received)?;
        let person = received.provenance().person();
        let is_known = person.is_some_and(|person| person == self.account || self.contacts.borrow().groups(&person).is_some());
        let row = |offer: &Offer| {
            let row = NewOffer { message: id(offer), ..NewOffer::new(offer, stanza.to_owned(), received_at) };
            match () {
                () if is_ours => row.own(),
                () if is_known => row.of_contact(),
                () => row,
            }
        };
        Ok(offers.iter().map(row).collect())
    }
}

/// An offer that was told before, if it is still to be had. One that failed is new again.
fn again(store: &Store, key: OfferKey) -> Result<Option<CataloguedOffer>, StoreError> {
    let Some(mut row) = store.offer(key)? else { return Ok(None) };
    match row.state {
        OfferState::New | OfferState::Asking | OfferState::Fetching => {}
        OfferState::Failed => {
            store.set_offer_state(key, OfferState::New)?;
            row.state = OfferState::New;
        }
        OfferState::Here | OfferState::Declined | OfferState::Swept | OfferState::Own => return Ok(None),
    }
    Ok(CataloguedOffer::read(store, &row)?.map(CataloguedOffer::again))
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

/// `why` is a word of ours: addresses stay out of logs.
fn left_alone(why: &'static str) -> Vec<CataloguedOffer> {
    tracing::debug!(why, "a message was left alone");
    Vec::new()
}
