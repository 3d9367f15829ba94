//! Proof that bytes are what somebody said they are: one pass, every digest asked for, witnesses that only this module makes.
//!
//! The chain is `Hasher` → [`Hashed`] (these bytes have these digests) → [`Verified`] (and that is what the offer says), or
//! [`Unproven`] (the offer says nothing that could prove it), or [`Mismatch`]. Speaks XEP-0300, XEP-0414 and XEP-0447 §6.
//!
//! XEP-0300 Use of cryptographic hash functions, v1.0.0 <https://xmpp.org/extensions/xep-0300.html>
//! Status: complete.
//! XEP-0414 Cryptographic hash function recommendations for XMPP, v0.4.0 <https://xmpp.org/extensions/xep-0414.html>
//! Status: complete.
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>

mod hasher;
mod verdict;
mod witness;

pub use hasher::{Hasher, Lane, UnevenLanes};
pub use verdict::{Claim, Mismatch, Verdict};
pub use witness::{Hashed, Unproven, Verified};

use balcony_wire::hashes::HashAlgo;

/// Algorithms computed for every file we share: quick ones that everybody knows (XEP-0414 §5).
pub const SHARED_ALGOS: [HashAlgo; 2] = [HashAlgo::Sha256, HashAlgo::Blake2b256];
