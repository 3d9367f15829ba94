//! HTTP as the machines see it: what to ask, what came back. RFC 9110 §13 (validators), §14 (ranges), §15.4 (redirects).

use std::time::Duration;

use url::Url;

use crate::net_rules::{AddressRule, Refused};

/// A GET to be made. The driver follows no redirect, adds no cookie, no referrer and no credentials of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUrl {
    /// Where.
    pub url: Url,
    /// All headers of the request beside `Host`.
    pub headers: Vec<(String, String)>,
    /// First byte asked for; the header is among [`OpenUrl::headers`].
    pub from_byte: u64,
    /// Which addresses the host may have: asked for each address before connecting to it.
    pub addresses: AddressRule,
}

/// The head of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status.
    pub status: u16,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
}

/// Why there is no answer, or why it broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetFailure {
    /// The name leads nowhere.
    #[error("{0} is unknown to the name service")]
    NoSuchHost(String),
    /// An address of the host is refused.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// Nobody answers.
    #[error("{host} cannot be reached: {words}")]
    Unreachable {
        /// who
        host: String,
        /// what the system says
        words: String,
    },
    /// No TLS, or not with that host.
    #[error("{host} cannot be trusted: {words}")]
    Tls {
        /// who
        host: String,
        /// what is wrong
        words: String,
    },
    /// The connection broke.
    #[error("the connection to {host} broke: {words}")]
    Broken {
        /// who
        host: String,
        /// what the system says
        words: String,
    },
}

impl ResponseHead {
    /// The first header of a name, without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Bytes of the body, if told.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Whether the body is the file itself and nothing packed.
    pub(super) fn is_plain(&self) -> bool {
        self.header("content-encoding").is_none_or(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
    }

    /// An entity tag that stands for the same bytes only.
    pub(super) fn strong_validator(&self) -> Option<&str> {
        self.header("etag").filter(|tag| tag.len() > 2 && tag.len() < 512 && tag.starts_with('"') && tag.ends_with('"'))
    }

    /// When to come again, if told in seconds.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.parse().ok().map(Duration::from_secs)
    }

    /// The part of the file that the body is.
    pub(super) fn content_range(&self) -> Option<ContentRange> {
        ContentRange::parse(self.header("content-range")?)
    }
}

/// `Content-Range`, RFC 9110 §14.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// First byte and the one behind the last; `None` in an answer that says only the length.
    pub(super) part: Option<(u64, u64)>,
    /// Bytes of the whole.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let unit = text.get(..5).filter(|unit| unit.eq_ignore_ascii_case("bytes"))?;
        let (part, total) = text[unit.len()..].trim_start().split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let part = match part.trim() {
            "*" => None,
            part => {
                let (first, last) = part.split_once('-')?;
                let (first, end) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?.checked_add(1)?);
                if first >= end || total.is_some_and(|total| end > total) {
                    return None;
                }
                Some((first, end))
            }
        };
        Some(Self { part, total })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> ResponseHead {
        ResponseHead { status: 200, headers: headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect() }
    }

    #[test]
    fn reads_ranges_and_refuses_impossible_ones() {
        let parse = |text| ContentRange::parse(text);
        assert_eq!(parse("bytes 5-9/10"), Some(ContentRange { part: Some((5, 10)), total: Some(10) }));
        assert_eq!(parse("Bytes 0-0/*"), Some(ContentRange { part: Some((0, 1)), total: None }));
        assert_eq!(parse("bytes */10"), Some(ContentRange { part: None, total: Some(10) }));
        for bad in ["bytes 9-5/10", "bytes 5-10/10", "bytes 5/10", "items 0-1/2", "bytes -5/10", "bytes 0-18446744073709551615/*", "é", ""]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_strong_tags_stand_for_the_same_bytes() {
        assert_eq!(head(&[("ETag", "\"a\"")]).strong_validator(), Some("\"a\""));
        assert_eq!(head(&[("ETag", "W/\"a\"")]).strong_validator(), None);
        assert_eq!(head(&[("etag", "a")]).strong_validator(), None);
        assert!(head(&[("Content-Encoding", "identity")]).is_plain() && head(&[]).is_plain());
        assert!(!head(&[("Content-Encoding", "gzip")]).is_plain());
    }
}
