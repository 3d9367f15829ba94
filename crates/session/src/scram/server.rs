//! The server's side of SCRAM: reads the first message, answers with salt and count, checks the proof.
//!
//! A name without account gets a salt that is always the same for it and keys that fit nothing, so that strangers cannot
//! tell which names exist: same messages, same work, same refusal.

use subtle::ConstantTimeEq as _;

use super::keys::StoredKeys;
use super::message::{Attributes, decode, encode, is_nonce, unescape_name};
use super::{Mechanism, ScramHash};
use crate::binding::{BindingKind, ChannelBindings};

/// Why a server refuses a SCRAM login. What the client is told is always one of two things: its message was malformed,
/// or it is not authorized.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerScramError {
    /// The message breaks the grammar.
    #[error("the SCRAM message is malformed")]
    Malformed,
    /// The client asks for a binding this connection does not have, or binds without `-PLUS`, or the other way round.
    #[error("the channel binding does not fit the mechanism")]
    Binding,
    /// The client believes that we offer no channel binding, but we do: somebody changed our list of mechanisms.
    #[error("somebody removed channel binding from the list of mechanisms")]
    Downgrade,
    /// The nonce is not the one of this login.
    #[error("the nonce is not the one of this login")]
    Nonce,
    /// Wrong proof: wrong password, no such account, or another channel.
    #[error("the proof is wrong")]
    Proof,
    /// A message came that has no place here.
    #[error("the SCRAM message came at the wrong time")]
    OutOfOrder,
}

/// Where salts of unknown names come from: a secret of the server that stays the same over restarts.
#[derive(Clone)]
pub struct FakeSalts {
    secret: [u8; 32],
    iterations: u32,
}

impl FakeSalts {
    /// `iterations` must be what new accounts get, or unknown names show themselves by their count.
    #[must_use]
    pub fn new(secret: [u8; 32], iterations: u32) -> Self {
        Self { secret, iterations }
    }

    /// Keys that fit no password: the same salt for the same name at any time. 16 bytes, as for real accounts.
    #[must_use]
    pub fn keys(&self, hash: ScramHash, username: &str) -> StoredKeys {
        let bytes = ScramHash::Sha256.hmac(&self.secret, format!("{}\0{username}", hash.mechanism_name()).as_bytes());
        StoredKeys::unfit(hash, bytes[..16].to_vec(), self.iterations, &bytes)
    }
}

impl std::fmt::Debug for FakeSalts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeSalts")
    }
}

/// One SCRAM login, server side: [`ServerScram::begin`], [`ServerScram::challenge`], [`ServerScram::check`].
pub struct ServerScram {
    hash: ScramHash,
    bound: Vec<u8>,
    client_bare: String,
    nonce: String,
    username: String,
    authzid: Option<String>,
    step: Step,
}

enum Step {
    Begun,
    Challenged { keys: StoredKeys, known: bool, server_first: String },
    Done,
}

impl ServerScram {
    /// Reads the client's first message. `offers_plus`: whether our list of mechanisms had any `-PLUS`.
    ///
    /// # Errors
    /// When the message is malformed, binds where it may not, or shows that our list was tampered with.
    pub fn begin(
        mechanism: Mechanism,
        client_first: &str,
        nonce: &str,
        bindings: &ChannelBindings,
        offers_plus: bool,
    ) -> Result<Self, ServerScramError> {
        let hash = mechanism.hash().ok_or(ServerScramError::OutOfOrder)?;
        let (flag, rest) = client_first.split_once(',').ok_or(ServerScramError::Malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or(ServerScramError::Malformed)?;
        let data = binding_of(flag, mechanism, bindings, offers_plus)?;
        let mut attributes = Attributes::of(bare);
        let name = attributes.expect('n').and_then(unescape_name).filter(|name| !name.is_empty()).ok_or(ServerScramError::Malformed)?;
        let client_nonce = attributes.expect('r').filter(|nonce| is_nonce(nonce)).ok_or(ServerScramError::Malformed)?;
        if !attributes.rest_is_optional() || name.len() > 1023 {
            return Err(ServerScramError::Malformed);
        }
        let authzid = read_authzid(authzid)?;
        let mut bound = client_first.as_bytes()[..client_first.len() - bare.len()].to_vec();
        bound.extend_from_slice(&data);
        Ok(Self {
            hash,
            bound,
            client_bare: bare.to_owned(),
            nonce: format!("{client_nonce}{nonce}"),
            username: name,
            authzid,
            step: Step::Begun,
        })
    }

    /// The name the client gave, as it gave it: whose keys [`ServerScram::challenge`] needs.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// On whose behalf the client wants to act, if it says so. Whoever drives this refuses all but the account itself.
    pub fn authzid(&self) -> Option<&str> {
        self.authzid.as_deref()
    }

    /// The server's first message; `None` for a name without account. `account` is the prepared name, so that all
    /// spellings of one name get the same salt.
    ///
    /// # Errors
    /// When called twice, or with keys of another hash.
    pub fn challenge(&mut self, keys: Option<StoredKeys>, fake: &FakeSalts, account: &str) -> Result<String, ServerScramError> {
        if !matches!(self.step, Step::Begun) || keys.as_ref().is_some_and(|keys| keys.hash() != self.hash) {
            return Err(ServerScramError::OutOfOrder);
        }
        let made_up = fake.keys(self.hash, account);
        let known = keys.is_some();
        let keys = keys.unwrap_or(made_up);
        let server_first = format!("r={},s={},i={}", self.nonce, encode(keys.salt()), keys.iterations());
        self.step = Step::Challenged { keys, known, server_first: server_first.clone() };
        Ok(server_first)
    }

    /// Checks the proof; the answer is the server's signature, to be sent with success.
    ///
    /// # Errors
    /// When proof, nonce or binding is wrong.
    pub fn check(&mut self, client_final: &str) -> Result<String, ServerScramError> {
        let Step::Challenged { keys, known, server_first } = std::mem::replace(&mut self.step, Step::Done) else {
            return Err(ServerScramError::OutOfOrder);
        };
        let (without_proof, proof) = client_final.rsplit_once(",p=").ok_or(ServerScramError::Malformed)?;
        let mut proof = decode(proof).ok_or(ServerScramError::Malformed)?;
        let mut attributes = Attributes::of(without_proof);
        let bound = attributes.expect('c').and_then(decode).ok_or(ServerScramError::Malformed)?;
        let nonce = attributes.expect('r').ok_or(ServerScramError::Malformed)?;
        if !attributes.rest_is_optional() || proof.len() != self.hash.len() {
            return Err(ServerScramError::Malformed);
        }
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(ServerScramError::Nonce);
        }
        let signed = format!("{},{server_first},{without_proof}", self.client_bare);
        let signature = self.hash.hmac(keys.stored_key(), signed.as_bytes());
        proof.iter_mut().zip(&signature).for_each(|(byte, mask)| *byte ^= mask);
        let proved = self.hash.hash(&proof).ct_eq(keys.stored_key()) & bound.ct_eq(&self.bound);
        if !(bool::from(proved) && known) {
            return Err(ServerScramError::Proof);
        }
        Ok(format!("v={}", encode(&self.hash.hmac(keys.server_key(), signed.as_bytes()))))
    }
}

impl std::fmt::Debug for ServerScram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerScram({})", self.hash.mechanism_name())
    }
}

/// The channel binding data that the client's flag stands for.
fn binding_of(flag: &str, mechanism: Mechanism, bindings: &ChannelBindings, offers_plus: bool) -> Result<Vec<u8>, ServerScramError> {
    match (flag, mechanism.is_plus()) {
        ("n", false) => Ok(Vec::new()),
        ("y", false) if offers_plus => Err(ServerScramError::Downgrade),
        ("y", false) => Ok(Vec::new()),
        (flag, true) => {
            let name = flag.strip_prefix("p=").ok_or(ServerScramError::Binding)?;
            let kind = BindingKind::from_name(name).ok_or(ServerScramError::Binding)?;
            bindings.get(kind).map(<[u8]>::to_vec).ok_or(ServerScramError::Binding)
        }
        (flag, false) if flag.starts_with("p=") => Err(ServerScramError::Binding),
        _ => Err(ServerScramError::Malformed),
    }
}

fn read_authzid(text: &str) -> Result<Option<String>, ServerScramError> {
    if text.is_empty() {
        return Ok(None);
    }
    let authzid = text.strip_prefix("a=").and_then(unescape_name).filter(|authzid| !authzid.is_empty());
    authzid.map(Some).ok_or(ServerScramError::Malformed)
}
