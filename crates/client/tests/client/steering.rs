//! Pause, go on, stop, throw away; and no more fetches at once than may be.

use std::time::Duration;

use balcony_client::{Decision, FetchEvent, FetchProgress, SharedFile, Wish};
use balcony_store::OfferState;
use testing_peers::web::{Manner, Web};

use crate::fetching::{Desk, SIZE, open_policy, read};
use crate::scene::noise;

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

async fn begin(desk: &Desk) -> FetchProgress {
    let wish = Wish { asked: true, ..Wish::default() };
    let Decision::Fetch(plan) = desk.fetcher.decide(&desk.offer, &open_policy(), wish).await.unwrap() else { panic!() };
    desk.fetcher.fetch(&desk.offer, plan).progress()
}

async fn next(progress: &mut FetchProgress) -> FetchEvent {
    tokio::time::timeout(PATIENCE, progress.next()).await.expect("nothing happens").expect("it is not over")
}

async fn wait_for(progress: &mut FetchProgress, is_it: impl Fn(&FetchEvent) -> bool) -> FetchEvent {
    loop {
        let event = next(progress).await;
        if is_it(&event) {
            return event;
        }
        assert!(!matches!(event, FetchEvent::Ended(_) | FetchEvent::Stopped { .. }), "{event:?}");
    }
}

async fn staged(desk: &Desk, bytes: u64) {
    while desk.staged() < bytes {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn file(progress: &mut FetchProgress) -> SharedFile {
    match wait_for(progress, |event| matches!(event, FetchEvent::Ended(_))).await {
        FetchEvent::Ended(done) => done.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pause_closes_the_connection_and_going_on_asks_for_the_next_byte() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Stalls(100_000), Manner::Good]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    let mut progress = begin(&desk).await;
    staged(&desk, 100_000).await;
    progress.pause();
    wait_for(&mut progress, |event| matches!(event, FetchEvent::Paused)).await;
    assert_eq!(web.asked().len(), 1);
    progress.resume();
    progress.resume();
    assert_eq!(read(&file(&mut progress).await), bytes);
    assert_eq!(web.asked(), [None, Some("bytes=100000-".to_owned())]);
    assert!(progress.next().await.is_none());
}

#[tokio::test]
async fn what_is_cancelled_is_kept_and_waits_for_the_person() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Stalls(100_000), Manner::Good]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    let mut progress = begin(&desk).await;
    staged(&desk, 100_000).await;
    progress.cancel();
    let last = wait_for(&mut progress, |event| matches!(event, FetchEvent::Stopped { .. })).await;
    assert!(matches!(last, FetchEvent::Stopped { kept: 100_000 }), "{last:?}");
    assert_eq!((desk.staged(), desk.state()), (100_000, OfferState::Asking));
    assert!(progress.next().await.is_none());
    assert_eq!(read(&desk.fetch().await.unwrap()), bytes);
    assert_eq!(web.asked(), [None, Some("bytes=100000-".to_owned())]);
}

#[tokio::test]
async fn what_is_discarded_is_gone_while_it_is_fetched_and_afterwards() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Stalls(100_000), Manner::Stalls(50_000), Manner::Good]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    let mut progress = begin(&desk).await;
    staged(&desk, 100_000).await;
    progress.discard();
    let last = wait_for(&mut progress, |event| matches!(event, FetchEvent::Stopped { .. })).await;
    assert!(matches!(last, FetchEvent::Stopped { kept: 0 }), "{last:?}");
    assert_eq!((desk.staged(), desk.state()), (0, OfferState::Asking));
    let mut progress = begin(&desk).await;
    staged(&desk, 50_000).await;
    assert!(desk.fetcher.discard(desk.offer.key()).await.is_err(), "somebody is at it");
    progress.cancel();
    wait_for(&mut progress, |event| matches!(event, FetchEvent::Stopped { .. })).await;
    assert_eq!(desk.fetcher.discard(desk.offer.key()).await.unwrap(), 50_000);
    assert_eq!((desk.staged(), desk.fetcher.discard(desk.offer.key()).await.unwrap()), (0, 0));
    assert_eq!(read(&desk.fetch().await.unwrap()), bytes);
    assert_eq!(web.asked(), [None, None, None]);
}

/// The third waits until one of two has ended or makes room by a pause; who waits can be stopped as well.
#[tokio::test]
async fn no_more_are_fetched_at_once_than_may_be() {
    let files: Vec<Vec<u8>> = (1..=4).map(|n| noise(SIZE + n)).collect();
    // The first two hold their places until they are told otherwise.
    let webs: Vec<Web> = (files.iter().enumerate())
        .map(|(n, file)| if n < 2 { Web::new(file, [Manner::Stalls(1000), Manner::Good]) } else { Web::new(file, [Manner::Good]) })
        .collect();
    let store = balcony_store::Store::in_memory().unwrap();
    let mut desks = Vec::new();
    for (n, (file, web)) in files.iter().zip(&webs).enumerate() {
        let name = format!("{n}.bin");
        desks.push(Desk::in_store(store.clone(), file, &[web.url()], |file| file.id = name).await);
    }
    desks[0].fetcher.set_at_once(2);
    let fetcher = desks[0].fetcher.clone();
    for desk in &mut desks {
        desk.fetcher = fetcher.clone();
    }
    let asked = || webs.iter().map(|web| web.asked().len()).collect::<Vec<_>>();
    let mut first = begin(&desks[0]).await;
    let mut second = begin(&desks[1]).await;
    wait_for(&mut first, |event| matches!(event, FetchEvent::Asking { .. })).await;
    wait_for(&mut second, |event| matches!(event, FetchEvent::Asking { .. })).await;
    let mut third = begin(&desks[2]).await;
    wait_for(&mut third, |event| matches!(event, FetchEvent::Waiting)).await;
    let mut fourth = begin(&desks[3]).await;
    wait_for(&mut fourth, |event| matches!(event, FetchEvent::Waiting)).await;
    fourth.cancel();
    assert!(matches!(next(&mut fourth).await, FetchEvent::Stopped { kept: 0 }));
    assert_eq!(asked()[2..], [0, 0]);
    first.pause();
    wait_for(&mut third, |event| matches!(event, FetchEvent::Asking { .. })).await;
    first.resume();
    assert_eq!(read(&file(&mut third).await), files[2]);
    assert_eq!(read(&file(&mut first).await), files[0]);
    second.pause();
    second.resume();
    assert_eq!(read(&file(&mut second).await), files[1]);
    assert_eq!(asked()[3], 0);
}

/// What an earlier try left is read again before anything is asked for. That may take minutes: whoever watches sees it, and is heard.
#[tokio::test]
async fn orders_are_heard_while_what_is_there_is_read_again() {
    let bytes = noise(24 << 20);
    let web = Web::new(&bytes, [Manner::Breaks(23 << 20), Manner::Status(503), Manner::Status(503), Manner::Status(503), Manner::Good]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    desk.fetch().await.unwrap_err();
    let (there, asked) = (desk.staged(), web.asked().len());
    assert!(there > 20 << 20, "{there}");
    let is_asked = |event: &FetchEvent| matches!(event, FetchEvent::Asking { .. });
    let mut progress = begin(&desk).await;
    progress.cancel();
    let last = wait_for(&mut progress, |event| matches!(event, FetchEvent::Stopped { .. }) || is_asked(event)).await;
    assert!(matches!(last, FetchEvent::Stopped { kept } if kept == there), "{last:?}");
    assert_eq!((desk.staged(), web.asked().len()), (there, asked));

    let mut progress = begin(&desk).await;
    progress.pause();
    let read = wait_for(&mut progress, |event| matches!(event, FetchEvent::Rereading(_)) || is_asked(event)).await;
    assert!(matches!(read, FetchEvent::Rereading(progress) if progress.total == Some(there)), "{read:?}");
    let paused = wait_for(&mut progress, |event| matches!(event, FetchEvent::Paused) || is_asked(event)).await;
    assert!(matches!(paused, FetchEvent::Paused), "{paused:?}");
    progress.resume();
    progress.discard();
    wait_for(&mut progress, |event| matches!(event, FetchEvent::Stopped { kept: 0 })).await;
    assert_eq!((desk.staged(), web.asked().len()), (0, asked));
}
