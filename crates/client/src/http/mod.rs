//! The HTTP driver: one connection, one request, bodies that stream. It follows no redirect and retries nothing by itself;
//! that is decided by the machines of `balcony_sharing`.

pub(crate) mod exchange;
pub(crate) mod lanes;
pub(crate) mod pool;
pub(crate) mod put;
pub(crate) mod source;

use balcony_sharing::transfer::NetFailure;

use crate::net::NetError;
use crate::words::with_causes;

/// Why an exchange with a web server broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// There is no connection.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The connection broke, or what came was no HTTP.
    #[error("the connection to {host} broke off")]
    Broken {
        /// the web server
        host: String,
        /// what the HTTP library says
        #[source]
        source: hyper::Error,
    },
    /// The URL, or a header, cannot be put into a request.
    #[error("the request to {host} cannot be made: {why}")]
    Unspeakable {
        /// the web server
        host: String,
        /// what is wrong
        why: String,
    },
}

impl HttpError {
    /// As the machines want to hear it.
    pub(crate) fn to_failure(&self) -> NetFailure {
        let words = with_causes(self);
        match self {
            Self::Net(NetError::Unknown { host, .. }) => NetFailure::NoSuchHost(host.clone()),
            Self::Net(NetError::Forbidden(refused)) => NetFailure::Refused(refused.clone()),
            Self::Net(NetError::TimedOut { host }) => {
                NetFailure::Unreachable { host: host.clone(), words: "it did not answer in time".to_owned() }
            }
            Self::Net(NetError::Unreachable { host, source, .. }) => {
                NetFailure::Unreachable { host: host.clone(), words: source.to_string() }
            }
            Self::Net(NetError::Proxy { proxy, host, why }) => {
                NetFailure::Unreachable { host: host.clone(), words: format!("the proxy {proxy} says: {why}") }
            }
            Self::Net(NetError::Certificate { host, why } | NetError::Tls { host, why }) => {
                NetFailure::Tls { host: host.clone(), words: why.clone() }
            }
            Self::Broken { host, source } => NetFailure::Broken { host: host.clone(), words: with_causes(source) },
            Self::Unspeakable { host, .. } => NetFailure::Broken { host: host.clone(), words },
        }
    }
}
