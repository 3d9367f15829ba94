//! What becomes of a message that came: who said it, what it offers, what it attaches; all of it in the catalogue before anybody hears.

use std::sync::Arc;
use std::time::SystemTime;

use balcony_sharing::attach::Attachment;
use balcony_sharing::{Offer, Received, dialect};
use balcony_store::{NewOffer, OfferState, Store, StoreError};
use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Message};
use tokio::sync::broadcast;

use super::{CataloguedOffer, attached};
use crate::account::bounce::Bounce;
use crate::account::copies::{Came, Copies};
use crate::account::inbox::Arrivals;
use crate::blocking::blocking;

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

/// Writes what a message offers and attaches into the catalogue; gives the offers that are new and not our own, and those that gained a
/// source.
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
    keep(store, account, &received, received_at, archive_id.as_deref())
}

/// Writes down what a message says, whoever said it.
fn keep(
    store: &Store,
    account: &BareJid,
    received: &Received<Message>,
    received_at: SystemTime,
    archive_id: Option<&str>,
) -> Result<Vec<CataloguedOffer>, StoreError> {
    let mut reading = dialect::read(received);
    let attachment = Attachment::of(&reading, received.provenance(), received_at);
    if reading.offers.is_empty() && attachment.is_none() {
        return Ok(Vec::new());
    }
    let stanza = received.inner().clone().into_element().to_xml();
    let state = if is_ours(store, account, received)? { OfferState::Own } else { OfferState::New };
    // A message without any id of its own comes once all the same, if an archive names it.
    let id = |offer: &Offer| offer.id().message.clone().or_else(|| archive_id.map(|id| format!("archive {id}")));
    let row = |offer| NewOffer { state, message: id(offer), ..NewOffer::new(offer, stanza.clone(), received_at) };
    let mut added = store.add_offers(&reading.offers.iter().map(row).collect::<Vec<_>>())?.into_iter();
    let mut news = match &attachment {
        Some(attachment) => attached::take(store, attachment, &stanza, received_at)?,
        None => Vec::new(),
    };
    // What is attached to one of them names the message, and was there before all of them.
    if let Some((first, true)) = added.clone().next() {
        attached::join(&mut reading.offers, &store.attachments_of(first)?);
    }
    let message = Arc::new(received.inner().clone());
    let told = |offer, key| CataloguedOffer { key, offer: Arc::new(offer), message: message.clone(), received_at, state, again: false };
    let new = reading.offers.into_iter().filter_map(|offer| added.next().filter(|(_, is_new)| *is_new).map(|(key, _)| told(offer, key)));
    news.extend(new.filter(|offer| offer.state != OfferState::Own));
    Ok(news)
}
