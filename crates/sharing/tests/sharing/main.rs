//! Scenes over the public face of the crate, with fixtures from XEPs, vectors and other programs.
#![allow(clippy::unwrap_used, clippy::panic)]

mod attach;
mod attaching_out;
mod bits;
mod bytestream;
mod clients;
mod copies;
mod dialects;
mod encrypted;
mod fetch;
mod fetch_driver;
mod fetch_sessions;
mod giving;
mod hostile;
mod initiations;
mod jingle;
mod mixtures;
mod models;
mod odd;
mod others;
mod plans;
mod plans_always;
mod plans_rules;
mod plans_sessions;
mod said;
mod upload;
