//! Moves the bytes of one file between its stream and whoever gives or takes it, beside the task of the session, and tells that task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use balcony_sharing::transfer::jingle::{ContentId, Span};
use balcony_sharing::verify::{Hashed, Hasher};
use balcony_store::Store;
use bytes::{Buf as _, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::body::Piece;
use super::give::Gift;
use super::reading::Pieces;
use crate::blocking::blocking;
use crate::http::source::ReadFailure;
use crate::streams::{Reader, StreamError, Writer};

/// Bytes of a piece in band: what waits there keeps what else is to be said from being sent.
const IN_BAND: usize = 32 * 1024;
/// Bytes after which what went out is told, at the latest, and the time.
const TELL: u64 = 256 * 1024;
const TELL_AFTER: Duration = Duration::from_secs(1);
/// The last bytes are told before they go out, so few of them: whoever has all may say so before we do, and would seem to have stopped.
const TAIL: usize = 4096;

/// What a pump tells the task of its session, in order.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) content: ContentId,
    /// Which pump of that file: one that was stopped has nothing to say any more.
    pub(super) pump: u64,
    pub(super) what: Moved,
}

/// What a pump did.
#[derive(Debug)]
pub(super) enum Moved {
    /// So many bytes came, and were handed on.
    Arrived(u64),
    /// More came than was announced.
    TooMuch,
    /// So many bytes went out.
    Sent(u64),
    /// The stream ended.
    End(Result<(), String>),
    /// All was read, with the digests if they were asked for; the stream ends behind it.
    Read(Option<Hashed>),
    /// Our own file is not to be had any more, or is another one.
    Unreadable(String),
}

/// A pump at work; dropping it stops it and closes its stream.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) number: u64,
    task: JoinHandle<()>,
}

/// Where a pump tells what it does.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) content: ContentId,
    pub(super) pump: u64,
    pub(super) reports: mpsc::Sender<Report>,
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reporter {
    /// `false` if nobody listens any more.
    async fn tell(&self, what: Moved) -> bool {
        self.reports.send(Report { content: self.content.clone(), pump: self.pump, what }).await.is_ok()
    }

    /// Tells it, and has nothing more to say.
    async fn last(&self, what: Moved) {
        self.tell(what).await;
    }
}

/// Bytes to come.
pub(super) struct Take {
    pub(super) reader: Reader,
    pub(super) pieces: mpsc::Sender<Piece>,
    /// Up to which byte of the file bytes were handed on.
    pub(super) fed: Arc<AtomicU64>,
    /// The first byte that comes.
    pub(super) offset: u64,
    /// How many come, if that is known; the end of the stream is the end of the file otherwise.
    pub(super) expected: Option<u64>,
    /// Bytes of all transfers together that may wait for the disk.
    pub(super) budget: Arc<Semaphore>,
}

/// Bytes that count until the last of them is written.
struct Counted {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Waits until there is room for them.
async fn counted(bytes: Bytes, budget: &Arc<Semaphore>) -> Option<Bytes> {
    let share = Arc::clone(budget).acquire_many_owned(u32::try_from(bytes.len()).ok()?).await.ok()?;
    Some(Bytes::from_owner(Counted { bytes, _share: share }))
}

impl Take {
    pub(super) fn start(self, reporter: Reporter) -> Pump {
        Pump { number: reporter.pump, task: tokio::spawn(self.run(reporter)) }
    }

    async fn run(mut self, reporter: Reporter) {
        let mut at = self.offset;
        let end = self.expected.map(|expected| self.offset.saturating_add(expected));
        loop {
            let bytes = match self.reader.next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    reporter.tell(Moved::End(Ok(()))).await;
                    // The stream stays until the session lets go of it: there may be a last word in it.
                    return std::future::pending().await;
                }
                Err(StreamError::TooMuch) => return reporter.last(Moved::TooMuch).await,
                Err(error) => return reporter.last(Moved::End(Err(error.to_string()))).await,
            };
            let came = bytes.len() as u64;
            // What was handed on already comes again where a stream took the place of another.
            let known = self.fed.load(Ordering::Relaxed).saturating_sub(at).min(came);
            let left = end.map_or(came, |end| end.saturating_sub(at).min(came));
            let fresh = bytes.slice(usize::try_from(known).unwrap_or(bytes.len())..usize::try_from(left.max(known)).unwrap_or(bytes.len()));
            if !fresh.is_empty() {
                let Some(fresh) = counted(fresh, &self.budget).await else { return };
                if self.pieces.send(Piece::Bytes(fresh)).await.is_err() {
                    return; // nobody takes them: the session hears of that by itself
                }
            }
            at += came;
            self.fed.fetch_max(at.min(end.unwrap_or(at)), Ordering::Relaxed);
            // All of it: whoever counts sees what is too much.
            if !reporter.tell(Moved::Arrived(came)).await {
                return;
            }
        }
    }
}

/// Bytes to go.
pub(super) struct Give {
    pub(super) writer: Writer,
    pub(super) gift: Gift,
    pub(super) span: Span,
    pub(super) store: Store,
    /// Takes the digests on the way, where they are not known.
    pub(super) hasher: Option<Hasher>,
    /// Bytes of a piece.
    pub(super) piece: usize,
    /// Whether no byte may move just now.
    pub(super) held: watch::Receiver<bool>,
}

impl Give {
    pub(super) fn start(self, reporter: Reporter) -> Pump {
        Pump { number: reporter.pump, task: tokio::spawn(self.run(reporter)) }
    }

    async fn run(self, reporter: Reporter) {
        let Self { mut writer, gift, span, store, hasher, piece, mut held } = self;
        let end = span.length.map_or(gift.size, |length| span.offset.saturating_add(length).min(gift.size));
        let mut pace = Pace::new(gift.rate);
        let input = match blocking(move || gift.open(&store)).await {
            Ok(input) => input,
            Err(error) => return reporter.last(Moved::Unreadable(format!("it cannot be read: {error}"))).await,
        };
        let piece = pace.piece(if writer.is_in_band() { piece.min(IN_BAND) } else { piece });
        let mut pieces = Pieces::start(input, span.offset..end.max(span.offset), hasher, piece);
        let mut untold = Untold::default();
        let mut left = end.saturating_sub(span.offset);
        while let Some(mut bytes) = pieces.next().await {
            left = left.saturating_sub(bytes.len() as u64);
            let tail = if left == 0 { bytes.split_off(bytes.len().saturating_sub(TAIL)) } else { Bytes::new() };
            pace.wait((bytes.len() + tail.len()) as u64).await;
            let _ = held.wait_for(|held| !held).await; // the session is over, and so is this
            while !bytes.is_empty() {
                let sent = match writer.send_some(&bytes).await {
                    Ok(sent) => sent,
                    Err(error) => return reporter.last(Moved::End(Err(error.to_string()))).await,
                };
                bytes.advance(sent);
                if let Some(sent) = untold.add(sent)
                    && !reporter.tell(Moved::Sent(sent)).await
                {
                    return;
                }
            }
            if tail.is_empty() {
                continue;
            }
            if !reporter.tell(Moved::Sent(untold.take() + tail.len() as u64)).await {
                return;
            }
            if let Err(error) = writer.send(&tail).await {
                return reporter.last(Moved::End(Err(error.to_string()))).await;
            }
        }
        if untold.bytes > 0 && !reporter.tell(Moved::Sent(untold.bytes)).await {
            return;
        }
        match pieces.finish().await {
            Ok(hashed) => reporter.tell(Moved::Read(hashed)).await,
            Err(failure) => return reporter.last(Moved::Unreadable(words(&failure))).await,
        };
        // Some proxies keep the last bytes back until nothing more can come.
        let end = writer.finish().await.map_err(|error| error.to_string());
        let is_clean = end.is_ok();
        reporter.tell(Moved::End(end)).await;
        if is_clean {
            // The other side may still have a word to say in the stream, and closes it.
            std::future::pending::<()>().await;
        }
    }
}

/// What went out and was not told yet: the session is woken for it.
struct Untold {
    bytes: u64,
    since: Instant,
}

impl Default for Untold {
    fn default() -> Self {
        Self { bytes: 0, since: Instant::now() }
    }
}

impl Untold {
    /// So many more; gives them all when it is time to tell: a slow stream is none that stands still.
    fn add(&mut self, bytes: usize) -> Option<u64> {
        self.bytes += bytes as u64;
        let is_time = self.bytes >= TELL || self.since.elapsed() >= TELL_AFTER;
        is_time.then(|| self.take())
    }

    /// All of them.
    fn take(&mut self) -> u64 {
        std::mem::take(self).bytes
    }
}

fn words(failure: &ReadFailure) -> String {
    match failure {
        ReadFailure::Io(error) => format!("it cannot be read: {error}"),
        failure => failure.to_string(),
    }
}

/// No more than so many bytes a second.
pub(super) struct Pace {
    rate: Option<u64>,
    began: Instant,
    passed: u64,
}

impl Pace {
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.filter(|rate| *rate > 0), began: Instant::now(), passed: 0 }
    }

    /// Bytes of a piece, so that one comes every second at least.
    pub(super) fn piece(&self, most: usize) -> usize {
        self.rate.and_then(|rate| usize::try_from(rate.max(1024)).ok()).map_or(most, |rate| rate.min(most))
    }

    /// Waits until these bytes may go.
    pub(super) async fn wait(&mut self, bytes: u64) {
        if let Some(due) = self.due(bytes) {
            sleep(due.saturating_sub(self.began.elapsed())).await;
        }
    }

    /// When, counted from the beginning.
    fn due(&mut self, bytes: u64) -> Option<Duration> {
        let rate = self.rate?;
        self.passed = self.passed.saturating_add(bytes);
        // The first piece goes at once.
        Some(Duration::from_millis(self.passed.saturating_sub(bytes).saturating_mul(1000) / rate))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use balcony_sharing::DigestSet;
    use balcony_sharing::transfer::Reach;
    use balcony_store::FileStamp;
    use balcony_wire::file_metadata::FileMetadata;
    use balcony_wire::jingle::Creator;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::share::FileFrom;

    #[test]
    fn a_rate_spreads_bytes_over_time() {
        let mut pace = Pace::new(Some(1000));
        assert_eq!(
            (pace.due(500), pace.due(1000), pace.due(1)),
            (Some(Duration::ZERO), Some(Duration::from_millis(500)), Some(Duration::from_millis(1500)))
        );
        assert_eq!(Pace::new(None).due(1 << 40), None);
        let pieces = [None, Some(10), Some(50_000), Some(1 << 40)].map(|rate| Pace::new(rate).piece(1 << 20));
        assert_eq!(pieces, [1 << 20, 1024, 50_000, 1 << 20], "however slow, something moves");
        assert_eq!(Pace::new(Some(0)).due(1 << 40), None);
    }

    /// Whoever has all bytes may say so at once, and must not be heard before our own count.
    #[tokio::test]
    async fn the_last_bytes_are_told_before_they_go_out() {
        for size in [1, 4096, 4097, 300_000] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), vec![7; size]).unwrap();
            let gift = Gift {
                from: FileFrom::Path(file.path().to_owned()),
                stamp: Some(FileStamp::of(&file.as_file().metadata().unwrap())),
                file: FileMetadata::default(),
                size: size as u64,
                digests: DigestSet::default(),
                reach: Reach::Direct,
                rate: None,
                share: None,
            };
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let (out, into) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
            let (reports, mut told) = mpsc::channel(64);
            let content = ContentId { creator: Creator::Initiator, name: "file".to_owned() };
            let (writer, store, held) = (Writer::socket(out.unwrap()), Store::in_memory().unwrap(), watch::channel(false).1);
            let give = Give { writer, gift, span: Span::default(), store, hasher: None, piece: 64 * 1024, held };
            let _pump = give.start(Reporter { content, pump: 1, reports });
            into.unwrap().0.read_exact(&mut vec![0; size]).await.unwrap();
            let told = std::iter::from_fn(|| told.try_recv().ok());
            let sent: u64 = told.map(|report| if let Moved::Sent(bytes) = report.what { bytes } else { 0 }).sum();
            assert_eq!(sent, size as u64);
        }
    }
}
