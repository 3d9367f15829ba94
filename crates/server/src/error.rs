//! Why a server does not start, and why an account cannot be made.

use std::net::SocketAddr;
use std::path::PathBuf;

use balcony_wire::JidError;

use crate::database::DatabaseError;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The domain is no address.
    #[error("{domain:?} cannot be the domain of a server")]
    Domain {
        /// as given
        domain: String,
        /// what is wrong with it
        #[source]
        source: JidError,
    },
    /// The folder or a file in it cannot be used.
    #[error("{path} cannot be used", path = .path.display())]
    Folder {
        /// which
        path: PathBuf,
        /// what the system says
        #[source]
        source: std::io::Error,
    },
    /// The port is taken, or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// which
        address: SocketAddr,
        /// what the system says
        #[source]
        source: std::io::Error,
    },
    /// Key or certificate cannot be used.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Database(#[from] DatabaseError),
    /// Another server uses the folder.
    #[error("another server is running on {path}", path = .0.display())]
    InUse(PathBuf),
}

/// Why an account cannot be made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The name is no localpart.
    #[error("{name:?} cannot be the name of an account")]
    Name {
        /// as given
        name: String,
        /// what is wrong with it
        #[source]
        source: JidError,
    },
    /// The password cannot be used.
    #[error("the password is refused: {0}")]
    Password(String),
    /// There is one of that name.
    #[error("there is an account {0} already")]
    Exists(String),
    /// There is none of that name.
    #[error("there is no account {0}")]
    Unknown(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DatabaseError),
}
