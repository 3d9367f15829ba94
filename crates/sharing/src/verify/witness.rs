//! Values that say what was proven about bytes. Their fields are private and nothing outside [`crate::verify`] makes them.

use balcony_wire::hashes::Digest;

use crate::DigestSet;

/// These bytes have this length and these digests: one pass over them was made by us.
///
/// ```compile_fail
/// use balcony_sharing::{DigestSet, verify::Hashed};
/// let forged = Hashed { size: 3, digests: DigestSet::new() };
/// ```
/// ```compile_fail
/// use balcony_sharing::{DigestSet, verify::Hashed};
/// let forged = Hashed::mint(3, DigestSet::new());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    size: u64,
    digests: DigestSet,
}

impl Hashed {
    /// Only the hasher calls this.
    pub(super) fn mint(size: u64, digests: DigestSet) -> Self {
        Self { size, digests }
    }

    /// Bytes hashed.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Their digests.
    pub fn digests(&self) -> &DigestSet {
        &self.digests
    }
}

/// [`Hashed`] bytes that are what the offer says: every digest of it that we can compute fits, and one of them proves, or, where the
/// offer has none, the tag of the cipher whose key it holds (XEP-0454 §3).
///
/// ```compile_fail
/// use balcony_sharing::verify::{Hashed, Verified};
/// fn forge(hashed: Hashed) -> Verified { Verified { hashed } }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    hashed: Hashed,
}

impl Verified {
    pub(super) fn mint(hashed: Hashed) -> Self {
        Self { hashed }
    }

    /// What was hashed.
    pub fn hashed(&self) -> &Hashed {
        &self.hashed
    }

    /// The most trusted digest of those computed.
    pub fn strongest(&self) -> Option<&Digest> {
        self.hashed.digests.strongest()
    }
}

/// [`Hashed`] bytes of an offer that has no digest that could prove them: to be shown as unproven, never to be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unproven {
    hashed: Hashed,
}

impl Unproven {
    /// Only a better proof makes something else of it.
    pub(super) fn into_hashed(self) -> Hashed {
        self.hashed
    }

    pub(super) fn mint(hashed: Hashed) -> Self {
        Self { hashed }
    }

    /// What was hashed.
    pub fn hashed(&self) -> &Hashed {
        &self.hashed
    }
}
