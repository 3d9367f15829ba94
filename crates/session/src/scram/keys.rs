//! What can be kept instead of a password: derived keys, bound to one hash, salt and iteration count.
//!
//! RFC 5802 §3. [`ScramKeys`] lets its holder log in (a client keeps it), [`StoredKeys`] only lets its holder check a login
//! (a server keeps it). Neither gives the password back; both are secrets and neither shows itself in `Debug`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::prep::{PasswordError, prepare_password};

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramHash {
    /// SHA-1
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-512
    Sha512,
}

impl ScramHash {
    /// All, weakest first.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name of the mechanism without channel binding.
    pub fn mechanism_name(self) -> &'static str {
        super::Mechanism::scram(self, false).name()
    }

    /// Bytes of one digest.
    pub fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Never: a digest has bytes.
    pub fn is_empty(self) -> bool {
        false
    }

    pub(super) fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        macro_rules! mac {
            ($hash:ty) => {{
                let mut mac = Hmac::<$hash>::new_from_slice(key).expect("HMAC takes keys of any length");
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }};
        }
        match self {
            Self::Sha1 => mac!(Sha1),
            Self::Sha256 => mac!(Sha256),
            Self::Sha512 => mac!(Sha512),
        }
    }

    /// `Hi(password, salt, iterations)`: the slow step.
    fn stretch(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut out = vec![0; self.len()];
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut out),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut out),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut out),
        }
        out
    }
}

/// Why keys could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No salt, or no iterations.
    #[error("salt and iteration count must not be empty or zero")]
    NoWork,
    /// Not the text that [`ScramKeys::to_text`] or [`StoredKeys::to_text`] wrote.
    #[error("these stored keys are damaged; log in with the password again")]
    Damaged,
}

/// What a client keeps instead of the password. Whoever holds it can log in with this hash while salt and iteration
/// count at the server stay as they are.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    client_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl ScramKeys {
    /// Derives keys: `iterations` rounds of work (0.1 ms per thousand and more).
    ///
    /// # Errors
    /// When the password cannot be prepared, or salt or count is empty.
    pub fn derive(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Result<Self, KeysError> {
        if salt.is_empty() || iterations == 0 {
            return Err(KeysError::NoWork);
        }
        let salted = hash.stretch(prepare_password(password)?.as_bytes(), salt, iterations);
        Ok(Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            client_key: hash.hmac(&salted, b"Client Key"),
            server_key: hash.hmac(&salted, b"Server Key"),
        })
    }

    /// The hash these keys are for.
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// The salt they were made with.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iterations they were made with.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(super) fn client_key(&self) -> &[u8] {
        &self.client_key
    }

    pub(super) fn server_key(&self) -> &[u8] {
        &self.server_key
    }

    /// What a server keeps of them.
    #[must_use]
    pub fn stored(&self) -> StoredKeys {
        StoredKeys {
            hash: self.hash,
            salt: self.salt.clone(),
            iterations: self.iterations,
            stored_key: self.hash.hash(&self.client_key),
            server_key: self.server_key.clone(),
        }
    }

    /// One line of text: `SCRAM-SHA-256$4096:salt$clientkey:serverkey`, parts in base64. A secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        write_text(self.hash, self.iterations, &self.salt, &self.client_key, &self.server_key)
    }

    /// Reads [`ScramKeys::to_text`].
    ///
    /// # Errors
    /// When the text is not such a line.
    pub fn from_text(text: &str) -> Result<Self, KeysError> {
        let (hash, iterations, salt, client_key, server_key) = read_text(text)?;
        Ok(Self { hash, salt, iterations, client_key, server_key })
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramKeys({}, {} iterations)", self.hash.mechanism_name(), self.iterations)
    }
}

/// What a server keeps: enough to check a login and to prove itself, not enough to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKeys {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl StoredKeys {
    /// Derives what a server keeps from a new password.
    ///
    /// # Errors
    /// As [`ScramKeys::derive`].
    pub fn derive(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Result<Self, KeysError> {
        ScramKeys::derive(hash, password, salt, iterations).map(|keys| keys.stored())
    }

    /// The hash these keys are for.
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// The salt, told to whoever tries to log in.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iterations, told to whoever tries to log in.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(super) fn stored_key(&self) -> &[u8] {
        &self.stored_key
    }

    pub(super) fn server_key(&self) -> &[u8] {
        &self.server_key
    }

    /// Whether these are the keys of `password`; compared in constant time. Costs the iterations.
    #[must_use]
    pub fn fits(&self, password: &str) -> bool {
        ScramKeys::derive(self.hash, password, &self.salt, self.iterations)
            .is_ok_and(|keys| self.hash.hash(&keys.client_key).ct_eq(&self.stored_key).into())
    }

    /// Keys that fit no password, for a name that has no account.
    pub(super) fn unfit(hash: ScramHash, salt: Vec<u8>, iterations: u32, filler: &[u8]) -> Self {
        Self { hash, salt, iterations, stored_key: hash.hmac(filler, b"stored"), server_key: hash.hmac(filler, b"server") }
    }

    /// One line of text: `SCRAM-SHA-256$4096:salt$storedkey:serverkey`, parts in base64. A secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        write_text(self.hash, self.iterations, &self.salt, &self.stored_key, &self.server_key)
    }

    /// Reads [`StoredKeys::to_text`].
    ///
    /// # Errors
    /// When the text is not such a line.
    pub fn from_text(text: &str) -> Result<Self, KeysError> {
        let (hash, iterations, salt, stored_key, server_key) = read_text(text)?;
        Ok(Self { hash, salt, iterations, stored_key, server_key })
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredKeys({}, {} iterations)", self.hash.mechanism_name(), self.iterations)
    }
}

fn write_text(hash: ScramHash, iterations: u32, salt: &[u8], first: &[u8], second: &[u8]) -> String {
    let encode = |bytes| STANDARD.encode(bytes);
    format!("{}${iterations}:{}${}:{}", hash.mechanism_name(), encode(salt), encode(first), encode(second))
}

type KeyParts = (ScramHash, u32, Vec<u8>, Vec<u8>, Vec<u8>);

fn read_text(text: &str) -> Result<KeyParts, KeysError> {
    let decode = |text: &str| STANDARD.decode(text).map_err(|_not_base64| KeysError::Damaged);
    let (name, rest) = text.trim().split_once('$').ok_or(KeysError::Damaged)?;
    let hash = ScramHash::ALL.into_iter().find(|hash| hash.mechanism_name() == name).ok_or(KeysError::Damaged)?;
    let (work, keys) = rest.split_once('$').ok_or(KeysError::Damaged)?;
    let (iterations, salt) = work.split_once(':').ok_or(KeysError::Damaged)?;
    let (first, second) = keys.split_once(':').ok_or(KeysError::Damaged)?;
    let iterations = iterations.parse().map_err(|_no_number| KeysError::Damaged)?;
    let (salt, first, second) = (decode(salt)?, decode(first)?, decode(second)?);
    if iterations == 0 || salt.is_empty() || first.len() != hash.len() || second.len() != hash.len() {
        return Err(KeysError::Damaged);
    }
    Ok((hash, iterations, salt, first, second))
}
