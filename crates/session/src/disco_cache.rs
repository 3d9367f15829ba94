//! What the devices of contacts can do, without asking each of them: one answer serves all who announce the same hash.
//!
//! XEP-0115 Entity capabilities, v1.6.0 <https://xmpp.org/extensions/xep-0115.html>
//!
//! An answer is remembered for a hash only when the hash recomputed from it is equal (§5.4); otherwise for the one device
//! that gave it. Everything is bounded, what was not used for longest goes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use balcony_wire::Jid;
use balcony_wire::caps::{Caps, IllFormed, verification_string};
use balcony_wire::disco::DiscoInfo;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

/// Features, identities and form fields of an answer that is worth remembering.
const MOST_ENTRIES: usize = 2000;

/// What to do about a device that announced its abilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Nothing: they are known.
    Known(Arc<DiscoInfo>),
    /// Ask it disco#info for this node, then tell [`DiscoCache::learn`] or [`DiscoCache::failed`].
    Ask {
        /// `node#ver`
        node: String,
    },
    /// Nothing: another device with the same hash was asked already.
    Asked,
    /// It announced nothing that could be looked up.
    Nothing,
}

/// Why an answer counts for the one device only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The hash of the answer is another one.
    #[error("the answer does not have the announced hash")]
    Mismatch,
    /// No hash can be made of it.
    #[error(transparent)]
    IllFormed(#[from] IllFormed),
    /// A hash function nobody here knows.
    #[error("the hash function {0} is not known")]
    UnknownHash(String),
    /// Too long to be remembered at all.
    #[error("the answer is too long to be remembered")]
    TooLong,
    /// The device announced nothing, or is gone.
    #[error("nothing was announced that this could answer")]
    NotAnnounced,
}

/// Hash function and hash.
type Version = (String, String);

#[derive(Debug)]
struct Device {
    caps: Caps,
    /// Its own answer, when that did not match its hash.
    own: Option<Arc<DiscoInfo>>,
    used: u64,
}

#[derive(Debug)]
struct Verified {
    info: Arc<DiscoInfo>,
    used: u64,
}

/// The memory. One for all accounts of a program, or one for each: nothing in it is secret between them but the time an
/// answer takes.
#[derive(Debug)]
pub struct DiscoCache {
    verified: BTreeMap<Version, Verified>,
    devices: BTreeMap<Jid, Device>,
    asking: BTreeMap<Version, Jid>,
    bound: usize,
    clock: u64,
}

impl DiscoCache {
    /// Remembers `bound` verified answers and four times as many devices.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { verified: BTreeMap::new(), devices: BTreeMap::new(), asking: BTreeMap::new(), bound: bound.max(1), clock: 0 }
    }

    /// A presence came from a full address, with or without caps.
    pub fn announce(&mut self, device: &Jid, caps: Option<Caps>) -> Announced {
        let Some(caps) = caps else {
            self.gone(device);
            return Announced::Nothing;
        };
        self.clock += 1;
        let (version, node) = (version(&caps), caps.disco_node());
        let unchanged = self.devices.get_mut(device).filter(|known| known.caps == caps);
        match unchanged {
            Some(known) => known.used = self.clock,
            None => {
                self.make_room_for_device();
                self.devices.insert(device.clone(), Device { caps, own: None, used: self.clock });
            }
        }
        if let Some(info) = self.info(device) {
            return Announced::Known(info);
        }
        if self.asking.contains_key(&version) {
            return Announced::Asked;
        }
        self.asking.insert(version, device.clone());
        Announced::Ask { node }
    }

    /// The device is gone; what its hash stands for is still known.
    pub fn gone(&mut self, device: &Jid) {
        self.failed(device);
        self.devices.remove(device);
    }

    /// The device did not answer: the next one with the same hash will be asked.
    pub fn failed(&mut self, device: &Jid) {
        self.asking.retain(|_, asked| asked != device);
    }

    /// The device answered what [`Announced::Ask`] asked for.
    ///
    /// # Errors
    /// When the answer does not prove the hash; it is then remembered for this device alone (not at all when it is too long).
    pub fn learn(&mut self, device: &Jid, info: DiscoInfo) -> Result<Arc<DiscoInfo>, Unverified> {
        self.failed(device);
        let fields: usize = info.forms.iter().map(|form| form.fields.len()).sum();
        if info.features.len() + info.identities.len() + fields > MOST_ENTRIES {
            return Err(Unverified::TooLong);
        }
        self.clock += 1;
        let known = self.devices.get_mut(device).ok_or(Unverified::NotAnnounced)?;
        let info = Arc::new(info);
        match verify(&known.caps, &info) {
            Ok(()) => {
                known.own = None;
                let version = version(&known.caps);
                self.make_room_for_version();
                self.verified.insert(version, Verified { info: info.clone(), used: self.clock });
                Ok(info)
            }
            Err(unverified) => {
                known.own = Some(info);
                Err(unverified)
            }
        }
    }

    /// What a device can do, as far as that is known.
    pub fn info(&mut self, device: &Jid) -> Option<Arc<DiscoInfo>> {
        self.clock += 1;
        let known = self.devices.get_mut(device)?;
        known.used = self.clock;
        if let Some(own) = &known.own {
            return Some(own.clone());
        }
        let verified = self.verified.get_mut(&version(&known.caps))?;
        verified.used = self.clock;
        Some(verified.info.clone())
    }

    /// A verified answer from elsewhere (an earlier run); checked again.
    ///
    /// # Errors
    /// When it does not prove the hash.
    pub fn restore(&mut self, caps: &Caps, info: DiscoInfo) -> Result<(), Unverified> {
        verify(caps, &info)?;
        self.clock += 1;
        self.make_room_for_version();
        self.verified.insert(version(caps), Verified { info: Arc::new(info), used: self.clock });
        Ok(())
    }

    fn make_room_for_version(&mut self) {
        if self.verified.len() >= self.bound
            && let Some(oldest) = self.verified.iter().min_by_key(|(_, verified)| verified.used).map(|(version, _)| version.clone())
        {
            self.verified.remove(&oldest);
        }
    }

    fn make_room_for_device(&mut self) {
        if self.devices.len() >= self.bound.saturating_mul(4)
            && let Some(oldest) = self.devices.iter().min_by_key(|(_, device)| device.used).map(|(jid, _)| jid.clone())
        {
            self.gone(&oldest);
        }
    }
}

fn version(caps: &Caps) -> Version {
    (caps.hash.clone(), caps.ver.clone())
}

/// Whether the answer has the hash that was announced.
fn verify(caps: &Caps, info: &DiscoInfo) -> Result<(), Unverified> {
    let computed = match caps.hash.as_str() {
        "sha-1" => verification_string(info, |input| Sha1::digest(input).to_vec()),
        "sha-256" => verification_string(info, |input| Sha256::digest(input).to_vec()),
        "sha-512" => verification_string(info, |input| Sha512::digest(input).to_vec()),
        other => return Err(Unverified::UnknownHash(other.to_owned())),
    };
    if computed? == caps.ver { Ok(()) } else { Err(Unverified::Mismatch) }
}
