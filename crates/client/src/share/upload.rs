//! One upload: the driver of [`UploadJob`].
//!
//! XEP-0363 HTTP file upload, v1.2.0 <https://xmpp.org/extensions/xep-0363.html>
//! Status: partial: purposes other than `message` are not asked for.

use std::time::{Duration, Instant, SystemTime};

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::transfer::upload::{Action, NoSlot, Put, PutFailure, Service, UploadError, UploadJob, UploadTask, Uploaded, pause};
use balcony_sharing::verify::{Hashed, Hasher, SHARED_ALGOS};
use balcony_wire::http_upload::SlotRequest;
use balcony_wire::{Element, Jid};
use futures_util::future::BoxFuture;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};
use url::Url;

use super::ShareEvent;
use super::looked_at::LookedAt;
use crate::account::Account;
use crate::blocking::blocking;
use crate::events::Events;
use crate::http::put::{PutDone, put};
use crate::net::connector::Moved;

/// How long a service may take to give a slot.
const SLOT: Duration = Duration::from_secs(30);
/// How often it is asked for one, if it names a time to ask again.
const ASKED: u32 = 3;
/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(100);

/// A PUT under way.
struct Running {
    done: BoxFuture<'static, Result<PutDone, PutFailure>>,
    moved: Moved,
    size: u64,
}

/// An upload that is about to begin. Looks at limits; fails before a byte is read if it is plain already that nobody takes the file.
pub(super) fn begin(looked: &LookedAt, services: Vec<Service>, loopback_http: bool) -> Result<UploadJob, UploadError> {
    let request =
        SlotRequest { filename: looked.name.clone(), size: looked.size, content_type: Some(looked.media_type.to_string()), purpose: None };
    UploadJob::new(UploadTask { services, request, loopback_http })
}

/// Uploads a file; with `hashes` the digests are taken on the way. Dropping the future closes the connection; the
/// service then has nothing that anybody can fetch.
pub(super) async fn upload(
    account: &Account,
    mut job: UploadJob,
    looked: &LookedAt,
    hashes: bool,
    position: usize,
    events: &mut Events<ShareEvent>,
) -> Result<(Uploaded, Option<Hashed>), UploadError> {
    let mut running: Option<Running> = None;
    let mut hashed = None;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        while let Some(action) = job.poll_action() {
            match action {
                Action::AskForSlot { service, payload } => {
                    let answer = ask(account, service, payload, position, events).await;
                    job.handle_slot(Instant::now(), answer);
                }
                Action::Put(put) => {
                    let host = put.url.host_str().unwrap_or_default().to_owned();
                    account.learn_own(&put.url).await;
                    events.tell(ShareEvent::Uploading { position, host, size: put.size }).await;
                    running = Some(start(account, put, looked, hashes));
                }
                Action::Abandon => running = None,
                Action::Learned { service, max_file_size } => account.learn_limit(&service, max_file_size),
                Action::Ended(Ok(uploaded)) => {
                    if let Ok(url) = Url::parse(&uploaded.get_url) {
                        account.learn_own(&url).await;
                    }
                    return Ok((uploaded, hashed));
                }
                Action::Ended(Err(error)) => return Err(error),
            }
        }
        let deadline = job.deadline().unwrap_or_else(|| Instant::now() + SLOT);
        let Some(put) = &mut running else {
            // Nothing runs, so only time can help.
            sleep_until(deadline.into()).await;
            job.handle_timeout(Instant::now());
            continue;
        };
        tokio::select! {
            done = &mut put.done => {
                running = None;
                match done {
                    Ok(done) => {
                        hashed = done.hashed;
                        job.handle_answer(done.status);
                    }
                    Err(failure) => job.handle_failure(failure),
                }
            }
            _ = tick.tick() => {
                let sent = put.moved.bytes().min(put.size);
                job.handle_progress(Instant::now(), sent);
                events.bytes(|| ShareEvent::Progress { position, sent, size: put.size });
            }
            () = sleep_until(deadline.into()) => job.handle_timeout(Instant::now()),
        }
    }
}

/// Asks for a slot, and again at the time that the service names, if that is soon.
async fn ask(
    account: &Account,
    service: Jid,
    payload: Element,
    position: usize,
    events: &Events<ShareEvent>,
) -> Result<Option<Element>, NoSlot> {
    for _ in 1..ASKED {
        let refusal = match ask_once(account, &service, &payload, position, events).await {
            Ok(slot) => return Ok(slot),
            Err(refusal) => refusal,
        };
        let Some(pause) = pause(&refusal, SystemTime::now()) else { return Err(refusal) };
        events.tell(ShareEvent::Pausing { position, service: service.clone(), pause }).await;
        sleep(pause).await;
    }
    ask_once(account, &service, &payload, position, events).await
}

async fn ask_once(
    account: &Account,
    service: &Jid,
    payload: &Element,
    position: usize,
    events: &Events<ShareEvent>,
) -> Result<Option<Element>, NoSlot> {
    events.tell(ShareEvent::AskingForSlot { position, service: service.clone() }).await;
    account.request(Some(service.clone()), Ask::Get(payload.clone()), SLOT).await.map_err(no_slot)
}

fn start(account: &Account, request: Put, looked: &LookedAt, hashes: bool) -> Running {
    let (network, store, looked) = (account.network().clone(), account.store().clone(), looked.clone());
    let hasher = hashes.then(|| Hasher::new(SHARED_ALGOS));
    let (moved, size) = (Moved::default(), request.size);
    let counted = moved.clone();
    let done = Box::pin(async move {
        let input = blocking(move || looked.open(&store)).await.map_err(|error| PutFailure::Unreadable(error.to_string()))?;
        put(&request, input, hasher, &network, counted).await
    });
    Running { done, moved, size }
}

fn no_slot(error: RequestError) -> NoSlot {
    match error {
        RequestError::Refused { error, .. } => NoSlot::Refused(error),
        other => NoSlot::Silent(other.to_string()),
    }
}

/// What the account's server offers, with the limits that refusals taught since.
pub(super) fn services(account: &Account, found: &[crate::account::UploadService]) -> Vec<Service> {
    let limit = |jid: &Jid, announced: Option<u64>| match (announced, account.learned_limit(jid)) {
        (Some(announced), Some(learned)) => Some(announced.min(learned)),
        (announced, learned) => announced.or(learned),
    };
    found.iter().map(|service| Service { jid: service.jid.clone(), max_file_size: limit(&service.jid, service.max_file_size) }).collect()
}
