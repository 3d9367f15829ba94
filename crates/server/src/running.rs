//! A server that runs, and the handle to it.

use std::net::SocketAddr;

use crate::error::{AccountError, StartError};
use crate::settings::Settings;

/// Starts servers.
#[derive(Debug)]
pub struct Server {}

impl Server {
    /// Opens the data folder and the ports and serves until [`Running::shutdown`] or until the handle is dropped.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// When folder, keys or ports cannot be had; nothing keeps running then.
    pub async fn start(_settings: Settings) -> Result<Running, StartError> {
        todo!()
    }
}

/// A running server. Dropping it ends the server as [`Running::shutdown`] does, without waiting.
#[derive(Debug)]
pub struct Running {}

impl Running {
    /// The domain it serves.
    pub fn domain(&self) -> &str {
        todo!()
    }

    /// Where clients connect that turn to TLS by STARTTLS.
    pub fn c2s_addr(&self) -> SocketAddr {
        todo!()
    }

    /// Where clients connect with TLS from the first byte.
    pub fn c2s_tls_addr(&self) -> SocketAddr {
        todo!()
    }

    /// Where files are put and got.
    pub fn https_addr(&self) -> SocketAddr {
        todo!()
    }

    /// The generated authority's certificate, which clients must trust; `None` with a certificate from files.
    pub fn ca_pem(&self) -> Option<&str> {
        todo!()
    }

    /// Makes an account; `localpart` is what stands before the `@`.
    ///
    /// # Errors
    /// When it is there already, or name or password is refused.
    pub async fn add_account(&self, _localpart: &str, _password: &str) -> Result<(), AccountError> {
        todo!()
    }

    /// Gives an account another password. Sessions that are open stay open.
    ///
    /// # Errors
    /// When there is no such account, or the password is refused.
    pub async fn set_password(&self, _localpart: &str, _password: &str) -> Result<(), AccountError> {
        todo!()
    }

    /// Deletes an account with its contacts and waiting messages and ends its sessions. Uploaded files stay until they expire.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn remove_account(&self, _localpart: &str) -> Result<(), AccountError> {
        todo!()
    }

    /// The localparts of all accounts, sorted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accounts(&self) -> Result<Vec<String>, AccountError> {
        todo!()
    }

    /// Ends all streams with `system-shutdown`, lets uploads finish for a short while, and returns when all is closed.
    pub async fn shutdown(self) {
        todo!()
    }
}
