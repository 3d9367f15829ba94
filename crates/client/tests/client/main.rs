//! The client against a server of the house on free ports of loopback, and against web servers that misbehave.

#![allow(clippy::unwrap_used, clippy::panic)]

mod attaching;
mod beside_blocks;
mod bits;
mod connecting;
mod contacts;
mod copies;
mod devices;
mod direct;
mod encrypted;
mod fetching;
mod giving;
mod hostile;
mod hostile_peers;
mod initiations;
mod live;
mod logs;
mod misbehaving;
mod mixed;
mod old_peers;
mod proxy;
mod puppet;
mod scene;
mod sharing;
mod steering;
mod strangers;
mod surviving;
mod upload_services;
