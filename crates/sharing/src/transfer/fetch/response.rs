//! What the head of an answer means for a fetch that wants the bytes from some point on.

use crate::plan::Outcome;
use crate::transfer::ResponseHead;

/// What to do about an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The body holds what we want.
    Body(Body),
    /// Ask there.
    Redirect(String),
    /// There is nothing behind the bytes we have.
    Complete,
    /// What we have is no part of what the server has: ask for all of it.
    StartOver,
    /// No use.
    Failed(Outcome),
}

/// How a body lies to what we want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// Byte of the file its first byte is.
    pub(super) starts_at: u64,
    /// Byte of the file behind its last, if told.
    pub(super) ends_at: Option<u64>,
    /// Bytes of the whole file, if told.
    pub(super) total: Option<u64>,
}

/// Reads an answer to a request for the bytes from `from` on.
pub(super) fn meaning(head: &ResponseHead, from: u64) -> Meaning {
    match head.status {
        200 | 206 if !head.is_plain() => Meaning::Failed(Outcome::Unusable(head.status)),
        200 => {
            let total = head.content_length();
            Meaning::Body(Body { starts_at: 0, ends_at: total, total })
        }
        206 => match head.content_range() {
            Some(range) if range.part.is_some_and(|(first, _)| first <= from) => {
                let (first, end) = range.part.unwrap_or((0, 0));
                Meaning::Body(Body { starts_at: first, ends_at: Some(end), total: range.total })
            }
            _ => Meaning::Failed(Outcome::WrongRange),
        },
        301 | 302 | 303 | 307 | 308 => match head.header("location") {
            Some(location) if !location.is_empty() => Meaning::Redirect(location.to_owned()),
            _ => Meaning::Failed(Outcome::Unusable(head.status)),
        },
        416 => match head.content_range().and_then(|range| range.total) {
            Some(total) if total == from && from > 0 => Meaning::Complete,
            _ if from > 0 => Meaning::StartOver,
            _ => Meaning::Failed(Outcome::Unusable(416)),
        },
        404 | 410 => Meaning::Failed(Outcome::Gone(head.status)),
        408 | 425 | 429 | 500..=599 => Meaning::Failed(Outcome::ServerFailed(head.status)),
        400..=499 => Meaning::Failed(Outcome::Refused(head.status)),
        status => Meaning::Failed(Outcome::Unusable(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], from: u64) -> Meaning {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        meaning(&ResponseHead { status, headers }, from)
    }

    #[test]
    fn every_status_is_told_apart() {
        let whole = Body { starts_at: 0, ends_at: Some(10), total: Some(10) };
        assert_eq!(answer(200, &[("Content-Length", "10")], 4), Meaning::Body(whole));
        let part = Body { starts_at: 4, ends_at: Some(10), total: Some(10) };
        assert_eq!(answer(206, &[("Content-Range", "bytes 4-9/10")], 4), Meaning::Body(part));
        assert_eq!(answer(206, &[("Content-Range", "bytes 5-9/10")], 4), Meaning::Failed(Outcome::WrongRange));
        assert_eq!(answer(206, &[], 4), Meaning::Failed(Outcome::WrongRange));
        assert_eq!(answer(206, &[("Content-Type", "multipart/byteranges; boundary=x")], 4), Meaning::Failed(Outcome::WrongRange));
        assert_eq!(answer(200, &[("Content-Encoding", "gzip")], 0), Meaning::Failed(Outcome::Unusable(200)));
        assert_eq!(answer(302, &[("Location", "/x")], 0), Meaning::Redirect("/x".into()));
        assert_eq!(answer(302, &[], 0), Meaning::Failed(Outcome::Unusable(302)));
        assert_eq!(answer(416, &[("Content-Range", "bytes */4")], 4), Meaning::Complete);
        assert_eq!(answer(416, &[("Content-Range", "bytes */3")], 4), Meaning::StartOver);
        assert_eq!(answer(416, &[], 4), Meaning::StartOver);
        assert_eq!(answer(416, &[], 0), Meaning::Failed(Outcome::Unusable(416)));
        assert_eq!(answer(404, &[], 0), Meaning::Failed(Outcome::Gone(404)));
        assert_eq!(answer(410, &[], 0), Meaning::Failed(Outcome::Gone(410)));
        assert_eq!(answer(401, &[], 0), Meaning::Failed(Outcome::Refused(401)));
        assert_eq!(answer(403, &[], 0), Meaning::Failed(Outcome::Refused(403)));
        assert_eq!(answer(503, &[], 0), Meaning::Failed(Outcome::ServerFailed(503)));
        assert_eq!(answer(204, &[], 0), Meaning::Failed(Outcome::Unusable(204)));
    }
}
