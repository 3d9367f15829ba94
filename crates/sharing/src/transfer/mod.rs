//! The machines that move bytes: what to ask of whom, what to make of the answer, when to try elsewhere. No bytes pass
//! through them, only their number; whoever drives them opens connections, writes files and computes digests.
//!
//! Driven alike: `handle_*(now, …)`, then `poll_action()` until it is empty, then sleep until `deadline()`.

pub mod announce;
pub mod bits;
pub mod bytestream;
pub mod fetch;
mod http;
pub mod jingle;
mod open_session;
mod reach;
pub mod si;
pub mod upload;

pub use http::{NetFailure, OpenUrl, ResponseHead};
pub use open_session::{OpenSession, Patience, SessionEnd, SessionFailure, SessionRequest, SessionWay};
pub use reach::Reach;
