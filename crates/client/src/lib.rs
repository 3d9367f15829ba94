//! Shares and fetches files over XMPP: an async library.
//!
//! Drivers only: sockets, files and threads around the machines of `balcony_session` and `balcony_sharing`, which hold the
//! opinions.
//!
//! ```no_run
//! # use balcony_client::{BareJid, Jid, Question};
//! # async fn example(jid: BareJid, romeo: Jid) -> Result<(), Box<dyn std::error::Error>> {
//! use balcony_client::{Account, ConnectOptions, Decision, FileToShare, OnClash, Store};
//!
//! let account = Account::connect(ConnectOptions::with_password(jid, "secret"), Store::open("balcony")?).await?;
//! account.share(FileToShare::new("summit.jpg").describe("The view from the summit")).to(&romeo).await?; // or .progress()
//! let mut offers = account.offers();
//! while let Some(offer) = offers.next().await {
//!     let file = match account.decide(&offer).await? {
//!         Decision::Have(file) => file,
//!         Decision::Fetch(plan) => account.fetch(&offer, plan).await?, // or .progress()
//!         Decision::Ask(question) if person_agrees_to(&question) => account.fetch(&offer, question.yes()).await?,
//!         Decision::Ask(_) | Decision::Wait(_) | Decision::Refuse(_) => continue,
//!     };
//!     file.save_in("downloads", OnClash::Rename).await?;
//! }
//! # Ok(()) }
//! # fn person_agrees_to(_: &Question) -> bool { true }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `account` | the connection's task, discovery, the roster, the handle |
//! | `bits` | small data asked of others and handed out |
//! | `share` | drafts, uploads, the outbox |
//! | `offers` | from messages into the catalogue, and to whoever listens |
//! | `direct` | sessions with people's devices: whoever opens one, gives, asks or takes |
//! | `fetch` | staging, hashing lanes, proof, saving |
//! | `http` | exchanges with web servers, files read once for socket and hashers |
//! | `net` | DNS, dialling, TLS, the check of addresses where the socket is opened |
//! | `streams` | connections between devices: listeners, SOCKS5 and proxies, chunks in stanzas |
//!
//! Every error says its [`Class`]: who can mend it. JIDs, addresses, names and URLs never get into logs ([`Redacted`]).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod account;
mod bits;
mod blocking;
mod direct;
mod error;
mod events;
mod fetch;
mod http;
mod net;
mod offers;
mod redacted;
mod share;
mod streams;
mod words;

// What the functions here take and give, so that a program needs this crate alone.
pub use balcony_session::Security;
pub use balcony_session::client::{Credentials, End};
pub use balcony_session::scram::Mechanism;
pub use balcony_sharing::give::{Giving, GivingRule};
pub use balcony_sharing::plan::{Answer, Concern, Contacts, Policy, Question, Refusal, Rule, RuleError, Rules, Wait};
pub use balcony_sharing::{Disposition, Offer, Plan};
pub use balcony_store::{BlobRef, OfferKey, OfferState, OnClash, Store, StoreError};
pub use balcony_wire::{BareJid, FullJid, Jid, JidError, Message};

pub use account::{
    Account, Availability, ConnectOptions, Connection, ContactError, NoServerAddress, OfflineError, Online, Report, ServerAddress,
    Services, UploadService,
};
pub use bits::{NoSmallPicture, NoThumbnail, SmallPicture, ThumbnailBytes};
pub use direct::give::{GivingEvent, GivingStep};
pub use direct::{DirectError, DirectEvent, DirectFile, DirectProgress, DirectSending, DirectShare, SentDirectly, Stage, WayTaken};
pub use error::{Class, ConnectError};
pub use events::Progress;
pub use fetch::{Fetch, FetchError, FetchEvent, FetchProgress, Fetcher, SaveError, SetupError, SharedFile, Taken, Way, Why, Wish};
pub use net::NetError;
pub use net::proxy::{NoProxy, Proxy};
pub use net::tls::TrustError;
pub use offers::{CataloguedOffer, Decision, Offers};
pub use redacted::Redacted;
pub use share::{
    AttachError, AttachedSource, FILES_IN_ONE_MESSAGE, FileFrom, FileToShare, KeepError, LiveSending, LiveShares, Place, Resumed, Sending,
    Sent, SentFile, Share, ShareError, ShareEvent, ShareLive, ShareProgress, Unfinished, draft,
};

/// The program in the readme, compiled as a test of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
