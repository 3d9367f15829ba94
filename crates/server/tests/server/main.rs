//! The whole server, from outside: clients on raw TLS streams, uploads on raw HTTP.

#![allow(clippy::unwrap_used, clippy::panic)]

mod hostile_clients;
mod hostile_http;
mod hostile_proxy;
mod house;
mod killed;
mod limits;
mod messages;
mod peer;
mod presence;
mod privacy;
mod proxy;
mod requests;
mod resumption;
mod streams;
mod uploads;
mod web;
