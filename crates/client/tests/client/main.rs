//! The client against a server of the house on free ports of loopback, and against web servers that misbehave.

#![allow(clippy::unwrap_used, clippy::panic)]

mod connecting;
mod fetching;
mod scene;
mod sharing;
mod web;
