//! Sharing files over XMPP: what an offer means, where its bytes may be had from, in which order, and whether they are the right ones.
//!
//! No I/O, no clock, no chance: whoever drives these machines hands those in. The way of a file coming in is
//! `Received<Message>` → [`dialect::read`] → [`Offer`] → [`plan::decide`] → [`transfer::fetch::FetchJob`] → [`verify::Verified`]; going out it is
//! [`transfer::upload::UploadJob`] and [`verify::Hasher`] → [`dialect::write`]. From device to device it goes in a
//! [`transfer::jingle::Session`]; who may have what of ours is said by [`give`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod attach;
pub mod byte_len;
pub mod cipher;
pub mod dialect;
pub mod digest_set;
pub mod explain;
pub mod exposure;
pub mod file_name;
pub mod give;
pub mod media_type;
pub mod net_rules;
pub mod offer;
pub mod plan;
pub mod provenance;
pub mod source;
pub mod thumbnail;
pub mod transfer;
pub mod verify;

pub use byte_len::ByteLen;
pub use digest_set::{Agreement, DigestSet};
pub use exposure::{Exposure, ExposureKind};
pub use file_name::FileName;
pub use media_type::{MediaType, Presentation};
pub use net_rules::{NetRules, Origin};
pub use offer::{Disposition, NamedBy, Offer, OfferId, Place, Proof, Via};
pub use plan::{Decision, Plan};
pub use provenance::{Provenance, ProvenanceError, Received, RoomFacts, Way};
pub use source::{Source, SourceKey, UnknownSource, UrlSource};
pub use thumbnail::{Thumbnail, ThumbnailAt};
pub use verify::{Claim, Hashed, Hasher, Unproven, Verdict, Verified};
