//! Drives XMPP programs by other people in tests: Prosody, ejabberd, slixmpp, go-sendxmpp, profanity. Beside them a Jingle peer that was
//! written from the documents, since slixmpp has none; hosts with a packet filter between them ([`Lab`]); and, in [`web`], a web server
//! that misbehaves as it is told.
//!
//! They come from the scripts in `kit/`. A test asks for them and says so loudly when they are not there:
//!
//! ```no_run
//! use testing_peers::{Peers, Server};
//!
//! let peers = match Peers::available() {
//!     Ok(peers) => peers,
//!     Err(skipped) => return skipped.say(),
//! };
//! let prosody = peers.start(Server::Prosody, &[("UP_MAX", "1000000")]).expect("Prosody starts");
//! let mut bob = peers.slixmpp(prosody.endpoints(), "bob/rx").listen().expect("bob logs in");
//! // … something writes to bob …
//! let message = bob.wait_for("a message", |event| event["event"] == "message");
//! ```
//!
//! `BALCONY_PEERS` names the folder that `kit/install` filled. Whoever sets it promises that the peers are there: a test
//! that cannot start one then fails. Without it such tests are skipped, one line each on standard error, and one in the
//! file that `BALCONY_SKIPPED` names, so that `cargo xtask test` can count them.
//!
//! Every [`Peers`] has a folder and ports of its own. What it started ends with it, also when the test is killed: a shell
//! waits for the end of a pipe that the test holds, and then stops the servers by their pid files.

mod check;
mod child;
mod endpoints;
mod go_sendxmpp;
mod lab;
mod peers;
mod ports;
mod profanity;
mod slixmpp;
pub mod web;

pub use child::Lines;
pub use endpoints::Endpoints;
pub use go_sendxmpp::GoSendxmpp;
pub use lab::{Count, Family, Host, Lab, Line, Rule};
pub use peers::{Instance, PeerError, Peers, Server, Skipped};
pub use profanity::Profanity;
pub use slixmpp::{Listener, Slixmpp};
