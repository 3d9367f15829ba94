//! The person, or the system, wants this program to end. Whoever has something to put in order waits for [`interrupted`];
//! everything else is dropped where it stands, which loses nothing: what is written is written whole. A second ^C ends all at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How many times this program was asked to end.
static ASKED: OnceLock<watch::Receiver<u32>> = OnceLock::new();
/// Somebody is putting things in order.
static HEARD: AtomicBool = AtomicBool::new(false);

/// Begins to listen for ^C and SIGTERM; needs a tokio runtime. Without handlers the system ends us as it always does.
pub(crate) fn listen() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else { return };
    let (asked, receiver) = watch::channel(0);
    if ASKED.set(receiver).is_ok() {
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                asked.send_modify(|times| *times += 1);
            }
        });
    }
}

/// Returns when this program is asked to end; from then on the caller has the time it needs.
pub(crate) async fn interrupted() {
    asked_times(1).await;
    HEARD.store(true, Ordering::Relaxed);
}

/// Returns when this program must end now: nobody puts anything in order, or the person asked twice.
pub(crate) async fn out_of_patience() {
    asked_times(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    if HEARD.load(Ordering::Relaxed) {
        asked_times(2).await;
    }
}

async fn asked_times(times: u32) {
    let Some(asked) = ASKED.get() else { return std::future::pending().await };
    if asked.clone().wait_for(|asked| *asked >= times).await.is_err() {
        std::future::pending().await
    }
}
