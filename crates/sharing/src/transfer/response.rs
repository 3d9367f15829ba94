//! RFC 9110 §14, §15: what the head of an answer says about where its body stands in the file.

use std::time::Duration;

/// The head of an answer, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// `Content-Length`
    pub content_length: Option<u64>,
    /// `Content-Range`, as it came.
    pub content_range: Option<String>,
    /// `ETag`, as it came.
    pub etag: Option<String>,
    /// `Last-Modified`, as it came.
    pub last_modified: Option<String>,
    /// `Location`, as it came.
    pub location: Option<String>,
    /// `Retry-After`, as it came; only seconds are understood.
    pub retry_after: Option<String>,
    /// Whether there is a `Content-Encoding` other than identity: never asked for, and its bytes are not the file's.
    pub encoded: bool,
}

/// Names one state of a resource strongly enough to go on in the middle of it: a strong entity tag, else a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator(String);

impl Validator {
    /// From a record of [`Validator::as_str`].
    pub fn from_record(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value of `If-Range`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What `Content-Range` says (RFC 9110 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentRange {
    /// `bytes FIRST-LAST/TOTAL`
    Part {
        first: u64,
        last: u64,
        total: Option<u64>,
    },
    /// `bytes */TOTAL`, with 416.
    Unsatisfied { total: u64 },
}

impl Response {
    /// The validator to go on with. Weak tags are none (RFC 9110 §13.1.5).
    pub fn validator(&self) -> Option<Validator> {
        let tag = self.etag.as_deref().map(str::trim).filter(|tag| tag.starts_with('"') && tag.len() > 2);
        tag.or(self.last_modified.as_deref().map(str::trim).filter(|date| !date.is_empty())).map(|text| Validator(text.to_owned()))
    }

    pub(super) fn range(&self) -> Option<ContentRange> {
        let (range, total) = self.content_range.as_deref()?.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
        if range.trim() == "*" {
            return Some(ContentRange::Unsatisfied { total: digits(total)? });
        }
        let (first, last) = range.split_once('-')?;
        let total = if total.trim() == "*" { None } else { Some(digits(total)?) };
        let (first, last) = (digits(first)?, digits(last)?);
        let fits = first <= last && total.is_none_or(|total| last < total);
        fits.then_some(ContentRange::Part { first, last, total })
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after.as_deref().and_then(digits).map(Duration::from_secs)
    }
}

fn digits(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Option<ContentRange> {
        Response { content_range: Some(text.to_owned()), ..Response::default() }.range()
    }

    #[test]
    fn content_ranges_that_contradict_themselves_are_none() {
        assert_eq!(range("bytes 0-499/1234"), Some(ContentRange::Part { first: 0, last: 499, total: Some(1234) }));
        assert_eq!(range("bytes 42-1233/*"), Some(ContentRange::Part { first: 42, last: 1233, total: None }));
        assert_eq!(range("bytes */47022"), Some(ContentRange::Unsatisfied { total: 47022 }));
        for nonsense in ["", "bytes", "bytes 5-4/10", "bytes 0-10/10", "bytes -5/10", "bytes 0-+5/10", "items 0-4/10", "bytes 0-99999999999999999999/*"] {
            assert_eq!(range(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn weak_tags_do_not_name_bytes() {
        let with = |etag: &str, date: Option<&str>| Response { etag: Some(etag.into()), last_modified: date.map(str::to_owned), ..Response::default() };
        assert_eq!(with("\"abc\"", None).validator().as_ref().map(Validator::as_str), Some("\"abc\""));
        assert_eq!(with("W/\"abc\"", None).validator(), None);
        assert_eq!(with("W/\"abc\"", Some("Wed, 21 Oct 2015 07:28:00 GMT")).validator().as_ref().map(Validator::as_str), Some("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(with("\"\"", None).validator(), None);
    }
}
