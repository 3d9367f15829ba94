//! Files in sessions, rule by rule: one side against hand-written stanzas.

use balcony_sharing::FileName;
use balcony_sharing::transfer::bytestream::{Carrier, SocketAction, ibb};
use balcony_sharing::transfer::jingle::{Action, Direction, Event, Finding, JingleRefusal, Means, Rejection, Span, StreamEnd};
use balcony_wire::jingle::{Action as Verb, Condition, FileError, SessionInfo, Transport};
use balcony_wire::jingle_file::Version;

use super::lone::{FILE, IBB, Lone, S5B, content, in_band_only, initiators, jingle, terms};
use super::world::{bytes, described, from_byte};

fn begins(lone: &Lone) -> Vec<(Direction, Span)> {
    let begin = |action: &Action| match action {
        Action::Begin { direction, span, .. } => Some((*direction, *span)),
        _ => None,
    };
    lone.others.iter().filter_map(begin).collect()
}

fn said_error(lone: &Lone) -> (Verb, Condition, Option<FileError>) {
    let last = lone.last();
    let reason = last.reason.clone().unwrap();
    (last.action.clone(), reason.condition.clone(), reason.file_error())
}

/// Proves: JFT-4.1-1, JFT-4.1-2.
#[test]
fn who_sends_tells_offers_from_requests_whoever_made_the_content() {
    let event = |senders: &str| {
        let content = content("f", "SENDERS", FILE, IBB).replace("senders='SENDERS'", senders);
        Lone::incoming(&content).unwrap()
    };
    assert!(matches!(event("senders='initiator'").events[..], [Event::Offered { .. }]));
    assert!(matches!(event("senders='responder'").events[..], [Event::Asked { .. }]));
    // both is not used: it is read as the offer of whoever says it; none is nothing
    assert!(matches!(event("senders='both'").events[..], [Event::Offered { .. }]));
    assert!(matches!(event("").events[..], [Event::Offered { .. }]));
    let none = event("senders='none'");
    assert_eq!((none.last().reason.as_ref().unwrap().condition.clone(), none.end().is_some()), (Condition::IncompatibleParameters, true));
    // added by the responder: still who sends decides
    let mut romeo = Lone::giving_in_band();
    let added = content("g", "initiator", FILE, IBB).replace("creator='initiator'", "creator='responder'");
    romeo.hears("content-add", &added).unwrap();
    assert!(matches!(romeo.events.last(), Some(Event::Asked { .. })));
}

/// Proves: JFT-5-4, JFT-5-5, JFT-6.1-1.
#[test]
fn an_offset_in_the_answer_is_followed_and_counts_from_0() {
    let accepted = |range: &str| {
        let mut lone = Lone::offering(vec![described("a", &bytes(6144))], terms(in_band_only()));
        lone.acknowledge();
        let ours = lone.last().contents[0].clone();
        let Some(Transport::Ibb(ibb)) = &ours.transport else { panic!("{ours:?}") };
        let transport = IBB.replace("ch3d9s71", &ibb.sid);
        lone.hears("session-accept", &content(ours.name.as_deref().unwrap(), "initiator", range, &transport)).unwrap();
        lone
    };
    let span = |range: &str| begins(&accepted(range));
    assert_eq!(span(""), [(Direction::Give, Span::default())]);
    assert_eq!(span("<range/>"), [(Direction::Give, Span::default())]);
    assert_eq!(span("<range offset='1024'/>"), [(Direction::Give, Span::from_byte(1024))]);
    assert_eq!(span("<range length='10'/>"), [(Direction::Give, Span { offset: 0, length: Some(10) })]);
    assert_eq!(span("<range offset='6144'/>"), [(Direction::Give, Span::from_byte(6144))]);
    let beyond = accepted("<range offset='6145'/>");
    assert_eq!((begins(&beyond).len(), beyond.end().is_some_and(|end| end.contains("broke the rules"))), (0, true));
}

/// Proves: JFT-5-5, JFT-6.1-1.
#[test]
fn a_part_is_asked_for_where_the_other_side_understands_it() {
    let taken = |file: &str, from: u64| {
        let mut juliet = Lone::incoming(&content("f", "initiator", file, IBB)).unwrap();
        let id = juliet.id(0);
        juliet.act(|session, now| session.accept(now, &id, from));
        let range = juliet.last().contents[0].file().unwrap().range.clone();
        (range.and_then(|range| range.offset), begins(&juliet)[0].1.offset, juliet.session.moved(&id).unwrap().1)
    };
    assert_eq!(taken(FILE, 0), (None, 0, Some(6144)));
    assert_eq!(taken(FILE, 1024), (Some(1024), 1024, Some(5120)));
    assert_eq!(taken(&FILE.replace("<range/>", ""), 1024), (None, 0, Some(6144))); // it does not know ranges
    assert_eq!(taken(FILE, 7000), (None, 0, Some(6144))); // what we have is not of this file
    let part = FILE.replace("<range/>", "<range offset='1000' length='500'/>"); // a part is offered
    assert_eq!(taken(&part, 0), (Some(1000), 1000, Some(500)));
    assert_eq!(taken(&part, 1200), (Some(1200), 1200, Some(300)));
}

/// Proves: JFT-6.2-1, JFT-5-5.
#[test]
fn a_request_says_which_file_and_from_which_byte() {
    let file = described("summit.jpg", &bytes(6144));
    let mut lone = Lone::asking(vec![from_byte(file.clone(), 2048)], terms(in_band_only()));
    let asked = lone.last().contents[0].file().unwrap().clone();
    assert_eq!((asked.metadata.hashes.clone(), asked.range.unwrap().offset), (file.metadata.hashes, Some(2048)));
    lone.acknowledge();
    // who does not repeat the part does not know it, and begins at the beginning
    let ours = lone.last().contents[0].clone();
    let Some(Transport::Ibb(ibb)) = &ours.transport else { panic!("{ours:?}") };
    let transport = IBB.replace("ch3d9s71", &ibb.sid);
    lone.hears("session-accept", &content(ours.name.as_deref().unwrap(), "responder", "<size>6144</size>", &transport)).unwrap();
    assert_eq!(begins(&lone), [(Direction::Take, Span::default())]);
}

/// Proves: JFT-5-5, JFT-9.1-1.
#[test]
fn a_request_is_served_with_the_part_it_asks_for_or_refused() {
    let asked = |range: &str| {
        let mut juliet = Lone::incoming(&content("f", "responder", &FILE.replace("<range/>", range), IBB)).unwrap();
        let id = juliet.id(0);
        juliet.act(|session, now| session.serve(now, &id, described("test.txt", &bytes(6144))));
        juliet
    };
    let part = asked("<range offset='100' length='50'/>");
    assert_eq!(begins(&part), [(Direction::Give, Span { offset: 100, length: Some(50) })]);
    let repeated = part.last().contents[0].file().unwrap().clone();
    assert_eq!((repeated.range.unwrap().offset, repeated.metadata.size), (Some(100), Some(6144)));
    let beyond = asked("<range offset='6145'/>");
    let mut unknown = Lone::incoming(&content("f", "responder", FILE, IBB)).unwrap();
    let id = unknown.id(0);
    unknown.act(|session, now| session.reject(now, &id, Rejection::NotAvailable));
    let expected = (Verb::SessionTerminate, Condition::FailedApplication, Some(FileError::FileNotAvailable));
    assert_eq!((said_error(&beyond), said_error(&unknown)), (expected.clone(), expected)); // both look the same
}

/// Decision 23.
/// Proves: JFT-D-3, JFT-9.1-1.
#[test]
fn of_several_requests_one_is_refused_by_content_reject() {
    let mut juliet =
        Lone::incoming(&(content("f", "responder", FILE, IBB) + &content("g", "responder", FILE, &IBB.replace("ch3", "x")))).unwrap();
    juliet.act(|session, now| session.reject(now, &initiators("f"), Rejection::NotAvailable));
    assert_eq!(said_error(&juliet), (Verb::ContentReject, Condition::FailedApplication, Some(FileError::FileNotAvailable)));
    assert_eq!(juliet.end(), None);
    juliet.act(|session, now| session.reject(now, &initiators("g"), Rejection::NotAvailable));
    assert_eq!(said_error(&juliet).0, Verb::SessionTerminate);
}

/// Proves: JFT-9.2-1.
#[test]
fn too_much_data_ends_the_file_by_name() {
    let mut juliet = Lone::taking_in_band();
    let id = juliet.id(0);
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 6_000), 6_000));
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 1_000), 144)); // the rest is dropped
    assert_eq!(said_error(&juliet), (Verb::SessionTerminate, Condition::MediaError, Some(FileError::FileTooLarge)));
    assert_eq!(juliet.end().as_deref(), Some("more than the 6.1 kB announced came"));
    let mut large = Lone::incoming(&content("f", "initiator", FILE, IBB)).unwrap();
    large.act(|session, now| session.reject(now, &id, Rejection::TooLarge));
    assert_eq!(said_error(&large), (Verb::SessionTerminate, Condition::MediaError, Some(FileError::FileTooLarge)));
    let mut unknown = Lone::incoming(&content("f", "initiator", "<name>stream</name>", IBB)).unwrap();
    unknown.act(|session, now| session.accept(now, &id, 0));
    unknown.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 5 << 30), 4 << 30));
    assert!(unknown.end().is_some());
}

/// Decision 54.
/// Proves: JFT-8.2-1, JFT-8.2-2, JFT-8.2-3.
#[test]
fn checksums_of_files_and_of_parts_are_said_and_heard() {
    let mut romeo = Lone::giving_in_band();
    let id = romeo.id(0);
    let digests = balcony_sharing::DigestSet::from_hashes(&described("", b"x").metadata.hashes);
    let part = Span { offset: 2048, length: Some(1024) };
    romeo.act(|session, now| session.checksum(now, &id, Some(part), &digests));
    romeo.act(|session, now| session.checksum(now, &id, None, &digests));
    let infos: Vec<_> = romeo.said[romeo.said.len() - 2..].iter().map(|(_, said)| said.infos[0].clone()).collect();
    let [SessionInfo::Checksum(ranged), SessionInfo::Checksum(whole)] = &infos[..] else { panic!("{infos:?}") };
    let range = ranged.file.range.clone().unwrap();
    assert_eq!((ranged.name.clone(), range.offset, range.length, range.hashes.len()), (Some(id.name), Some(2048), Some(1024), 1));
    assert_eq!((ranged.file.metadata.hashes.len(), whole.file.metadata.hashes.len(), whole.file.range.is_some()), (0, 1, false));

    let mut juliet = Lone::taking_in_band();
    let hash = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>kHp5RSzW/h7Gm1etSf90Mr5PC/k=</hash>";
    let told = |file: &str| {
        format!("<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='f'><file>{file}</file></checksum>")
    };
    juliet.hears("session-info", &told(&format!("<range offset='2048' length='1024'>{hash}</range>"))).unwrap();
    juliet.hears("session-info", &told(hash)).unwrap();
    // libervia: base64 of the hex digits (decision 54)
    juliet
        .hears(
            "session-info",
            &told("<hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>OTA3YTc5NDUyY2Q2ZmUxZWM2OWI1N2FkNDlmZjc0MzJiZTRmMGJmOQ==</hash>"),
        )
        .unwrap();
    let spans = juliet.events.iter().filter_map(|event| match event {
        Event::Checksum { span, digests, .. } => Some((*span, digests.strongest().unwrap().to_hex())),
        _ => None,
    });
    let spans: Vec<_> = spans.into_iter().collect();
    assert_eq!(spans.iter().map(|(span, _)| *span).collect::<Vec<_>>(), [Some(part), None, None]);
    assert!(spans.iter().all(|(_, hex)| *hex == spans[0].1));
    let unknown = told(hash).replace("'f'", "'other'");
    assert_eq!(juliet.hears("session-info", &unknown), Err(JingleRefusal::UnknownContent));
}

/// Proves: JFT-8.1-1, JFT-6.6-1.
#[test]
fn received_confirms_a_file_and_the_last_one_lets_the_session_end() {
    let mut romeo = Lone::giving_in_band();
    let id = romeo.id(0);
    romeo.act(|session, now| session.handle_sent(now, &id, 6144));
    romeo.act(|session, now| session.handle_stream_end(now, &id, StreamEnd::Clean));
    assert_eq!(romeo.ended(0), None);
    // Conversations names the content, others do not
    let received = "<received xmlns='urn:xmpp:jingle:apps:file-transfer:5'/>";
    romeo.hears("session-info", received).unwrap();
    assert_eq!((romeo.ended(0).as_deref(), romeo.end()), (Some("it arrived"), None));
    assert_eq!(romeo.hears("session-info", &received.replace("/>", " name='other'/>")), Err(JingleRefusal::UnknownContent));
    romeo.wait(3); // who took it may end the session; if not, we do
    assert_eq!((romeo.end().as_deref(), romeo.last().reason.as_ref().unwrap().condition.clone()), (Some("it arrived"), Condition::Success));
}

#[test]
fn who_says_nothing_when_all_went_out_has_not_confirmed_it() {
    let mut romeo = Lone::giving_in_band();
    let id = romeo.id(0);
    romeo.act(|session, now| session.handle_sent(now, &id, 6144));
    romeo.act(|session, now| session.handle_stream_end(now, &id, StreamEnd::Clean));
    romeo.wait(121);
    assert!(romeo.end().unwrap().contains("never said that it arrived"));
    let mut early = Lone::giving_in_band();
    early.act(|session, now| session.handle_sent(now, &id, 6000));
    early.hears("session-terminate", "<reason><success/></reason>").unwrap();
    assert_eq!(early.end().as_deref(), Some("the other side stopped it")); // not all of it went out
}

/// Older clients end the session when they sent all, while bytes are still on their way.
#[test]
fn what_is_on_its_way_when_the_giver_says_success_is_still_taken() {
    let mut juliet = Lone::taking_in_band();
    let id = juliet.id(0);
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 6_000), 6_000));
    juliet.hears("session-terminate", "<reason><success/></reason>").unwrap();
    assert_eq!((juliet.end(), juliet.hears("session-info", "")), (None, Err(JingleRefusal::UnknownSession)));
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 144), 144));
    assert!(matches!(juliet.events.last(), Some(Event::Whole { .. })));
    juliet.act(|session, now| session.finish(now, &id, Finding::Kept));
    assert_eq!((juliet.end().as_deref(), juliet.verbs()), (Some("it arrived"), vec!["session-accept"]));

    let mut short = Lone::taking_in_band();
    short.hears("session-terminate", "<reason><success/></reason>").unwrap();
    short.wait(60);
    assert!(short.end().unwrap().contains("nothing came for too long"));
}

/// Proves: JFT-10.2-1.
#[test]
fn socks5_is_offered_first_and_in_band_where_nothing_else_can_be() {
    let offered = |peer: Means| {
        let lone = Lone::offering(vec![described("a", b"a")], terms(peer));
        lone.said.first().and_then(|(_, said)| said.contents[0].transport.clone())
    };
    assert!(matches!(offered(Means::ALL), Some(Transport::S5b(_))));
    let Some(Transport::Ibb(ibb)) = offered(in_band_only()) else { panic!() };
    assert_eq!(ibb.block_size, ibb::BLOCK_SIZE);
    assert!(matches!(offered(Means { in_band: false, ..Means::ALL }), Some(Transport::S5b(_))));
    assert!(offered(Means { in_band: false, socks: false, ranges: true }).is_none());
    let none = Lone::offering(vec![described("a", b"a")], terms(Means { in_band: false, socks: false, ranges: true }));
    assert_eq!((none.end().as_deref(), none.said.len()), (Some("no way for the bytes was found: both sides have none in common"), 0));
}

#[test]
fn who_began_the_session_opens_the_in_band_stream_and_the_other_side_is_ready_before() {
    let opens = |lone: &Lone| {
        lone.others.iter().find_map(|action| match action {
            Action::Begin { carrier: Carrier::InBand { opens, terms }, .. } => Some((*opens, terms.block_size)),
            _ => None,
        })
    };
    assert_eq!(opens(&Lone::giving_in_band()), Some((true, 4096)));
    let juliet = Lone::taking_in_band();
    assert_eq!(opens(&juliet), Some((false, 4096)));
    assert!(matches!(&juliet.others[0], Action::Await { sid, .. } if sid == "ch3d9s71"));
}

#[test]
fn listeners_are_told_what_to_expect_before_the_peer_hears_of_them() {
    use balcony_sharing::transfer::bytestream::{OwnCandidate, OwnPlace};
    let mut lone = super::world::World::new(1, super::world::Weather::fine());
    lone.offer(vec![(described("a", b"a"), b"a".to_vec())], Version::V5);
    let session = lone.devices[super::world::ROMEO].session.as_mut().unwrap();
    let own = OwnCandidate { host: "192.0.2.1".into(), port: 1, place: OwnPlace::Listener, preference: 1 };
    session.handle_own_candidates(lone.now, balcony_sharing::transfer::jingle::StreamId(1), vec![own]);
    let actions: Vec<_> = std::iter::from_fn(|| session.poll_action()).collect();
    assert!(matches!(&actions[..], [Action::Socket { action: SocketAction::Expect { .. }, .. }, Action::Ask { .. }]), "{actions:?}");
}

/// Decision 22.
/// Proves: JFT-D-1.
#[test]
fn an_offer_of_version_4_is_answered_in_version_4() {
    let four = content("f", "initiator", FILE, IBB).replace("file-transfer:5", "file-transfer:4").replace(
        "<hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>w0mcJylzCn+AfvuGdqkty2+KP48=</hash>",
        "<hash xmlns='urn:xmpp:hashes:1' algo='sha-1'/>",
    );
    let mut juliet = Lone::incoming(&four).unwrap();
    let id = juliet.id(0);
    juliet.act(|session, now| session.accept(now, &id, 0));
    let xml = balcony_wire::Payload::write(juliet.last()).to_xml();
    assert!(xml.contains("file-transfer:4") && !xml.contains("file-transfer:5"), "{xml}");
    // an empty hash promises one: it is waited for
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 6144), 6144));
    assert!(!juliet.events.iter().any(|event| matches!(event, Event::Whole { .. })));
    juliet
        .hears("session-info", "<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:4' creator='initiator' name='f'><file><hash xmlns='urn:xmpp:hashes:1' algo='sha-1'>c3499c2729730a7f807efb8676a92dcb6f8a3f8f</hash></file></checksum>")
        .unwrap();
    assert!(matches!(juliet.events.last(), Some(Event::Whole { .. })));
    // both versions in one session are one too many
    let mixed = four + &content("g", "initiator", FILE, IBB);
    assert_eq!(Lone::incoming(&mixed).unwrap().verbs(), ["content-reject"]);
}

/// Proves: JFT-12-1, JFT-5-6, JFT-5-7.
#[test]
fn what_a_peer_calls_its_file_is_kept_as_it_said_and_made_safe_elsewhere() {
    let file = "<name>../../.bashrc</name><size>1</size><thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:sha1+8f35fef110ffc5df08d579a50083ff9308fb6242@bob.xmpp.org' media-type='image/png' width='128' height='96'/>";
    let juliet = Lone::incoming(&content("f", "initiator", file, IBB)).unwrap();
    let [Event::Offered { file, .. }] = &juliet.events[..] else { panic!("{:?}", juliet.events) };
    assert_eq!((file.metadata.name.as_deref(), file.metadata.thumbnails.len()), (Some("../../.bashrc"), 1));
    let safe = FileName::from_peer(file.metadata.name.as_deref().unwrap());
    assert!(!safe.to_string().contains('/') && !safe.to_string().starts_with('.'), "{safe}");
}

/// Many sessions may wait for an answer at once.
#[test]
fn a_description_without_end_takes_no_room_in_a_session_that_waits() {
    let file = format!("<name>f</name><size>1</size><desc>{}</desc><desc xml:lang='de'>Die Aussicht</desc>", "x".repeat(200_000));
    let juliet = Lone::incoming(&content("f", "initiator", &file, IBB)).unwrap();
    let [Event::Offered { file, .. }] = &juliet.events[..] else { panic!("{:?}", juliet.events) };
    let kept: Vec<_> = file.metadata.descs.iter().map(|desc| desc.text.as_str()).collect();
    assert_eq!(kept, ["Die Aussicht"]);
}

#[test]
fn other_applications_and_transports_are_refused_by_name() {
    let rtp = content("f", "initiator", FILE, IBB).replace(
        "<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'>",
        "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>",
    );
    let told = |children: &str| Lone::incoming(children).unwrap().last().reason.as_ref().unwrap().condition.clone();
    assert_eq!(told(&rtp), Condition::UnsupportedApplications);
    let ice = content("f", "initiator", FILE, "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/>");
    assert_eq!(told(&ice), Condition::UnsupportedTransports);
    assert!(matches!(
        &Lone::incoming(&(rtp + &content("g", "initiator", FILE, S5B))).unwrap().events[..],
        [Event::ContentEnded { .. }, Event::Offered { .. }]
    ));
}

#[test]
fn a_file_whose_description_is_empty_is_none() {
    let empty =
        jingle("action='session-initiate' sid='1'", &content("f", "initiator", FILE, IBB).replace(&format!("<file>{FILE}</file>"), ""));
    assert!(empty.contents[0].file().is_none());
    let lone = Lone::incoming(&content("f", "initiator", FILE, IBB).replace(&format!("<file>{FILE}</file>"), "")).unwrap();
    assert_eq!(lone.last().reason.as_ref().unwrap().condition, Condition::UnsupportedApplications);
}
