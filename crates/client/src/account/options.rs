//! What it takes to connect an account.

use std::str::FromStr;

use balcony_session::client::Credentials;
use balcony_session::{Mechanism, Security};
use balcony_wire::BareJid;

use crate::net::proxy::Proxy;

/// Where the account's server is, for those whose DNS does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Name or address; the certificate is checked against the account's domain all the same.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Why a text is no [`ServerAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no HOST:PORT, such as xmpp.example.org:5222 or [::1]:5222")]
pub struct NoServerAddress(String);

impl FromStr for ServerAddress {
    type Err = NoServerAddress;

    fn from_str(text: &str) -> Result<Self, NoServerAddress> {
        let wrong = || NoServerAddress(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        if host.is_empty() || (host.contains(':') && bracketed.is_none()) {
            return Err(wrong());
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Whether others see that we are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// No presence is sent: messages and offline messages stay with the person's other devices. For a program that only
    /// sends something and leaves.
    Hidden,
    /// Available, with this priority; below 0 nothing that is sent to the bare address arrives.
    Available(i8),
}

/// All it takes to connect an account.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The account.
    pub account: BareJid,
    /// What proves that it is ours.
    pub credentials: Credentials,
    /// The mechanism of earlier logins ([`balcony_session::client::Learned::mechanism`]): nothing weaker is used.
    pub floor: Option<Mechanism>,
    /// Where to connect to instead of what DNS says, and how it is encrypted there.
    pub server: Option<(ServerAddress, Security)>,
    /// Certificate authorities to trust besides the system's, as PEM.
    pub ca_pem: Option<String>,
    /// The proxy that everything of this account goes through, names included: nothing is looked up or connected to around it.
    pub proxy: Option<Proxy>,
    /// A resource to ask for; the server chooses without.
    pub resource: Option<String>,
    /// Whether others see us.
    pub availability: Availability,
    /// Allow plain http to this machine. For tests; never by default.
    pub loopback_http: bool,
}

impl ConnectOptions {
    /// Usual values for everything else: DNS, STARTTLS or direct TLS as it says, the system's authorities, available.
    #[must_use]
    pub fn new(account: BareJid, credentials: Credentials) -> Self {
        Self {
            account,
            credentials,
            floor: None,
            server: None,
            ca_pem: None,
            proxy: None,
            resource: None,
            availability: Availability::Available(0),
            loopback_http: false,
        }
    }

    /// With a password.
    #[must_use]
    pub fn with_password(account: BareJid, password: impl Into<String>) -> Self {
        Self::new(account, Credentials::Password(password.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_address_names_host_and_port() {
        let parse = |text: &str| text.parse::<ServerAddress>().map(|address| (address.host, address.port));
        assert_eq!(parse("xmpp.example.org:5222"), Ok(("xmpp.example.org".to_owned(), 5222)));
        assert_eq!(parse("[::1]:5223"), Ok(("::1".to_owned(), 5223)));
        for wrong in ["xmpp.example.org", "::1", ":5222", "host:0", "host:65536", "host:"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
