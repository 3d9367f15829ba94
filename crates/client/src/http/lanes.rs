//! Hashes on threads of their own: one for each digest, fed with the same shared bytes that go to the socket or the disk.

use balcony_sharing::verify::{Hashed, Hasher, Lane, UnevenLanes};
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// Pieces that may wait for a hasher: it bounds memory and lets one digest run a little behind the other.
const WAITING: usize = 8;

/// Hashers at work. Dropping it lets them end by themselves.
pub(crate) struct Lanes {
    inputs: Vec<Sender<Bytes>>,
    threads: Vec<JoinHandle<Lane>>,
}

/// Why there are no digests.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LanesError {
    /// A thread ended early: a mistake of ours.
    #[error("the hashing of the file broke off")]
    Broken,
    /// They did not all see the same.
    #[error(transparent)]
    Uneven(#[from] UnevenLanes),
}

impl Lanes {
    /// Starts a thread for every digest of the hasher, which may have seen bytes already.
    pub(crate) fn start(hasher: Hasher) -> Self {
        let mut lanes = Self { inputs: Vec::new(), threads: Vec::new() };
        for lane in hasher.lanes() {
            let (input, bytes) = channel(WAITING);
            lanes.inputs.push(input);
            lanes.threads.push(tokio::task::spawn_blocking(move || run(lane, bytes)));
        }
        lanes
    }

    /// The next bytes; waits while a hasher is behind.
    pub(crate) async fn update(&self, bytes: &Bytes) -> Result<(), LanesError> {
        for input in &self.inputs {
            input.send(bytes.clone()).await.map_err(|_| LanesError::Broken)?;
        }
        Ok(())
    }

    /// As [`Lanes::update`], from a thread that may block.
    pub(crate) fn blocking_update(&self, bytes: &Bytes) -> Result<(), LanesError> {
        for input in &self.inputs {
            input.blocking_send(bytes.clone()).map_err(|_| LanesError::Broken)?;
        }
        Ok(())
    }

    /// The digests of all bytes, once every hasher has seen them.
    pub(crate) async fn finish(self) -> Result<Hashed, LanesError> {
        drop(self.inputs);
        let mut lanes = Vec::with_capacity(self.threads.len());
        for thread in self.threads {
            lanes.push(thread.await.map_err(|_| LanesError::Broken)?);
        }
        Ok(Hashed::join(lanes)?)
    }
}

fn run(mut lane: Lane, mut bytes: Receiver<Bytes>) -> Lane {
    while let Some(bytes) = bytes.blocking_recv() {
        lane.update(&bytes);
    }
    lane
}

#[cfg(test)]
mod tests {
    use balcony_sharing::verify::SHARED_ALGOS;

    use super::*;

    #[tokio::test]
    async fn gives_the_same_digests_as_hashing_in_one_go() {
        let mut whole = Hasher::new(SHARED_ALGOS);
        let lanes = Lanes::start(Hasher::new(SHARED_ALGOS));
        for piece in 0..100_u8 {
            let bytes = Bytes::from(vec![piece; 1000 + usize::from(piece)]);
            whole.update(&bytes);
            lanes.update(&bytes).await.unwrap();
        }
        assert_eq!(lanes.finish().await.unwrap(), whole.finish());
    }
}
