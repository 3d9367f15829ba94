//! What is under way for a fetch: a request or the answer to it, a session with somebody's device. One at a time.

use balcony_sharing::DigestSet;
use balcony_sharing::transfer::{NetFailure, ResponseHead, SessionEnd, SessionFailure};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::direct::{Body, Came, DirectError, WayTaken};
use crate::http::HttpError;
use crate::http::exchange::Answer;

/// What is under way.
pub(super) enum Link {
    None,
    /// A web server was asked.
    Opening(BoxFuture<'static, Result<Answer, HttpError>>),
    /// Its answer comes.
    Open(Box<Answer>),
    /// A device was asked.
    Calling(BoxFuture<'static, Result<Body, DirectError>>),
    /// Its bytes come, or have ended: then it waits to hear what became of them.
    Session {
        body: Body,
        has_ended: bool,
    },
}

/// What came of it.
pub(super) enum News {
    Opened(ResponseHead),
    /// A session stands: where its bytes begin, how many the file has, by which way they come.
    Stands {
        from: u64,
        total: Option<u64>,
        way: WayTaken,
    },
    /// Its bytes come by another way from here on.
    Way(WayTaken),
    Bytes(Bytes),
    /// With what the device said of the bytes.
    End(DigestSet),
    Failed(NetFailure),
    SessionFailed(SessionFailure),
}

impl Link {
    /// What happens next; never, where nothing is under way. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> News {
        match self {
            Self::None | Self::Session { has_ended: true, .. } => std::future::pending().await,
            Self::Opening(opening) => match opening.await {
                Ok(answer) => {
                    let head = answer.head();
                    *self = Self::Open(Box::new(answer));
                    News::Opened(head)
                }
                Err(error) => self.failed(&error),
            },
            Self::Open(answer) => match answer.next().await {
                Ok(Some(bytes)) => News::Bytes(bytes),
                Ok(None) => {
                    *self = Self::None;
                    News::End(DigestSet::new())
                }
                Err(error) => self.failed(&error),
            },
            Self::Calling(calling) => match calling.await {
                Ok(body) => {
                    let stands = News::Stands { from: body.from(), total: body.total(), way: body.way().clone() };
                    *self = Self::Session { body, has_ended: false };
                    stands
                }
                Err(error) => self.session_failed(&error),
            },
            Self::Session { body, has_ended } => match body.next().await {
                Some(Ok(Came::Bytes(bytes))) => News::Bytes(bytes),
                Some(Ok(Came::Way(way))) => News::Way(way),
                Some(Err(error)) => self.session_failed(&error),
                None => {
                    *has_ended = true;
                    News::End(body.told())
                }
            },
        }
    }

    fn failed(&mut self, error: &HttpError) -> News {
        *self = Self::None;
        News::Failed(error.to_failure())
    }

    fn session_failed(&mut self, error: &DirectError) -> News {
        *self = Self::None;
        News::SessionFailed(error.to_failure())
    }

    /// Lets go of a session; whoever has it says how it ended.
    pub(super) fn take_session(&mut self) -> Option<Body> {
        match std::mem::replace(self, Self::None) {
            Self::Session { body, .. } => Some(body),
            _ => None, // one that does not stand yet ends with its future
        }
    }
}

/// A session of which the file is being kept: it hears so only when that is done.
pub(super) struct Parting(Body);

impl Parting {
    pub(super) fn new(body: Body) -> Self {
        Self(body)
    }

    /// Says what became of the file. Returns when the other side was told, or after a while.
    pub(super) async fn say(self, end: SessionEnd) {
        let _ = tokio::time::timeout(PATIENCE, self.0.end(end)).await; // the file is kept all the same
    }
}

/// How long the other side may take to be told.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
