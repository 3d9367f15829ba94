//! Media types as peers name them, and what may be shown in place (XEP-0447 §3.2, XEP-0385 §5.2).

use std::fmt;

use crate::Disposition;

/// A media type without parameters, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(String);

impl MediaType {
    /// Reads what a peer wrote; anything that is no media type counts as `application/octet-stream`.
    #[must_use]
    pub fn from_peer(text: &str) -> Self {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_token = |part: &str| {
            !part.is_empty() && part.len() <= 127 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        match essence.split_once('/') {
            Some((kind, sub)) if is_token(kind) && is_token(sub) => Self(essence),
            _ => Self::default(),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `image`, `video`, …
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Whether it fits one `accept` of a form: `image/*`, `*/*`, `*` or a type; parameters and case do not count (decision 26).
    pub fn is_accepted_by(&self, accept: &str) -> bool {
        let accept = accept.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match accept.as_str() {
            "*" | "*/*" => true,
            range => match range.strip_suffix("/*") {
                Some(kind) => self.kind() == kind,
                None => self.0 == range,
            },
        }
    }

    /// Whether it may be shown in place: plain pictures, sound and film; never what carries scripts, as SVG and HTML do.
    pub fn can_be_inline(&self) -> bool {
        INLINE.contains(&self.0.as_str())
    }
}

impl Default for MediaType {
    fn default() -> Self {
        Self("application/octet-stream".to_owned())
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How to present a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presentation {
    /// Show it in place; if that fails, offer viewer, download and save without a complaint.
    Inline,
    /// As [`Presentation::Inline`], but say so if it fails: the sender meant it to be shown.
    InlineAsMeant,
    /// The sender meant it to be shown and this type cannot be: say so, and offer viewer, download and save.
    CannotShow,
    /// Offer download and save.
    Download,
}

impl Presentation {
    /// Decides by disposition and type (XEP-0447 §3.2); `allowed` is the person's switch for showing anything in place (§5).
    #[must_use]
    pub fn of(disposition: Option<Disposition>, media_type: Option<&MediaType>, allowed: bool) -> Self {
        let can = media_type.is_some_and(MediaType::can_be_inline);
        match disposition {
            Some(Disposition::Attachment) => Self::Download,
            _ if !allowed => Self::Download,
            Some(Disposition::Inline) if can => Self::InlineAsMeant,
            Some(Disposition::Inline) => Self::CannotShow,
            None if can => Self::Inline,
            None => Self::Download,
        }
    }
}

/// What a browser or a picture library shows without running anything.
const INLINE: [&str; 19] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/bmp",
    "audio/mpeg",
    "audio/mp4",
    "audio/m4a",
    "audio/x-m4a",
    "audio/aac",
    "audio/ogg",
    "audio/opus",
    "audio/flac",
    "audio/wav",
    "audio/webm",
    "video/mp4",
    "video/webm",
    "video/ogg",
];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// Decision 26.
    #[test]
    fn accepts_what_the_vectors_accept() {
        for case in testing_corpus::cases("media-accept") {
            let media_type = case["media_type"].as_str().map(MediaType::from_peer).unwrap_or_default();
            assert_eq!(media_type.is_accepted_by(case["accept"].as_str().unwrap()), case["match"], "{case}");
        }
    }

    /// Proves: FMD-2-9.
    #[test]
    fn no_type_and_nonsense_count_as_octet_stream() {
        for text in ["", "image", "image/", "/png", "image/p ng", "image/png\u{202e}", "image/../png/x"] {
            assert_eq!(MediaType::from_peer(text), MediaType::default(), "{text}");
        }
        assert_eq!(MediaType::from_peer("IMAGE/Png; q=1").as_str(), "image/png");
    }

    /// Proves: SFS-3.2-13, SFS-3.2-14, SFS-3.2-15, SFS-3.2-16, SFS-3.2-17, SIMS-5.2-1.
    #[test]
    fn disposition_and_type_decide_what_is_shown_in_place() {
        let (png, octets) = (MediaType::from_peer("image/png"), MediaType::default());
        let of = |disposition, media_type| Presentation::of(disposition, media_type, true);
        assert_eq!(of(Some(Disposition::Attachment), Some(&png)), Presentation::Download);
        assert_eq!(of(Some(Disposition::Inline), Some(&png)), Presentation::InlineAsMeant);
        assert_eq!(of(Some(Disposition::Inline), Some(&octets)), Presentation::CannotShow);
        assert_eq!(of(Some(Disposition::Inline), None), Presentation::CannotShow);
        assert_eq!(of(None, Some(&png)), Presentation::Inline);
        assert_eq!((of(None, Some(&octets)), of(None, None)), (Presentation::Download, Presentation::Download));
        assert_eq!(Presentation::of(Some(Disposition::Inline), Some(&png), false), Presentation::Download);
        for shown in ["audio/m4a", "audio/mp4", "image/jpeg", "image/png", "image/gif", "video/mp4"] {
            assert!(MediaType::from_peer(shown).can_be_inline(), "{shown}");
        }
        for never in ["image/svg+xml", "text/html", "application/xhtml+xml", "application/pdf", "text/xml"] {
            assert!(!MediaType::from_peer(never).can_be_inline(), "{never}");
        }
    }
}
