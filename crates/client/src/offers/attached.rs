//! Sources that come in messages of their own: kept beside the offers, whichever came first, and joined whenever one is read.
//!
//! XEP-0367 Message attaching, v0.3 <https://xmpp.org/extensions/xep-0367.html>

use std::time::SystemTime;

use balcony_sharing::attach::{self, Attachment};
use balcony_sharing::{Offer, Received, Source, SourceKey, dialect};
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
/// new again. What only repeats its offer, for clients that know nothing but links, is not kept.
pub(super) fn take(store: &Store, attachment: &Attachment, message: &Message, at: SystemTime) -> Result<Vec<CataloguedOffer>, StoreError> {
    let row = new_row(attachment, message, at);
    let mut meant = Vec::new();
    for first in store.messages_of_target(&row.account, &row.conversation, &row.target, MOST)? {
        meant.extend(Meant::find(store, first, attachment)?);
    }
    let is_repetition = !meant.is_empty() && meant.iter().all(|meant| !meant.has_gained);
    let attached = if is_repetition { Attached::Known } else { store.add_attachment(&row)? };
    if attached == Attached::TooMany {
        tracing::warn!("a source was attached and is not kept: there are too many");
        return Ok(Vec::new());
    }
    let mut gained = Vec::new();
    for Meant { offer, has_gained } in meant {
        let state = gone_on(store, &offer, attachment)?;
        // What comes a second time was told the first time, or is found by whoever starts anew.
        if let Some(state) = state.filter(|_| has_gained && attached == Attached::New) {
            gained.push(CataloguedOffer { state, ..offer.again() });
        }
    }
    Ok(gained)
}

/// An offer that an attachment is for, with all its sources.
struct Meant {
    offer: CataloguedOffer,
    /// It has one of them by this attachment alone.
    has_gained: bool,
}

impl Meant {
    /// Finds it among the offers of the message that `first` is in; reads that message once, however many files are in it.
    fn find(store: &Store, first: OfferKey, attachment: &Attachment) -> Result<Option<Self>, StoreError> {
        let Some(row) = store.offer(first)? else { return Ok(None) };
        let Some(received) = message(&row.stanza, &row.provenance) else { return Ok(None) };
        let mut offers = dialect::read(&received).offers;
        let Ok(position) = attach::joins(attachment, &offers) else { return Ok(None) };
        let Some(key) = store.offer_beside(first, position)? else { return Ok(None) };
        let Some(row) = store.offer(key)? else { return Ok(None) };
        join(&mut offers, &store.attachments_of(key)?);
        let before = offers[position].places().to_vec();
        attach::join(&mut offers, std::slice::from_ref(attachment));
        let offer = offers.swap_remove(position);
        let has_gained = before != offer.places();
        Ok(Some(Self { offer: CataloguedOffer::of(&row, offer, received.into_inner()), has_gained }))
    }
}

/// What is written down of a message that attaches: nothing of the rest, so that it is the same by whichever way it comes.
pub(crate) fn new_row(attachment: &Attachment, message: &Message, at: SystemTime) -> NewAttachment {
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

/// The state of an offer to which an attachment is of interest. One that had failed is new again if a source of it was never tried.
fn gone_on(store: &Store, offer: &CataloguedOffer, attachment: &Attachment) -> Result<Option<OfferState>, StoreError> {
    match offer.state() {
        state @ (OfferState::New | OfferState::Asking | OfferState::Fetching) => Ok(Some(state)),
        OfferState::Failed => {
            let history = store.history(offer.key())?;
            let was_tried = |key: &SourceKey| history.records().iter().any(|record| record.source == *key);
            let is_there = |key: &SourceKey| offer.sources().any(|source| source.key() == *key);
            if attachment.sources().iter().map(Source::key).filter(is_there).all(|key| was_tried(&key)) {
                return Ok(None);
            }
            store.set_offer_state(offer.key(), OfferState::New)?;
            Ok(Some(OfferState::New))
        }
        OfferState::Here | OfferState::Declined | OfferState::Swept | OfferState::Own => Ok(None),
    }
}
