//! PUT: from the connection to the disk, two halves taking turns, so neither waits for the other longer than it must.

use std::io::{self, IoSlice, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming as Body};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use hyper::{Request, Response, StatusCode};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::folder::Incoming;
use super::http::{Target, status};
use super::token::Grant;
use super::{Uploads, blocking, media_type, unix_now};
use crate::http::Answer;
use crate::refusal::{Reason, Refusal};

/// Bytes that are written to the disk at a time.
const BATCH: usize = 512 * 1024;
/// After so many bytes the disk is told to begin for good, or all of them wait for the end.
const SYNC_EVERY: u64 = 32 << 20;
/// Slower than that on the whole, the first minute apart, is an attack or hopeless.
const SLOWEST: u64 = 1024;
/// What a refused client may still send so that it reads the answer.
const DRAIN: usize = 4 << 20;

impl Uploads {
    pub(super) async fn put(&self, target: Target, request: Request<Body>) -> Result<Response<Answer>, Refusal> {
        let checked = self.check(&target, &request);
        let (grant, busy) = match checked {
            Ok(checked) => checked,
            Err(reason) => {
                // Who does not ask first (Expect) sends all of it before reading the answer.
                if !request.headers().contains_key(EXPECT) {
                    drain(request.into_body(), self.stall()).await;
                }
                return Err(reason.into());
            }
        };
        let (folder, object) = (self.folder.clone(), target.object.clone());
        let incoming = blocking(move || folder.begin(&object, grant.size)).await.map_err(disk)?;
        let incoming = receive(request.into_body(), grant.size, incoming, self.stall()).await?;
        let (folder, object) = (self.folder.clone(), target.object.clone());
        blocking(move || folder.finish(incoming, &object)).await.map_err(disk)?;
        if !self.ledger.stored(target.object.clone()).await? {
            tracing::error!("an upload has a good slot that was never written down");
            let (folder, object) = (self.folder.clone(), target.object);
            blocking(move || folder.remove(&object)).await.map_err(disk)?;
            return Err(Reason::Broken.into());
        }
        drop(busy);
        Ok(status(StatusCode::CREATED, Answer::Empty))
    }

    /// Everything that can be known before the first byte of the body.
    fn check(&self, target: &Target, request: &Request<Body>) -> Result<(Grant, super::Busy<'_>), Reason> {
        let token = target.token.as_deref().ok_or(Reason::BadSlot)?;
        let grant = self.signer.check(&target.object, &target.name, token).ok_or(Reason::BadSlot)?;
        if grant.ends < unix_now() {
            return Err(Reason::SlotEnded);
        }
        let length = request.headers().get(CONTENT_LENGTH).ok_or(Reason::NoLength)?;
        let length: u64 = length.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Reason::Malformed)?;
        if length != grant.size || request.body().size_hint().exact() != Some(length) {
            return Err(Reason::OtherLength);
        }
        let told = request.headers().get(CONTENT_TYPE).map(|told| told.to_str().unwrap_or_default());
        if let (Some(granted), Some(told)) = (&grant.media_type, told)
            && !media_type::same(granted, told)
        {
            return Err(Reason::OtherType);
        }
        let busy = self.occupy(&target.object).ok_or(Reason::SlotUsed)?;
        if self.folder.holds(&target.object) {
            return Err(Reason::SlotUsed);
        }
        Ok((grant, busy))
    }
}

fn disk(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::DiskFull.into(),
        io::ErrorKind::AlreadyExists => Reason::SlotUsed.into(),
        _ => {
            tracing::error!(%error, "an upload cannot be written");
            Reason::Broken.into()
        }
    }
}

/// Takes exactly `size` bytes.
async fn receive(mut body: Body, size: u64, incoming: Incoming, stall: Duration) -> Result<Incoming, Refusal> {
    let begun = Instant::now();
    let mut pipe = Pipe::new(&incoming);
    let mut received = 0;
    loop {
        let frame = tokio::time::timeout(stall, body.frame()).await.map_err(|_| Reason::TooSlow)?;
        let frame = match frame {
            None => break,
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                tracing::debug!(%error, "an upload broke off");
                return Err(Reason::ShortBody.into());
            }
        };
        let Ok(bytes) = frame.into_data() else { continue };
        received += bytes.len() as u64;
        if received > size {
            return Err(Reason::OtherLength.into());
        }
        let allowed = Duration::from_secs(60 + received / SLOWEST);
        if begun.elapsed() > allowed {
            return Err(Reason::TooSlow.into());
        }
        pipe.push(bytes).await.map_err(disk)?;
    }
    if received != size {
        return Err(Reason::ShortBody.into());
    }
    pipe.finish().await.map_err(disk)?;
    Ok(incoming)
}

/// Collects a batch while the one before is written.
struct Pipe {
    file: Arc<std::fs::File>,
    batch: Vec<Bytes>,
    collected: usize,
    writing: Option<JoinHandle<io::Result<()>>>,
    unsynced: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl Pipe {
    fn new(incoming: &Incoming) -> Self {
        Self { file: incoming.file.clone(), batch: Vec::new(), collected: 0, writing: None, unsynced: 0, syncing: None }
    }

    async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        self.collected += bytes.len();
        self.batch.push(bytes);
        if self.collected >= BATCH { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> io::Result<()> {
        self.written().await?;
        let (file, batch) = (self.file.clone(), std::mem::take(&mut self.batch));
        self.unsynced += std::mem::take(&mut self.collected) as u64;
        self.writing = Some(tokio::task::spawn_blocking(move || write_all(&file, &batch)));
        if self.unsynced >= SYNC_EVERY && self.syncing.as_ref().is_none_or(JoinHandle::is_finished) {
            self.synced().await?;
            self.unsynced = 0;
            let file = self.file.clone();
            self.syncing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    async fn written(&mut self) -> io::Result<()> {
        match self.writing.take() {
            Some(writing) => writing.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }

    async fn synced(&mut self) -> io::Result<()> {
        match self.syncing.take() {
            Some(syncing) => syncing.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }

    async fn finish(mut self) -> io::Result<()> {
        self.write().await?;
        self.written().await?;
        self.synced().await
    }
}

fn write_all(mut file: &std::fs::File, batch: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = batch.iter().map(|bytes| IoSlice::new(bytes.chunk())).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Swallows a little of a body that is refused.
async fn drain(mut body: Body, patience: Duration) {
    let swallow = async {
        let mut left = DRAIN;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(patience.min(Duration::from_secs(2)), swallow).await;
}
