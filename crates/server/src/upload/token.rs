//! The right to PUT one file: what was granted, signed. Nothing is remembered for it, so any replica that has the secret
//! can honour it, and it is used up when the object is there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::name::ObjectName;

const VERSION: u8 = 1;
const MAC: usize = 32;

/// What a slot allows. The object and its name stand in the path and are signed along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Bytes, exactly.
    pub(crate) size: u64,
    /// Unix time after which the slot is void.
    pub(crate) ends: u64,
    /// Unix time after which the file is.
    pub(crate) expires: u64,
    /// What for.
    pub(crate) purpose: Purpose,
    /// The media type that was told, if one was.
    pub(crate) media_type: Option<String>,
}

/// What a file is for (XEP-0363 §5): those that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Message,
    Ephemeral,
}

impl Purpose {
    pub(crate) const ALL: [Self; 2] = [Self::Message, Self::Ephemeral];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Ephemeral => "ephemeral",
        }
    }
}

/// Signs and checks.
#[derive(Clone)]
pub(crate) struct Signer {
    key: Hmac<Sha256>,
}

impl Signer {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self { key: Hmac::new_from_slice(secret).expect("an HMAC key may have any length") }
    }

    pub(crate) fn sign(&self, object: &ObjectName, name: &str, grant: &Grant) -> String {
        let mut token = grant.to_bytes();
        let mac = self.mac(object, name, &token).finalize().into_bytes();
        token.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The grant, if the token is ours for this very path. Compared in constant time.
    pub(crate) fn check(&self, object: &ObjectName, name: &str, token: &str) -> Option<Grant> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (fields, mac) = token.split_at_checked(token.len().checked_sub(MAC)?)?;
        self.mac(object, name, fields).verify_slice(mac).ok()?;
        Grant::from_bytes(fields)
    }

    fn mac(&self, object: &ObjectName, name: &str, fields: &[u8]) -> Hmac<Sha256> {
        // Object names have one length and no NUL, names have no controls: the parts cannot be shifted.
        self.key.clone().chain_update(object.as_str()).chain_update([0]).chain_update(name).chain_update([0]).chain_update(fields)
    }
}

impl Grant {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.purpose as u8, u8::from(self.media_type.is_some())];
        for number in [self.size, self.ends, self.expires] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(self.media_type.as_deref().unwrap_or_default().as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[version, purpose, typed], rest) = bytes.split_first_chunk()?;
        let (numbers, media_type) = rest.split_first_chunk::<24>()?;
        let number = |at: usize| Some(u64::from_be_bytes(numbers[at..at + 8].try_into().ok()?));
        let purpose = Purpose::ALL.into_iter().find(|known| *known as u8 == purpose)?;
        let media_type = String::from_utf8(media_type.to_vec()).ok()?;
        let grant =
            Self { size: number(0)?, ends: number(8)?, expires: number(16)?, purpose, media_type: (typed == 1).then_some(media_type) };
        (version == VERSION).then_some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant { size: 5, ends: 1000, expires: 2000, purpose: Purpose::Ephemeral, media_type: Some("image/jpeg".into()) }
    }

    #[test]
    fn a_token_says_what_was_granted() {
        let (signer, object) = (Signer::new(&[7; 32]), ObjectName::random().unwrap());
        for grant in [grant(), Grant { media_type: None, purpose: Purpose::Message, ..grant() }] {
            let token = signer.sign(&object, "a.jpg", &grant);
            assert_eq!(signer.check(&object, "a.jpg", &token), Some(grant));
        }
    }

    /// Proves: SEC-5-5.
    #[test]
    fn a_token_fits_no_other_path_and_no_other_secret_and_no_changed_bit_passes() {
        let (signer, object) = (Signer::new(&[7; 32]), ObjectName::random().unwrap());
        let token = signer.sign(&object, "a.jpg", &grant());
        assert_eq!(signer.check(&ObjectName::random().unwrap(), "a.jpg", &token), None);
        assert_eq!(signer.check(&object, "b.jpg", &token), None);
        assert_eq!(Signer::new(&[8; 32]).check(&object, "a.jpg", &token), None);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(signer.check(&object, "a.jpg", &URL_SAFE_NO_PAD.encode(changed)), None, "byte {at}");
        }
        for short in 0..40 {
            assert_eq!(signer.check(&object, "a.jpg", &URL_SAFE_NO_PAD.encode(&bytes[..short])), None);
        }
    }
}
