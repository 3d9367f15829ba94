//! The client against a server of the house on free ports of loopback, and against web servers that misbehave.

#![allow(clippy::unwrap_used, clippy::panic)]

mod connecting;
mod copies;
mod fetching;
mod hostile;
mod logs;
mod proxy;
mod puppet;
mod scene;
mod sharing;
mod surviving;
mod web;
