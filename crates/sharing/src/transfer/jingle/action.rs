//! What whoever drives a session is to do, and what it hears.

use balcony_wire::Element;
use balcony_wire::jingle_file::JingleFile;

use super::{ContentId, Direction, EndReason, RequestId, Span, StreamId};
use crate::DigestSet;
use crate::transfer::Reach;
use crate::transfer::bytestream::{Carrier, SocketAction};

/// What the driver is to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this as iq set to the peer; answer with [`Session::handle_answer`](super::Session::handle_answer).
    Ask {
        /// names the answer
        id: RequestId,
        /// `<jingle/>`
        jingle: Element,
    },
    /// Find places of ours for a stream; answer with [`Session::handle_own_candidates`](super::Session::handle_own_candidates).
    Gather {
        /// for which stream
        stream: StreamId,
        /// what may be shown
        reach: Reach,
    },
    /// Something for the sockets of a stream; answer with [`Session::handle_socket`](super::Session::handle_socket).
    Socket {
        /// which stream
        stream: StreamId,
        /// what
        action: SocketAction,
    },
    /// The peer may open an in-band stream of this id from now on: keep what comes for it until `Begin`. It stands before whatever
    /// lets the peer open it.
    Await {
        /// which stream
        stream: StreamId,
        /// its id between the peer and us
        sid: String,
    },
    /// This stream is not wanted any more: close whatever belongs to it.
    Drop {
        /// which stream
        stream: StreamId,
    },
    /// Bytes may flow. It can come again for a content after [`Action::Stop`]: then `span` begins with the next byte.
    Begin {
        /// which file
        content: ContentId,
        /// which way
        direction: Direction,
        /// which bytes of the file
        span: Span,
        /// the stream; its sockets, if it has any, belong to the transfer from here on
        stream: StreamId,
        /// how
        carrier: Carrier,
    },
    /// No more bytes of this file for now: drop its carrier.
    Stop {
        /// which file
        content: ContentId,
    },
    /// Something to know.
    Event(Event),
}

/// What whoever waits for the session hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer offers a file: answer with `accept` or `reject`.
    Offered {
        /// which content
        content: ContentId,
        /// what it says of the file
        file: Box<JingleFile>,
    },
    /// The peer asks for a file: answer with `serve` or `reject`.
    Asked {
        /// which content
        content: ContentId,
        /// what it says of the file
        file: Box<JingleFile>,
    },
    /// The peer took what we offered, or gives what we asked for.
    Accepted {
        /// which content
        content: ContentId,
        /// which bytes will come
        span: Span,
    },
    /// No way by SOCKS5, or none any more: it goes in band.
    FellBack {
        /// which content
        content: ContentId,
        /// why
        why: String,
    },
    /// The giver says what the bytes are.
    Checksum {
        /// which content
        content: ContentId,
        /// of which bytes; `None`: of the whole file
        span: Option<Span>,
        /// what they are
        digests: DigestSet,
    },
    /// The peer holds the file, or lets it go on.
    Held {
        /// which content
        content: ContentId,
        /// whether no byte may move
        on: bool,
    },
    /// We take, and all bytes are there: check them, then say `finish`.
    Whole {
        /// which content
        content: ContentId,
    },
    /// A content is over.
    ContentEnded {
        /// which
        content: ContentId,
        /// how
        reason: EndReason,
    },
    /// The session is over; nothing comes behind that.
    Ended(EndReason),
}
