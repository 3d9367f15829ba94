//! Who comes to the proxy's port with other things in mind: each has an end, and the streams of others go on.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{House, house, house_with};
use crate::peer::{PATIENCE, condition};
use crate::proxy::{activate, carried, closed, connect_to, dial, dstaddr, running, side};

const ROMEO: &str = "romeo@localhost/balcony";
const JULIET: &str = "juliet@capulet.example/chamber";

/// A stream of romeo works.
async fn served(house: &House) {
    let mut romeo = house.login("romeo", "balcony").await;
    let (mut own, mut other) = running(house, &mut romeo, "served").await;
    carried(&mut own, &mut other, b"all is well").await;
    romeo.log_out().await;
}

#[tokio::test]
async fn who_says_nothing_or_half_of_it_or_something_else_is_cut_off() {
    // Long enough for who says all of it on a busy machine, as somebody does in the end.
    let house = house_with(|settings| settings.proxy.handshake = Duration::from_secs(2)).await;
    let name = dstaddr("s", ROMEO, JULIET);
    let half = [&[5, 1, 0, 5, 1, 0, 3, 40], &name.as_bytes()[..17]].concat();
    let bad = [&b""[..], &[5], &[5, 255, 0], &half, b"GET / HTTP/1.1\r\n\r\n", &[4, 1, 0, 80, 127, 0, 0, 1, 0]].map(async |words| {
        let mut tcp = dial(&house).await;
        tcp.write_all(words).await.unwrap();
        closed(&mut tcp).await;
    });
    futures_util::future::join_all(bad).await;
    let mut dripping = dial(&house).await;
    let began = Instant::now();
    for byte in [5, 255].into_iter().chain(std::iter::repeat_n(0, 255)).chain(half.iter().copied()) {
        if dripping.write_all(&[byte]).await.is_err() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "a handshake that drips is waited for without end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    served(&house).await;
}

#[tokio::test]
async fn who_connects_and_is_never_called_goes_after_a_while() {
    let house = house_with(|settings| settings.proxy.waiting = Duration::from_secs(2)).await;
    let mut romeo = house.login("romeo", "balcony").await;
    let mut alone = side(&house, "s", ROMEO, JULIET).await;
    closed(&mut alone).await;
    assert_eq!(condition(&activate(&mut romeo, "s", JULIET).await), "item-not-found");
    drop(romeo);
    served(&house).await;
}

#[tokio::test]
async fn a_third_connection_to_a_stream_is_refused_before_and_after_activation() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let mut own = side(&house, "s", ROMEO, JULIET).await;
    let mut other = side(&house, "s", ROMEO, JULIET).await;
    for activated in [false, true] {
        if activated {
            assert_eq!(activate(&mut romeo, "s", JULIET).await.attr("type"), Some("result"));
        }
        let (mut third, answer) = connect_to(&house, &dstaddr("s", ROMEO, JULIET)).await;
        assert_eq!(answer[1], 2, "not allowed: {answer:?}");
        third.write_all(b"let me in").await.ok();
        closed(&mut third).await;
    }
    carried(&mut own, &mut other, b"only for us two").await;
}

/// One that goes on sending before it is called wants memory, not a stream.
#[tokio::test]
async fn a_flood_before_activation_ends_its_sender_and_the_stream_is_not_begun() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let mut flood = side(&house, "s", ROMEO, JULIET).await;
    let mut other = side(&house, "s", ROMEO, JULIET).await;
    let began = Instant::now();
    while flood.write_all(&[b'x'; 65_536]).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "a flood is read without end");
    }
    assert_eq!(condition(&activate(&mut romeo, "s", JULIET).await), "not-allowed");
    // The address is free again for the one who was meant.
    let mut own = side(&house, "s", ROMEO, JULIET).await;
    assert_eq!(activate(&mut romeo, "s", JULIET).await.attr("type"), Some("result"));
    carried(&mut own, &mut other, b"the file").await;
}

/// Its sender is held back, what waits is bounded, and after a while both are told by the end of their connection.
#[tokio::test]
async fn a_side_that_reads_nothing_ends_its_stream_and_no_other() {
    let house = house_with(|settings| settings.proxy.stall = Duration::from_millis(400)).await;
    let mut romeo = house.login("romeo", "balcony").await;
    let (mut own, mut deaf) = running(&house, &mut romeo, "deaf").await;
    let (mut good, mut good_end) = running(&house, &mut romeo, "good").await;
    let (mut sent, began) = (0_usize, Instant::now());
    while let Ok(count) = own.write(&[b'x'; 65_536]).await {
        sent += count;
        assert!(sent < 256 << 20, "what nobody reads is taken without end");
        assert!(began.elapsed() < PATIENCE, "a side that reads nothing is waited for without end");
    }
    carried(&mut good, &mut good_end, b"still here").await;
    closed(&mut deaf).await;
}

#[tokio::test]
async fn a_stream_in_which_nothing_happens_is_ended_and_one_in_which_a_little_happens_is_not() {
    let house = house_with(|settings| settings.proxy.idle = Duration::from_secs(2)).await;
    let mut romeo = house.login("romeo", "balcony").await;
    let (mut own, mut other) = running(&house, &mut romeo, "slow").await;
    let (mut silent, mut silent_end) = running(&house, &mut romeo, "silent").await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        carried(&mut own, &mut other, b".").await;
    }
    closed(&mut silent).await;
    closed(&mut silent_end).await;
    carried(&mut other, &mut own, b"thank you").await;
}

#[tokio::test]
async fn a_side_that_breaks_off_takes_the_other_one_along() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let (own, mut other) = running(&house, &mut romeo, "s").await;
    own.set_zero_linger().unwrap();
    drop(own);
    closed(&mut other).await;
}

#[tokio::test]
async fn an_account_has_so_many_streams_and_begins_so_many_in_a_minute() {
    let house = house_with(|settings| {
        settings.proxy.streams_per_account = 2;
        settings.proxy.activations_per_minute = 6;
    })
    .await;
    let mut romeo = house.login("romeo", "balcony").await;
    let _held = (running(&house, &mut romeo, "one").await, running(&house, &mut romeo, "two").await);
    let _waiting = (side(&house, "three", ROMEO, JULIET).await, side(&house, "three", ROMEO, JULIET).await);
    let refused = activate(&mut romeo, "three", JULIET).await;
    assert_eq!(condition(&refused), "resource-constraint");
    assert!(refused.to_xml().contains("too many streams are carried already"), "{}", refused.to_xml());
    for _ in 0..3 {
        activate(&mut romeo, "guess", JULIET).await;
    }
    let refused = activate(&mut romeo, "guess", JULIET).await;
    assert!(refused.to_xml().contains("too many streams were begun"), "{}", refused.to_xml());
    // Somebody else is not concerned.
    let mut nurse = house.login("nurse", "kitchen").await;
    let me = "nurse@localhost/kitchen";
    let (mut own, mut other) = (side(&house, "n", me, JULIET).await, side(&house, "n", me, JULIET).await);
    assert_eq!(activate(&mut nurse, "n", JULIET).await.attr("type"), Some("result"));
    carried(&mut own, &mut other, b"nurse").await;
}

/// More connections than may wait: those beyond are turned away at once, streams that run are not touched, and places come back.
#[tokio::test]
async fn hundreds_of_connections_that_wait_for_nothing_are_bounded() {
    let house = house_with(|settings| {
        settings.proxy.connections_per_address = 40;
        // None of them goes by itself.
        settings.proxy.handshake = 4 * PATIENCE;
    })
    .await;
    let mut romeo = house.login("romeo", "balcony").await;
    let (mut own, mut other) = running(&house, &mut romeo, "good").await;
    let mut held: Vec<TcpStream> = Vec::new();
    for _ in 0..200 {
        held.push(dial(&house).await);
    }
    let mut turned_away = 0;
    // The last ones came too late.
    for tcp in held.iter_mut().rev() {
        let patience = if turned_away < 160 { PATIENCE } else { Duration::from_millis(1) };
        turned_away += usize::from(tokio::time::timeout(patience, tcp.read(&mut [0; 8])).await.is_ok());
    }
    assert_eq!(turned_away, 160, "of 200");
    carried(&mut own, &mut other, b"not touched").await;
    drop(held);
    let until = Instant::now() + PATIENCE;
    loop {
        let mut tcp = dial(&house).await;
        tcp.write_all(&[5, 1, 0]).await.ok();
        if tcp.read_exact(&mut [0; 2]).await.is_ok() {
            break;
        }
        assert!(Instant::now() < until, "places are not given back");
    }
    served(&house).await;
}
