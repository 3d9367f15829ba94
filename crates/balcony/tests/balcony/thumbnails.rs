//! A small picture goes along with a file, is listed, and is written to a file.

use crate::actors::{OwnServer, Person, patience, random_bytes};

/// A 1x1 PNG of the vectors.
fn png() -> Vec<u8> {
    use balcony_wire::Payload as _;
    let cases = testing_corpus::cases("bob");
    let case = cases.iter().find(|case| case["note"] == "1x1 PNG").unwrap();
    let data =
        balcony_wire::Element::new("data", balcony_wire::ns::BOB).with_attr("cid", "x").with_text(case["data_base64"].as_str().unwrap());
    balcony_wire::bits_of_binary::BitsOfBinary::read(&data).unwrap().data.unwrap()
}

/// Proves: BOB-2.1-3, THMB-4-1, THMB-5-3.
#[test]
fn a_thumbnail_is_sent_listed_and_written_beside_what_is_there() {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    alice.file("film.mp4", &random_bytes(200_000));
    alice.file("still.png", &png());
    alice.file("words.png", b"just words");
    alice.file("large.png", &[png(), random_bytes(9_000)].concat());
    for wrong in ["words.png", "large.png"] {
        alice.run(&["send", "film.mp4", "--thumbnail", wrong, "--to", "bob@localhost"]).exits(2);
    }
    alice.run(&["send", "film.mp4", "still.png", "--thumbnail", "still.png", "--to", "bob@localhost"]).exits(2);
    let sent = alice.run(&["send", "film.mp4", "--thumbnail", "still.png", "--to", "bob@localhost", "--show-xml"]).ok();
    let xml = sent.event("offered")["xml"].as_str().unwrap().to_owned();
    for said in ["urn:xmpp:thumbs:1", "cid:sha1+4a5eb7171b58e08a6881721e3b43d5a44419a2be@bob.xmpp.org", "urn:xmpp:bob"] {
        assert!(xml.contains(said), "no {said} in {xml}");
    }
    let without = alice.run(&["send", "still.png", "--to", "alice@localhost", "--show-xml"]).ok();
    assert!(!without.out.contains("urn:xmpp:thumbs"), "none is made unasked: {}", without.out);
    bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();

    let listed = bob.run(&["list", "--thumbnails"]).ok().event("offer");
    let thumbnail = &listed["thumbnails"][0];
    assert_eq!((&thumbnail["at"], &thumbnail["media_type"]), (&"message".into(), &"image/png".into()));
    assert_eq!((&thumbnail["width"], &thumbnail["height"]), (&1.into(), &1.into()));
    let number = listed["offer"].to_string();
    // Nobody is there to be asked: it came along.
    drop(server);
    for name in ["film.mp4.thumbnail.png", "film.mp4.thumbnail (1).png"] {
        let written = bob.run(&["thumbnail", &number]).ok().event("thumbnail");
        assert_eq!((&written["media_type"], &written["size"]), (&"image/png".into(), &70.into()));
        assert_eq!(std::fs::read(bob.folder().join(name)).unwrap(), png(), "{:?}", bob.names());
    }
    bob.run(&["thumbnail", &number, "--into", "there.png"]).ok();
    assert_eq!(std::fs::read(bob.folder().join("there.png")).unwrap(), png());
    bob.run(&["thumbnail", &number, "--into", "film.mp4"]).exits(9);
    assert_eq!(std::fs::metadata(bob.folder().join("film.mp4")).unwrap().len(), 200_000, "nothing is written over");
    let plain = alice.run(&["list"]).ok().event("offer");
    alice.run(&["thumbnail", &plain["offer"].to_string(), "--into", "mine.png"]).ok();
}
