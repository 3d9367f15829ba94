//! One file: offered in a session, and offered again where that broke.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use balcony_sharing::DigestSet;
use balcony_sharing::verify::{Hashed, Hasher, SHARED_ALGOS};
use balcony_wire::FullJid;
use balcony_wire::hashes::HashAlgo;
use tokio::sync::mpsc::channel;
use tokio::time::sleep;

use super::{DirectEvent, DirectFile, Work};
use crate::blocking::blocking;
use crate::direct::give::Gift;
use crate::direct::publish::random_id;
use crate::direct::{Desk, DirectError, GiveEvent, Key, WayTaken, si};
use crate::http::source::Reading;
use crate::share::LookedAt;

/// Steps of one session that may wait to be told.
const STEPS: usize = 64;
/// Files up to that size are read for their digests before they are offered, if those are not known; of others the digests are told
/// behind the bytes.
const HASHED_FIRST: u64 = 64 << 20;
/// How often a file goes on in a new session after its way broke.
const RETRIES: u32 = 5;
/// How long to wait for a device that has too much to do.
const BUSY: Duration = Duration::from_secs(1);

/// How far a file came in its sessions.
#[derive(Default)]
struct Trip {
    way: Option<WayTaken>,
    address_shown: bool,
    /// Where the last one began, if it did; more than 0 where something was there already.
    from_byte: Option<u64>,
    /// What was there was thrown away once, since it was of another file.
    is_anew: bool,
}

impl Trip {
    /// Whether they are to be offered it once more, from the beginning: they say that the bytes do not fit, and we gave a part only.
    fn begins_anew(&mut self, why: &DirectError) -> bool {
        let misfits = matches!(why, DirectError::Ended { reason, .. } if reason.is_about_bytes());
        misfits && self.from_byte.is_some_and(|from| from > 0) && !std::mem::replace(&mut self.is_anew, true)
    }
}

impl Work {
    /// Offers a file, and offers it again where its way broke.
    pub(super) async fn file(&self, position: usize, looked: &LookedAt) -> Result<DirectFile, DirectError> {
        let done = self.until_there(position, looked).await;
        match &done {
            Ok(file) => self.events.tell(DirectEvent::Delivered { position, file: file.clone() }).await,
            Err(why) => self.events.tell(DirectEvent::NotSent { position, why: why.clone() }).await,
        }
        done
    }

    async fn until_there(&self, position: usize, looked: &LookedAt) -> Result<DirectFile, DirectError> {
        let gift = self.gift(position, looked).await?;
        // The same each time: on the other side it is the same offer, which goes on.
        let (mut named, sid) = match position {
            0 => self.lock().as_ref().map(|agreed| (agreed.device.clone(), agreed.sid.clone())).unzip(),
            _ => (self.lock().as_ref().map(|agreed| agreed.device.clone()), None),
        };
        let sid = sid.unwrap_or_else(random_id);
        let mut trip = Trip::default();
        for retry in 0.. {
            let device = match named.take() {
                Some(device) => device,
                None => self.device().await?,
            };
            let ended = self.trip(position, device.clone(), &sid, gift.clone(), &mut trip).await;
            match ended {
                Ok(()) => {
                    return Ok(DirectFile {
                        name: looked.name.clone(),
                        size: looked.size,
                        media_type: looked.media_type.clone(),
                        digests: gift.digests,
                        device: device.into(),
                        way: trip.way,
                        address_shown: trip.address_shown,
                    });
                }
                Err(why) if retry < RETRIES && why.is_busy() => {
                    named = Some(device);
                    sleep(BUSY).await;
                }
                Err(why) if trip.begins_anew(&why) => {
                    self.events.tell(DirectEvent::Again { position, why }).await;
                    named = Some(device);
                }
                Err(why) if retry < RETRIES && trip.way.is_some() && why.is_passing() => {
                    self.events.tell(DirectEvent::Again { position, why }).await;
                    named = Some(self.back(&device, &gift.file).await?);
                }
                Err(why) => return Err(why),
            }
        }
        Err(DirectError::Inside)
    }

    /// One session.
    async fn trip(&self, position: usize, device: FullJid, sid: &str, gift: Gift, trip: &mut Trip) -> Result<(), DirectError> {
        trip.from_byte = None;
        let (sender, mut steps) = channel(STEPS);
        let (size, leaves) = (gift.size, Leaves::new(&self.desk, &device, sid));
        let abilities = self.account.abilities(&device).await.unwrap_or_default();
        // What was spoken before Jingle is for those who know nothing better (XEP-0234 §10.3).
        match abilities.file_transfer.is_none() && abilities.stream_initiation {
            true => si::offer(&self.desk, device.clone(), sid.to_owned(), gift, Some(sender))?,
            false => self.desk.give(device.clone(), sid.to_owned(), gift, Some(sender))?,
        }
        self.events.tell(DirectEvent::Offered { position, device: device.into() }).await;
        let mut bytes = self.events.another();
        while let Some(step) = steps.recv().await {
            match step {
                GiveEvent::Accepted => self.events.tell(DirectEvent::Accepted { position }).await,
                GiveEvent::FellBack { why } => self.events.tell(DirectEvent::FellBack { position, why }).await,
                GiveEvent::Begins { way, address_shown, from_byte } => {
                    trip.way = Some(way.clone());
                    trip.from_byte.get_or_insert(from_byte);
                    trip.address_shown |= address_shown;
                    let address_shown = trip.address_shown;
                    self.events.tell(DirectEvent::Begins { position, way, from_byte, address_shown }).await;
                }
                GiveEvent::Sent { to_byte } => bytes.bytes(|| DirectEvent::Progress { position, sent: to_byte, size }),
                GiveEvent::Ended(end) => {
                    leaves.not_any_more();
                    return end;
                }
            }
        }
        Err(DirectError::Inside)
    }

    /// What is given: with its digests, unless they are told behind the bytes.
    async fn gift(&self, position: usize, looked: &LookedAt) -> Result<Gift, DirectError> {
        let digests = match looked.remembered(&[HashAlgo::Sha256]) {
            Some(known) => known.clone(),
            None if looked.size <= HASHED_FIRST => {
                self.events.tell(DirectEvent::Hashing { position }).await;
                self.hash(looked).await?.digests().clone()
            }
            None => DigestSet::new(),
        };
        let said = looked.outgoing(Some(&digests), None);
        Ok(Gift {
            from: looked.wanted.from.clone(),
            stamp: looked.stamp,
            file: said.file,
            size: looked.size,
            digests,
            reach: self.reach,
            rate: None,
            share: None,
        })
    }

    /// Reads a file for its digests, which are remembered.
    async fn hash(&self, looked: &LookedAt) -> Result<Hashed, DirectError> {
        let _turn = self.hashing.lock().await;
        let unreadable = |why: String| DirectError::File(why);
        let (store, to_open) = (self.account.store().clone(), looked.clone());
        let input = blocking(move || to_open.open(&store)).await.map_err(|error| unreadable(error.to_string()))?;
        let (reading, mut pieces) = Reading::start(input, Some(Hasher::new(SHARED_ALGOS)));
        while pieces.recv().await.is_some() {}
        let hashed = reading.finish().await.map_err(|error| unreadable(error.to_string()))?.ok_or(DirectError::Inside)?;
        if let Some(stamp) = looked.stamp {
            let (store, kept) = (self.account.store().clone(), hashed.clone());
            // What is not remembered is computed again.
            let _ = blocking(move || store.remember_digests(&stamp, &kept, SystemTime::now())).await;
        }
        Ok(hashed)
    }
}

/// Ends a session that nobody waits for any more.
struct Leaves {
    desk: Arc<Desk>,
    key: Key,
    is_over: bool,
}

impl Leaves {
    fn new(desk: &Arc<Desk>, device: &FullJid, sid: &str) -> Self {
        let key = Key { peer: device.clone(), sid: sid.to_owned() };
        Self { desk: Arc::clone(desk), key, is_over: false }
    }

    fn not_any_more(mut self) {
        self.is_over = true;
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        if !self.is_over {
            self.desk.leave(&self.key);
        }
    }
}
