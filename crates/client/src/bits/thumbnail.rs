//! The small picture of an offered file: from the message, from what was kept, or fetched where the rules allow it.
//!
//! XEP-0264 Jingle content thumbnails, v0.4.2 <https://xmpp.org/extensions/xep-0264.html>
//!
//! Nothing is decoded and no width or height of the sender sizes anything: the bytes are bounded, and their first ones say what they are.

use std::io::Read as _;
use std::time::SystemTime;

use balcony_sharing::dialect::carried;
use balcony_sharing::plan::{Answer, Policy, Question};
use balcony_sharing::thumbnail::{Thumbnail, ThumbnailAt};
use balcony_sharing::transfer::bits::{Bits, MAX_READ, as_offer};
use balcony_sharing::{MediaType, Offer};
use balcony_store::{NewOffer, StoreError};
use balcony_wire::bits_of_binary::ContentId;

use super::picture::picture_type;
use crate::blocking::blocking;
use crate::error::Class;
use crate::fetch::{Fetcher, Wish};
use crate::offers::{CataloguedOffer, Decision};

/// A small picture. Nothing proves that it shows the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThumbnailBytes {
    bytes: Vec<u8>,
    media_type: MediaType,
}

/// Why there is no small picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoThumbnail {
    /// The offer names none that could be a picture.
    #[error("the offer has no thumbnail")]
    None,
    /// It can be had after a yes.
    #[error("its thumbnail is not fetched unasked: {0}")]
    Ask(Box<Question>),
    /// It cannot be had.
    #[error("its thumbnail cannot be had: {0}")]
    Failed(String),
    /// The disk or the catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NoThumbnail {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::None | Self::Failed(_) => Class::Source,
            Self::Ask(_) => Class::Policy,
            Self::Store(_) => Class::Local,
        }
    }
}

impl ThumbnailBytes {
    /// The bytes, at most 64 KiB.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they are by their first bytes: PNG, JPEG, WebP or GIF.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The usual ending of a file of this kind.
    pub fn extension(&self) -> &'static str {
        match self.media_type.as_str() {
            "image/png" => "png",
            "image/webp" => "webp",
            "image/gif" => "gif",
            _ => "jpg",
        }
    }

    /// Bytes of others, if they are a picture and not too many.
    fn of(bytes: Vec<u8>) -> Option<Self> {
        let media_type = picture_type(&bytes).filter(|_| bytes.len() <= MAX_READ)?;
        Some(Self { bytes, media_type })
    }
}

impl Fetcher {
    /// A small picture of an offered file, at most 64 KiB. Those in the message and those kept from before come first and reveal
    /// nothing; others are fetched where the rules would fetch a file of the same sender from there, and show the sender's device
    /// or the host that we are there (decision 41). Nothing is kept but what [XEP-0231 §2.4] lets one keep. Safe to drop.
    ///
    /// [XEP-0231 §2.4]: https://xmpp.org/extensions/xep-0231.html#caching
    ///
    /// # Errors
    /// Why there is none.
    pub async fn thumbnail(&self, offer: &CataloguedOffer, policy: &Policy, wish: Wish) -> Result<ThumbnailBytes, NoThumbnail> {
        for thumbnail in offer.thumbnails() {
            let here = match &thumbnail.at {
                ThumbnailAt::Data(bytes) => Some(bytes.clone()),
                ThumbnailAt::Bits(cid) => self.bits_at_hand(offer, cid).await.map(Bits::into_bytes),
                ThumbnailAt::Url(_) => None,
            };
            if let Some(picture) = here.and_then(ThumbnailBytes::of) {
                return Ok(picture);
            }
        }
        let mut why = NoThumbnail::None;
        for thumbnail in offer.thumbnails() {
            match self.fetch_thumbnail(offer, thumbnail, policy, &wish).await? {
                Fetching::Picture(picture) => return Ok(picture),
                Fetching::Not(error) if matches!(why, NoThumbnail::None) => why = error,
                Fetching::Not(_) => {}
            }
        }
        Err(why)
    }

    /// What came along in the message, else what was kept.
    async fn bits_at_hand(&self, offer: &CataloguedOffer, cid: &ContentId) -> Option<Bits> {
        let came = carried(&offer.message().payloads, cid).and_then(|came| Bits::judge(cid, came).ok());
        match came {
            Some(bits) => Some(bits),
            None => self.asker().kept(cid, offer.provenance().sender()).await,
        }
    }

    async fn fetch_thumbnail(&self, offer: &Offer, thumbnail: &Thumbnail, policy: &Policy, wish: &Wish) -> Result<Fetching, StoreError> {
        let (Some(decided), Some(fetched)) = (as_offer(offer, thumbnail, true), as_offer(offer, thumbnail, false)) else {
            return Ok(Fetching::Not(NoThumbnail::None));
        };
        let fetcher = self.passing(MAX_READ as u64)?;
        let (decided, fetched) = fetcher.pass(decided, fetched).await?;
        // A picture claims nothing that could be proven, and is not kept as the file.
        let answers = wish.answers.iter().cloned().chain([Answer::Unproven]).collect();
        let plan = match fetcher.decide(&decided, policy, Wish { answers, ..wish.clone() }).await? {
            Decision::Fetch(plan) => plan,
            Decision::Ask(question) => return Ok(Fetching::Not(NoThumbnail::Ask(Box::new(question)))),
            Decision::Refuse(refusal) => return Ok(Fetching::failed(refusal.to_string())),
            Decision::Have(_) | Decision::Wait(_) => return Ok(Fetching::failed("it says not where it is".to_owned())),
        };
        let file = match fetcher.fetch(&fetched, plan).await {
            Ok(file) => file,
            Err(error) => return Ok(Fetching::failed(crate::words::with_causes(&error))),
        };
        let bytes = blocking(move || {
            let mut bytes = Vec::new();
            let read = file.open()?.take(MAX_READ as u64 + 1).read_to_end(&mut bytes);
            Ok::<_, StoreError>(read.map(|_| bytes))
        });
        Ok(match bytes.await?.ok().and_then(ThumbnailBytes::of) {
            Some(picture) => Fetching::Picture(picture),
            None => Fetching::failed("what came is no picture".to_owned()),
        })
    }

    /// Puts both into the passing catalogue, as one.
    async fn pass(&self, decided: Offer, fetched: Offer) -> Result<(CataloguedOffer, CataloguedOffer), StoreError> {
        let store = self.store().clone();
        let row = NewOffer::new(&fetched, String::new(), SystemTime::now());
        let (key, _) = blocking(move || store.add_offer(&row)).await?;
        Ok((CataloguedOffer::passing(key, decided), CataloguedOffer::passing(key, fetched)))
    }
}

/// What came of fetching a picture.
enum Fetching {
    Picture(ThumbnailBytes),
    Not(NoThumbnail),
}

impl Fetching {
    fn failed(why: String) -> Self {
        Self::Not(NoThumbnail::Failed(why))
    }
}
