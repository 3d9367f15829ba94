//! Sources that come in messages of their own: by the listings of XEP-0447, as Dino sends them, in any order, and forged.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use balcony_sharing::attach::{Attachment, MAX_ATTACHED, MAX_FROM_ONE, MAX_FROM_OTHERS, NotJoined, join, joins};
use balcony_sharing::dialect::{self, Reading};
use balcony_sharing::plan::{Answer, Circumstances, Concern, Contacts, Decision, History, Outcome, Policy, Record, decide};
use balcony_sharing::{NamedBy, Offer, Received, RoomFacts, Source};
use balcony_wire::file_sharing::MAX_SOURCES;
use balcony_wire::roster::{RosterItem, Subscription};
use balcony_wire::{BareJid, Element, Message, Stanza};
use proptest::prelude::*;

const SHA256: &str = "2wFnD5Sl5ca7pRdpGI8Uu7GCkmL6cSrEUd1v4DYQpLY=";

fn juliet() -> BareJid {
    "juliet@shakespeare.lit".parse().unwrap()
}

fn message(xml: &str) -> Message {
    match Stanza::read(Element::parse(xml).unwrap()).unwrap() {
        Stanza::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn direct(xml: &str) -> Received<Message> {
    Received::direct(message(xml), &juliet()).unwrap()
}

fn read(xml: &str) -> Reading {
    dialect::read(&direct(xml))
}

fn listing(file: &str) -> String {
    testing_corpus::example(&format!("xep-0447/{file}")).in_stream()
}

fn attachment(received: &Received<Message>, seconds: u64) -> Option<Attachment> {
    Attachment::of(&dialect::read(received), received.provenance(), at(seconds))
}

fn attached(xml: &str, seconds: u64) -> Attachment {
    attachment(&direct(xml), seconds).unwrap()
}

/// A share of one file with this inside, and a digest.
fn share(attributes: &str, id: &str, name: &str, sources: &[&str]) -> String {
    let list: String =
        sources.iter().map(|url| format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/>")).collect();
    format!(
        "<file-sharing xmlns='urn:xmpp:sfs:0' {attributes} {id}><file xmlns='urn:xmpp:file:metadata:0'><name>{name}</name><size>7</size>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash></file><sources>{list}</sources></file-sharing>"
    )
}

fn from_romeo(id: &str, inside: &str) -> String {
    format!(
        "<message xmlns='jabber:client' type='chat' from='romeo@montague.lit/orchard' to='juliet@shakespeare.lit' id='{id}'>{inside}</message>"
    )
}

fn attaching(from: &str, to: &str, id: &str, urls: &[&str]) -> String {
    let list: String = urls.iter().map(|url| format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/>")).collect();
    format!(
        "<message xmlns='jabber:client' type='chat' from='{from}' to='juliet@shakespeare.lit'>\
         <attach-to xmlns='urn:xmpp:message-attaching:1' id='{to}'/><sources xmlns='urn:xmpp:sfs:0' {id}>{list}</sources></message>"
    )
}

const ROMEO: &str = "romeo@montague.lit/phone";
const ONE: &str = "https://upload.montague.lit/1/a.jpg";

fn urls(offer: &Offer) -> Vec<&str> {
    offer.sources().flat_map(Source::addresses).collect()
}

fn names(offer: &Offer) -> Vec<&NamedBy> {
    offer.places().iter().map(|place| &place.named_by).collect()
}

/// Decision 9.
/// Proves: SFS-3.2-3, SFS-3.3-4, SFS-3.3-5, SFS-3.3-D3.
#[test]
fn the_primary_source_comes_in_a_message_of_its_own() {
    for (shared, attaching, words) in [
        (
            "05-1-sharing-a-file-and-attaching-the-primary-source-for-the-file.xml",
            "05-2-sharing-a-file-and-attaching-the-primary-source-for-the-file.xml",
            None,
        ),
        (
            "06-1-sharing-a-file-with-additional-body-and-attaching-a-source-w.xml",
            "06-2-sharing-a-file-with-additional-body-and-attaching-a-source-w.xml",
            Some("Summit was great, check out this cool photo of everyone."),
        ),
    ] {
        let reading = read(&listing(shared));
        let mut offers = reading.offers;
        assert!(offers[0].is_pending());
        assert_eq!(reading.shown_body.as_deref(), words);
        let second = read(&listing(attaching));
        assert_eq!((second.offers.len(), second.shown_body.as_deref()), (0, None), "it is no message of its own");
        assert_eq!(join(&mut offers, &[attached(&listing(attaching), 1)]), []);
        assert_eq!(urls(&offers[0]), ["https://download.montague.lit/4a771ac1-f0b2-4a4a-9700-f2a26fa2bb67/summit.jpg"]);
        assert_eq!(names(&offers[0]), [&NamedBy::Sender]);
    }
}

/// Proves: SFS-3.3-5, SFS-4.2-3.
#[test]
fn each_source_goes_to_the_file_it_names() {
    let mut offers = read(&listing("07-1-sharing-multiple-files-and-attaching-sources-with-fallback.xml")).offers;
    let attachments: Vec<_> = [3, 2, 4]
        .iter()
        .map(|number| attached(&listing(&format!("07-{number}-sharing-multiple-files-and-attaching-sources-with-fallback.xml")), *number))
        .collect();
    assert_eq!(join(&mut offers, &attachments), []);
    let ends: Vec<_> = offers.iter().map(|offer| urls(offer)[0].rsplit('/').next().unwrap()).collect();
    assert_eq!(ends, ["photo1.jpg", "photo2.jpg", "photo3.jpg"]);
}

/// Proves: SFS-3.3-1, SFS-3.3-4, SEC-1-3.
#[test]
fn another_device_of_the_sender_attaches_itself() {
    let mut offers = read(&listing("06-1-sharing-a-file-with-additional-body-and-attaching-a-source-w.xml")).offers;
    let itself = attached(&listing("04-romeo-montague-lit-resource2-attaches-itself-as-an-additiona.xml"), 1);
    assert_eq!(join(&mut offers, std::slice::from_ref(&itself)), []);
    assert_eq!(names(&offers[0]), [&NamedBy::Sender]);
    assert!(matches!(offers[0].sources().next(), Some(Source::Published { from, .. }) if from.as_str() == "romeo@montague.lit/resource2"));
}

/// Decision 7.
/// Proves: SFS-3.3-D2.
#[test]
fn sources_that_could_mean_several_files_or_none_are_ignored_with_a_reason() {
    let two = from_romeo("m", &(share("", "id='f1'", "a.jpg", &[]) + &share("", "id='f2'", "b.jpg", &[])));
    let twins = from_romeo("m", &(share("", "id='f1'", "a.jpg", &[]) + &share("", "id='f1'", "b.jpg", &[])));
    let one = from_romeo("m", &share("", "id='f1'", "a.jpg", &[]));
    let bare = from_romeo("m", &share("", "", "a.jpg", &[]));
    let none = from_romeo("m", "<body>Hello</body>");
    let joined = |shared: &str, id: &str| joins(&attached(&attaching(ROMEO, "m", id, &[ONE]), 1), &read(shared).offers);
    assert_eq!(joined(&two, ""), Err(NotJoined::Ambiguous));
    assert_eq!(joined(&two, "id='f3'"), Err(NotJoined::NoSuchShare));
    assert_eq!(joined(&two, "id='f2'"), Ok(1));
    assert_eq!(joined(&twins, "id='f1'"), Err(NotJoined::Ambiguous), "SFS-4.2-2 wants them to differ");
    assert_eq!(joined(&one, ""), Ok(0), "it cannot be meant otherwise");
    assert_eq!(joined(&bare, "id='f1'"), Err(NotJoined::NoSuchShare));
    assert_eq!(joined(&bare, ""), Ok(0));
    assert_eq!(joined(&none, ""), Err(NotJoined::NoShare));
}

/// Decision 8.
/// Proves: ATT-4.1-3, SFS-3.3-D1.
#[test]
fn a_message_is_named_by_its_origin_id_or_by_its_own_within_one_conversation() {
    let origin = "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>".to_owned();
    let offers = read(&from_romeo("m", &(origin + &share("", "", "a.jpg", &[])))).offers;
    let joined = |from: &str, to: &str| joins(&attached(&attaching(from, to, "", &[ONE]), 1), &offers);
    assert_eq!(joined(ROMEO, "o"), Ok(0));
    assert_eq!(joined(ROMEO, "m"), Ok(0));
    assert_eq!(joined(ROMEO, "x"), Err(NotJoined::OtherMessage));
    assert_eq!(joined("mallory@evil.example/1", "m"), Err(NotJoined::OtherConversation));
    assert_eq!(joined("romeo@evil.example/orchard", "m"), Err(NotJoined::OtherConversation));
    assert_eq!(joined("montague.lit", "m"), Err(NotJoined::OtherConversation));
}

/// Proves: SFS-3.3-D1.
#[test]
fn what_our_other_device_attaches_belongs_to_what_it_shared() {
    let sent = |inside: &str| {
        message(&format!(
            "<message xmlns='jabber:client' from='juliet@shakespeare.lit' to='juliet@shakespeare.lit/balcony'><sent xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'>{inside}</forwarded></sent></message>"
        ))
    };
    let own = |inside: &str| {
        let copy = inside.replace("romeo@montague.lit/orchard", "juliet@shakespeare.lit/phone");
        sent(&copy.replace("to='juliet@shakespeare.lit'", "to='romeo@montague.lit'"))
    };
    let shared = Received::carbon(&own(&from_romeo("m", &share("", "", "a.jpg", &[]))), &juliet()).unwrap();
    let mut offers = dialect::read(&shared).offers;
    let attaching = attaching("juliet@shakespeare.lit/phone", "m", "", &[ONE]);
    let second = Received::carbon(&own(&attaching), &juliet()).unwrap();
    assert_eq!(join(&mut offers, &[attachment(&second, 1).unwrap()]), []);
    assert_eq!((urls(&offers[0]), names(&offers[0])), (vec![ONE], vec![&NamedBy::Sender]));
}

/// Decision 58.
/// Proves: ATT-D-1.
#[test]
fn nothing_is_attached_without_sources_or_by_an_error() {
    let kaidan = from_romeo(
        "k",
        "<attach-to xmlns='urn:xmpp:message-attaching:1' id='m'/><x xmlns='jabber:x:oob'><url>https://a.example/1</url></x><body>https://a.example/1</body>",
    );
    assert_eq!(attachment(&direct(&kaidan), 1), None);
    assert_eq!(attachment(&direct(&attaching(ROMEO, "m", "", &[])), 1), None);
    let error = attaching(ROMEO, "m", "", &[ONE]).replace("type='chat'", "type='error'");
    assert_eq!(attachment(&direct(&error), 1), None);
    let nameless = attaching(ROMEO, "m&#10;n", "", &[ONE]);
    assert_eq!(attachment(&direct(&nameless), 1), None);
}

/// Proves: ATT-5-2.
#[test]
fn words_that_come_with_a_source_are_a_message_whether_or_not_it_belongs_anywhere() {
    for to in ["m", "nowhere"] {
        let said = attaching(ROMEO, to, "", &[ONE]).replace("<attach-to", "<body>I put it there as well.</body><attach-to");
        assert_eq!(read(&said).shown_body.as_deref(), Some("I put it there as well."));
    }
}

/// Proves: SFS-6-2, SFS-6-D1, ATT-5-1.
#[test]
fn what_others_attach_never_looks_as_if_the_sender_had_said_it() {
    let mine = "https://files.shakespeare.lit/mirror";
    let own =
        attaching("juliet@shakespeare.lit/phone", "m", "", &[mine, ONE]).replace("to='juliet@shakespeare.lit'", "to='romeo@montague.lit'");
    let own = attachment(&Received::own(message(&own), &juliet()), 1).unwrap();
    let again = attached(&attaching(ROMEO, "m", "", &[ONE]), 2);
    let mut offers = read(&from_romeo("m", &share("", "", "a.jpg", &[]))).offers;
    assert_eq!(join(&mut offers, std::slice::from_ref(&own)), []);
    let other = NamedBy::Other("juliet@shakespeare.lit/phone".parse().unwrap());
    assert_eq!((urls(&offers[0]), names(&offers[0])), (vec![mine, ONE], vec![&other, &other]));
    assert_eq!(join(&mut offers, &[own, again]), []);
    assert_eq!(urls(&offers[0]), [ONE, mine], "what the sender names is theirs, whoever named it before");
    assert_eq!(names(&offers[0]), [&NamedBy::Sender, &other]);
}

fn in_room(from: &str, occupant: &str, inside: &str) -> Received<Message> {
    let room = "coven@chat.lit".parse().unwrap();
    let facts = RoomFacts { announces_occupant_ids: true, announces_stanza_ids: true, ..RoomFacts::unknown(room) };
    let xml = format!(
        "<message xmlns='jabber:client' type='groupchat' from='coven@chat.lit/{from}' id='m'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{occupant}'/>{inside}</message>"
    );
    Received::room(message(&xml), &juliet(), &facts).unwrap()
}

fn attaches(to: &str, url: &str) -> String {
    format!(
        "<attach-to xmlns='urn:xmpp:message-attaching:1' id='{to}'/><sources xmlns='urn:xmpp:sfs:0'>\
         <url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources>"
    )
}

/// Proves: ATT-4.1-1, ATT-4.1-2, SFS-6-D1, ATT-5-1, SEC-1-3.
#[test]
fn in_a_room_the_id_of_the_room_names_the_message_and_the_occupant_id_the_sender() {
    let stanza_id = "<stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='coven@chat.lit'/>".to_owned();
    let shared = in_room("romeo", "1", &(stanza_id + &share("", "", "a.jpg", &[])));
    let offers = dialect::read(&shared).offers;
    let by = |nick: &str, occupant: &str, to: &str| attachment(&in_room(nick, occupant, &attaches(to, ONE)), 1).unwrap();
    let named = |attachment: Attachment| {
        let mut offers = offers.clone();
        assert_eq!(join(&mut offers, &[attachment]), []);
        offers[0].places()[0].named_by.clone()
    };
    assert_eq!(named(by("montague", "1", "s1")), NamedBy::Sender, "another nick, the same person");
    assert_eq!(named(by("romeo", "2", "s1")), NamedBy::Other("coven@chat.lit/romeo".parse().unwrap()), "a nick proves nothing");
    assert_eq!(joins(&by("romeo", "1", "m"), &offers), Err(NotJoined::OtherMessage), "everybody can give a message that id");
    let elsewhere = attached(&attaching("coven@chat.lit/romeo", "s1", "", &[ONE]), 1);
    assert_eq!(joins(&elsewhere, &offers), Err(NotJoined::OtherConversation), "said in private");
}

fn contact() -> Circumstances {
    let romeo = RosterItem { subscription: Subscription::Both, ..RosterItem::new("romeo@montague.lit".parse().unwrap()) };
    Circumstances { contacts: Arc::new(Contacts::from_items([romeo])), ..Circumstances::at(at(1_000)) }
}

/// Proves: SFS-6-2.
#[test]
fn without_a_usable_hash_what_others_attach_is_ignored() {
    let hashless = share("", "", "a.jpg", &[ONE]).replace("sha-256", "x-unknown");
    let mut offers = read(&from_romeo("m", &hashless)).offers;
    let own = attaching("juliet@shakespeare.lit/phone", "m", "", &["https://evil.example/x"]);
    let own = own.replace("to='juliet@shakespeare.lit'", "to='romeo@montague.lit'");
    join(&mut offers, &[attachment(&Received::own(message(&own), &juliet()), 1).unwrap()]);
    let lenient: Policy = "fetch everybody even unproven".parse().unwrap();
    let decision = decide(&offers[0], &lenient, &History::default(), &contact());
    let plan = decision.plan().unwrap();
    assert_eq!(plan.left_out.iter().map(|left_out| left_out.reason.code()).collect::<Vec<_>>(), ["not-the-senders"]);
    assert_eq!(plan.attempts.len(), 1);
}

/// An offer of Romeo's with these places of his, and one that somebody else named, in a room where both are known.
fn with_a_strangers_place(own: &[&str], strangers: &str) -> Offer {
    let stanza_id = "<stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='coven@chat.lit'/>".to_owned();
    let mut offers = dialect::read(&in_room("romeo", "1", &(stanza_id + &share("", "", "a.jpg", own)))).offers;
    join(&mut offers, &[attachment(&in_room("mallory", "2", &attaches("s1", strangers)), 1).unwrap()]);
    offers.remove(0)
}

/// Decision 49.
/// Proves: SFS-6-5.
#[test]
fn where_a_stranger_says_it_is_nobody_goes_unasked_and_never_before_the_senders_own() {
    // It would be the least revealing place of all: our own server.
    let strangers = "https://upload.shakespeare.lit/x";
    let lenient: Policy = "fetch everybody".parse().unwrap();
    let decide = |offer: &Offer, around: &Circumstances| decide(offer, &lenient, &History::default(), around);
    let both = with_a_strangers_place(&["https://chat.lit/1"], strangers);
    let Decision::Fetch(plan) = decide(&both, &contact()) else { panic!("the sender's own needs no question") };
    assert_eq!((plan.attempts.len(), &plan.attempts[0].named_by), (1, &NamedBy::Sender));
    let left_out = &plan.left_out[0];
    assert_eq!((left_out.what.contains(strangers), left_out.reason.code()), (true, "named-by-other"));
    assert!(left_out.reason.to_string().starts_with("coven@chat.lit/mallory, who does not offer the file,"), "{}", left_out.reason);

    let alone = with_a_strangers_place(&[], strangers);
    for asked in [false, true] {
        let Decision::Ask(question) = decide(&alone, &Circumstances { asked, ..contact() }) else { panic!("not unasked") };
        assert_eq!(question.concerns(), [Concern::NamedBy("coven@chat.lit/mallory".parse().unwrap())]);
        assert_eq!(question.answers(), [Answer::NamedBy("coven@chat.lit/mallory".parse().unwrap())]);
    }
    let agreed = Circumstances { answers: vec![Answer::NamedBy("coven@chat.lit/mallory".parse().unwrap())], ..contact() };
    assert_eq!(decide(&alone, &agreed).plan().map(|plan| plan.attempts.len()), Some(1));
    let Decision::Fetch(plan) = decide(&both, &agreed) else { panic!("agreed to") };
    let named: Vec<_> = plan.attempts.iter().map(|attempt| attempt.named_by == NamedBy::Sender).collect();
    assert_eq!(named, [true, false], "the sender's own come first, whatever they reveal");
}

#[test]
fn a_fresh_link_revives_an_offer_whose_first_link_is_dead() {
    let mut offers = read(&from_romeo("m", &share("", "", "a.jpg", &[ONE]))).offers;
    let mut history = History::default();
    history.push(Record { source: Source::url(ONE).key(), outcome: Outcome::Gone(404), at: at(900) });
    assert_eq!(decide(&offers[0], &Policy::default(), &history, &contact()).as_str(), "refuse");
    join(&mut offers, &[attached(&attaching(ROMEO, "m", "", &["https://upload.montague.lit/2/a.jpg"]), 950)]);
    let Decision::Fetch(plan) = decide(&offers[0], &Policy::default(), &history, &contact()) else { panic!("it has a new link") };
    assert_eq!((plan.attempts.len(), plan.left_out.len()), (1, 1));
}

/// Proves: SEC-4-7.
#[test]
fn hostile_numbers_of_sources_stay_bounded_and_leave_room_for_the_sender() {
    let numbered =
        |host: &str, numbers: std::ops::Range<usize>| -> Vec<String> { numbers.map(|n| format!("https://{host}/{n}")).collect() };
    let borrowed = |urls: &[String]| -> Vec<String> { urls.to_vec() };
    let many = numbered("first.example", 0..MAX_SOURCES);
    let strings: Vec<&str> = many.iter().map(String::as_str).collect();
    let offers = dialect::read(&in_room(
        "romeo",
        "1",
        &("<stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='coven@chat.lit'/>".to_owned() + &share("", "", "a.jpg", &strings)),
    ))
    .offers;
    let mut attachments = Vec::new();
    for stranger in 0..100 {
        for url in borrowed(&numbered(&format!("s{stranger}.example"), 0..20)) {
            attachments
                .push(attachment(&in_room(&format!("nick{stranger}"), &format!("o{stranger}"), &attaches("s1", &url)), stranger).unwrap());
        }
    }
    for (seconds, url) in numbered("fresh.example", 0..100).iter().enumerate() {
        attachments.push(attachment(&in_room("romeo", "1", &attaches("s1", url)), 1_000 + seconds as u64).unwrap());
    }
    let mut joined = offers.clone();
    join(&mut joined, &attachments);
    let named = |by_sender: bool| joined[0].places().iter().filter(|place| (place.named_by == NamedBy::Sender) == by_sender).count();
    assert_eq!((named(true), named(false)), (MAX_SOURCES + MAX_ATTACHED, MAX_FROM_OTHERS));
    assert_eq!(urls(&joined[0])[MAX_SOURCES..][..MAX_ATTACHED], numbered("fresh.example", 100 - MAX_ATTACHED..100), "the newest count");
    let of_one = |nick: &str| {
        let nick = NamedBy::Other(format!("coven@chat.lit/{nick}").parse().unwrap());
        joined[0].places().iter().filter(|place| place.named_by == nick).count()
    };
    assert_eq!((of_one("nick0"), of_one("nick1"), of_one("nick2")), (MAX_FROM_ONE, MAX_FROM_ONE, 0));
}

/// What may come to a message of two shares: from its sender, from ourselves, and forged.
fn arriving() -> impl Strategy<Value = (usize, usize, usize, u64)> {
    (0..7_usize, 0..4_usize, 0..6_usize, 0..4_u64)
}

fn made((who, share, url, seconds): (usize, usize, usize, u64)) -> Attachment {
    let who = [
        "romeo@montague.lit/orchard",
        ROMEO,
        "juliet@shakespeare.lit/phone",
        "mallory@evil.example/1",
        "montague.lit",
        "romeo@evil.example",
        "nurse@montague.lit/1",
    ][who];
    let share = ["id='f1'", "id='f2'", "id='f3'", ""][share];
    let xml = attaching(who, "m", share, &[&format!("https://h.example/{url}")]);
    let xml = if who.starts_with("juliet") { xml.replace("to='juliet@shakespeare.lit'", "to='romeo@montague.lit'") } else { xml };
    attached(&xml, seconds)
}

proptest! {
    /// Decision 8.
    #[test]
    fn any_order_and_any_repetition_give_the_same_offers(
        arrivals in proptest::collection::vec(arriving(), 0..12),
        repeated in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        order in any::<u64>(),
    ) {
        let offers = read(&from_romeo("m", &(share("", "id='f1'", "a.jpg", &[ONE]) + &share("", "id='f2'", "b.jpg", &[])))).offers;
        let attachments: Vec<Attachment> = arrivals.iter().copied().map(made).collect();
        let mut once = offers.clone();
        join(&mut once, &attachments);

        let mut shuffled = attachments.clone();
        if !attachments.is_empty() {
            shuffled.extend(repeated.iter().map(|index| index.get(&attachments).clone()));
        }
        shuffled.sort_by_cached_key(|attachment| blend(order, &format!("{attachment:?}")));
        let mut again = offers.clone();
        join(&mut again, &shuffled);
        prop_assert_eq!(&again, &once);
        join(&mut again, &attachments);
        prop_assert_eq!(&again, &once, "once more changes nothing");

        // Who is not in the conversation changes nothing, and only the sender speaks as the sender.
        let talking = |attachment: &&Attachment| ["romeo@montague.lit", "juliet@shakespeare.lit"].contains(&attachment.provenance().sender().bare().as_str());
        let honest: Vec<Attachment> = attachments.iter().filter(talking).cloned().collect();
        let mut without = offers.clone();
        join(&mut without, &honest);
        prop_assert_eq!(&without, &once);
        let said: Vec<_> = honest.iter().filter(|attachment| attachment.provenance().sender().domain() == "montague.lit").flat_map(|attachment| attachment.sources().iter().map(Source::key)).collect();
        for place in once.iter().flat_map(Offer::places).filter(|place| place.named_by == NamedBy::Sender) {
            prop_assert!(place.source.key() == Source::url(ONE).key() || said.contains(&place.source.key()));
        }
    }
}

/// An order made of a seed.
fn blend(seed: u64, text: &str) -> u64 {
    text.bytes().fold(seed | 1, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(5))
}
