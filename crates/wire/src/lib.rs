//! XMPP on the wire: bytes to typed elements and back.
//!
//! Knows what elements look like, never what they mean. No I/O, no clock, no panic on input.
//! Bytes come in through [`framing`], addresses are [`Jid`], stanzas are [`Message`], [`Presence`] and [`Iq`] with their
//! payloads kept as [`Element`]s; a typed view is taken with `message.payload::<FileSharing>()`. One module per XEP.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod archive;
pub mod attaching;
pub mod base64;
pub mod bits_of_binary;
pub mod bytestreams;
pub mod caps;
pub mod caps2;
pub mod carbons;
pub mod data_form;
pub mod datetime;
pub mod delay;
pub mod disco;
pub mod element;
pub mod encrypted_source;
pub mod fallback;
pub mod file_input;
pub mod file_metadata;
pub mod file_sharing;
pub mod forwarding;
pub mod framing;
pub mod hashes;
pub mod hints;
pub mod http_upload;
pub mod in_band;
pub mod jid;
pub mod jingle;
pub mod jingle_file;
pub mod jingle_message;
pub mod jingle_pub;
pub mod listing;
pub mod media_element;
pub mod media_sharing;
pub mod ni;
pub mod ns;
pub mod occupant_id;
pub mod out_of_band;
pub mod payload;
pub mod ping;
pub mod reading;
pub mod references;
pub mod result_set;
pub mod roster;
pub mod stanza;
pub mod stanza_ids;
pub mod stream;
pub mod stream_initiation;
pub mod text;
pub mod thumbnails;
pub mod url_data;
pub mod xmpp_uri;

pub use element::Element;
pub use jid::{BareJid, FullJid, Jid, JidError};
pub use payload::{Payload, ReadError};
pub use stanza::{Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Stanza, StanzaError};
