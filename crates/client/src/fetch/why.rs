//! What would be done about an offer, and why: every way to fetch it with the rule that decides about it, and what happened before.

use std::time::SystemTime;

use balcony_sharing::Offer;
use balcony_sharing::plan::{self, Answer, Attempt, Circumstances, History, LeftOut, Miss, Policy, Ruling};
use balcony_store::{BlobRef, OfferState, StoreError};

use super::{Fetcher, Wish};
use crate::blocking::blocking;
use crate::offers::CataloguedOffer;

/// All that goes into a decision about one offer.
pub(super) struct Known {
    pub(super) copy: Option<BlobRef>,
    pub(super) history: History,
    pub(super) circumstances: Circumstances,
}

/// Why an offer is fetched, asked about or left alone.
#[derive(Clone, Debug)]
pub struct Why {
    /// What is done when nobody asks for it.
    pub unasked: plan::Decision,
    /// What is done when the person asks for it.
    pub asked: plan::Decision,
    /// Every way to fetch it that no rule forbids, in the order of trying.
    pub ways: Vec<Way>,
    /// Every other source, and why not.
    pub left_out: Vec<LeftOut>,
    /// What was tried before.
    pub history: History,
    /// What the person agreed to.
    pub answers: Vec<Answer>,
    /// Whether the person said no.
    pub declined: bool,
}

/// One way to fetch it.
#[derive(Clone, Debug)]
pub struct Way {
    /// What is tried, and what that reveals.
    pub attempt: Attempt,
    /// What the rules say of it.
    pub ruling: Ruling,
    /// For every rule before the one that decides: what keeps it from being about this.
    pub passed_over: Vec<Vec<Miss>>,
}

impl Why {
    fn new(offer: &Offer, policy: &Policy, history: History, circumstances: Circumstances) -> Self {
        let with = |asked| Circumstances { asked, ..circumstances.clone() };
        let decide = |asked| plan::decide(offer, policy, &history, &with(asked));
        let laid = plan::lay_out(offer, policy, &history, &with(true));
        let way = |attempt: Attempt| Way {
            ruling: plan::ruling(offer, policy, &circumstances, &attempt),
            passed_over: plan::passed_over(offer, policy, &circumstances, &attempt),
            attempt,
        };
        Self {
            unasked: decide(false),
            asked: decide(true),
            ways: laid.attempts.into_iter().map(way).collect(),
            left_out: laid.left_out,
            answers: circumstances.answers.clone(),
            declined: circumstances.declined,
            history,
        }
    }
}

impl Fetcher {
    /// What would be done about an offer by these rules, and why. Asks nobody on the network. Safe to drop.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn why(&self, offer: &CataloguedOffer, policy: &Policy, wish: Wish) -> Result<Why, StoreError> {
        let Known { history, circumstances, .. } = self.known(offer, wish).await?;
        Ok(Why::new(offer, policy, history, circumstances))
    }

    /// The same for an offer that is in no catalogue, as if it came just now.
    #[must_use]
    pub fn why_of(&self, offer: &Offer, policy: &Policy, wish: Wish) -> Why {
        Why::new(offer, policy, History::default(), self.circumstances(offer, wish))
    }

    /// Looks into the store for all that goes into a decision.
    pub(super) async fn known(&self, offer: &CataloguedOffer, wish: Wish) -> Result<Known, StoreError> {
        let (store, key, digests) = (self.store.clone(), offer.key(), offer.digests().clone());
        let (named, came, history, kept, row) = blocking(move || {
            let (named, row) = (store.find(&digests)?, store.offer(key)?);
            // What no digest named beforehand is found by the offer that brought it.
            let came = match row.as_ref().and_then(|row| row.blob.as_ref()).filter(|_| named.is_none()) {
                Some(sha256) => store.blob(sha256)?,
                None => None,
            };
            Ok::<_, StoreError>((named, came, store.history(key)?, store.answers(key)?, row))
        })
        .await?;
        let kept = kept.iter().filter_map(|answer| Answer::from_record(answer));
        let mut circumstances = self.circumstances(offer, wish);
        circumstances.came_by_it = came.is_some();
        let copy = named.or(came);
        circumstances.have = copy.as_ref().map(|copy| copy.digests().clone());
        circumstances.answers.extend(kept);
        circumstances.declined = row.is_some_and(|row| row.state == OfferState::Declined);
        Ok(Known { copy, history, circumstances })
    }

    /// What is known whatever the offer.
    fn circumstances(&self, offer: &Offer, wish: Wish) -> Circumstances {
        Circumstances {
            rules: self.rules(),
            contacts: self.contacts(),
            devices: self.devices(offer),
            room: wish.room,
            asked: wish.asked,
            metered: wish.metered,
            answers: wish.answers,
            ..Circumstances::at(SystemTime::now())
        }
    }

    /// Keeps what the person agrees to, so that it holds for this offer from now on, after a restart and offline as well. Dropping the
    /// future may or may not keep it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn agree(&self, offer: &CataloguedOffer, question: &plan::Question) -> Result<(), StoreError> {
        self.keep_answers(offer, &question.answers()).await
    }

    /// As [`Fetcher::agree`], for the other answer: no device of anybody sees our address.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn agree_relayed(&self, offer: &CataloguedOffer, relayed: &plan::Relayed) -> Result<(), StoreError> {
        self.keep_answers(offer, relayed.answers()).await
    }

    async fn keep_answers(&self, offer: &CataloguedOffer, answers: &[Answer]) -> Result<(), StoreError> {
        let (store, key) = (self.store.clone(), offer.key());
        let answers: Vec<_> = answers.iter().map(Answer::to_record).collect();
        blocking(move || {
            store.add_answers(key, &answers)?;
            match store.offer(key)? {
                Some(row) if row.state == OfferState::Declined => store.set_offer_state(key, OfferState::Asking),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Keeps a no: the offer is neither fetched nor asked about until the person asks for it themself. Where it was made in a session,
    /// the other side hears it. Dropping the future may leave it unkept, though the other side heard it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn decline(&self, offer: &CataloguedOffer) -> Result<(), StoreError> {
        let (store, key) = (self.store.clone(), offer.key());
        self.turn_away(offer).await;
        blocking(move || store.set_offer_state(key, OfferState::Declined)).await
    }
}
