//! Fetches an offer that is small data: the driver of [`BitsJob`].

use std::time::SystemTime;

use balcony_sharing::dialect::carried;
use balcony_sharing::plan::{Attempt, Record};
use balcony_sharing::transfer::bits::{Action, Bits, BitsJob};
use balcony_sharing::transfer::fetch::Fetched;
use balcony_store::{BlobRef, JobId, Sidecar, Store, StoreError};

use super::Asker;
use crate::blocking::blocking;
use crate::events::Events;
use crate::fetch::{FetchError, FetchEvent};
use crate::offers::CataloguedOffer;

/// Tries the attempts that are small data. Dropping the future keeps nothing: the next fetch asks again.
pub(crate) async fn fetch(
    store: &Store,
    asker: &Asker,
    offer: &CataloguedOffer,
    attempts: &[Attempt],
    events: &Events<FetchEvent>,
) -> Result<BlobRef, FetchError> {
    let mut job = BitsJob::new(attempts, offer.claim());
    loop {
        match job.poll_action() {
            Some(Action::Take(cid)) => job.handle_carried(carried(&offer.message().payloads, &cid)),
            Some(Action::Ask { to, cid, payload }) => match asker.kept(&cid, &to).await {
                Some(bits) => job.handle_kept(bits),
                None => {
                    events.tell(FetchEvent::Asking { host: to.bare().to_string(), from_byte: 0 }).await;
                    let answer = asker.ask(to.clone(), payload).await;
                    if let Some(bits) = answer.as_ref().ok().and_then(|answer| Bits::judge_answer(&cid, answer.as_ref()).ok()) {
                        asker.keep(&bits, &to).await;
                    }
                    job.handle_answer(answer.as_ref().map(Option::as_ref).map_err(Clone::clone));
                }
            },
            Some(Action::Record(source, outcome)) => {
                if !outcome.is_success() {
                    events.tell(FetchEvent::SourceEnded(outcome.clone())).await;
                }
                let (store, key, record) = (store.clone(), offer.key(), Record { source, outcome, at: SystemTime::now() });
                blocking(move || store.add_outcome(key, &record)).await?;
            }
            Some(Action::Done(fetched, bits)) => {
                let (store, key) = (store.clone(), offer.key());
                return Ok(blocking(move || keep(&store, key, &fetched, &bits)).await?);
            }
            Some(Action::Failed(failed)) => return Err(FetchError::Failed(failed)),
            // It always ends, and every question here is answered before it is asked on.
            None => return Err(FetchError::Broken),
        }
    }
}

/// Into the store, the way of every file: staged, then committed as what it was found to be.
fn keep(store: &Store, key: balcony_store::OfferKey, fetched: &Fetched, bits: &Bits) -> Result<BlobRef, StoreError> {
    let mut staging = store.stage(JobId::random(), Sidecar { offer: key.to_string(), is_pure: true, ..Sidecar::default() })?;
    staging.append(bits.bytes())?;
    match fetched {
        Fetched::Verified(verified) => store.commit(staging, verified),
        Fetched::Unproven(unproven) => store.commit(staging, unproven),
    }
}
