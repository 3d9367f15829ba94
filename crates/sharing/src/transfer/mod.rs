//! The machines that move bytes: what to ask of whom, what to make of the answer, when to try elsewhere. No bytes pass
//! through them, only their number; whoever drives them opens connections, writes files and computes digests.
//!
//! Driven alike: `handle_*(now, …)`, then `poll_action()` until it is empty, then sleep until `deadline()`.

pub mod announce;
pub mod bits;
pub mod fetch;
mod http;
mod reach;
pub mod upload;

pub use http::{NetFailure, OpenUrl, ResponseHead};
pub use reach::Reach;
