//! Ids of other people's sessions and streams, and steps out of their order.

use std::sync::Arc;

use super::mallory::{Mallory, refusal};
use super::{Offer, Stage, about, chunk, digest, in_band, open, polite, socks, told};
use crate::scene::{PASSWORD, noise};

/// Mallory's own session is spoken to by a stranger, and by another device of Mallory: both know every id in it.
/// Proves: JIN-D-1, IBB-D-1.
#[tokio::test]
async fn who_knows_the_ids_of_a_session_is_still_nobody_in_it() {
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    stage.scene.server.add_account("stranger", PASSWORD).await.unwrap();
    let others = [
        Mallory::at(&stage.scene.server, "stranger", "x", Arc::new(polite)).await,
        Mallory::at(&stage.scene.server, "mallory", "second", Arc::new(polite)).await,
    ];
    let bytes = noise(8_192);
    let promised = Offer { sid: "s1", name: "whole.bin", size: bytes.len(), bytes: &bytes, transport: in_band("i1") };
    assert!(refusal(&stage.offers(&promised).await).is_none());
    let offer = stage.offered("whole.bin").await;
    let give = async {
        stage.mallory.action("s1", "session-accept").await;
        assert!(refusal(&stage.mallory.ask("set", &victim, &open("i1")).await).is_none());
        assert!(refusal(&stage.mallory.ask("set", &victim, &chunk("i1", 0, &bytes[..4_096])).await).is_none());
        for (other, is_stranger) in others.iter().zip([true, false]) {
            for (request, condition, detail) in [
                (chunk("i1", 1, b"other bytes"), "item-not-found", None),
                ("<close xmlns='http://jabber.org/protocol/ibb' sid='i1'/>".to_owned(), "item-not-found", None),
                (open("i1"), "not-acceptable", None),
                (about("transport-info", "s1", &told("i1", "<candidate-error/>")), "item-not-found", Some("unknown-session")),
                (about("content-remove", "s1", ""), "item-not-found", Some("unknown-session")),
                (
                    "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s1'><reason><cancel/></reason></jingle>".to_owned(),
                    "item-not-found",
                    Some("unknown-session"),
                ),
            ] {
                let (found, more) = refusal(&other.ask("set", &victim, &request).await).unwrap_or_else(|| panic!("taken: {request}"));
                if is_stranger {
                    assert_eq!((&*found, more), ("service-unavailable", None), "to a stranger nobody is there: {request}");
                    continue;
                }
                // An in-band stream that nobody waits for may be refused in either way.
                assert!(found == condition || (request.starts_with("<open") && found == "item-not-found"), "{request}: {found}");
                assert_eq!(more.as_deref(), detail, "{request}");
            }
            other.say(format!("<message to='{victim}'>{}</message>", chunk("i1", 1, b"other bytes")));
            other.settle().await;
        }
        assert!(refusal(&stage.mallory.ask("set", &victim, &chunk("i1", 1, &bytes[4_096..])).await).is_none());
        stage.mallory.ask("set", &victim, "<close xmlns='http://jabber.org/protocol/ibb' sid='i1'/>").await;
    };
    let (fetched, ()) = tokio::join!(stage.fetches(&offer), give);
    assert!(fetched.unwrap().is_proven());
}

/// Candidates that nobody offered, ways that nobody took, contents that are not there.
#[tokio::test]
async fn candidates_and_contents_that_were_never_offered_mean_nothing() {
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    let bytes = noise(4_096);
    let nowhere = socks("x1", &stage.mallory.jid, &[("127.0.0.1".to_owned(), 9, None)]);
    let promised = Offer { sid: "s1", name: "whole.bin", size: bytes.len(), bytes: &bytes, transport: nowhere };
    assert!(refusal(&stage.offers(&promised).await).is_none());
    let offer = stage.offered("whole.bin").await;
    let give = async {
        stage.mallory.action("s1", "session-accept").await;
        for inner in ["<candidate-used cid='nobodys'/>", "<activated cid='nobodys'/>", "<proxy-error/>", "<candidate-used cid='c0'/>"] {
            // Whether it is refused or taken and not heeded: nothing comes of it.
            stage.mallory.ask("set", &victim, &about("transport-info", "s1", &told("x1", inner))).await;
        }
        for (action, inner) in [("content-accept", ""), ("transport-accept", ""), ("session-accept", "")] {
            let answer = stage.mallory.ask("set", &victim, &about(action, "s1", inner)).await;
            assert!(refusal(&answer).is_some(), "{action} by who offered it");
        }
        let unknown = "<jingle xmlns='urn:xmpp:jingle:1' action='content-remove' sid='s1'><content creator='responder' name='z'/></jingle>";
        stage.mallory.ask("set", &victim, unknown).await;
        stage.mallory.ask("set", &victim, &about("transport-info", "s1", &told("x1", "<candidate-error/>"))).await;
        stage.mallory.ask("set", &victim, &about("transport-replace", "s1", &in_band("i2"))).await;
        // All that came of it is the fallback.
        stage.mallory.action("s1", "transport-accept").await;
        assert!(refusal(&stage.mallory.ask("set", &victim, &open("i2")).await).is_none());
        assert!(refusal(&stage.mallory.ask("set", &victim, &chunk("i2", 0, &bytes)).await).is_none());
        stage.mallory.ask("set", &victim, "<close xmlns='http://jabber.org/protocol/ibb' sid='i2'/>").await;
    };
    match tokio::join!(stage.fetches(&offer), give).0 {
        Ok(file) => assert!(file.is_proven()),
        Err(error) => assert!(error.contains("mallory@localhost/evil"), "{error}"),
    }
    stage.honest_file_goes_through("honest.bin").await;
}

/// Before anybody said yes nothing may move.
#[tokio::test]
async fn bytes_before_the_yes_are_refused_and_do_no_harm() {
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    let bytes = noise(4_096);
    let promised = Offer { sid: "s1", name: "whole.bin", size: bytes.len(), bytes: &bytes, transport: in_band("i1") };
    assert!(refusal(&stage.offers(&promised).await).is_none());
    let offer = stage.offered("whole.bin").await;
    for early in [open("i1"), chunk("i1", 0, b"too early")] {
        let (condition, _) = refusal(&stage.mallory.ask("set", &victim, &early).await).unwrap_or_else(|| panic!("taken: {early}"));
        assert!(["item-not-found", "not-acceptable", "unexpected-request"].contains(&condition.as_str()), "{condition}");
    }
    let early = "<received xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='c'/>";
    let early = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s1'>{early}</jingle>");
    stage.mallory.ask("set", &victim, &early).await;
    // A checksum that fits other bytes, before there are any.
    let other = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s1'><checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5' \
         creator='initiator' name='c'><file><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash></file></checksum></jingle>",
        digest(b"other")
    );
    stage.mallory.ask("set", &victim, &other).await;
    let give = async {
        let (accepted, ended) = ("session-accept", "session-terminate");
        let fits = |element: &balcony_wire::Element| {
            super::mallory::jingle(element).is_some_and(|(_, action)| action == accepted || action == ended)
        };
        if super::mallory::jingle(&stage.mallory.until("an answer", fits).await).unwrap().1 == ended {
            return;
        }
        assert!(refusal(&stage.mallory.ask("set", &victim, &open("i1")).await).is_none());
        stage.mallory.ask("set", &victim, &chunk("i1", 0, &bytes)).await;
        stage.mallory.ask("set", &victim, "<close xmlns='http://jabber.org/protocol/ibb' sid='i1'/>").await;
    };
    let fetched = tokio::join!(stage.fetches(&offer), give).0;
    // The digest of the offer is what counts; that two were told is reason enough to leave it, too.
    match fetched {
        Ok(file) => assert!(file.is_proven()),
        Err(error) => assert!(error.contains("mallory") || error.contains("bytes"), "{error}"),
    }
    stage.honest_file_goes_through("honest.bin").await;
}
