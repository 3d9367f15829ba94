//! Many independent random values out of the 32 bytes a machine is given: HMAC-SHA-256 over a counter.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// A source of nonces and ids.
pub(crate) struct Entropy {
    seed: [u8; 32],
    used: u64,
}

impl Entropy {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, used: 0 }
    }

    /// The next 32 bytes.
    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        self.used += 1;
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.seed).expect("HMAC takes keys of any length");
        mac.update(&self.used.to_be_bytes());
        mac.finalize().into_bytes().into()
    }

    /// A number.
    pub(crate) fn number(&mut self) -> u64 {
        let bytes = self.bytes();
        u64::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
    }

    /// A nonce for SCRAM: 144 bits, printable, without commas.
    pub(crate) fn nonce(&mut self) -> String {
        STANDARD_NO_PAD.encode(&self.bytes()[..18])
    }

    /// An id that nobody can guess, fit for attributes and resources.
    pub(crate) fn id(&mut self, bytes: usize) -> String {
        URL_SAFE_NO_PAD.encode(&self.bytes()[..bytes.min(32)])
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}
