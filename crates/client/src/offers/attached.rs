//! Sources that come in messages of their own: kept beside the offers, whichever came first, and joined whenever one is read.
//!
//! XEP-0367 Message attaching, v0.3 <https://xmpp.org/extensions/xep-0367.html>

use std::time::SystemTime;

use balcony_sharing::attach::{self, Attachment};
use balcony_sharing::{Offer, Place, Received, SourceKey, dialect};
use balcony_store::{Attached, AttachmentRow, NewAttachment, OfferKey, OfferState, Store, StoreError};
use balcony_wire::attaching::AttachTo;
use balcony_wire::file_sharing::Sources;
use balcony_wire::{Element, Message, Payload as _, Stanza, ns};

use super::CataloguedOffer;

/// Messages with one id that a source may be for: each should have its own, but nothing forces it.
const MOST: usize = 8;

/// The message of a row, with who said it.
pub(super) fn message(stanza: &str, provenance: &str) -> Option<Received<Message>> {
    let Ok(Stanza::Message(message)) = Stanza::read(Element::parse(stanza).ok()?) else { return None };
    Received::from_record(message, provenance).ok()
}

/// Adds to the offers of a message what rows attach to them.
pub(super) fn join(offers: &mut [Offer], rows: &[AttachmentRow]) {
    let attachment = |row: &AttachmentRow| {
        let received = message(&row.stanza, &row.provenance)?;
        Attachment::of(&dialect::read(&received), received.provenance(), row.received_at)
    };
    let attachments: Vec<Attachment> = rows.iter().filter_map(attachment).collect();
    for (_, why) in attach::join(offers, &attachments) {
        tracing::debug!(%why, "attached sources were left out");
    }
}

/// Writes down what a message attaches; gives the offers that have more sources by it and are still of interest. One that failed is
/// new again.
pub(super) fn take(store: &Store, attachment: &Attachment, message: &Message, at: SystemTime) -> Result<Vec<CataloguedOffer>, StoreError> {
    let row = new_row(attachment, message, at);
    let attached = store.add_attachment(&row)?;
    if attached == Attached::TooMany {
        tracing::warn!("a source was attached and is not kept: there are too many");
        return Ok(Vec::new());
    }
    let mut gained = Vec::new();
    for first in store.messages_of_target(&row.account, &row.conversation, &row.target, MOST)? {
        if let Some((offer, new)) = meant(store, first, attachment, &row)?
            && let Some(state) = gone_on(store, &offer, &new)?
            // What comes a second time was told the first time, or is found by whoever starts anew.
            && attached == Attached::New
        {
            gained.push(CataloguedOffer { state, ..offer.again() });
        }
    }
    Ok(gained)
}

/// Which offer of a message is meant, and the sources that it has by this attachment alone. Reads the message once, however many
/// files are in it.
fn meant(
    store: &Store,
    first: OfferKey,
    attachment: &Attachment,
    this: &NewAttachment,
) -> Result<Option<(CataloguedOffer, Vec<SourceKey>)>, StoreError> {
    let Some(row) = store.offer(first)? else { return Ok(None) };
    let Some(received) = message(&row.stanza, &row.provenance) else { return Ok(None) };
    let mut before = dialect::read(&received).offers;
    let Ok(position) = attach::joins(attachment, &before) else { return Ok(None) };
    let Some(key) = store.offer_beside(first, position)? else { return Ok(None) };
    let mut after = before.clone();
    let rows = store.attachments_of(key)?;
    let is_this = |other: &AttachmentRow| other.stanza == this.stanza && other.provenance == this.provenance;
    let others: Vec<AttachmentRow> = rows.iter().filter(|other| !is_this(other)).cloned().collect();
    join(&mut before, &others);
    join(&mut after, &rows);
    let (before, after) = (before.swap_remove(position), after.swap_remove(position));
    let is_news = |place: &&Place| !before.places().contains(place);
    let new: Vec<SourceKey> = after.places().iter().filter(is_news).map(|place| place.source.key()).collect();
    let Some(row) = store.offer(key)?.filter(|_| !new.is_empty()) else { return Ok(None) };
    Ok(Some((CataloguedOffer::of(&row, after, received.into_inner()), new)))
}

/// Only what attaches is kept of the message, so that it is the same by whichever way it comes.
fn new_row(attachment: &Attachment, message: &Message, at: SystemTime) -> NewAttachment {
    let by = attachment.provenance();
    let needed = |element: &&Element| AttachTo::matches(element) || Sources::matches(element) || element.is("x", ns::MUC_USER);
    let payloads = message.payloads.iter().filter(needed).cloned().collect();
    let kept = Message { payloads, other_attributes: Vec::new(), lang: None, ..message.clone() };
    NewAttachment {
        account: by.account().clone(),
        conversation: by.conversation(),
        target: attachment.target().to_owned(),
        share: attachment.share().map(str::to_owned),
        sender: by.sender().bare(),
        occupant: by.occupant().map(str::to_owned),
        message: by.target_ids().first().cloned(),
        provenance: by.to_record(),
        stanza: kept.into_element().to_xml(),
        received_at: at,
    }
}

/// The state of an offer to which these new sources are of interest. One that had failed is new again if one of them was never tried.
fn gone_on(store: &Store, offer: &CataloguedOffer, new: &[SourceKey]) -> Result<Option<OfferState>, StoreError> {
    match offer.state() {
        state @ (OfferState::New | OfferState::Asking | OfferState::Fetching) => Ok(Some(state)),
        OfferState::Failed => {
            let history = store.history(offer.key())?;
            let was_tried = |source: &SourceKey| history.records().iter().any(|record| record.source == *source);
            if new.iter().all(was_tried) {
                return Ok(None);
            }
            store.set_offer_state(offer.key(), OfferState::New)?;
            Ok(Some(OfferState::New))
        }
        OfferState::Here | OfferState::Declined | OfferState::Swept | OfferState::Own => Ok(None),
    }
}
