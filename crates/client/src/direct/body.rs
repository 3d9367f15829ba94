//! The bytes of a file on their way to us, as whoever fetches it sees them.

use std::sync::{Arc, Mutex, PoisonError};

use balcony_sharing::DigestSet;
use balcony_sharing::transfer::SessionEnd;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{DirectError, WayTaken};

/// Pieces that may wait for whoever takes them: memory is bounded, and who gives waits.
const WAITING: usize = 2;

/// A file coming in. Dropping it ends the session as stopped.
#[derive(Debug)]
pub(crate) struct Body {
    from: u64,
    total: Option<u64>,
    way: WayTaken,
    pieces: mpsc::Receiver<Piece>,
    told: Arc<Mutex<DigestSet>>,
    /// Taken by [`Body::end`].
    ended: Option<oneshot::Sender<Verdict>>,
    is_over: bool,
}

/// An ending, and where to say that the other side was told.
pub(super) type Verdict = (SessionEnd, oneshot::Sender<()>);

/// What comes out of a [`Body`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Bytes(Bytes),
    /// What follows takes another way: the one before broke.
    Way(WayTaken),
}

/// What comes to a [`Body`].
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    Way(WayTaken),
    End,
    Failed(DirectError),
}

/// A body that somebody waits for. Dropping it ends the session as stopped.
pub(super) struct Promise {
    stands: oneshot::Receiver<Result<Stands, DirectError>>,
    pieces: mpsc::Receiver<Piece>,
    told: Arc<Mutex<DigestSet>>,
    ended: oneshot::Sender<Verdict>,
}

/// What is known once bytes begin to flow.
#[derive(Debug)]
pub(super) struct Stands {
    pub(super) from: u64,
    pub(super) total: Option<u64>,
    pub(super) way: WayTaken,
}

/// The other end of a [`Body`].
#[derive(Debug)]
pub(super) struct Feed {
    /// Where to say that bytes begin; taken when that is said.
    pub(super) stands: Option<oneshot::Sender<Result<Stands, DirectError>>>,
    /// Where bytes go in; whoever pumps has a copy.
    pub(super) pieces: mpsc::Sender<Piece>,
    /// What the other side says about the file.
    pub(super) told: Arc<Mutex<DigestSet>>,
    /// The word of whoever takes the bytes; closed without one, they went. Taken by whoever waits for it.
    pub(super) verdict: Option<oneshot::Receiver<Verdict>>,
}

/// A body to wait for, and where it is filled.
pub(super) fn promise() -> (Promise, Feed) {
    let (say, stands) = oneshot::channel();
    let (sender, pieces) = mpsc::channel(WAITING);
    let (ended, verdict) = oneshot::channel();
    let told = Arc::default();
    let feed = Feed { stands: Some(say), pieces: sender, told: Arc::clone(&told), verdict: Some(verdict) };
    (Promise { stands, pieces, told, ended }, feed)
}

impl Feed {
    /// There will be no bytes.
    pub(super) fn fail(mut self, error: DirectError) {
        if let Some(stands) = self.stands.take() {
            let _ = stands.send(Err(error)); // nobody waits any more
        }
    }
}

impl Promise {
    /// Waits until bytes begin to flow. Dropping it ends the session as stopped.
    pub(super) async fn body(self) -> Result<Body, DirectError> {
        let Self { stands, pieces, told, ended } = self;
        let Stands { from, total, way } = stands.await.unwrap_or(Err(DirectError::Inside))?;
        Ok(Body { from, total, way, pieces, told, ended: Some(ended), is_over: false })
    }
}

impl Body {
    /// The first byte that comes: what was asked for, or 0 where the other side cannot begin in the middle.
    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    /// Bytes of the whole file, if they said.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Which way the first bytes take.
    pub(crate) fn way(&self) -> &WayTaken {
        &self.way
    }

    /// What they said of the file's digests by now; all of it once the bytes have ended. Their word, not ours.
    pub(crate) fn told(&self) -> DigestSet {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next bytes; `None` at the end. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Option<Result<Came, DirectError>> {
        if self.is_over {
            return None;
        }
        let piece = self.pieces.recv().await.unwrap_or(Piece::Failed(DirectError::Inside));
        self.is_over = !matches!(piece, Piece::Bytes(_) | Piece::Way(_));
        match piece {
            Piece::Bytes(bytes) => Some(Ok(Came::Bytes(bytes))),
            Piece::Way(way) => Some(Ok(Came::Way(way))),
            Piece::End => None,
            Piece::Failed(error) => Some(Err(error)),
        }
    }

    /// Says what became of the bytes; returns when that is on its way to the other side, or the session is over.
    pub(crate) async fn end(mut self, ending: SessionEnd) {
        let (said, is_said) = oneshot::channel();
        if let Some(ended) = self.ended.take()
            && ended.send((ending, said)).is_ok()
        {
            // Closed unsaid: the session is over, and there is nobody to tell.
            let _ = is_said.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn begun() -> (Body, Feed) {
        let (promise, mut feed) = promise();
        let stands = Stands { from: 0, total: Some(3), way: WayTaken::InBand };
        feed.stands.take().unwrap().send(Ok(stands)).unwrap();
        (promise.body().await.unwrap(), feed)
    }

    #[tokio::test]
    async fn an_end_is_told_from_a_task_that_is_gone() {
        let (mut whole, feed) = begun().await;
        feed.pieces.send(Piece::Bytes(Bytes::from_static(b"abc"))).await.unwrap();
        feed.pieces.send(Piece::End).await.unwrap();
        drop(feed);
        assert_eq!(whole.next().await.unwrap().unwrap(), Came::Bytes(Bytes::from_static(b"abc")));
        assert!(whole.next().await.is_none() && whole.next().await.is_none());

        let (mut broken, feed) = begun().await;
        drop(feed);
        assert!(matches!(broken.next().await, Some(Err(DirectError::Inside))));
        assert!(broken.next().await.is_none());
    }

    #[tokio::test]
    async fn the_session_hears_the_verdict_or_that_nobody_cares_any_more() {
        let (body, mut feed) = begun().await;
        let ending = tokio::spawn(body.end(SessionEnd::Kept));
        let (verdict, said) = feed.verdict.take().unwrap().await.unwrap();
        assert_eq!(verdict, SessionEnd::Kept);
        said.send(()).unwrap();
        ending.await.unwrap();

        let (body, mut feed) = begun().await;
        drop(body);
        assert!(feed.verdict.take().unwrap().await.is_err());
        let (promise, mut feed) = promise();
        drop(promise);
        assert!(feed.verdict.take().unwrap().await.is_err(), "nor for what has not begun");
    }
}
