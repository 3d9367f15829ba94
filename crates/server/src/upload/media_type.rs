//! Which media types are served as they were told, and which of them a browser may show (decision 39).

/// Shown in place: plain pictures, sound, films and PDF. Never SVG or HTML, which can hold script.
const INLINE: &[&str] = &[
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/jxl",
    "image/png",
    "image/tiff",
    "image/webp",
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/wav",
    "audio/webm",
    "audio/x-m4a",
    "audio/x-wav",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
    "application/pdf",
];

/// Told truly, but only ever saved.
const ATTACHED: &[&str] = &[
    "text/plain",
    "text/csv",
    "text/calendar",
    "text/vcard",
    "text/markdown",
    "application/json",
    "application/zip",
    "application/gzip",
    "application/x-tar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-xz",
    "application/zstd",
    "application/epub+zip",
    "application/rtf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.android.package-archive",
];

/// For everything else.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

/// How a stored file is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) media_type: &'static str,
    pub(crate) inline: bool,
}

/// What to serve for the type that was told at upload; parameters are left out.
pub(crate) fn served(told: &str) -> Served {
    let essence = told.split(';').next().unwrap_or_default().trim();
    let find = |list: &[&'static str]| list.iter().copied().find(|known| known.eq_ignore_ascii_case(essence));
    match (find(INLINE), find(ATTACHED)) {
        (Some(media_type), _) => Served { media_type, inline: true },
        (None, Some(media_type)) => Served { media_type, inline: false },
        (None, None) => Served { media_type: UNKNOWN, inline: false },
    }
}

/// Whether this looks like `type/subtype` with or without parameters, fit for a header.
pub(crate) fn is_media_type(text: &str) -> bool {
    let token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let visible = |b: u8| (0x20..0x7f).contains(&b);
    text.len() <= 255
        && parameters.bytes().all(visible)
        && essence.trim().split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub))
}

/// Whether two media types say the same: letter case and blanks do not count.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    letters(one).eq_ignore_ascii_case(&letters(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decision 39.
    /// Proves: HUP-D-3.
    #[test]
    fn only_plain_media_are_shown_in_place() {
        assert_eq!(served("image/JPEG"), Served { media_type: "image/jpeg", inline: true });
        assert_eq!(served("video/mp4; codecs=x"), Served { media_type: "video/mp4", inline: true });
        assert_eq!(served("text/plain; charset=utf-8"), Served { media_type: "text/plain", inline: false });
        for dangerous in ["image/svg+xml", "text/html", "application/xhtml+xml", "text/javascript", "text/xml", "", "x"] {
            assert_eq!(served(dangerous), Served { media_type: UNKNOWN, inline: false }, "{dangerous}");
        }
    }

    #[test]
    fn media_types_are_told_from_header_injection() {
        assert!(is_media_type("image/jpeg") && is_media_type("text/plain; charset=\"utf-8\""));
        for bad in ["", "image", "image/", "/jpeg", "image/jpeg\r\nX: y", "image/jpeg; a=\u{7f}", "im age/jpeg"] {
            assert!(!is_media_type(bad), "{bad:?}");
        }
        assert!(same("text/plain;charset=UTF-8", "text/plain; charset=utf-8") && !same("image/png", "image/jpeg"));
    }
}
