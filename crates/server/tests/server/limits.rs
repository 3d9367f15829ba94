//! One client cannot harm the others: floods, clients that do not read, too many sessions.

use std::time::Duration;

use crate::house::{house, house_with};
use crate::peer::{body, condition};

/// Neither reads while it writes, far beyond what mailboxes and sockets hold.
#[tokio::test]
async fn two_clients_that_flood_each_other_lose_nothing() {
    const COUNT: usize = 400;
    let house = house_with(|settings| settings.limits.mailbox_bytes = 64 * 1024).await;
    let romeo = house.online("romeo", "balcony").await;
    let juliet = house.online("juliet", "chamber").await;
    let flood = |mut peer: crate::peer::Peer, to: &'static str| async move {
        let text = "x".repeat(20_000);
        let mut next = 0;
        for n in 0..COUNT {
            peer.send(&format!("<message type='chat' id='{n}' to='{to}'><body>{text}</body></message>")).await;
            // Reads less than it writes, so that both sides fill up.
            if n % 2 == 0 {
                let came = peer.until(|element| element.name() == "message").await;
                assert_eq!(came.attr("id"), Some(next.to_string().as_str()));
                next += 1;
            }
        }
        while next < COUNT {
            let came = peer.until(|element| element.name() == "message").await;
            assert_eq!((came.attr("type"), came.attr("id")), (Some("chat"), Some(next.to_string().as_str())));
            next += 1;
        }
    };
    tokio::join!(flood(romeo, "juliet@localhost/chamber"), flood(juliet, "romeo@localhost/balcony"));
}

#[tokio::test]
async fn who_does_not_read_is_dropped_and_its_senders_are_told() {
    let house = house_with(|settings| {
        settings.limits.mailbox_bytes = 64 * 1024;
        settings.limits.slow_reader = Duration::from_secs(2);
        settings.limits.delivery_deadline = Duration::from_millis(100);
        settings.limits.offline_messages = 1;
    })
    .await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut deaf = house.online("juliet", "chamber").await;
    let text = "x".repeat(200_000);
    let mut errors = Vec::new();
    // More than loopback sockets hold; then until the deaf one is gone and the store is full as well.
    for n in 0..400 {
        romeo.send(&format!("<message type='chat' id='{n}' to='juliet@localhost'><body>{text}</body></message>")).await;
        for element in romeo.settle().await {
            if element.name() == "message" {
                errors.push((n, condition(&element).to_owned()));
            }
        }
        if errors.iter().any(|(_, condition)| condition == "service-unavailable") {
            break;
        }
    }
    assert!(errors.iter().any(|(_, condition)| condition == "resource-constraint"), "{errors:?}");
    assert!(errors.iter().any(|(_, condition)| condition == "service-unavailable"), "{errors:?}");
    while let Some(frame) = deaf.frame().await {
        drop(frame);
    }
    romeo.log_out().await;
}

#[tokio::test]
async fn an_account_has_so_many_sessions_and_no_more() {
    let house = house_with(|settings| settings.limits.sessions_per_account = 2).await;
    let first = house.login("romeo", "1").await;
    let _second = house.login("romeo", "2").await;
    let mut third = house.stranger().await;
    third.log_in("romeo", "romeo").await;
    assert_eq!(condition(&third.try_bind("3").await), "resource-constraint");
    first.log_out().await;
    // The place is free once the server has noticed.
    while third.try_bind("3").await.attr("type") != Some("result") {
        tokio::task::yield_now().await;
    }
    house.login("juliet", "1").await.log_out().await;
}

#[tokio::test]
async fn many_clients_come_and_go_at_once() {
    let house = house().await;
    let one = async |n: usize| {
        let mut peer = house.online(["romeo", "juliet", "nurse"][n % 3], &format!("r{n}")).await;
        let to = peer.jid.clone();
        peer.send(&format!("<message type='chat' to='{to}'><body>{n}</body></message>")).await;
        let came = peer.until(|element| element.name() == "message").await;
        assert_eq!(body(&came), Some(n.to_string()));
        if n.is_multiple_of(2) { peer.log_out().await } else { peer.cut() }
    };
    futures_util::future::join_all((0..30).map(one)).await;
}
