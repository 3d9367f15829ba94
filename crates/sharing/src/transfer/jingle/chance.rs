//! Unguessable names, drawn from 32 random bytes that whoever made the session handed in.

use sha2::{Digest as _, Sha256};

/// Draws names and seeds. The seed itself never shows.
#[derive(Clone)]
pub(super) struct Chance {
    seed: [u8; 32],
    drawn: u64,
}

impl Chance {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// 32 bytes more.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut hasher = Sha256::new();
        hasher.update(b"jingle");
        hasher.update(self.seed);
        hasher.update(self.drawn.to_be_bytes());
        hasher.finalize().into()
    }

    /// An XML Nmtoken of 96 random bits (XEP-0166 §7.1).
    pub(super) fn token(&mut self) -> String {
        use std::fmt::Write as _;
        self.seed()[..12].iter().fold(String::from("b"), |mut token, byte| {
            let _ = write!(token, "{byte:02x}"); // writing to a String cannot fail
            token
        })
    }
}

impl std::fmt::Debug for Chance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chance({} drawn)", self.drawn)
    }
}
