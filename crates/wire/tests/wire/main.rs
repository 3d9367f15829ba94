//! All integration tests of the wire in one binary.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod core_framing;
mod core_namespaces;
mod core_payloads;
mod core_stanza;
mod core_stream;
mod corpus;
mod models;
mod mutations;
