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

/// What comes to a [`Body`].
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    End,
    Failed(DirectError),
}

/// The other end of a [`Body`].
#[derive(Debug)]
pub(super) struct Feed {
    /// Where bytes go in; whoever pumps has a copy.
    pub(super) pieces: mpsc::Sender<Piece>,
    /// What the other side says about the file.
    pub(super) told: Arc<Mutex<DigestSet>>,
    /// The word of whoever takes the bytes; closed without one, they went.
    pub(super) verdict: oneshot::Receiver<Verdict>,
}

impl Body {
    pub(super) fn new(from: u64, total: Option<u64>, way: WayTaken) -> (Self, Feed) {
        let (sender, pieces) = mpsc::channel(WAITING);
        let (ended, verdict) = oneshot::channel();
        let told = Arc::default();
        let feed = Feed { pieces: sender, told: Arc::clone(&told), verdict };
        (Self { from, total, way, pieces, told, ended: Some(ended), is_over: false }, feed)
    }

    /// The first byte that comes: what was asked for, or 0 where the other side cannot begin in the middle.
    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    /// Bytes of the whole file, if they said.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Which way the bytes take.
    pub(crate) fn way(&self) -> &WayTaken {
        &self.way
    }

    /// What they said of the file's digests by now; all of it once the bytes have ended. Their word, not ours.
    pub(crate) fn told(&self) -> DigestSet {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next bytes; `None` at the end. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, DirectError>> {
        if self.is_over {
            return None;
        }
        let piece = self.pieces.recv().await.unwrap_or(Piece::Failed(DirectError::Inside));
        self.is_over = !matches!(piece, Piece::Bytes(_));
        match piece {
            Piece::Bytes(bytes) => Some(Ok(bytes)),
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

    #[tokio::test]
    async fn an_end_is_told_from_a_task_that_is_gone() {
        let (mut whole, feed) = Body::new(0, Some(3), WayTaken::InBand);
        feed.pieces.send(Piece::Bytes(Bytes::from_static(b"abc"))).await.unwrap();
        feed.pieces.send(Piece::End).await.unwrap();
        drop(feed);
        assert_eq!(whole.next().await.unwrap().unwrap(), &b"abc"[..]);
        assert!(whole.next().await.is_none() && whole.next().await.is_none());

        let (mut broken, feed) = Body::new(0, None, WayTaken::InBand);
        drop(feed);
        assert!(matches!(broken.next().await, Some(Err(DirectError::Inside))));
        assert!(broken.next().await.is_none());
    }

    #[tokio::test]
    async fn the_session_hears_the_verdict_or_that_nobody_cares_any_more() {
        let (body, feed) = Body::new(0, None, WayTaken::InBand);
        let ending = tokio::spawn(body.end(SessionEnd::Kept));
        let (verdict, said) = feed.verdict.await.unwrap();
        assert_eq!(verdict, SessionEnd::Kept);
        said.send(()).unwrap();
        ending.await.unwrap();

        let (body, feed) = Body::new(0, None, WayTaken::InBand);
        drop(body);
        assert!(feed.verdict.await.is_err());
    }
}
