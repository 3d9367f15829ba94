#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::bytestreams::Mode;
use crate::in_band::StanzaKind;
use crate::jingle_file::Version;
use crate::stanza::{DefinedCondition, ErrorKind, StanzaError};

fn read(attributes: &str, children: &str) -> Result<Jingle, ReadError> {
    Jingle::read(&Element::parse(&format!("<jingle xmlns='urn:xmpp:jingle:1' {attributes}>{children}</jingle>")).unwrap())
}

fn offer(file: &str, version: u8) -> Jingle {
    let description = format!("<description xmlns='urn:xmpp:jingle:apps:file-transfer:{version}'><file>{file}</file></description>");
    let content = format!("<content creator='initiator' name='f' senders='initiator'>{description}</content>");
    read("action='session-initiate' sid='851ba2' initiator='romeo@montague.lit/r'", &content).unwrap()
}

#[test]
fn the_listing_of_an_offer_holds_a_file() {
    let iq = Element::parse(&testing_corpus::example("xep-0234/01-initiator-sends-session-initiate.xml").in_stream()).unwrap();
    let jingle = iq.payload::<Jingle>().unwrap().unwrap();
    let (content, file) = jingle.files().next().unwrap();
    assert_eq!((content.id(), content.senders()), (Some((Creator::Initiator, "a-file-offer")), Senders::Initiator));
    assert_eq!((file.metadata.name.as_deref(), file.range.is_some()), (Some("test.txt"), true));
    let Some(Transport::S5b(transport)) = &content.transport else { panic!("{content:?}") };
    assert_eq!((transport.sid.as_str(), transport.mode, transport.candidates().len()), ("vj3hs98y", Some(Mode::Tcp), 2));
    assert_eq!((transport.candidates()[1].port(), transport.candidates()[1].priority), (5087, 8_258_636));
    assert_eq!(Jingle::read(&jingle.write()).unwrap(), jingle);
}

#[test]
fn dino_offers_without_a_hash_and_conversations_in_camel_case() {
    let dino = offer("<name>a.jpg</name><size>7</size>", 5);
    assert_eq!(dino.files().next().unwrap().1.metadata.hashes, []);
    let conversations = offer("<name>a.jpg</name><mediaType>image/jpeg</mediaType>", 5);
    assert_eq!(conversations.files().next().unwrap().1.metadata.media_type.as_deref(), Some("image/jpeg"));
}

#[test]
fn libervia_offers_ranges_and_a_hash_still_to_come() {
    let jingle = offer("<name>a</name><range/><hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>", 5);
    let file = jingle.files().next().unwrap().1;
    assert_eq!((file.metadata.hash_used[0].algo.as_str(), file.range.is_some()), ("sha-256", true));
}

/// Decision 22.
#[test]
fn older_peers_offer_by_version_4_and_announce_hashes_by_empty_ones() {
    let jingle = offer("<name>a</name><hash xmlns='urn:xmpp:hashes:1' algo='sha-1'/>", 4);
    assert_eq!(jingle.files().next().unwrap().1.metadata.hash_used[0].algo, "sha-1");
}

#[test]
fn other_applications_and_children_are_kept_as_they_came() {
    let rtp = "<content name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></content><reason><success/></reason>";
    let jingle = read("action='session-initiate' sid='1'", rtp).unwrap();
    assert!(matches!(jingle.contents[0].description, Some(Description::Other(_))));
    assert_eq!((jingle.files().count(), jingle.reason.clone().unwrap().condition), (0, Condition::Success));
    assert_eq!(Jingle::read(&jingle.write()).unwrap(), jingle);
}

#[test]
fn broken_sessions_are_refused() {
    assert!(read("action='session-initiate'", "").is_err());
    assert!(read("sid='1'", "").is_err());
    assert!(read("action='session-initiate' sid='1' initiator='@'", "").is_err());
    assert!(read("action='session-initiate' sid='1'", &"<content/>".repeat(1000)).is_err());
    let two = "<content><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file/><file/></description></content>";
    assert!(read("action='session-initiate' sid='1'", two).is_err());
}

fn in_example(file: &str) -> Jingle {
    let iq = Element::parse(&testing_corpus::example(file).in_stream()).unwrap();
    iq.payload::<Jingle>().unwrap().unwrap()
}

fn transport(attributes: &str, children: &str) -> Result<Transport, ReadError> {
    let content = format!("<content creator='initiator' name='f'><transport {attributes}>{children}</transport></content>");
    read("action='transport-info' sid='1'", &content).map(|mut jingle| jingle.contents.remove(0).transport.unwrap())
}

fn s5b(children: &str) -> S5bTransport {
    match transport("xmlns='urn:xmpp:jingle:transports:s5b:1' sid='t'", children).unwrap() {
        Transport::S5b(transport) => transport,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_action_nobody_knows_is_one_of_its_own() {
    let jingle = read("action='session-hug' sid='1'", "").unwrap();
    assert_eq!(jingle.action, Action::Unknown("session-hug".to_owned()));
    assert_eq!(Jingle::read(&jingle.write()).unwrap(), jingle);
    assert_eq!(read("action='transport-replace' sid='1'", "").unwrap().action, Action::TransportReplace);
}

#[test]
fn both_sides_send_where_no_word_says_who_does() {
    let jingle = read("action='content-add' sid='1'", "<content name='a'/><content/>").unwrap();
    assert_eq!((jingle.contents[0].senders(), jingle.contents[0].id()), (Senders::Both, Some((Creator::Initiator, "a"))));
    assert_eq!(jingle.contents[1].id(), None);
    assert!(read("action='content-add' sid='1'", "<content creator='nobody' name='a'/>").is_err());
    assert!(read("action='content-add' sid='1'", "<content creator='initiator' senders='nobody' name='a'/>").is_err());
}

/// COMPAT(Gajim 1.8)
#[test]
fn gajim_accepts_with_both_as_senders_and_replaces_a_transport_by_one_of_id_none() {
    let accept = read("action='session-accept' sid='1'", "<content creator='initiator' name='f' senders='both'/>").unwrap();
    assert_eq!(accept.contents[0].senders, Some(Senders::Both));
    let replaced = transport("xmlns='urn:xmpp:jingle:transports:ibb:1' sid='None' block-size='4096'", "").unwrap();
    assert_eq!(replaced, Transport::Ibb(IbbTransport { sid: "None".to_owned(), block_size: 4096, stanza: StanzaKind::Iq }));
}

/// COMPAT(Conversations 2.12)
#[test]
fn conversations_says_of_which_content_it_received_all() {
    let info = "<received xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='f'><file/></received>";
    let jingle = read("action='session-info' sid='1'", info).unwrap();
    let received = Received { version: Version::V5, creator: Some(Creator::Initiator), name: Some("f".to_owned()) };
    assert_eq!(jingle.infos, [SessionInfo::Received(received)]);
    let bare = read("action='session-info' sid='1'", "<received xmlns='urn:xmpp:jingle:apps:file-transfer:4'/>").unwrap();
    assert_eq!(bare.infos, [SessionInfo::Received(Received { version: Version::V4, creator: None, name: None })]);
    assert_eq!(bare.infos[0].write().ns(), ns::JINGLE_FILE_TRANSFER_4);
}

/// COMPAT(libervia 0.9)
/// Decision 54.
#[test]
fn libervia_sends_the_checksum_as_base64_of_hex_digits() {
    let hash = "MmZkNGUxYzY3YTJkMjhmY2VkODQ5ZWUxYmI3NmU3MzkxYjkzZWIxMg==";
    let info = format!(
        "<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='f'><file>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>{hash}</hash></file></checksum>"
    );
    let jingle = read("action='session-info' sid='1'", &info).unwrap();
    let SessionInfo::Checksum(checksum) = &jingle.infos[0] else { panic!("{jingle:?}") };
    assert_eq!(checksum.file.metadata.hashes[0].digest().unwrap().to_hex(), "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12");
}

/// COMPAT(Dino 0.4)
#[test]
fn dino_names_one_proxy_twice_and_an_id_given_twice_counts_once() {
    let candidate =
        |cid: &str, host: &str| format!("<candidate cid='{cid}' host='{host}' jid='p.lit' port='7625' priority='655360' type='proxy'/>");
    let twice = s5b(&(candidate("1", "p.lit") + &candidate("2", "p.lit")));
    assert_eq!(twice.candidates().iter().map(|candidate| candidate.cid.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let same = s5b(&(candidate("1", "p.lit") + &candidate("1", "q.lit")));
    assert_eq!(same.candidates().iter().map(|candidate| candidate.host.as_str()).collect::<Vec<_>>(), ["p.lit"]);
}

/// Movim 0.22 speaks version 4 and is answered in it.
/// Decision 22.
/// Proves: JFT-D-1.
#[test]
fn movim_is_answered_in_version_4() {
    let jingle = offer("<name>a</name><size>1</size><hash xmlns='urn:xmpp:hashes:1' algo='sha-1'/>", 4);
    assert_eq!(jingle.contents[0].file_description().unwrap().version, Version::V4);
    let written = jingle.write();
    let description = written.children().next().unwrap().children().next().unwrap();
    assert_eq!(description.ns(), ns::JINGLE_FILE_TRANSFER_4);
    let file = description.children().next().unwrap();
    assert_eq!(file.children().last().unwrap(), &Element::new("hash", ns::HASHES_1).with_attr("algo", "sha-1"));
    assert_eq!(Jingle::read(&written).unwrap(), jingle);
}

/// Proves: S5J-2.2-7.
#[test]
fn a_candidate_without_what_it_needs_is_left_out() {
    let good = "<candidate cid='a' host='::1' jid='a@b/c' priority='1'/>";
    let bad = "<candidate host='h' jid='a@b' priority='1'/><candidate cid='1' jid='a@b' priority='1'/><candidate cid='2' host='h' priority='1'/>\
               <candidate cid='3' host='h' jid='a@b'/><candidate cid='4' host='h' jid='@' priority='1'/><candidate cid='5' host='h' jid='a@b' priority='-1'/>\
               <candidate cid='6' host='h' jid='a@b' priority='1' port='65536'/><candidate cid='7' host='h' jid='a@b' priority='1' port='0'/>\
               <candidate cid='8' host='h' jid='a@b' priority='1' type='pigeon'/><candidate cid='9' host='a b' jid='a@b' priority='1'/>\
               <candidate xmlns='urn:example' cid='10' host='h' jid='a@b' priority='1'/>";
    let transport = s5b(&format!("{bad}{good}"));
    let [only] = transport.candidates() else { panic!("{transport:?}") };
    assert_eq!((only.cid.as_str(), only.port, only.port(), only.kind), ("a", None, 1080, CandidateKind::Direct));
    assert_eq!(s5b(bad).payload, S5bPayload::Nothing);
}

#[test]
fn candidates_without_end_are_cut_off() {
    let many: String = (0..1000).map(|cid| format!("<candidate cid='{cid}' host='h' jid='a@b' priority='1'/>")).collect();
    assert_eq!(s5b(&many).candidates().len(), 64);
}

/// Proves: S5J-2.2-6.
#[test]
fn the_sort_of_a_place_counts_more_than_any_preference_of_ones_own() {
    let kinds = [CandidateKind::Direct, CandidateKind::Assisted, CandidateKind::Tunnel, CandidateKind::Proxy];
    assert_eq!(kinds.map(|kind| kind.priority(0)), [8_257_536, 7_864_320, 7_208_960, 655_360]);
    assert!(kinds.windows(2).all(|pair| pair[0].priority(0) > pair[1].priority(u16::MAX)));
}

/// Decision 24.
/// Proves: IBJ-2.2-1, IBJ-D-1.
#[test]
fn blocks_have_from_1_to_65535_bytes() {
    let size = |size: &str| transport(&format!("xmlns='urn:xmpp:jingle:transports:ibb:1' sid='t' block-size='{size}'"), "");
    for block in testing_corpus::vector("ibb")["blocks"].as_array().unwrap() {
        if block["data_bytes"].is_null() {
            assert_eq!(size(&block["block_size"].to_string()).is_ok(), block["ok"].as_bool().unwrap(), "{block}");
        }
    }
    assert!(size("").is_err() && size("-1").is_err());
    let by_message = transport("xmlns='urn:xmpp:jingle:transports:ibb:1' sid='t' block-size='1' stanza='message'", "").unwrap();
    assert!(matches!(&by_message, Transport::Ibb(IbbTransport { stanza: StanzaKind::Message, .. })));
    assert_eq!(by_message.write().attr("stanza"), Some("message"));
}

#[test]
fn streams_without_an_id_or_of_an_unknown_mode_are_refused() {
    assert!(transport("xmlns='urn:xmpp:jingle:transports:s5b:1'", "").is_err());
    assert!(transport("xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='1'", "").is_err());
    assert!(transport("xmlns='urn:xmpp:jingle:transports:s5b:1' sid='1' mode='sctp'", "").is_err());
    assert!(transport("xmlns='urn:xmpp:jingle:transports:s5b:1' sid='1'", "<candidate-used/>").is_err());
    assert_eq!(transport("xmlns='urn:xmpp:jingle:transports:ice-udp:1'", "").unwrap().ns(), "urn:xmpp:jingle:transports:ice-udp:1");
}

#[test]
fn an_address_to_ask_for_is_40_hex_digits_or_none() {
    let of = |dstaddr: &str| match transport(&format!("xmlns='urn:xmpp:jingle:transports:s5b:1' sid='1' dstaddr='{dstaddr}'"), "").unwrap()
    {
        Transport::S5b(transport) => transport.dstaddr,
        other => panic!("{other:?}"),
    };
    assert_eq!(of("972B7bf47291ca609517f67f86b5081086052dad").as_deref(), Some("972b7bf47291ca609517f67f86b5081086052dad"));
    assert_eq!((of("Value of Hash"), of(&"a".repeat(255)), of("")), (None, None, None));
}

/// Proves: JIN-7.4-1.
#[test]
fn a_reason_has_one_condition_and_perhaps_words_and_a_detail() {
    let ended = |children: &str| read("action='session-terminate' sid='1'", &format!("<reason>{children}</reason>")).unwrap().reason;
    assert_eq!(ended("<text>Goodbye</text><gone/>"), Some(Reason::new(Condition::Gone).with_text("Goodbye")));
    assert_eq!(
        ended("<alternative-session><sid>b</sid></alternative-session>").unwrap().condition,
        Condition::AlternativeSession(Some("b".to_owned()))
    );
    assert_eq!(ended("<hungry/>").unwrap().condition, Condition::Unknown("hungry".to_owned()));
    assert_eq!(ended("<busy/><success/>").unwrap().condition, Condition::Busy);
    assert_eq!((ended(""), ended("<text>why not</text>")), (None, None));
}

#[test]
fn file_transfer_adds_to_a_reason_why_a_file_cannot_be_had() {
    let refused = in_example("xep-0234/17-file-sender-rejects-file-request-because-the-file-could-not.xml").reason.unwrap();
    assert_eq!(refused, Reason::of_file(Condition::FailedApplication, FileError::FileNotAvailable));
    let too_large = in_example("xep-0234/18-file-receiver-rejects-file-offer-because-the-file-is-too-lar.xml").reason.unwrap();
    assert_eq!((too_large.condition.clone(), too_large.file_error()), (Condition::MediaError, Some(FileError::FileTooLarge)));
}

#[test]
fn checksums_of_a_file_and_of_a_part_are_told_apart() {
    let of = |file: &str| match in_example(file).infos.remove(0) {
        SessionInfo::Checksum(checksum) => checksum,
        other => panic!("{other:?}"),
    };
    let whole = of("xep-0234/14-initiator-sends-checksum-in-session-info.xml");
    assert_eq!((whole.name.as_deref(), whole.file.metadata.hashes.len(), whole.file.range), (Some("a-file-offer"), 1, None));
    let part = of("xep-0234/15-initiator-sends-checksum-in-session-info-for-a-specific-rang.xml");
    let range = part.file.range.unwrap();
    assert_eq!((range.offset, range.length, range.hashes.len(), part.file.metadata.hashes.len()), (Some(2048), Some(1024), 1, 0));
    assert!(read("action='session-info' sid='1'", "<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5'/>").is_err());
}

#[test]
fn infos_nobody_knows_are_kept_and_bounded() {
    let jingle = in_example("xep-0166/30-responder-sends-ringing-message.xml");
    assert!(matches!(&jingle.infos[..], [SessionInfo::Other(ringing)] if ringing.name() == "ringing"));
    assert_eq!(in_example("xep-0166/32-responder-sends-session-ping.xml").infos, []);
    assert!(read("action='session-info' sid='1'", &"<ringing xmlns='urn:example'/>".repeat(100)).is_err());
}

/// Proves: JIN-10-1.
#[test]
fn errors_of_sessions_are_those_of_the_listings() {
    for (file, error) in [
        ("xep-0166/29-unknown-session-error.xml", JingleError::UnknownSession),
        ("xep-0166/31-responder-returns-unsupported-info-error.xml", JingleError::UnsupportedInfo),
        ("xep-0166/34-initiator-returns-conflict-error-on-tie-break.xml", JingleError::TieBreak),
        ("xep-0166/37-initiator-sends-security-required-error.xml", JingleError::SecurityRequired),
    ] {
        let iq = Element::parse(&testing_corpus::example(file).in_stream()).unwrap();
        let read = iq.payload::<StanzaError>().unwrap().unwrap();
        assert_eq!((read.clone(), JingleError::of(&read)), (StanzaError::from(error), Some(error)), "{file}");
    }
    let out_of_order = StanzaError::from(JingleError::OutOfOrder);
    assert_eq!((out_of_order.condition, out_of_order.kind), (DefinedCondition::UnexpectedRequest, ErrorKind::Wait));
    assert_eq!(JingleError::of(&StanzaError::new(DefinedCondition::ItemNotFound)), None);
}

#[test]
fn security_and_disposition_are_kept() {
    let jingle = in_example("xep-0166/35-initiator-sends-session-initiate-with-security-precondition.xml");
    assert_eq!(jingle.contents[0].security.as_ref().unwrap().ns(), "urn:xmpp:jingle:security:stub:0");
    let early = read("action='session-initiate' sid='1'", "<content creator='initiator' name='a' disposition='early-session'/>").unwrap();
    assert_eq!(early.contents[0].disposition.as_deref(), Some("early-session"));
    assert_eq!(Jingle::read(&early.write()).unwrap(), early);
}
