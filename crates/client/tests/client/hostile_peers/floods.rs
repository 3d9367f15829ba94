//! Too much of everything: sessions, candidates, ends, chunks that nobody reads, questions for what was published.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use balcony_client::OfferState;
use balcony_wire::Element;
use tokio::net::TcpListener;

use super::mallory::{Mallory, jingle, refusal};
use super::{Offer, Stage, about, alone, chunk, in_band, open, polite, resident, socks, told};
use crate::scene::{PASSWORD, noise};

const MIB: u64 = 1 << 20;

fn offer<'a>(sid: &'a str, name: &'a str, transport: String) -> Offer<'a> {
    Offer { sid, name, size: 1_000, bytes: b"", transport }
}

/// A stranger hears the same as from a client that has never heard of sessions, however often; nothing of it is kept.
/// Proves: JIN-6.3-2, JIN-13-1.
#[test]
fn strangers_who_offer_by_the_thousand_find_nobody_and_take_no_room() {
    alone("floods::strangers_who_offer_by_the_thousand_find_nobody_and_take_no_room", async {
        let stage = Stage::new().await;
        stage.scene.server.add_account("stranger", PASSWORD).await.unwrap();
        let stranger = Mallory::at(&stage.scene.server, "stranger", "x", Arc::new(polite)).await;
        let victim = stage.victim().await;
        stage.honest_file_goes_through("before.bin").await;
        let before = resident();
        let flood = async {
            for round in 0..30 {
                let ids: Vec<_> = (0..100)
                    .map(|n| {
                        let (sid, name) = (format!("s{round}-{n}"), format!("junk{round}-{n}"));
                        stranger.begin("set", &victim, &offer(&sid, &name, in_band("x")).initiate(&stranger.jid))
                    })
                    .collect();
                for id in ids {
                    let condition = refusal(&stranger.answer(&id).await).map(|refusal| refusal.0);
                    // Too many at once may be told so; never more than that.
                    assert!(matches!(condition.as_deref(), Some("service-unavailable" | "resource-constraint")), "{condition:?}");
                }
            }
        };
        tokio::join!(flood, stage.honest_file_goes_through("honest.bin"));
        let kept = stage.juliet.store().offers(balcony_store::Listing::All, None, 10_000).unwrap().len();
        assert_eq!(kept, 2, "only what Romeo sent");
        let grown = resident().saturating_sub(before);
        assert!(grown < 48 * MIB, "{} MiB more after 3,000 offers", grown / MIB);
    });
}

/// Proves: JIN-6.3-2, JIN-13-1.
#[test]
fn a_contact_who_offers_by_the_thousand_is_stopped_and_others_are_not() {
    alone("floods::a_contact_who_offers_by_the_thousand_is_stopped_and_others_are_not", async {
        let stage = Stage::new().await;
        let victim = stage.victim().await;
        stage.honest_file_goes_through("before.bin").await;
        let before = resident();
        let (taken, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let flood = async {
            for round in 0..30 {
                let ids: Vec<_> = (0..100)
                    .map(|n| {
                        let (sid, name) = (format!("s{round}-{n}"), format!("junk{round}-{n}"));
                        stage.mallory.begin("set", &victim, &offer(&sid, &name, in_band(&sid)).initiate(&stage.mallory.jid))
                    })
                    .collect();
                for id in ids {
                    match refusal(&stage.mallory.answer(&id).await) {
                        None => taken.fetch_add(1, Ordering::Relaxed),
                        Some((condition, _)) => {
                            assert_eq!(condition, "resource-constraint");
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            }
        };
        tokio::join!(flood, stage.honest_file_goes_through("honest.bin"));
        let (taken, refused) = (taken.into_inner(), refused.into_inner());
        assert!(taken <= 100 && refused >= 2_900, "{taken} sessions of one device were opened, {refused} refused");
        let grown = resident().saturating_sub(before);
        assert!(grown < 48 * MIB, "{} MiB more for {taken} sessions", grown / MIB);
        // And another device of the same person is no way around it for ever.
        stage.honest_file_goes_through("after.bin").await;
    });
}

/// Proves: JIN-6.7-2.
#[tokio::test]
async fn a_session_that_is_ended_a_thousand_times_ends_once() {
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    assert!(refusal(&stage.offers(&offer("s1", "ended.bin", in_band("i1"))).await).is_none());
    stage.offered("ended.bin").await;
    let end = "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s1'><reason><cancel/></reason></jingle>";
    let ids: Vec<_> = (0..1_000).map(|_| stage.mallory.begin("set", &victim, end)).collect();
    let mut results = 0;
    for id in ids {
        match refusal(&stage.mallory.answer(&id).await) {
            None => results += 1,
            Some((condition, detail)) => {
                // Either it is over, or so much waits that it was not looked at.
                assert!(
                    (condition == "item-not-found" && detail.as_deref() == Some("unknown-session")) || condition == "resource-constraint",
                    "{condition} {detail:?}"
                );
            }
        }
    }
    assert_eq!(results, 1);
    let error = stage.takes("ended.bin").await.expect_err("it is over");
    assert!(!error.to_string().is_empty());
    stage.honest_file_goes_through("honest.bin").await;
}

/// The candidates lead to a place that counts who comes.
#[tokio::test]
async fn endless_candidates_are_not_all_dialled() {
    let stage = Stage::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialled = Arc::new(AtomicUsize::new(0));
    let counted = dialled.clone();
    let trap = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap()); // and says nothing, for ever
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let hosts: Vec<_> = (0..800).map(|n| (format!("127.0.{}.{}", n / 200, 1 + n % 200), port, None)).collect();
    let transport = socks("x1", &stage.mallory.jid, &hosts);
    assert!(refusal(&stage.offers(&offer("s1", "endless.bin", transport)).await).is_none());
    let began = Instant::now();
    let victim = stage.victim().await;
    let agree = async {
        stage.mallory.action("s1", "session-accept").await;
        stage.mallory.ask("set", &victim, &about("transport-info", "s1", &told("x1", "<candidate-error/>"))).await;
        let failed = |element: &Element| jingle(element).is_some() && element.to_xml().contains("<candidate-error");
        stage.mallory.until("candidate-error", failed).await;
        let end = "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s1'><reason><connectivity-error/></reason></jingle>";
        stage.mallory.ask("set", &victim, end).await;
    };
    let (failed, (), ()) = tokio::join!(stage.takes("endless.bin"), agree, stage.honest_file_goes_through("honest.bin"));
    failed.expect_err("nobody is there");
    assert!(dialled.load(Ordering::Relaxed) <= 40, "{} were dialled", dialled.load(Ordering::Relaxed));
    assert!(began.elapsed() < Duration::from_secs(90), "given up after {:?}", began.elapsed());
    trap.abort();
}

/// Sent faster than they can be wanted, and to a stream that was never opened.
#[test]
fn chunks_without_end_take_no_memory() {
    alone("floods::chunks_without_end_take_no_memory", async {
        let stage = Stage::new().await;
        let victim = stage.victim().await;
        stage.honest_file_goes_through("before.bin").await;
        let bytes = noise(64 << 20);
        let promised = Offer { sid: "s1", name: "large.bin", size: bytes.len(), bytes: &bytes, transport: in_band("i1") };
        assert!(refusal(&stage.offers(&promised).await).is_none());
        let large = stage.offered("large.bin").await;
        let before = resident();
        let stuff = async {
            stage.mallory.action("s1", "session-accept").await;
            assert!(refusal(&stage.mallory.ask("set", &victim, &open("i1")).await).is_none());
            // Without waiting for one answer: 49 MB, which in stanzas would be twice as much.
            let pieces = bytes.chunks(4_096).take(12_000).enumerate();
            let last = stage.mallory.pour(&victim, pieces.map(|(seq, piece)| chunk("i1", seq, piece))).await;
            let elsewhere = stage.mallory.pour(&victim, std::iter::once(chunk("nowhere", 0, b"x"))).await;
            assert_eq!(refusal(&stage.mallory.answer(&elsewhere).await).unwrap().0, "item-not-found");
            stage.mallory.answer(&last).await;
            stage.mallory.say(format!(
                "<iq type='set' id='end' to='{victim}'><jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s1'><reason><cancel/>\
                 </reason></jingle></iq>"
            ));
        };
        let (fetched, ()) = tokio::join!(stage.fetches(&large), stuff);
        fetched.expect_err("a quarter is missing");
        let grown = resident().saturating_sub(before);
        // What Mallory itself holds of its 12,000 answers is in there too.
        assert!(grown < 96 * MIB, "{} MiB more", grown / MIB);
        stage.honest_file_goes_through("after.bin").await;
    });
}

/// Nobody finds out by asking what there is.
/// Proves: JPUB-2.2-3, JPUB-D-3.
#[tokio::test]
async fn guessing_what_was_published_finds_nothing_and_says_nothing() {
    let stage = Stage::new().await;
    let path = stage.file("live.bin", &noise(10_000));
    // For Romeo alone.
    let romeo = "romeo@localhost".parse().unwrap();
    let mut offers = stage.romeo.offers();
    let _shares = stage.juliet.share_live(&path).to(&romeo).await.unwrap();
    let published = tokio::time::timeout(super::PATIENCE, offers.next()).await.unwrap().unwrap();
    let xml = stage.romeo.store().offer(published.key()).unwrap().unwrap().stanza;
    let right = xml.split("<jinglepub").nth(1).and_then(|rest| rest.split(" id='").nth(1)).and_then(|rest| rest.split('\'').next());
    let right = right.unwrap_or_else(|| panic!("nothing is published in {xml}")).to_owned();
    let victim = stage.victim().await;
    stage.scene.server.add_account("stranger", PASSWORD).await.unwrap();
    let stranger = Mallory::at(&stage.scene.server, "stranger", "x", Arc::new(polite)).await;
    // A contact may hear that it is not for them, if they know what to ask for; a stranger hears what any guess hears.
    for (who, may_hear) in [(&stage.mallory, &["not-acceptable", "forbidden"][..]), (&stranger, &[])] {
        let ask = async |id: &str| {
            let answer = who.ask("get", &victim, &format!("<start xmlns='urn:xmpp:jinglepub:1' id='{id}'/>")).await;
            refusal(&answer).unwrap_or_else(|| panic!("{id} was started: {}", answer.to_xml())).0
        };
        let mut words = std::collections::BTreeSet::new();
        for n in 0..40 {
            words.insert(ask(&format!("guess{n}")).await);
        }
        words.remove("resource-constraint");
        assert_eq!(words.len(), 1, "{words:?}");
        let right = ask(&right).await;
        assert!(words.contains(&right) || may_hear.contains(&right.as_str()) || right == "resource-constraint", "{right} {words:?}");
    }
    assert_eq!(stage.mallory.heard(|element| super::mallory::jingle(element).is_some()), 0);
    // Who may have it has it.
    let fetched = tokio::time::timeout(super::PATIENCE, super::fetch(&stage.romeo, &published)).await.unwrap();
    assert!(fetched.unwrap().is_proven());
}

/// An offer that nobody answers stays an offer, and the session goes with whoever made it.
#[tokio::test]
async fn who_offers_and_leaves_leaves_nothing_open() {
    let stage = Stage::new().await;
    for n in 0..20 {
        let (sid, name) = (format!("s{n}"), format!("left{n}.bin"));
        assert!(refusal(&stage.offers(&offer(&sid, &name, in_band(&sid))).await).is_none());
    }
    let last = stage.offered("left19.bin").await;
    stage.mallory.say("<presence type='unavailable'/>");
    let error = stage.fetches(&last).await.expect_err("nobody gives it");
    assert!(error.contains("mallory@localhost/evil"), "{error}");
    let state = stage.juliet.store().offer(last.key()).unwrap().unwrap().state;
    assert_ne!(state, OfferState::Here);
    stage.honest_file_goes_through("honest.bin").await;
}
