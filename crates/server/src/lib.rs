//! An XMPP server to share files with: accounts, messages, uploads and a proxy between clients in one process.
//!
//! [`Server::start`] gives a [`Running`] server, on free ports of loopback unless [`Settings`] say otherwise, with an
//! authority of its own making that clients are told to trust by [`Running::ca_pem`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = balcony_server::Server::start(balcony_server::Settings::new("localhost", "data")).await?;
//! server.add_account("romeo", "wherefore").await?;
//! println!("clients connect to {}", server.c2s_addr());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The way of a stanza, and of a file:
//!
//! | module | does |
//! |---|---|
//! | `connection` | one task per client around a `balcony_session::server` machine; outlives the connection while it may be resumed |
//! | `hub` | what a stanza leads to: deliveries, from memory where that is enough |
//! | `handler` | who answers which request where; discovery is answered from the registry |
//! | `im` | roster, subscriptions, presence, messages, those for later included (RFC 6121) |
//! | `mailbox`, `outbox`, `sessions` | bounded queues between sessions, and who is here |
//! | `receipt` | when the server may say that it has a message |
//! | `upload`, `http` | slots as signed tokens, PUT, GET with ranges (XEP-0363) |
//! | `proxy` | carries streams between clients that cannot reach each other (XEP-0065) |
//! | `database`, `accounts` | SQLite behind one writer that commits in groups; salted keys |
//! | `gate`, `guesses` | how many connections and wrong logins one address may have |
//! | `refusal` | one table: reason, stanza error, words, HTTP status |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod accounts;
mod certificates;
mod connection;
mod database;
mod error;
mod gate;
mod guesses;
mod handler;
mod http;
mod hub;
mod im;
mod listener;
mod mailbox;
mod outbox;
mod proxy;
mod receipt;
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
pub use settings::{Listen, ProxySettings, ProxyUsers, ServerLimits, Settings, TlsSource, UploadSettings};
