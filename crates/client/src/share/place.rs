//! A place for a file: a link of ours that still works, or an upload, with the digests taken on the way.

use std::time::SystemTime;

use balcony_sharing::transfer::upload::UploadError;
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_sharing::{DigestSet, Hashed};
use balcony_store::Link;
use balcony_wire::hashes::HashAlgo;

use super::looked_at::LookedAt;
use super::{ShareError, ShareEvent, reuse, upload};
use crate::account::Account;
use crate::blocking::blocking;
use crate::events::Events;
use crate::http::source::{ReadFailure, Reading};

/// Where a file can be had, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) digests: DigestSet,
    pub(super) size: u64,
    /// `None` for a file without bytes, which needs no place.
    pub(super) url: Option<String>,
}

/// When the digests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digests {
    /// While the file goes up.
    OnTheWay,
    /// Before: they are said before, or an upload of an earlier run may be found by them.
    First,
}

/// Finds or makes a place for a file. Dropping the future ends an upload; what is up by then is found the next time.
pub(super) async fn place(
    account: &Account,
    looked: &LookedAt,
    position: usize,
    when: Digests,
    events: &mut Events<ShareEvent>,
) -> Result<Placed, ShareError> {
    let first = looked.remembered(&SHARED_ALGOS).is_some() || looked.size == 0 || when == Digests::First;
    let known = if first { Some(digests(account, looked, position, events).await?) } else { None };
    // XEP-0363 knows no empty files; their digests say all there is to say.
    if let (0, Some(digests)) = (looked.size, &known) {
        return Ok(Placed { digests: digests.clone(), size: 0, url: None });
    }
    if let Some(digests) = &known
        && let Some(url) = link_of(account, digests, looked.size).await?
    {
        events.tell(ShareEvent::Uploaded { position, url: url.clone() }).await;
        return Ok(Placed { digests: digests.clone(), size: looked.size, url: Some(url) });
    }
    upload_now(account, looked, position, known, events).await
}

/// A link of ours at which a file of these digests is.
pub(super) async fn link_of(account: &Account, digests: &DigestSet, size: u64) -> Result<Option<String>, ShareError> {
    match digests.get(HashAlgo::Sha256) {
        Some(sha256) => Ok(reuse::live_link(account, sha256, size).await?),
        None => Ok(None),
    }
}

async fn upload_now(
    account: &Account,
    looked: &LookedAt,
    position: usize,
    known: Option<DigestSet>,
    events: &mut Events<ShareEvent>,
) -> Result<Placed, ShareError> {
    // Asked for once a connection; another one since may know others.
    let found = account.services().await?;
    let loopback = account.fetcher().rules().loopback_http;
    let job = upload::begin(looked, upload::services(account, &found.uploads), loopback).map_err(|error| not_uploaded(looked, error))?;
    let uploading = upload::upload(account, job, looked, known.is_none(), position, events).await;
    let (uploaded, hashed) = uploading.map_err(|error| not_uploaded(looked, error))?;
    let digests = match (known, hashed) {
        (Some(known), _) => known,
        (None, Some(hashed)) => {
            remember(account, looked, &hashed).await?;
            hashed.digests().clone()
        }
        (None, None) => digests(account, looked, position, events).await?,
    };
    // So that a crash from here on does not upload it again, nor the next sending.
    let (store, link) = (account.store().clone(), link(account, looked, &digests, &uploaded)?);
    blocking(move || store.add_link(&link)).await?;
    events.tell(ShareEvent::Uploaded { position, url: uploaded.get_url.clone() }).await;
    Ok(Placed { digests, size: looked.size, url: Some(uploaded.get_url) })
}

fn link(
    account: &Account,
    looked: &LookedAt,
    digests: &DigestSet,
    uploaded: &balcony_sharing::transfer::upload::Uploaded,
) -> Result<Link, ShareError> {
    Ok(Link {
        account: account.jid().clone(),
        sha256: digests.get(HashAlgo::Sha256).cloned().ok_or(ShareError::Broken)?,
        size: looked.size,
        url: uploaded.get_url.clone(),
        service: uploaded.service.clone(),
        uploaded_at: SystemTime::now(),
        expires_at: None, // XEP-0363 does not tell
    })
}

/// The digests of a file: known from earlier, or by reading it once.
pub(super) async fn digests(
    account: &Account,
    looked: &LookedAt,
    position: usize,
    events: &Events<ShareEvent>,
) -> Result<DigestSet, ShareError> {
    if let Some(remembered) = looked.remembered(&SHARED_ALGOS) {
        return Ok(remembered.clone());
    }
    events.tell(ShareEvent::Hashing { position }).await;
    let hashed = hash(account.store(), looked, SHARED_ALGOS).await?;
    remember(account, looked, &hashed).await?;
    Ok(hashed.digests().clone())
}

async fn remember(account: &Account, looked: &LookedAt, hashed: &Hashed) -> Result<(), ShareError> {
    let Some(stamp) = looked.stamp else { return Ok(()) };
    let (store, kept) = (account.store().clone(), hashed.clone());
    Ok(blocking(move || store.remember_digests(&stamp, &kept, SystemTime::now())).await?)
}

/// Reads a file once for digests.
pub(super) async fn hash(
    store: &balcony_store::Store,
    looked: &LookedAt,
    algos: impl IntoIterator<Item = HashAlgo>,
) -> Result<Hashed, ShareError> {
    let unreadable = |source| ShareError::Unreadable { path: looked.wanted.from.path().to_owned(), source };
    let (store, to_open) = (store.clone(), looked.clone());
    let input = blocking(move || to_open.open(&store)).await.map_err(unreadable)?;
    let (reading, mut pieces) = Reading::start(input, Some(Hasher::new(algos)));
    while pieces.recv().await.is_some() {}
    match reading.finish().await {
        Ok(Some(hashed)) => Ok(hashed),
        Err(ReadFailure::Io(source)) => Err(unreadable(source)),
        Err(ReadFailure::Changed) => Err(not_uploaded(looked, UploadError::FileChanged("it was written to meanwhile".to_owned()))),
        Ok(None) | Err(ReadFailure::Lanes(_) | ReadFailure::Dropped) => Err(ShareError::Broken),
    }
}

pub(super) fn not_uploaded(looked: &LookedAt, source: UploadError) -> ShareError {
    ShareError::Upload { name: looked.name.clone(), source }
}
