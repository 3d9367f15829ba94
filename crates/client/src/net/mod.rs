//! From a name to an encrypted connection: DNS, dialling, TLS. One way for XMPP and HTTP, so that whatever guards one guards both.
//!
//! Every step has a deadline. With a proxy all of it goes there, and no name is looked up on this side of it; none is taken from the
//! environment unasked.

pub(crate) mod connector;
pub(crate) mod dial;
pub(crate) mod dns;
pub(crate) mod end_point;
pub(crate) mod network;
pub(crate) mod proxy;
pub(crate) mod tls;

use std::io;

use balcony_sharing::net_rules::Refused;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The name has no address, or nobody could say.
    #[error("no address was found for {host}")]
    Unknown {
        /// the name
        host: String,
        /// what the resolver said
        #[source]
        source: io::Error,
    },
    /// The resolver or the host did not answer in time.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// the name
        host: String,
    },
    /// Nobody listens there, or the way is blocked.
    #[error("{host} cannot be reached on port {port}")]
    Unreachable {
        /// the name
        host: String,
        /// the port
        port: u16,
        /// what the system said about the last address that was tried
        #[source]
        source: io::Error,
    },
    /// Network rules forbid all its addresses.
    #[error(transparent)]
    Forbidden(#[from] Refused),
    /// The proxy does not get us there.
    #[error("the proxy {proxy} does not lead to {host}: {why}")]
    Proxy {
        /// which proxy, without its password
        proxy: String,
        /// the name that was asked for
        host: String,
        /// what it said
        why: String,
    },
    /// The certificate is not good for that name.
    #[error("the certificate of {host} is not to be trusted: {why}")]
    Certificate {
        /// the name that was asked for
        host: String,
        /// what is wrong with it
        why: String,
    },
    /// The handshake failed otherwise.
    #[error("{host} could not agree on encryption with us: {why}")]
    Tls {
        /// the name
        host: String,
        /// what went wrong
        why: String,
    },
}
