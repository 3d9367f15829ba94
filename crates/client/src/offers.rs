//! What others offer: read from messages as they come, written into the catalogue, then told to everybody who listens.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>

mod attached;
mod stream;
mod taking;

pub(crate) use attached::new_row as new_attachment;
pub use stream::Offers;
pub(crate) use stream::{Mark, WAITING};
pub(crate) use taking::Desk;

use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use balcony_sharing::{Offer, dialect};
use balcony_store::{AttachmentRow, OfferKey, OfferRow, OfferState, Store, StoreError};
use balcony_wire::Message;

use crate::fetch::SharedFile;

/// An offer in the catalogue, with the message that made it.
#[derive(Clone, Debug)]
pub struct CataloguedOffer {
    key: OfferKey,
    offer: Arc<Offer>,
    message: Arc<Message>,
    received_at: SystemTime,
    state: OfferState,
    again: bool,
}

/// What to do about an offer; the copy that is here already is a file.
pub type Decision = balcony_sharing::Decision<SharedFile>;

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

    /// Whether it was told before and gained a source since.
    pub fn is_again(&self) -> bool {
        self.again
    }

    /// Reads the offer of a row again, with the sources that rows of [`Store::attachments_of`] add; `None` if today's reading finds
    /// no such offer in the message.
    pub fn from_row(row: &OfferRow, attachments: &[AttachmentRow]) -> Option<Self> {
        let received = attached::message(&row.stanza, &row.provenance)?;
        let mut offers = dialect::read(&received).offers;
        attached::join(&mut offers, attachments);
        let offer = offers.into_iter().nth(row.position)?;
        Some(Self::of(row, offer, received.into_inner()))
    }

    fn of(row: &OfferRow, offer: Offer, message: Message) -> Self {
        let (key, received_at, state) = (row.key, row.received_at, row.state);
        Self { key, offer: Arc::new(offer), message: Arc::new(message), received_at, state, again: false }
    }

    /// As [`CataloguedOffer::from_row`], with all that is attached by now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read(store: &Store, row: &OfferRow) -> Result<Option<Self>, StoreError> {
        Ok(Self::from_row(row, &store.attachments_of(row.key)?))
    }

    /// An offer that is in no catalogue but a passing one.
    pub(crate) fn passing(key: OfferKey, offer: Offer) -> Self {
        let message = Arc::new(Message::new(balcony_wire::stanza::MessageKind::Normal, None));
        Self { key, offer: Arc::new(offer), message, received_at: SystemTime::now(), state: OfferState::New, again: false }
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }
}

impl Deref for CataloguedOffer {
    type Target = Offer;

    fn deref(&self) -> &Offer {
        &self.offer
    }
}
