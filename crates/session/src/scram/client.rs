//! The client's side of SCRAM: first message, proof, and the check that the server knows the password too.

use subtle::ConstantTimeEq as _;

use super::keys::{KeysError, ScramKeys};
use super::message::{Attributes, decode, encode, escape_name, is_nonce};
use super::{MAX_ITERATIONS, MIN_ITERATIONS, Mechanism, ScramHash};
use crate::binding::{BindingKind, ChannelBindings};

/// What proves who we are.
#[derive(Clone)]
pub enum ClientSecret {
    /// The password.
    Password(String),
    /// Keys of an earlier login; good for one hash and while the server's salt stays.
    Keys(ScramKeys),
}

/// Why a client gives up on a SCRAM login.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientScramError {
    /// The server's message breaks the grammar or asks for an extension nobody here knows.
    #[error("the server's SCRAM message cannot be understood")]
    Malformed,
    /// The server did not carry on with our nonce.
    #[error("the server answered with somebody else's nonce")]
    Nonce,
    /// Too few iterations to protect the password, or too many to compute.
    #[error("the server asks for {0} rounds of password hashing, outside of what is sensible")]
    Iterations(u32),
    /// The stored keys were made with another salt or count.
    #[error("the server changed how it stores the password; the saved keys no longer fit")]
    KeysOutdated,
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] KeysError),
    /// The server sent `e=`.
    #[error("the server refused the login: {0}")]
    Refused(String),
    /// The server does not know the password: it is not the server it says it is.
    #[error("the server could not prove that it knows the password")]
    ServerSignature,
    /// There is no channel to bind to.
    #[error("this connection has no channel binding for {0}")]
    NoBinding(Mechanism),
    /// A message came that has no place here.
    #[error("the server's SCRAM message came at the wrong time")]
    OutOfOrder,
}

/// One SCRAM login, client side: [`ClientScram::first`], then [`ClientScram::answer`], then [`ClientScram::verify`].
pub struct ClientScram {
    hash: ScramHash,
    secret: ClientSecret,
    nonce: String,
    gs2: String,
    binding: Vec<u8>,
    bare: String,
    step: Step,
}

enum Step {
    Begun,
    Answered { keys: ScramKeys, expected: Vec<u8> },
    Verified(ScramKeys),
}

impl ClientScram {
    /// Begins. `binding` is the kind to use with a `-PLUS` mechanism. Without `-PLUS`, `server_cannot_bind` says that we
    /// could bind but the server offered no `-PLUS` (flag `y`): a server that did offer it then knows of the meddling.
    ///
    /// # Errors
    /// When `mechanism` is no SCRAM, or binds and there is nothing to bind to.
    pub fn new(
        mechanism: Mechanism,
        username: &str,
        secret: ClientSecret,
        nonce: String,
        bindings: &ChannelBindings,
        binding: Option<BindingKind>,
        server_cannot_bind: bool,
    ) -> Result<Self, ClientScramError> {
        let hash = mechanism.hash().ok_or(ClientScramError::OutOfOrder)?;
        let (gs2, binding) = if mechanism.is_plus() {
            let kind = binding.ok_or(ClientScramError::NoBinding(mechanism))?;
            let data = bindings.get(kind).ok_or(ClientScramError::NoBinding(mechanism))?;
            (format!("p={},,", kind.name()), data.to_vec())
        } else if server_cannot_bind {
            ("y,,".to_owned(), Vec::new())
        } else {
            ("n,,".to_owned(), Vec::new())
        };
        let bare = format!("n={},r={nonce}", escape_name(username));
        Ok(Self { hash, secret, nonce, gs2, binding, bare, step: Step::Begun })
    }

    /// The first message.
    #[must_use]
    pub fn first(&self) -> String {
        format!("{}{}", self.gs2, self.bare)
    }

    /// The proof, for the server's first message. Costs the iterations unless there are keys already.
    ///
    /// # Errors
    /// When the message is malformed or mixed up, or asks for too little or too much work.
    pub fn answer(&mut self, server_first: &str) -> Result<String, ClientScramError> {
        if !matches!(self.step, Step::Begun) {
            return Err(ClientScramError::OutOfOrder);
        }
        let first = ServerFirst::read(server_first)?;
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err(ClientScramError::Nonce);
        }
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&first.iterations) {
            return Err(ClientScramError::Iterations(first.iterations));
        }
        let keys = self.keys(&first)?;
        let mut bound = self.gs2.clone().into_bytes();
        bound.extend_from_slice(&self.binding);
        let without_proof = format!("c={},r={}", encode(&bound), first.nonce);
        let signed = format!("{},{server_first},{without_proof}", self.bare);
        let mut proof = self.hash.hmac(&self.hash.hash(keys.client_key()), signed.as_bytes());
        proof.iter_mut().zip(keys.client_key()).for_each(|(byte, key)| *byte ^= key);
        let expected = self.hash.hmac(keys.server_key(), signed.as_bytes());
        self.step = Step::Answered { keys, expected };
        Ok(format!("{without_proof},p={}", encode(&proof)))
    }

    fn keys(&self, first: &ServerFirst<'_>) -> Result<ScramKeys, ClientScramError> {
        match &self.secret {
            ClientSecret::Password(password) => Ok(ScramKeys::derive(self.hash, password, &first.salt, first.iterations)?),
            ClientSecret::Keys(keys) if keys.hash() == self.hash && keys.salt() == first.salt && keys.iterations() == first.iterations => {
                Ok(keys.clone())
            }
            ClientSecret::Keys(_) => Err(ClientScramError::KeysOutdated),
        }
    }

    /// Checks the server's last message. Success of the login means nothing before this was fine.
    ///
    /// # Errors
    /// When the server refused, or its signature is wrong.
    pub fn verify(&mut self, server_final: &str) -> Result<(), ClientScramError> {
        let Step::Answered { keys, expected } = &self.step else {
            return Err(ClientScramError::OutOfOrder);
        };
        if let Some(error) = server_final.strip_prefix("e=") {
            return Err(ClientScramError::Refused(error.split(',').next().unwrap_or_default().to_owned()));
        }
        let mut attributes = Attributes::of(server_final);
        let signature = attributes.expect('v').and_then(decode).ok_or(ClientScramError::Malformed)?;
        if !bool::from(signature.ct_eq(expected)) {
            return Err(ClientScramError::ServerSignature);
        }
        self.step = Step::Verified(keys.clone());
        Ok(())
    }

    /// The keys of this login, once the server has proved itself.
    pub fn verified_keys(&self) -> Option<&ScramKeys> {
        match &self.step {
            Step::Verified(keys) => Some(keys),
            _ => None,
        }
    }
}

impl std::fmt::Debug for ClientScram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientScram({})", self.hash.mechanism_name())
    }
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Keys(_) => "Keys",
        })
    }
}

struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    fn read(message: &'a str) -> Result<Self, ClientScramError> {
        if let Some(error) = message.strip_prefix("e=") {
            return Err(ClientScramError::Refused(error.split(',').next().unwrap_or_default().to_owned()));
        }
        let mut attributes = Attributes::of(message);
        let mut next = |letter| attributes.expect(letter).ok_or(ClientScramError::Malformed);
        let nonce = next('r')?;
        let salt = decode(next('s')?).filter(|salt| !salt.is_empty()).ok_or(ClientScramError::Malformed)?;
        let iterations = next('i')?.parse().ok().filter(|count| *count > 0).ok_or(ClientScramError::Malformed)?;
        if !is_nonce(nonce) || salt.len() > 1024 || !attributes.rest_is_optional() {
            return Err(ClientScramError::Malformed);
        }
        Ok(Self { nonce, salt, iterations })
    }
}
