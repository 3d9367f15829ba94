//! An XMPP server to share files with: accounts, messages and uploads in one process.
//!
//! `Server::start(Settings::new("localhost", folder)).await?` gives a [`Running`] server on free ports of loopback, with an
//! authority of its own making that clients are told to trust by [`Running::ca_pem`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod accounts;
mod certificates;
mod connection;
mod database;
mod error;
mod gate;
mod handler;
mod http;
mod hub;
mod im;
mod listener;
mod mailbox;
mod outbox;
mod refusal;
mod running;
mod services;
mod sessions;
mod settings;
mod upload;

pub use database::DatabaseError;
pub use error::{AccountError, StartError};
pub use refusal::{Reason, Refusal, Row};
pub use running::{Running, Server};
pub use settings::{Listen, ServerLimits, Settings, TlsSource, UploadSettings};
