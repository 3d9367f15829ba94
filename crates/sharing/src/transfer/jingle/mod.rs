//! Sessions of Jingle file transfer: one machine for one session, from either side, whoever gives.
//!
//! The driver keeps a [`Session`] under (peer's full JID, sid), so that ids of others mean nothing, and feeds it what comes for that pair.
//! It answers each request by what [`Session::handle_request`] returns, then performs the [`Action`]s in order until there is none, then
//! sleeps until [`Session::deadline`]. Bytes never pass the machine, only their number. How it goes for one file:
//!
//! - ours ([`Session::offer`], [`Session::ask`]): `Gather` → session-initiate → `Accepted`, or an end;
//! - theirs ([`Session::incoming`]): `Offered` → [`Session::accept`], or `Asked` → [`Session::serve`], or [`Session::reject`];
//! - then `Socket` actions for SOCKS5, or nothing for in-band, until `Begin`; bytes; [`Session::handle_stream_end`];
//! - who takes hears `Whole`, looks at the bytes and says [`Session::finish`], which tells the peer: `received`, or the end of the session
//!   by success where nothing else is left in it (XEP-0234 §6.6).
//!
//! Every content ends by `ContentEnded`, every session by `Ended`, with an [`EndReason`]; nothing comes behind that.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>

mod action;
mod answered;
mod carrying;
mod chance;
mod content;
mod deciding;
mod ending;
mod flowing;
mod heard;
mod incoming;
mod names;
mod offered;
mod outgoing;
pub mod proposal;
mod refusal;
mod session;
mod settings;
mod swapping;
mod table;
mod told;
mod waiting;

pub use action::{Action, Event};
pub use ending::{EndReason, Finding, Rejection, Unsupported, Words};
pub use flowing::StreamEnd;
pub use names::{ContentId, Direction, RequestId, Span, StreamId};
pub use refusal::{JingleRefusal, redirected};
pub use session::{Between, Session, Terms};
pub use settings::{Means, Settings};
pub use table::{Admission, Bounds, Table};
