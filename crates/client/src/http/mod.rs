//! The HTTP driver: one connection, one request, bodies that stream. It follows no redirect and retries nothing by itself;
//! that is decided by the machines of `balcony_sharing`.

pub(crate) mod exchange;
pub(crate) mod lanes;
pub(crate) mod pool;
pub(crate) mod source;

use std::time::Duration;

use crate::net::NetError;

/// A connection over which nothing moves for this long is dead.
const STALL: Duration = Duration::from_secs(90);
/// How long a server may think about a request before it says anything.
const ANSWER: Duration = Duration::from_secs(120);

/// Why an exchange with a web server broke off.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// There is no connection.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Nothing moved for too long.
    #[error("{host} fell silent")]
    Stalled {
        /// the web server
        host: String,
    },
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
