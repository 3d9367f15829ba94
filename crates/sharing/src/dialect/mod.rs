//! The ways in which people say "here is a file", read into one meaning and written so that every client understands one of them.
//!
//! Read: XEP-0447 (SFS), XEP-0385 (SIMS, today's and v0.1), XEP-0066 and a URL as body, XEP-0446 beside XEP-0066, `aesgcm:` links,
//! XEP-0505 forms, files of XEP-0234 sessions, XEP-0231 bits.
//! All copies of one file in one message are folded into one [`Offer`]. What describes the file is read from the richest copy
//! alone, never from body or out-of-band data beside it (XEP-0447 §3.1).

mod bits;
mod collect;
mod file_sharing;
mod fold;
mod gather;
pub(crate) mod initiation;
mod media_sharing;
mod out_of_band;
mod pictures;
pub(crate) mod read;
pub(crate) mod session;
mod shown_body;
mod write;

pub use bits::carried;
pub(crate) use fold::spelling;
pub(crate) use out_of_band::aes_gcm;
pub use pictures::{Picture, PictureAt};
pub use read::read;
pub use session::proposal_id;
pub use write::{Lives, OutgoingFile, OutgoingShare, OutgoingSources, Written, write, write_sources};

use balcony_wire::fallback::Fallback;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::media_element::MediaElement;
pub use balcony_wire::reading::Dropped;
use balcony_wire::url_data::UrlData;

use crate::{Disposition, Offer, Source, Via};

/// What a message says about files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Each sharing element for itself, in document order.
    pub shares: Vec<Share>,
    /// One per file, after folding.
    pub offers: Vec<Offer>,
    /// Further sources for a file that another message offers.
    pub attach: Option<Attach>,
    /// The text that remains for people; none if all of it only repeats what the offers say.
    pub shown_body: Option<String>,
    /// Everything that was read and dropped.
    pub ignored: Vec<Dropped>,
    /// The body as it came.
    pub body: Option<String>,
    /// Out-of-band URLs.
    pub oob: Vec<String>,
    /// Which parts of the body stand in for what.
    pub fallback: Vec<Fallback>,
    /// Processing hints.
    pub hints: Vec<&'static str>,
    /// URLs with data that stand outside a share.
    pub url_data: Vec<UrlData>,
    /// Metadata that stands outside a share.
    pub metadata: Option<FileMetadata>,
    /// Pictures in formatted text, those that are files of this message by their index in `offers`.
    pub pictures: Vec<Picture>,
    /// Media of forms.
    pub form_media: Vec<MediaElement>,
}

/// What one sharing element says, before folding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which dialect.
    pub via: Via,
    /// Its id, as written.
    pub id: Option<String>,
    /// How the file wants to be shown.
    pub disposition: Option<Disposition>,
    /// Start of the text it belongs to, as written.
    pub begin: Option<String>,
    /// End of the text it belongs to, as written.
    pub end: Option<String>,
    /// What is said about the file.
    pub file: Option<FileMetadata>,
    /// Where it can be had.
    pub sources: Vec<Source>,
}

impl Share {
    /// A share that says nothing yet.
    fn blank(via: Via) -> Self {
        Self { via, id: None, disposition: None, begin: None, end: None, file: None, sources: Vec::new() }
    }

    /// Whether nothing says yet where to fetch it: no sources, or an empty list (decision 55).
    pub fn is_pending(&self) -> bool {
        self.sources.is_empty()
    }
}

/// Further sources for a file that another message offers (XEP-0447 §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// Id of that message.
    pub to: String,
    /// Id of the share in it.
    pub share_id: Option<String>,
    /// The sources; none in messages that only older clients need (decision 58).
    pub sources: Vec<Source>,
}
