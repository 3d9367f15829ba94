//! What messages of XEPs and of other clients mean, and that what we write means the same to us and fits the others.

use balcony_sharing::dialect::{OutgoingFile, OutgoingShare, Reading, Written, read, write};
use balcony_sharing::verify::{Hashed, Hasher, SHARED_ALGOS};
use balcony_sharing::{Disposition, FileName, MediaType, Offer, Received, RoomFacts, Source, Via};
use balcony_wire::stanza::{MessageKind, Stanza};
use balcony_wire::{BareJid, Element, Jid, Message, ns};

const URL: &str = "https://upload.montague.lit/4a77/tr%C3%A8s%20cool.jpg";
const HASH: &str = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash>";

fn juliet() -> BareJid {
    Jid::parse("juliet@capulet.lit").unwrap().into_bare().unwrap()
}

fn message(payloads: &str) -> Message {
    let xml = format!(
        "<message xmlns='jabber:client' from='romeo@montague.lit/orchard' to='juliet@capulet.lit' id='m1' type='chat'>{payloads}</message>"
    );
    match Stanza::read(Element::parse(&xml).unwrap()).unwrap() {
        Stanza::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn reading_of(message: Message) -> Reading {
    read(&Received::direct(message, &juliet()).unwrap())
}

fn reading(payloads: &str) -> Reading {
    reading_of(message(payloads))
}

fn sfs(id: &str, name: &str, hash: &str, sources: &str) -> String {
    format!(
        "<file-sharing xmlns='urn:xmpp:sfs:0' id='{id}'><file xmlns='urn:xmpp:file:metadata:0'><name>{name}</name><size>7</size>{hash}</file>{sources}</file-sharing>"
    )
}

fn url_source(url: &str) -> String {
    format!("<sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources>")
}

fn sims(name: &str, hash: &str, uri: &str) -> String {
    format!(
        "<reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing xmlns='urn:xmpp:sims:1'>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><name>{name}</name><size>7</size>{hash}</file>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='{uri}'/></sources></media-sharing></reference>"
    )
}

fn oob(url: &str) -> String {
    format!("<x xmlns='jabber:x:oob'><url>{url}</url></x>")
}

fn names(reading: &Reading) -> Vec<String> {
    reading.offers.iter().map(|offer| offer.name().to_string()).collect()
}

fn targets(offer: &Offer) -> Vec<String> {
    offer.sources().map(ToString::to_string).collect()
}

fn hashed() -> Hashed {
    let mut hasher = Hasher::new(SHARED_ALGOS);
    hasher.update(b"summit");
    hasher.finish()
}

fn outgoing(id: &str, name: &str) -> OutgoingFile {
    let media_type = MediaType::from_peer("image/jpeg");
    let sources = vec![Source::url(format!("https://upload.montague.lit/{id}/{name}"))];
    OutgoingFile { sources, ..OutgoingFile::new(id, name, Some(&media_type), &hashed()) }
}

fn share(text: Option<&str>, files: Vec<OutgoingFile>) -> OutgoingShare {
    OutgoingShare { to: juliet().into(), to_room: false, id: "m1".into(), text: text.map(str::to_owned), files }
}

/// As it arrives: written to bytes, stamped by the server, parsed.
fn arrived(message: Message) -> Message {
    let stamped = Message { from: Some(Jid::parse("romeo@montague.lit/orchard").unwrap()), ..message };
    match Stanza::read(Element::parse(&stamped.into_element().to_xml()).unwrap()).unwrap() {
        Stanza::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn all_arrived(written: Written) -> Vec<Reading> {
    written.into_messages().map(|message| reading_of(arrived(message))).collect()
}

fn names_of_children(message: &Message) -> Vec<(&str, &str)> {
    message.payloads.iter().map(|element| (element.name(), element.ns())).collect()
}

/// Decision 15.
/// Proves: SFS-3.1-D2, SFS-4.3-1, SFS-4.3-D1, USER-4-2.
#[test]
fn the_sims_copy_of_a_share_is_not_shown_twice() {
    let example = testing_corpus::example("xep-0447/08-sharing-summit-jpg-with-juliet-shakespeare-lit-in-full-compa.xml").in_stream();
    let Stanza::Message(full) = Stanza::read(Element::parse(&example).unwrap()).unwrap() else { panic!() };
    let reading = reading_of(full);
    assert_eq!((reading.shares.len(), names(&reading)), (2, vec!["summit.jpg".to_owned()]));
    assert_eq!(reading.offers[0].said_in(), [Via::FileSharing, Via::MediaSharing]);
    assert_eq!(reading.offers[0].shares(), [0, 1]);
    assert_eq!(reading.offers[0].sources().count(), 2, "sources are those of the richer copy");
    assert_eq!(reading.shown_body, None);
}

/// Decision 15.
/// Proves: SIMS-D-2.
#[test]
fn a_sims_copy_folds_by_hash_or_by_name_and_size_and_never_over_another_hash() {
    let other = HASH.replace("47DE", "47DF");
    let fold = |sims_xml: String, hash: &str| names(&reading(&format!("{}{sims_xml}", sfs("a", "x.jpg", hash, &url_source(URL))))).len();
    assert_eq!(fold(sims("y.jpg", HASH, "https://h/y"), HASH), 1);
    assert_eq!(fold(sims("x.jpg", "", "https://h/y"), HASH), 1);
    assert_eq!(fold(sims("y.jpg", "", "https://h/y"), HASH), 2);
    assert_eq!(fold(sims("x.jpg", &other, "https://h/y"), HASH), 2);
}

#[test]
fn a_share_still_without_sources_takes_those_of_its_copy() {
    let both = reading(&format!("{}{}", sims("x.jpg", HASH, URL), sfs("a", "x.jpg", HASH, "<sources/>")));
    assert_eq!(targets(&both.offers[0]), [URL]);
    assert_eq!(both.offers[0].shares(), [1, 0]);
}

/// Proves: SFS-3.2-D2, USER-4-2.
#[test]
fn several_files_and_words_are_all_there() {
    let several = reading(&format!("<body>Look!</body>{}{}", sfs("a", "a.jpg", "", &url_source(URL)), sfs("b", "b.jpg", "", "")));
    assert_eq!((names(&several), several.shown_body.as_deref()), (vec!["a.jpg".to_owned(), "b.jpg".into()], Some("Look!")));
    assert!(several.offers[1].is_pending());
    let ids: Vec<_> =
        several.offers.iter().map(|offer| (offer.id().share.as_deref(), offer.id().index, offer.id().message.as_deref())).collect();
    assert_eq!(ids, [(Some("a"), 0, Some("m1")), (Some("b"), 1, Some("m1"))]);
}

/// Proves: OOB-D-1.
#[test]
fn a_link_as_body_and_out_of_band_is_one_file() {
    let link = reading(&format!("<body>{URL}</body>{}", oob(URL)));
    assert_eq!((names(&link), link.shown_body, link.offers[0].said_in()), (vec!["très cool.jpg".to_owned()], None, &[Via::OutOfBand][..]));
    let words = reading(&format!("<body>Yeah, but do you have a license?</body>{}", oob(URL)));
    assert_eq!((words.offers.len(), words.shown_body.as_deref()), (1, Some("Yeah, but do you have a license?")));
    let alone = reading(&format!("<body>{URL}</body>"));
    assert_eq!((alone.offers.len(), alone.shown_body.as_deref()), (1, Some(URL)), "a link alone is a text as well");
    assert_eq!(reading(&format!("<body>{URL}</body>{}{}", oob(URL), oob(URL))).offers.len(), 1);
}

/// Proves: SFS-3.3-D3.
#[test]
fn dino_shares_first_and_attaches_the_link_in_a_second_message() {
    // Dino 0.4: no body and no sources, then body, out-of-band data, attach-to and sources
    let first = reading(&sfs("a", "x.jpg", HASH, ""));
    assert!(first.offers[0].is_pending() && first.shown_body.is_none());
    let second = reading(&format!(
        "<body>{URL}</body>{}<attach-to xmlns='urn:xmpp:message-attaching:1' id='m0'/>\
         <sources xmlns='urn:xmpp:sfs:0' id='a'><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources>",
        oob(URL)
    ));
    let attach = second.attach.unwrap();
    assert_eq!((attach.to.as_str(), attach.share_id.as_deref(), attach.sources.len()), ("m0", Some("a"), 1));
    assert_eq!((second.offers.len(), second.shown_body), (0, None));
}

/// Decision 58.
#[test]
fn kaidan_sends_messages_for_older_clients_that_attach_nothing() {
    let old = reading(&format!(
        "<body>{URL}</body>{}<attach-to xmlns='urn:xmpp:message-attaching:1' id='m0'/>\
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body/></fallback>",
        oob(URL)
    ));
    assert_eq!((old.offers.len(), old.shown_body), (0, None));
    assert!(old.ignored.iter().any(|dropped| dropped.what == "attach-to"));
}

#[test]
fn fluux_puts_bare_metadata_beside_the_link() {
    let bare = reading(&format!("<body>{URL}</body>{}<file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name>{HASH}</file>", oob(URL)));
    assert_eq!((names(&bare), bare.offers[0].said_in(), bare.shares.len()), (vec!["a.jpg".to_owned()], &[Via::BareFile][..], 1));
    assert_eq!((bare.offers[0].digests().len(), bare.shown_body), (1, None));
}

#[test]
fn an_aesgcm_link_is_a_file_and_its_key_is_never_shown() {
    let key = "0123456789abcdef".repeat(4);
    for fragment in [format!("{}{key}", "A1".repeat(12)), format!("{}{key}", "0f".repeat(16))] {
        let link = reading(&format!("<body>aesgcm://upload.montague.lit/x.jpg#{fragment}</body>"));
        assert_eq!((link.offers.len(), link.shown_body, link.offers[0].said_in()), (1, None, &[Via::AesGcm][..]));
        assert!(!format!("{:?}", link.offers).contains(&key));
    }
}

#[test]
fn references_to_people_are_no_files() {
    let mention = reading(
        "<body>hi Romeo</body><reference xmlns='urn:xmpp:reference:0' type='mention' begin='3' end='8' uri='xmpp:romeo@montague.lit'/>",
    );
    assert_eq!((mention.offers.len(), mention.shares.len(), mention.shown_body.as_deref()), (0, 0, Some("hi Romeo")));
}

/// Proves: SIMS-D-1, SIMS-D-3.
#[test]
fn psi_and_movim_write_older_forms() {
    let old = sims("x.jpg", "", "xmpp:romeo@montague.lit/orchard?jingle-ft").replace("file-transfer:5", "file-transfer:4");
    let hex = "<hash xmlns='urn:xmpp:hashes:1' algo='sha-1'>c3499c2729730a7f807efb8676a92dcb6f8a3f8f</hash>";
    let old = reading(&old.replace("</size>", &format!("</size>{hex}")));
    assert_eq!(old.offers[0].digests().strongest().unwrap().to_hex(), "c3499c2729730a7f807efb8676a92dcb6f8a3f8f");
    assert!(matches!(old.offers[0].sources().next(), Some(Source::ByHash { .. })));
}

/// Proves: FB-2.2-3, FB-2.2-4, FB-D-1, CNT-2-1, CNT-D-1.
#[test]
fn fallback_is_hidden_as_the_vectors_say() {
    let cases = testing_corpus::vector("text-ranges");
    for case in cases["fallbacks"].as_array().unwrap() {
        let body = Element::new("body", ns::CLIENT).with_text(case["body"].as_str().unwrap());
        let mut fallback = Element::new("fallback", ns::FALLBACK).with_attr_opt("for", case["for"].as_str());
        for region in case["fallback"].as_array().into_iter().flatten() {
            let bound = |name: &str| region[name].as_u64().map(|at| at.to_string());
            fallback.push(Element::new("body", ns::FALLBACK).with_attr_opt("start", bound("start")).with_attr_opt("end", bound("end")));
        }
        // a file elsewhere, so that no body is hidden by its own looks
        let mut shared = message(&sfs("a", "x.jpg", HASH, &url_source("https://elsewhere.lit/x")));
        shared.payloads.extend([body, fallback]);
        let supported = case["supported"].as_array().unwrap().iter().any(|ns| ns == ns::SFS);
        if supported || case["shown"] == case["body"] {
            assert_eq!(reading_of(shared).shown_body.unwrap_or_default(), case["shown"].as_str().unwrap(), "{case}");
        }
    }
}

/// Decision 57.
#[test]
fn an_unmarked_body_is_hidden_only_when_it_says_nothing_of_its_own() {
    let shown = |body: &str, extra: &str| {
        let described = sfs("a", "x.jpg", "<desc>Photo from the summit.</desc>", &url_source(URL));
        reading(&format!("<body>{body}</body>{described}{extra}")).shown_body
    };
    assert_eq!(shown(URL, ""), None);
    assert_eq!(shown(&format!("  {URL}\n"), ""), None);
    assert_eq!(shown(&format!("Photo from the summit: {URL}"), &oob(URL)), None); // the form of the first draft
    let own = format!("Call me, then look: {URL}");
    assert_eq!(shown(&own, &oob(URL)), Some(own));
    assert_eq!(shown("https://elsewhere.lit/y", ""), Some("https://elsewhere.lit/y".into()));
    assert_eq!(shown("x", "<fallback xmlns='urn:xmpp:fallback:0'><body/></fallback>"), Some("x".into()));
}

/// Decision 57.
#[test]
fn psi_appends_the_link_and_marks_it_by_a_reference() {
    let words = "Look 😀 ";
    let begin = words.chars().count();
    for end in [begin + URL.len(), begin + URL.len() - 1] {
        let marked = sims("x.jpg", HASH, URL).replacen("type='data'", &format!("type='data' begin='{begin}' end='{end}'"), 1);
        let read = reading(&format!("<body>{words}{URL}</body>{marked}"));
        assert_eq!(read.shown_body.as_deref(), Some(words));
    }
}

/// Proves: HINT-5-2.
#[test]
fn an_error_echoes_and_shares_nothing() {
    let bounced = Message { kind: MessageKind::Error, ..message(&format!("{}<body>x</body>", sfs("a", "x.jpg", HASH, &url_source(URL)))) };
    let read = reading_of(bounced);
    assert_eq!((read.offers.len(), read.shares.len(), read.shown_body, read.ignored.len()), (0, 0, None, 1));
}

#[test]
fn a_share_that_contradicts_itself_is_refused_and_the_rest_is_read() {
    let two_files = sfs("a", "a.jpg", "", "").replace("</file>", "</file><file xmlns='urn:xmpp:file:metadata:0'/>");
    let two_lists = sfs("b", "b.jpg", "", "<sources/><sources/>");
    let two_hashes = sfs("c", "c.jpg", &format!("{HASH}{}", HASH.replace("47DE", "47DF")), "");
    let read = reading(&format!("{two_files}{two_lists}{two_hashes}{}", sfs("d", "d.jpg", HASH, "")));
    assert_eq!(names(&read), ["d.jpg"]);
    let whys: Vec<_> = read.ignored.iter().map(|dropped| dropped.why.as_str()).collect();
    assert_eq!(whys, ["two files in one share", "two lists of sources", "two different sha-256 hashes"]);
}

#[test]
fn floods_are_bounded_and_counted() {
    let many: String = (0..200).map(|at| sfs(&format!("s{at}"), "x.jpg", "", &url_source(URL))).collect();
    let read = reading(&many);
    assert_eq!(read.offers.len(), 64);
    assert!(read.ignored.iter().any(|dropped| dropped.what == "136 shares"));
    let sources: String =
        (0..200).map(|at| format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='https://h/{at}'/>")).collect();
    let read = reading(&sfs("a", "x.jpg", HASH, &format!("<sources>{sources}</sources>")));
    assert_eq!(read.offers[0].sources().count(), 64);
    assert!(read.ignored.iter().any(|dropped| dropped.what == "136 sources"));
}

/// Decision 14.
/// Proves: SFS-3.1-1, SFS-3.1-2, SFS-3.1-3, SFS-3.1-4, SFS-3.1-5, SFS-3.1-6, SFS-3.1-7, SFS-3.1-8, SFS-3.1-9, SFS-3.1-10, SFS-3.1-D1,
/// SIMS-4.1-1, SIMS-4.1-3, SIMS-4.1-4, SIMS-4.1-5, FB-2.2-1, CNT-3-1, FMD-2-1, FMD-2-4, FMD-2-5, FMD-2-8, FMD-2-12.
///
/// Proves: USER-7-3.
#[test]
fn one_file_goes_out_as_one_message_that_every_client_understands() {
    let written = write(&share(None, vec![outgoing("f1", "summit.jpg")]));
    assert!(written.attaching.is_empty());
    let sent = written.message.clone();
    assert_eq!((sent.kind, sent.id.as_deref()), (MessageKind::Chat, Some("m1")));
    let children = names_of_children(&sent);
    let expected = [
        ("origin-id", ns::STANZA_ID),
        ("file-sharing", ns::SFS),
        ("reference", ns::REFERENCE),
        ("fallback", ns::FALLBACK),
        ("body", ns::CLIENT),
        ("x", ns::OOB),
    ];
    assert_eq!(children, expected);
    let url = "https://upload.montague.lit/f1/summit.jpg";
    assert_eq!(sent.body().as_deref(), Some(url));
    let xml = sent.into_element().to_xml();
    for part in [
        "disposition='inline'",
        "<name>summit.jpg</name>",
        "<size>6</size>",
        "<media-type>image/jpeg</media-type>",
        "algo='sha-256'",
        "algo='blake2b-256'",
        "<desc>summit.jpg</desc>",
        &format!("<url>{url}</url>"),
        &format!("end='{}'", url.len()),
    ] {
        assert!(xml.contains(part) || xml.contains(&part.replace('\'', "\"")), "{part}: {xml}");
    }
    let [read] = &all_arrived(written)[..] else { panic!() };
    assert_eq!((names(read), read.shown_body.clone()), (vec!["summit.jpg".to_owned()], None));
    let offer = &read.offers[0];
    assert_eq!(offer.said_in(), [Via::FileSharing, Via::MediaSharing]);
    assert_eq!((targets(offer), offer.size(), offer.disposition()), (vec![url.to_owned()], Some(6), Some(Disposition::Inline)));
    assert_eq!(offer.digests(), hashed().digests());
    assert_eq!(read.ignored.len(), 1, "nothing but the out-of-band copy: {:?}", read.ignored);
}

/// Decision 14.
/// Proves: SFS-4.1-1, SFS-4.1-3, SFS-3.3-4, SFS-3.3-5, SFS-3.3-8, SFS-3.3-9, SFS-3.3-11.
#[test]
fn words_stay_the_body_and_the_link_goes_into_an_attaching_message() {
    let written = write(&share(Some("Look at this"), vec![outgoing("f1", "summit.jpg")]));
    assert_eq!(written.message.body().as_deref(), Some("Look at this"));
    assert!(!names_of_children(&written.message).contains(&("fallback", ns::FALLBACK)));
    let [first, second] = &all_arrived(written)[..] else { panic!() };
    assert_eq!((first.shown_body.as_deref(), first.offers.len(), first.offers[0].is_pending()), (Some("Look at this"), 1, false));
    assert_eq!((second.shown_body.as_deref(), second.offers.len()), (None, 0));
    let attach = second.attach.as_ref().unwrap();
    assert_eq!((attach.to.as_str(), attach.share_id.as_deref(), attach.sources.len()), ("m1", Some("f1"), 1));
    assert_eq!(second.body.as_ref(), second.oob.first());
}

/// Decisions 9, 37 and 46.
/// Proves: SFS-4.2-1, SFS-4.2-2, SFS-4.2-3, SFS-4.2-4, SFS-3.1-11, SIMS-4.1-2.
#[test]
fn several_files_go_out_in_one_message_and_their_links_one_by_one() {
    let written = write(&share(None, vec![outgoing("f1", "a.jpg"), outgoing("f2", "b.jpg")]));
    assert_eq!((written.message.body(), written.attaching.len()), (None, 2));
    assert!(names_of_children(&written.message).contains(&("store", ns::HINTS)));
    let ids: Vec<_> = written.attaching.iter().map(|message| message.id.clone().unwrap()).collect();
    assert_eq!(ids, ["m1.1", "m1.2"]);
    let readings = all_arrived(written);
    assert_eq!(names(&readings[0]), ["a.jpg", "b.jpg"]);
    assert!(readings[0].offers.iter().all(|offer| offer.said_in() == [Via::FileSharing, Via::MediaSharing]));
    assert!(readings[1..].iter().all(|reading| reading.offers.is_empty() && reading.shown_body.is_none()));
}

/// Proves: SFS-4.1-2, FB-2.2-2.
#[test]
fn in_a_room_links_stand_behind_the_words_with_their_range_marked() {
    let room = OutgoingShare { to_room: true, ..share(Some("Look 😀"), vec![outgoing("f1", "a.jpg"), outgoing("f2", "b.jpg")]) };
    let written = write(&room);
    assert_eq!((written.message.kind, written.attaching.len()), (MessageKind::Groupchat, 0));
    let mut reflected = arrived(written.message);
    reflected.from = Some(Jid::parse("room@muc.montague.lit/romeo").unwrap());
    let read = read(&Received::room(reflected, &juliet(), &RoomFacts::unknown("room@muc.montague.lit".parse().unwrap())).unwrap());
    assert_eq!((read.shown_body.as_deref(), read.offers.len()), (Some("Look 😀"), 2));
}

/// Proves: SFS-3.3-7.
#[test]
fn a_file_is_announced_before_it_is_uploaded_with_an_empty_list_of_sources() {
    let pending = OutgoingFile { sources: Vec::new(), ..outgoing("f1", "summit.jpg") };
    let written = write(&share(None, vec![pending]));
    assert_eq!((written.message.body(), written.attaching.len()), (None, 0));
    assert!(names_of_children(&written.message).contains(&("store", ns::HINTS)));
    assert!(!names_of_children(&written.message).contains(&("reference", ns::REFERENCE)), "SIMS clients need a source");
    assert!(written.message.clone().into_element().to_xml().contains("<sources/>"));
    assert!(all_arrived(written)[0].offers[0].is_pending());
}

/// Proves: FMD-2-10.
#[test]
fn a_path_never_goes_out_as_a_name() {
    for path in ["/home/romeo/summit.jpg", "C:\\Photos\\summit.jpg", "../summit.jpg"] {
        let file = OutgoingFile::new("f1", path, None, &hashed());
        assert_eq!(file.file.name.as_deref(), Some("summit.jpg"));
        assert_eq!(file.disposition, Some(Disposition::Attachment));
    }
    assert_eq!(OutgoingFile::new("f1", "/", None, &hashed()).file.name.as_deref(), Some("file"));
}

/// Proves: SFS-3.2-D1, FMD-D-3, SFS-3.2-12, USER-1-8.
#[test]
fn what_nobody_knows_is_passed_over() {
    let odd = "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='floating'><x xmlns='urn:example'/><sources><carrier-pigeon xmlns='urn:example'/>\
               <url-data xmlns='http://jabber.org/protocol/url-data' target='https://h/x.jpg'/></sources>\
               <file xmlns='urn:xmpp:file:metadata:0'><colour>red</colour><size>7</size><name>x.jpg</name></file></file-sharing>";
    let read = reading(odd);
    let offer = &read.offers[0];
    assert_eq!((offer.disposition(), offer.size(), offer.name().as_str()), (None, Some(7), "x.jpg"));
    assert_eq!(targets(offer), ["{urn:example}carrier-pigeon", "https://h/x.jpg"]);
    let mut whats: Vec<_> = read.ignored.iter().map(|dropped| dropped.what.as_str()).collect();
    whats.sort_unstable();
    assert_eq!(whats, ["disposition", "{urn:example}carrier-pigeon", "{urn:example}x", "{urn:xmpp:file:metadata:0}colour"]);
}

/// Decision 48.
#[test]
fn the_description_nearest_to_the_reader_is_chosen() {
    let descs = "<desc xml:lang='de'>Gipfel</desc><desc>Summit</desc><desc xml:lang='pt-BR'>Cume</desc>";
    let offer = reading(&sfs("a", "x.jpg", descs, "")).offers.remove(0);
    let nearest = |lang| offer.description(lang);
    assert_eq!(nearest(Some("DE")), Some("Gipfel"));
    assert_eq!(nearest(Some("pt-PT")), Some("Cume"));
    assert_eq!((nearest(Some("fr")), nearest(None)), (Some("Summit"), Some("Summit")));
    assert_eq!(offer.name(), FileName::from_peer("x.jpg"));
}
