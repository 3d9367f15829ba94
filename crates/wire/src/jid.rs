//! Addresses, RFC 7622. (Skeleton: preparation to come.)

use std::sync::Arc;

/// An XMPP address, prepared, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    text: Arc<str>,
    at: Option<usize>,
    slash: Option<usize>,
}

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// A part is empty.
    #[error("the {0} of the address is empty")]
    Empty(&'static str),
    /// A part is longer than 1023 bytes.
    #[error("the {0} of the address is longer than 1023 bytes")]
    TooLong(&'static str),
    /// A part has what RFC 7622 refuses.
    #[error("the {part} of the address is not allowed: {why}")]
    Refused {
        /// which part
        part: &'static str,
        /// what is wrong
        why: &'static str,
    },
    /// A full JID was needed.
    #[error("the address has no resource")]
    NoResource,
    /// A bare JID was needed.
    #[error("the address has a resource")]
    HasResource,
}

impl Jid {
    /// Parses and prepares an address strictly (what people type, what we mint).
    ///
    /// # Errors
    /// When RFC 7622 refuses it.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let slash = text.find('/');
        let at = text[..slash.unwrap_or(text.len())].find('@');
        Ok(Self { text: text.into(), at, slash })
    }

    /// As [`Jid::parse`], but keeps a resource that only PRECIS refuses (decision 64).
    ///
    /// # Errors
    /// When RFC 7622 refuses it otherwise.
    pub fn from_server(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }

    /// The whole prepared address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    pub fn local(&self) -> Option<&str> {
        self.at.map(|at| &self.text[..at])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        &self.text[self.at.map_or(0, |at| at + 1)..self.slash.unwrap_or(self.text.len())]
    }

    /// The part behind the first `/`.
    pub fn resource(&self) -> Option<&str> {
        self.slash.map(|slash| &self.text[slash + 1..])
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.slash.is_none()
    }

    /// The address without its resource.
    #[must_use]
    pub fn bare(&self) -> BareJid {
        BareJid(Self { text: self.text[..self.slash.unwrap_or(self.text.len())].into(), at: self.at, slash: None })
    }

    /// The same bare address with a (strictly prepared) resource.
    ///
    /// # Errors
    /// When the resource is refused.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        Self::parse(&format!("{}/{resource}", self.bare().as_str()))?.into_full()
    }

    /// This address as a full one.
    ///
    /// # Errors
    /// When there is no resource.
    pub fn into_full(self) -> Result<FullJid, JidError> {
        if self.slash.is_some() { Ok(FullJid(self)) } else { Err(JidError::NoResource) }
    }

    /// This address as a bare one.
    ///
    /// # Errors
    /// When there is a resource.
    pub fn into_bare(self) -> Result<BareJid, JidError> {
        if self.slash.is_none() { Ok(BareJid(self)) } else { Err(JidError::HasResource) }
    }
}

impl std::fmt::Display for Jid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Debug for Jid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jid({})", self.text)
    }
}

impl std::str::FromStr for Jid {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}

macro_rules! narrowed {
    ($(#[$doc:meta])* $name:ident, $into:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(Jid);

        impl std::ops::Deref for $name {
            type Target = Jid;
            fn deref(&self) -> &Jid {
                &self.0
            }
        }

        impl From<$name> for Jid {
            fn from(jid: $name) -> Jid {
                jid.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = JidError;
            fn from_str(text: &str) -> Result<Self, JidError> {
                Jid::parse(text)?.$into()
            }
        }
    };
}

narrowed!(
    /// An address without resource: an account, a room, a domain.
    BareJid, into_bare
);
narrowed!(
    /// An address with resource: one connected device, an occupant of a room.
    FullJid, into_full
);
