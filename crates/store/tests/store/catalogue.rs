//! Offers, outcomes, outbox, links, settings and remembered digests: the same on disk and in memory.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use balcony_sharing::plan::{Outcome, Record};
use balcony_sharing::{DigestSet, Received, Source};
use balcony_store::{
    FileRef, FileStamp, Link, Listing, NewOffer, OfferKey, OfferState, OutboxState, Outgoing, Standing, Store, StoreError,
};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::{BareJid, Jid, Message};

use crate::{digests, hashed, keep, on_both};

on_both![
    an_offer_is_written_down_once_per_sender,
    lists_are_newest_first_and_go_on_where_they_ended,
    offers_are_found_by_the_digests_they_claim,
    an_offer_keeps_its_file_until_the_file_is_lost,
    what_was_said_and_by_whom_comes_back,
    an_offer_read_from_a_message_is_found_by_what_it_says,
    the_history_of_an_offer_comes_back_in_order,
    a_message_is_sent_once,
    links_of_a_file_come_back_until_they_are_gone,
    settings_are_kept_and_taken_away,
    digests_of_unchanged_files_are_remembered,
];

pub(crate) fn bare(text: &str) -> BareJid {
    Jid::parse(text).unwrap().into_bare().unwrap()
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn offer(from: &str, message: Option<&str>, seconds: u64) -> NewOffer {
    NewOffer {
        account: bare("juliet@capulet.lit"),
        conversation: bare(from),
        sender: bare(from),
        occupant: None,
        standing: Standing::Stranger,
        message: message.map(str::to_owned),
        targets: message.map(str::to_owned).into_iter().collect(),
        position: 0,
        provenance: "note".to_owned(),
        stanza: "<message/>".to_owned(),
        name: "summit.jpg".to_owned(),
        size: None,
        digests: DigestSet::new(),
        received_at: at(seconds),
        state: OfferState::New,
    }
}

/// Ids are chosen by peers: two people may choose the same one.
fn an_offer_is_written_down_once_per_sender(store: &Store) {
    let (first, is_new) = store.add_offer(&offer("romeo@montague.lit", Some("1"), 1)).unwrap();
    assert!(is_new);
    assert_eq!(store.add_offer(&offer("romeo@montague.lit", Some("1"), 9)).unwrap(), (first, false));
    assert!(store.add_offer(&offer("tybalt@capulet.lit", Some("1"), 2)).unwrap().1);
    assert!(store.add_offer(&NewOffer { position: 1, ..offer("romeo@montague.lit", Some("1"), 1) }).unwrap().1);
    assert!(store.add_offer(&NewOffer { sender: bare("juliet@capulet.lit"), ..offer("romeo@montague.lit", Some("1"), 1) }).unwrap().1);
    assert!(store.add_offer(&offer("romeo@montague.lit", None, 3)).unwrap().1);
    assert!(store.add_offer(&offer("romeo@montague.lit", None, 3)).unwrap().1, "without an id nothing tells them apart");
    assert_eq!(store.offer(first).unwrap().unwrap().received_at, at(1));
}

fn lists_are_newest_first_and_go_on_where_they_ended(store: &Store) {
    let (juliet, romeo) = (bare("juliet@capulet.lit"), bare("romeo@montague.lit"));
    for number in 0..30_u64 {
        // three in each second: the key decides among them
        store.add_offer(&offer("romeo@montague.lit", Some(&number.to_string()), number / 3)).unwrap();
    }
    store.add_offer(&offer("tybalt@capulet.lit", Some("x"), 100)).unwrap();
    store.add_offer(&NewOffer { account: bare("nurse@capulet.lit"), ..offer("romeo@montague.lit", Some("y"), 50) }).unwrap();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.offers(Listing::Conversation(&juliet, &romeo), before.as_ref(), 7).unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last().cloned() else { break };
        seen.extend(page.into_iter().map(|row| row.message.unwrap().parse::<u64>().unwrap()));
        before = Some(last);
    }
    assert_eq!(seen, (0..30).rev().collect::<Vec<_>>());
    let names = |listing| store.offers(listing, None, 2).unwrap().into_iter().map(|row| row.message.unwrap()).collect::<Vec<_>>();
    assert_eq!(names(Listing::All), ["x", "y"]);
    assert_eq!(names(Listing::Account(&juliet)), ["x", "29"]);
    assert_eq!(store.offers(Listing::All, None, usize::MAX).unwrap().len(), 32);
}

fn offers_are_found_by_the_digests_they_claim(store: &Store) {
    let both = [HashAlgo::Sha256, HashAlgo::Blake2b256];
    let with = |id: &str, algos: &[HashAlgo]| {
        let new = NewOffer { digests: digests(b"summit", algos), ..offer("romeo@montague.lit", Some(id), 1) };
        store.add_offer(&new).unwrap().0
    };
    let (one, two, weak) = (with("1", &both), with("2", &[HashAlgo::Sha256]), with("3", &[HashAlgo::Sha1]));
    let keys = |algos: &[HashAlgo]| -> Vec<OfferKey> {
        store.offers_claiming(&digests(b"summit", algos), 10).unwrap().into_iter().map(|row| row.key).collect()
    };
    assert_eq!(keys(&both), [two, one]);
    assert_eq!(keys(&[HashAlgo::Blake2b256]), [one]);
    assert_eq!(keys(&[HashAlgo::Sha1]), [], "{weak}");
    assert_eq!(store.offers_claiming(&digests(b"summit", &both), 1).unwrap().len(), 1);
    assert_eq!(store.offers_claiming(&digests(b"valley", &both), 10).unwrap(), []);
}

fn an_offer_keeps_its_file_until_the_file_is_lost(store: &Store) {
    let blob = keep(store, b"summit").unwrap();
    let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some("1"), 1)).unwrap();
    for state in [OfferState::Asking, OfferState::Fetching, OfferState::Failed, OfferState::Declined] {
        store.set_offer_state(key, state).unwrap();
        assert_eq!(store.offer(key).unwrap().unwrap().state, state);
    }
    store.offer_is_here(key, &blob).unwrap();
    let row = store.offer(key).unwrap().unwrap();
    assert_eq!((row.state, row.blob.as_ref()), (OfferState::Here, Some(blob.sha256())));
    assert_eq!(store.offers_of_blob(blob.sha256(), 10).unwrap(), [row]);
    let nobody = OfferKey::from_number(key.number() + 1);
    assert!(matches!(store.offer_is_here(nobody, &blob), Err(StoreError::Unknown(_))));
    assert!(matches!(store.set_offer_state(nobody, OfferState::New), Err(StoreError::Unknown(_))));
    assert_eq!(store.offer(nobody).unwrap(), None);
    if let Some(dir) = store.dir() {
        let hex = blob.sha256().to_hex();
        std::fs::remove_file(dir.join("blobs").join(&hex[..2]).join(hex)).unwrap();
        store.open_blob(&blob).unwrap_err();
        let row = store.offer(key).unwrap().unwrap();
        assert_eq!((row.state, row.blob), (OfferState::New, None), "it can be fetched again");
    }
}

fn what_was_said_and_by_whom_comes_back(store: &Store) {
    let xml = "<message xmlns='jabber:client' from='romeo@montague.lit/orchard' to='juliet@capulet.lit' id='7'><body>☺ &lt;&amp;</body></message>";
    let juliet = bare("juliet@capulet.lit");
    let message = || match balcony_wire::Stanza::read(balcony_wire::Element::parse(xml).unwrap()) {
        Ok(balcony_wire::Stanza::Message(message)) => message,
        other => panic!("{other:?}"),
    };
    let said: Received<Message> = Received::direct(message(), &juliet).unwrap();
    let new = NewOffer {
        provenance: said.provenance().to_record(),
        stanza: said.inner().clone().into_element().to_xml(),
        size: Some(u64::from(u32::MAX) * 4),
        name: "näme\u{202e}.jpg".to_owned(),
        ..offer("romeo@montague.lit", Some("7"), 1)
    };
    let (key, _) = store.add_offer(&new).unwrap();
    let row = store.offer(key).unwrap().unwrap();
    assert_eq!((row.size, &row.name, row.message.as_deref(), row.position), (new.size, &new.name, Some("7"), 0));
    assert_eq!((&row.account, &row.conversation, &row.sender), (&new.account, &new.conversation, &new.sender));
    let again = match balcony_wire::Stanza::read(balcony_wire::Element::parse(&row.stanza).unwrap()) {
        Ok(balcony_wire::Stanza::Message(message)) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(Received::from_record(again, &row.provenance).unwrap(), said);
}

fn an_offer_read_from_a_message_is_found_by_what_it_says(store: &Store) {
    let example = testing_corpus::example("xep-0447/01-sharing-summit-jpg-with-juliet-shakespeare-lit.xml");
    let element = balcony_wire::Element::parse(&example.in_stream()).unwrap();
    let message = match balcony_wire::Stanza::read(element) {
        Ok(balcony_wire::Stanza::Message(message)) => message,
        other => panic!("{other:?}"),
    };
    let said = Received::direct(message, &bare("juliet@shakespeare.lit")).unwrap();
    let reading = balcony_sharing::dialect::read(&said);
    let [offer] = &reading.offers[..] else { panic!("{reading:?}") };
    let (key, is_new) = store.add_offer(&NewOffer::new(offer, said.inner().clone().into_element().to_xml(), at(1))).unwrap();
    assert!(is_new);
    let row = store.offers_claiming(offer.digests(), 5).unwrap().pop().unwrap();
    assert_eq!((row.key, row.name.as_str(), row.size, row.state), (key, "summit.jpg", Some(3_032_449), OfferState::New));
    assert_eq!((&row.sender, &row.conversation), (&said.provenance().sender().bare(), &said.provenance().conversation()));
}

fn the_history_of_an_offer_comes_back_in_order(store: &Store) {
    let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some("1"), 1)).unwrap();
    let (other, _) = store.add_offer(&offer("romeo@montague.lit", Some("2"), 1)).unwrap();
    let outcomes = [
        Outcome::Unreachable("no route to verona.lit".to_owned()),
        Outcome::Gone(410),
        Outcome::Refused(403),
        Outcome::ServerFailed(503),
        Outcome::TooShort { got: 3, expected: 7 },
        Outcome::TooLong(7),
        Outcome::Blocked("a private address".to_owned()),
        Outcome::Stalled(30),
        Outcome::WrongBytes,
        Outcome::Fetched,
    ];
    let source = Source::url("https://montague.lit/1").key();
    let records: Vec<Record> =
        (0..).zip(outcomes).map(|(number, outcome)| Record { source: source.clone(), outcome, at: at(number) }).collect();
    for record in &records {
        store.add_outcome(key, record).unwrap();
    }
    let elsewhere = Record { source: source.clone(), outcome: Outcome::WrongRange, at: at(99) };
    store.add_outcome(other, &elsewhere).unwrap();
    assert_eq!(store.history(key).unwrap().records(), records);
    assert_eq!(store.history(other).unwrap().records(), std::slice::from_ref(&elsewhere));
    for number in 0..510 {
        store.add_outcome(other, &Record { source: source.clone(), outcome: Outcome::Stalled(number), at: at(100) }).unwrap();
    }
    let last = store.history(other).unwrap();
    assert_eq!((last.records().len(), &last.records()[0].outcome), (500, &Outcome::Stalled(10)), "of very many the last are kept");
    assert!(store.add_outcome(OfferKey::from_number(999), &Record { source, outcome: Outcome::Fetched, at: at(1) }).is_err());
}

fn a_message_is_sent_once(store: &Store) {
    let (juliet, romeo) = (bare("juliet@capulet.lit"), Jid::parse("romeo@montague.lit").unwrap());
    let blob = keep(store, b"summit").unwrap();
    let files = vec![FileRef::Path("/home/juliet/\u{e4} b.jpg".into()), FileRef::Blob(blob.sha256().clone())];
    let outgoing = |id: &str, seconds| Outgoing::preparing(juliet.clone(), id.to_owned(), romeo.clone(), files.clone(), at(seconds));
    store.add_outgoing(&outgoing("b", 2)).unwrap();
    store.add_outgoing(&outgoing("a", 1)).unwrap();
    assert!(matches!(store.add_outgoing(&outgoing("a", 3)), Err(StoreError::Known(_))));
    assert_eq!(store.outbox(&juliet, OutboxState::Preparing, 10).unwrap(), [outgoing("a", 1), outgoing("b", 2)]);

    assert!(!store.claim(&juliet, "a").unwrap(), "it is not ready");
    store.make_ready(&juliet, "a", "<message id='a'/>").unwrap();
    assert!(store.claim(&juliet, "a").unwrap());
    assert!(!store.claim(&juliet, "a").unwrap());
    assert!(matches!(store.make_ready(&juliet, "a", "<message/>"), Err(StoreError::Unknown(_))));
    assert!(store.unclaim(&juliet, "a").unwrap(), "the session was lost");
    assert!(store.claim(&juliet, "a").unwrap());
    assert!(store.mark_sent(&juliet, "a").unwrap());
    for too_late in
        [store.claim(&juliet, "a"), store.unclaim(&juliet, "a"), store.mark_sent(&juliet, "a"), store.mark_failed(&juliet, "a", "x")]
    {
        assert!(!too_late.unwrap());
    }
    let sent = store.outgoing(&juliet, "a").unwrap().unwrap();
    assert_eq!((sent.state, sent.stanza.as_deref(), sent.files), (OutboxState::Sent, Some("<message id='a'/>"), files));

    assert!(store.mark_failed(&juliet, "b", "the file changed while it was sent").unwrap());
    assert_eq!(store.outbox(&juliet, OutboxState::Failed, 10).unwrap()[0].why.as_deref(), Some("the file changed while it was sent"));
    assert!(store.retry_outgoing(&juliet, "b").unwrap());
    assert!(!store.retry_outgoing(&juliet, "a").unwrap());
    assert_eq!(store.outbox(&juliet, OutboxState::Preparing, 10).unwrap().len(), 1);
    assert_eq!(store.outbox(&bare("nurse@capulet.lit"), OutboxState::Preparing, 10).unwrap(), []);
}

fn links_of_a_file_come_back_until_they_are_gone(store: &Store) {
    let juliet = bare("juliet@capulet.lit");
    let sha256 = |bytes: &[u8]| digests(bytes, &[HashAlgo::Sha256]).get(HashAlgo::Sha256).unwrap().clone();
    let link = |number: u64| Link {
        account: juliet.clone(),
        sha256: sha256(b"summit"),
        size: 6,
        url: format!("https://upload.capulet.lit/secret{number}"),
        service: Jid::parse("upload.capulet.lit").unwrap(),
        uploaded_at: at(number),
        expires_at: (number == 1).then(|| at(99)),
    };
    for number in [2, 1, 3] {
        store.add_link(&link(number)).unwrap();
    }
    assert_eq!(store.links(&juliet, &sha256(b"summit")).unwrap(), [link(3), link(2), link(1)], "the last upload first");
    let again = Link { uploaded_at: at(9), expires_at: None, ..link(1) };
    store.add_link(&again).unwrap();
    store.link_is_gone(&link(3).url).unwrap();
    assert_eq!(store.links(&juliet, &sha256(b"summit")).unwrap(), [again, link(2)]);
    assert_eq!(store.links(&juliet, &sha256(b"valley")).unwrap(), []);
    assert_eq!(store.links(&bare("nurse@capulet.lit"), &sha256(b"summit")).unwrap(), [], "another account's links are not ours");
    let sha512 = digests(b"summit", &[HashAlgo::Sha512]).strongest().unwrap().clone();
    assert_eq!(store.links(&juliet, &sha512).unwrap(), []);
    assert!(matches!(store.add_link(&Link { sha256: sha512, ..link(4) }), Err(StoreError::NoSha256)));
    for number in 10..40 {
        store.add_link(&link(number)).unwrap();
    }
    assert_eq!(store.links(&juliet, &sha256(b"summit")).unwrap().len(), 16);
    assert!(!format!("{:?}", link(1)).contains("secret"));
}

fn settings_are_kept_and_taken_away(store: &Store) {
    assert_eq!(store.setting("policy").unwrap(), None);
    store.set_setting("policy", Some("{}")).unwrap();
    store.set_setting("policy", Some("")).unwrap();
    assert_eq!(store.setting("policy").unwrap().as_deref(), Some(""));
    let change = |text: &mut Option<String>| Ok::<_, StoreError>(text.replace("a change".to_owned()));
    assert_eq!(store.change_setting("policy", change).unwrap().as_deref(), Some(""));
    let refused =
        |text: &mut Option<String>| Err::<(), _>(text.take().map_or(StoreError::NoSha256, |_| StoreError::Record { what: "test" }));
    assert!(matches!(store.change_setting("policy", refused), Err(StoreError::Record { .. })));
    assert_eq!(store.setting("policy").unwrap().as_deref(), Some("a change"), "who fails changes nothing");
    let forget = |text: &mut Option<String>| Ok::<_, StoreError>(text.take());
    assert_eq!(store.change_setting("policy", forget).unwrap().as_deref(), Some("a change"));
    assert_eq!(store.setting("policy").unwrap(), None);
    store.set_setting("policy", Some("x")).unwrap();
    store.set_setting("policy", None).unwrap();
    assert_eq!(store.setting("policy").unwrap(), None);
}

fn digests_of_unchanged_files_are_remembered(store: &Store) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summit.jpg");
    let write = |text: &str, modified: SystemTime| {
        std::fs::write(&path, text).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        file.metadata().unwrap()
    };
    let now = SystemTime::now();
    let first = write("summit", at(1));
    assert_eq!(store.remembered_digests(&first).unwrap(), None);
    store.remember_digests(&FileStamp::of(&first), &hashed(b"summit"), SystemTime::now()).unwrap();
    assert_eq!(store.remembered_digests(&first).unwrap().as_ref(), Some(hashed(b"summit").digests()));
    std::thread::sleep(Duration::from_millis(100)); // later than what was remembered
    let touched = write("valley", at(1) + Duration::from_nanos(1_000));
    assert_eq!(store.remembered_digests(&touched).unwrap(), None, "the time differs");
    let longer = write("summit.", at(1));
    assert_eq!(store.remembered_digests(&longer).unwrap(), None, "the size differs");
    let set_back = write("valley", at(1));
    assert_eq!(FileStamp::of(&set_back), FileStamp::of(&first));
    assert_eq!(store.remembered_digests(&set_back).unwrap(), None, "somebody wrote to it and set its time back");
    let fresh = write("summit", now - Duration::from_secs(1));
    store.remember_digests(&FileStamp::of(&fresh), &hashed(b"summit"), now).unwrap();
    assert_eq!(store.remembered_digests(&fresh).unwrap(), None, "another change within its second would not show");
}
