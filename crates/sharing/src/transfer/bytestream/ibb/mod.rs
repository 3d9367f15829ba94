//! Streams in stanzas: what was agreed on, blocks out, blocks in. Slow, and through every wall: the last choice (XEP-0234 §10.2).
//!
//! Driven alike: `handle_*(now, …)`, then `poll_action()` until it is empty, then sleep until `deadline()`. Whoever drives a machine
//! gives it only what came from the peer of the session, under the id of the stream.
//!
//! XEP-0047 In-Band Bytestreams, v2.0.1 <https://xmpp.org/extensions/xep-0047.html>
//! XEP-0261 Jingle In-Band Bytestreams Transport Method, v1.0 <https://xmpp.org/extensions/xep-0261.html>
//! Status: partial: one stream for each content, bytes in one direction.

mod receiver;
mod road;
mod sender;
mod window;

use std::time::Duration;

use balcony_wire::in_band::{Open, StanzaKind};
use balcony_wire::jingle::IbbTransport;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, StanzaError};

pub use receiver::IbbReceiver;
pub use road::Road;
pub use sender::IbbSender;
pub use window::Window;

/// Bytes of a block as we offer it (decision 24).
pub const BLOCK_SIZE: u16 = 4096;
/// How long nothing may move.
const STALL: Duration = Duration::from_secs(60);
/// How long the other side may take to open or close.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Id of the stream, which is not that of the session.
    pub sid: String,
    /// Bytes of a block at most, before base64; never 0.
    pub block_size: u16,
    /// What blocks travel in.
    pub stanza: StanzaKind,
}

impl Terms {
    /// What we offer.
    #[must_use]
    pub fn offer(sid: String) -> Self {
        Self { sid, block_size: BLOCK_SIZE, stanza: StanzaKind::Iq }
    }

    /// What comes of an offer of theirs: blocks no larger than ours (XEP-0261 §2.2).
    #[must_use]
    pub fn accept(offered: &IbbTransport) -> Self {
        Self { sid: offered.sid.clone(), block_size: offered.block_size.min(LARGEST_TAKEN), stanza: offered.stanza }
    }

    /// What comes of our offer by their answer, which may lower the size of blocks and change nothing else; `None` if it is about
    /// another stream.
    #[must_use]
    pub fn answered(&self, answer: &IbbTransport) -> Option<Self> {
        (answer.sid == self.sid).then(|| Self { block_size: answer.block_size.min(self.block_size), ..self.clone() })
    }

    /// As Jingle says it.
    #[must_use]
    pub fn transport(&self) -> IbbTransport {
        IbbTransport { sid: self.sid.clone(), block_size: self.block_size, stanza: self.stanza }
    }

    fn open(&self) -> Open {
        Open { sid: self.sid.clone(), block_size: self.block_size, stanza: self.stanza }
    }

    /// Looks at an `<open/>` of theirs.
    fn judge(&self, open: &Open) -> Result<(), IbbRefusal> {
        if open.sid != self.sid {
            Err(IbbRefusal::NoStream)
        } else if open.block_size != self.block_size {
            Err(IbbRefusal::BlockSize)
        } else {
            Ok(())
        }
    }
}

/// Larger blocks make stanzas that many servers refuse.
const LARGEST_TAKEN: u16 = 8192;

/// What a driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this to the peer by iq set and answer with `handle_answer`. Several may be under way; they go out in this order.
    Ask {
        /// counts questions
        id: u64,
        /// the payload
        payload: Element,
    },
    /// Send this to the peer in a message with an id; answer with `handle_answer` once the server has it.
    Tell {
        /// counts questions
        id: u64,
        /// the payload
        payload: Element,
    },
    /// The stream is open.
    Opened,
    /// The end: all bytes are over, and both sides know.
    Ended,
    /// The end.
    Failed(IbbFailed),
}

/// Why something was not answered with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAck {
    /// They said no.
    Refused(Box<StanzaError>),
    /// There was no answer, or no connection.
    Silent(String),
}

impl NoAck {
    fn words(&self) -> String {
        match self {
            Self::Refused(error) => error.to_string(),
            Self::Silent(why) => why.clone(),
        }
    }
}

/// Why a stream ended before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IbbFailed {
    /// It was never opened.
    #[error("the other side opened no stream in band: {0}")]
    NotOpened(String),
    /// A block was not taken.
    #[error("the other side did not take a block: {why}")]
    BlockRefused {
        /// its words
        why: String,
        /// whether others were under way with it
        in_company: bool,
    },
    /// A block is missing.
    #[error("a block got lost on the way")]
    Gap,
    /// More came than was agreed on.
    #[error("more bytes came than were announced")]
    TooMuch,
    /// They closed it.
    #[error("the other side closed the stream before the end")]
    ClosedEarly,
    /// Nothing moves.
    #[error("nothing came through for {} seconds", .0.as_secs())]
    Stalled(Duration),
    /// They do not keep to the rules.
    #[error("the other side broke the rules of streams in band: {0}")]
    Broken(IbbRefusal),
}

impl IbbFailed {
    /// Whether another stream that sends one block at a time ([`Window::one`]) may fare better.
    pub fn may_go_slowly(&self) -> bool {
        matches!(self, Self::BlockRefused { in_company: true, .. })
    }
}

/// Why something of theirs is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IbbRefusal {
    /// No stream of that id is open.
    #[error("no stream of that id is open")]
    NoStream,
    /// Other blocks were agreed on.
    #[error("blocks of another size were agreed on")]
    BlockSize,
    /// It is open, or we open it.
    #[error("nobody was asked to open that stream")]
    Uncalled,
    /// The number was used before.
    #[error("a block of that number came before")]
    UsedSeq,
    /// Blocks before it are missing.
    #[error("a block before this one is missing")]
    Gap,
    /// More bytes than a block has.
    #[error("the block is larger than agreed")]
    TooLarge,
    /// No base64, no number of 16 bits.
    #[error("the block cannot be read")]
    Unreadable,
    /// More bytes than the file has.
    #[error("there are more bytes than were announced")]
    TooMuch,
    /// We send here.
    #[error("bytes go the other way in this stream")]
    WrongWay,
}

impl IbbRefusal {
    /// What the request is answered with; all of them cancel.
    pub fn condition(self) -> DefinedCondition {
        match self {
            Self::NoStream => DefinedCondition::ItemNotFound,
            Self::BlockSize => DefinedCondition::ResourceConstraint,
            Self::UsedSeq | Self::Gap | Self::WrongWay => DefinedCondition::UnexpectedRequest,
            Self::TooLarge | Self::Unreadable => DefinedCondition::BadRequest,
            Self::Uncalled | Self::TooMuch => DefinedCondition::NotAcceptable,
        }
    }
}
