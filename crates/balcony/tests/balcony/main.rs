//! The program as people meet it: the real binary, in homes of its own, with real servers and with clients of others.
#![allow(clippy::unwrap_used, clippy::panic)]

mod actors;
mod attached;
mod cli;
mod crashes;
mod cuts;
mod encrypted;
mod from_devices;
mod giving;
mod hostile;
mod kept;
mod line;
mod misfortunes;
mod others;
mod own;
mod peers;
mod policy;
mod process;
mod proxy;
mod random_kills;
mod several;
mod share_live;
mod thumbnails;
