//! Machines that carry bytes: fetching by a plan, uploading into a slot.
//!
//! Each is driven alike: put an event in with `handle_*`, take effects out with `poll_action` until there is none, sleep until
//! `deadline`, then `handle_timeout`. Bytes themselves never pass through: the machines say how many to take.

pub mod fetch;
mod http;

pub use http::{NetFailure, OpenUrl, ResponseHead};
