//! Small services every server has: discovery and ping.

mod discovery;
mod ping;

pub(crate) use discovery::{Discovery, caps_of};
pub(crate) use ping::Pings;
