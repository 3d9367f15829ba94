//! A stream that runs: bytes in both directions, each with its own end, until both are over or nothing moves any more.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::pipe::{Carrier, MOST};
use super::shares::Pace;

/// What a stream has to keep to.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    /// Without a byte in either direction for that long it is over.
    pub(super) idle: Duration,
    /// A side that takes nothing of what is there for it for that long ends it.
    pub(super) stall: Duration,
    pub(super) pace: &'a Pace,
    /// What to carry bytes in.
    pub(super) carrier: fn() -> Carrier,
}

/// Why a stream is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("both sides are done")]
    Done,
    #[error("the connection of one side broke: {0}")]
    Broken(io::Error),
    #[error("nothing was sent for a long time")]
    Idle,
    #[error("one side takes nothing")]
    Stalled,
}

/// How much one direction has carried.
#[derive(Debug, Default)]
struct Flow {
    taken: AtomicU64,
    given: AtomicU64,
}

impl Flow {
    fn counts(&self) -> (u64, u64) {
        (self.taken.load(Ordering::Relaxed), self.given.load(Ordering::Relaxed))
    }
}

/// Runs to the end; how many bytes were carried, and why it is over. Both connections are closed then.
pub(super) async fn relay(one: TcpStream, other: TcpStream, terms: Terms<'_>) -> (u64, End) {
    for stream in [&one, &other] {
        let _ = stream.set_nodelay(true);
    }
    let flows = [Flow::default(), Flow::default()];
    let ((one_reads, one_writes), (other_reads, other_writes)) = (one.into_split(), other.into_split());
    let both =
        async { tokio::try_join!(carry(&one_reads, other_writes, &flows[0], &terms), carry(&other_reads, one_writes, &flows[1], &terms)) };
    let end = tokio::select! {
        carried = both => match carried {
            Ok(((), ())) => End::Done,
            Err(error) => End::Broken(error),
        },
        end = watch(&flows, &terms) => end,
    };
    let carried = flows.iter().map(|flow| flow.counts().1).sum();
    (carried, end)
}

/// One direction. Its end is passed on by closing that half of the other connection.
async fn carry(from: &OwnedReadHalf, to: OwnedWriteHalf, flow: &Flow, terms: &Terms<'_>) -> io::Result<()> {
    let from: &TcpStream = from.as_ref();
    // A direction in which nothing is said costs nothing.
    from.readable().await?;
    let mut carrier = (terms.carrier)();
    let piece = terms.pace.piece(MOST);
    loop {
        let mut held = carrier.fill(from, piece).await?;
        if held == 0 {
            return Ok(());
        }
        flow.taken.fetch_add(held as u64, Ordering::Relaxed);
        let wait = terms.pace.carried(Instant::now(), held);
        while held > 0 {
            let given = carrier.empty(to.as_ref()).await?;
            flow.given.fetch_add(given as u64, Ordering::Relaxed);
            held -= given;
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Looks now and then whether something moves.
async fn watch(flows: &[Flow; 2], terms: &Terms<'_>) -> End {
    let every = (terms.idle.min(terms.stall) / 4).max(Duration::from_millis(5));
    let mut watcher = Watcher::new(Instant::now(), terms.idle, terms.stall);
    loop {
        tokio::time::sleep(every).await;
        if let Some(end) = watcher.look(Instant::now(), [flows[0].counts(), flows[1].counts()]) {
            return end;
        }
    }
}

/// Judges what it sees at each look.
#[derive(Debug)]
struct Watcher {
    idle: Duration,
    stall: Duration,
    /// Taken and given in each direction at the last look, and since when what was given has not changed.
    seen: [((u64, u64), Instant); 2],
    moved: Instant,
}

impl Watcher {
    fn new(now: Instant, idle: Duration, stall: Duration) -> Self {
        Self { idle, stall, seen: [((0, 0), now); 2], moved: now }
    }

    fn look(&mut self, now: Instant, counts: [(u64, u64); 2]) -> Option<End> {
        let mut stalled = false;
        for ((seen, since), count) in self.seen.iter_mut().zip(counts) {
            if *seen != count {
                self.moved = now;
            }
            let (taken, given) = count;
            // Whoever took something, or had nothing to take, begins anew.
            if given != seen.1 || taken == given || seen.0 == seen.1 {
                *since = now;
            }
            *seen = count;
            stalled |= now.duration_since(*since) >= self.stall;
        }
        if stalled {
            Some(End::Stalled)
        } else if now.duration_since(self.moved) >= self.idle {
            Some(End::Idle)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_stream_is_idle_when_nothing_moves_in_either_direction() {
        let start = Instant::now();
        let mut watcher = Watcher::new(start, 10 * SECOND, 5 * SECOND);
        assert!(watcher.look(start + 9 * SECOND, [(0, 0), (0, 0)]).is_none());
        assert!(watcher.look(start + 9 * SECOND, [(1, 1), (0, 0)]).is_none());
        assert!(watcher.look(start + 18 * SECOND, [(1, 1), (0, 0)]).is_none());
        assert!(watcher.look(start + 18 * SECOND, [(1, 1), (7, 7)]).is_none());
        assert!(matches!(watcher.look(start + 28 * SECOND, [(1, 1), (7, 7)]), Some(End::Idle)));
    }

    #[test]
    fn a_side_that_takes_nothing_of_what_is_there_stalls_the_stream_even_if_the_other_goes_on() {
        let start = Instant::now();
        let mut watcher = Watcher::new(start, 100 * SECOND, 5 * SECOND);
        for n in 0..4 {
            assert!(watcher.look(start + u32::try_from(n).unwrap() * SECOND, [(50, 20), (n, n)]).is_none(), "{n}");
        }
        // It takes a little: that is slow, not stalled.
        assert!(watcher.look(start + 5 * SECOND, [(50, 30), (9, 9)]).is_none());
        assert!(watcher.look(start + 9 * SECOND, [(50, 30), (10, 10)]).is_none());
        assert!(matches!(watcher.look(start + 10 * SECOND, [(50, 30), (11, 11)]), Some(End::Stalled)));
    }

    #[test]
    fn a_direction_that_is_empty_does_not_stall() {
        let start = Instant::now();
        let mut watcher = Watcher::new(start, 100 * SECOND, 5 * SECOND);
        assert!(watcher.look(start + 90 * SECOND, [(50, 50), (0, 0)]).is_none());
        assert!(watcher.look(start + 91 * SECOND, [(60, 50), (0, 0)]).is_none());
        assert!(watcher.look(start + 95 * SECOND, [(60, 50), (0, 0)]).is_none());
        assert!(matches!(watcher.look(start + 96 * SECOND, [(60, 50), (0, 0)]), Some(End::Stalled)));
    }
}
