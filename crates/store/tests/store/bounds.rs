//! How much others can make us keep, in numbers, and whom they cannot push out.

use std::time::{Duration, SystemTime};

use balcony_store::bounds::{OF_SENDER, OF_STRANGERS};
use balcony_store::{Attached, Bits, MAX_BITS, NewAttachment, NewOffer, OfferKey, OfferState, Standing, Store, StoreError};

use crate::catalogue::{at, bare, offer};
use crate::{keep, on_both};

on_both![
    offers_of_one_message_share_its_text,
    one_sender_has_a_bound_of_rows_and_pushes_out_their_own,
    one_sender_has_a_bound_of_bytes,
    what_a_person_has_to_do_with_is_never_pushed_out,
    a_flood_of_strangers_hits_the_largest_and_nobody_the_person_knows,
    occupants_of_a_room_are_told_apart,
    attachments_come_before_or_after_their_offer,
    attachments_have_bounds,
    attachments_go_with_their_offer,
    attachments_are_found_by_any_offer_of_their_message_those_of_its_sender_first,
    answers_are_kept_and_bounded,
    small_data_is_kept_and_bounded,
];

const TYBALT: &str = "tybalt@capulet.lit";
const ROMEO: &str = "romeo@montague.lit";

fn add(store: &Store, offers: impl IntoIterator<Item = NewOffer>) -> Vec<OfferKey> {
    let offers: Vec<NewOffer> = offers.into_iter().collect();
    offers.chunks(1_000).flat_map(|chunk| store.add_offers(chunk).unwrap()).map(|(key, _)| key).collect()
}

fn from(sender: &str, count: u64) -> impl Iterator<Item = NewOffer> {
    (0..count).map(move |number| offer(sender, Some(&format!("m{number}")), number))
}

fn there(store: &Store, keys: &[OfferKey]) -> usize {
    keys.iter().filter(|key| store.offer(**key).unwrap().is_some()).count()
}

fn offers_of_one_message_share_its_text(store: &Store) {
    let text = format!("<message>{}</message>", "☺".repeat(20_000));
    let offers = |id: Option<&str>| -> Vec<NewOffer> {
        (0..64).map(|position| NewOffer { position, stanza: text.clone(), ..offer(ROMEO, id, 1) }).collect()
    };
    let at_once = store.add_offers(&offers(Some("1"))).unwrap();
    assert!(at_once.iter().all(|(_, is_new)| *is_new));
    let one_by_one: Vec<_> = offers(Some("2")).iter().map(|offer| store.add_offer(offer).unwrap()).collect();
    let nameless = store.add_offers(&offers(None)).unwrap();
    for (key, _) in at_once.iter().chain(&one_by_one).chain(&nameless) {
        assert_eq!(store.offer(*key).unwrap().unwrap().stanza, text);
    }
    assert!(store.add_offers(&offers(Some("1"))).unwrap().iter().zip(&at_once).all(|(again, first)| *again == (first.0, false)));
    if let Some(dir) = store.dir() {
        let connection = rusqlite::Connection::open(dir.join("catalogue.sqlite")).unwrap();
        let texts: i64 = connection.query_row("SELECT count(*) FROM stanzas", [], |row| row.get(0)).unwrap();
        assert_eq!(texts, 3, "one for each message and not one for each of 192 offers");
    }
}

fn one_sender_has_a_bound_of_rows_and_pushes_out_their_own(store: &Store) {
    let romeo = add(store, from(ROMEO, 10));
    let tybalt = add(store, from(TYBALT, OF_SENDER.rows + 500));
    assert_eq!(there(store, &romeo), 10);
    assert_eq!(there(store, &tybalt), usize::try_from(OF_SENDER.rows).unwrap());
    assert_eq!(there(store, &tybalt[..500]), 0, "the oldest went");
}

fn one_sender_has_a_bound_of_bytes(store: &Store) {
    let large = "x".repeat(1 << 20);
    let romeo = add(store, from(ROMEO, 10));
    let tybalt = add(store, from(TYBALT, 40).map(|offer| NewOffer { stanza: format!("{large}{:?}", offer.message), ..offer }));
    // 32 MiB hold 31 messages of a little more than 1 MiB each
    assert_eq!((OF_SENDER.bytes, there(store, &tybalt), there(store, &tybalt[9..])), (32 << 20, 31, 31));
    assert_eq!(there(store, &romeo), 10);
}

fn what_a_person_has_to_do_with_is_never_pushed_out(store: &Store) {
    let blob = keep(store, b"summit").unwrap();
    let first = add(store, from(TYBALT, 3));
    store.offer_is_here(first[0], &blob).unwrap();
    store.set_offer_state(first[1], OfferState::Fetching).unwrap();
    store.add_answers(first[2], &["fetch".to_owned()]).unwrap();
    let own = add(store, from(TYBALT, 1).map(|offer| NewOffer { message: Some("own".to_owned()), ..offer.own() }));
    add(store, from(TYBALT, OF_SENDER.rows + 10).map(|offer| NewOffer { conversation: bare(ROMEO), ..offer }));
    assert_eq!((there(store, &first[..2]), there(store, &own)), (2, 1));
    assert_eq!(there(store, &first[2..]), 0, "an open one goes");
    assert!(matches!(store.answers(first[2]).as_deref(), Ok([])), "with its answers");
    let swept = store.offer(first[0]).unwrap().unwrap();
    assert_eq!(swept.state, OfferState::Here);
}

/// Strangers share 20,000 rows; each of six takes 3,500.
fn a_flood_of_strangers_hits_the_largest_and_nobody_the_person_knows(store: &Store) {
    let contact = add(store, from(ROMEO, 100).map(NewOffer::of_contact));
    let nurse = add(store, from("nurse@capulet.lit", 1));
    // somebody who became a contact later
    let mercutio = add(store, from("mercutio@verona.lit", 2));
    add(store, from("mercutio@verona.lit", 3).map(NewOffer::of_contact));
    let floods: Vec<_> = (0..6).map(|flood| add(store, from(&format!("flood{flood}@tybalt.lit"), 3_500))).collect();
    let left: Vec<_> = floods.iter().map(|keys| there(store, &keys[..1_000])).collect();
    assert_eq!((OF_SENDER.rows, OF_STRANGERS.rows), (5_000, 20_000));
    assert!(left.iter().sum::<usize>() <= 5_000, "{left:?}");
    assert!(left.iter().all(|count| *count > 500), "no one of them pays for all: {left:?}");
    assert_eq!((there(store, &contact), there(store, &mercutio)), (100, 2));
    assert_eq!(there(store, &nurse), 1, "who sent a single file keeps it");
}

/// Ids are chosen by occupants: one cannot take another's, nor push out what another said.
fn occupants_of_a_room_are_told_apart(store: &Store) {
    const ROOM: &str = "balcony@rooms.verona.lit";
    let said = |occupant: &str, id: &str| NewOffer { occupant: Some(occupant.to_owned()), ..offer(ROOM, Some(id), 1) };
    let (romeo, is_new) = store.add_offer(&said("romeo", "1")).unwrap();
    let (tybalt, too) = store.add_offer(&said("tybalt", "1")).unwrap();
    assert!(is_new && too && romeo != tybalt);
    assert_eq!(store.add_offer(&said("romeo", "1")).unwrap(), (romeo, false));
    add(store, (0..OF_SENDER.rows + 10).map(|number| said("tybalt", &format!("t{number}"))));
    assert_eq!((there(store, &[romeo]), there(store, &[tybalt])), (1, 0));
}

fn attachment(sender: &str, target: &str, message: &str) -> NewAttachment {
    NewAttachment {
        account: bare("juliet@capulet.lit"),
        conversation: bare(ROMEO),
        target: target.to_owned(),
        share: None,
        sender: bare(sender),
        occupant: None,
        message: Some(message.to_owned()),
        provenance: "note".to_owned(),
        stanza: format!("<message id='{message}'/>"),
        received_at: at(5),
    }
}

fn attached(store: &Store, target: &str) -> Vec<String> {
    let rows = store.attachments(&bare("juliet@capulet.lit"), &bare(ROMEO), target).unwrap();
    rows.into_iter().map(|row| row.message.unwrap()).collect()
}

fn attachments_come_before_or_after_their_offer(store: &Store) {
    let share = NewAttachment { share: Some("s1".to_owned()), ..attachment(ROMEO, "m0", "a1") };
    assert_eq!(store.add_attachment(&share).unwrap(), Attached::New);
    assert_eq!(store.add_attachment(&share).unwrap(), Attached::Known);
    assert_eq!(store.add_attachment(&attachment(ROMEO, "m0", "a1")).unwrap(), Attached::New, "another share of it");
    add(store, from(ROMEO, 1));
    assert_eq!(store.add_attachment(&attachment(ROMEO, "m0", "a2")).unwrap(), Attached::New);
    assert_eq!(store.add_attachment(&attachment(TYBALT, "m0", "a1")).unwrap(), Attached::New, "ids are each sender's own");
    assert_eq!(attached(store, "m0"), ["a1", "a1", "a2", "a1"]);
    let row = store.attachments(&bare("juliet@capulet.lit"), &bare(ROMEO), "m0").unwrap().remove(0);
    assert_eq!((row.share.as_deref(), row.sender, row.provenance.as_str()), (Some("s1"), bare(ROMEO), "note"));
    assert_eq!((row.stanza.as_str(), row.received_at), ("<message id='a1'/>", at(5)));
    assert_eq!(attached(store, "m1"), [""; 0]);
    assert_eq!(store.attachments(&bare("nurse@capulet.lit"), &bare(ROMEO), "m0").unwrap(), []);
    assert_eq!(store.attachments(&bare("juliet@capulet.lit"), &bare(TYBALT), "m0").unwrap(), []);
}

fn attachments_have_bounds(store: &Store) {
    let many = |sender: &str, target: &dyn Fn(u32) -> String, count: u32| -> Vec<Attached> {
        (0..count).map(|number| store.add_attachment(&attachment(sender, &target(number), &format!("a{number}"))).unwrap()).collect()
    };
    let kept = |outcomes: &[Attached]| outcomes.iter().filter(|outcome| **outcome == Attached::New).count();
    // for an offer that is there
    add(store, from(ROMEO, 1));
    assert_eq!(kept(&many(TYBALT, &|_| "m0".to_owned(), 70)), 64);
    assert_eq!(kept(&many(ROMEO, &|_| "m0".to_owned(), 1)), 1, "a flood of another does not shut the sender out");
    // for offers that do not come
    assert_eq!(kept(&many(TYBALT, &|number| format!("never{number}"), 70)), 64);
    // once the offer is there, they wait no longer
    add(store, [NewOffer { message: Some("never0".to_owned()), targets: vec!["never0".to_owned()], ..offer(ROMEO, None, 9) }]);
    assert_eq!(kept(&many(TYBALT, &|number| format!("later{number}"), 2)), 1);
    let of_many: usize = (0..20).map(|sender| kept(&many(&format!("flood{sender}@tybalt.lit"), &|number| format!("n{number}"), 64))).sum();
    assert!(of_many >= 1_000 - 64, "{of_many}");
    let waiting = || -> usize {
        (0..70)
            .map(|number| {
                attached(store, &format!("n{number}")).len()
                    + attached(store, &format!("never{number}")).len()
                    + attached(store, &format!("later{number}")).len()
            })
            .sum()
    };
    assert_eq!(waiting(), 1_000 + 1, "and the one that waits no longer");
    assert_eq!(kept(&many("nurse@capulet.lit", &|number| format!("n{number}"), 1)), 1, "a flood shuts nobody out");
    assert_eq!(waiting(), 1_000 + 1, "and the one that waits no longer");
    assert_eq!(kept(&many("juliet@capulet.lit", &|number| format!("own{number}"), 100)), 100, "those of the account are its own doing");
    // bytes
    let large = |number: u32| NewAttachment { stanza: "x".repeat(1 << 20), ..attachment(ROMEO, "m0", &format!("large{number}")) };
    let large: Vec<Attached> = (0..20).map(|number| store.add_attachment(&large(number)).unwrap()).collect();
    assert_eq!(kept(&large), 15, "16 MiB hold 15 of a little more than 1 MiB");
}

fn attachments_go_with_their_offer(store: &Store) {
    let first = add(store, from(TYBALT, 1).map(|offer| NewOffer { conversation: bare(ROMEO), ..offer }));
    store.add_attachment(&attachment(TYBALT, "m0", "a1")).unwrap();
    assert_eq!(attached(store, "m0"), ["a1"]);
    add(store, from(TYBALT, OF_SENDER.rows));
    assert_eq!((there(store, &first), attached(store, "m0")), (0, vec![]));
}

fn attachments_are_found_by_any_offer_of_their_message_those_of_its_sender_first(store: &Store) {
    let (juliet, romeo) = (bare("juliet@capulet.lit"), bare(ROMEO));
    let both = |id: &str| -> Vec<NewOffer> {
        (0..2).map(|position| NewOffer { position, targets: vec!["m0".to_owned(), id.to_owned()], ..offer(ROMEO, Some(id), 1) }).collect()
    };
    let (old, new) = (add(store, both("o1")), add(store, both("o2")));
    let elsewhere = add(store, from(TYBALT, 1));
    assert_eq!(store.messages_of_target(&juliet, &romeo, "m0", 9).unwrap().len(), 2);
    let found = store.messages_of_target(&juliet, &romeo, "m0", 1).unwrap();
    assert!(new.contains(&found[0]), "the newest message that bears the id");
    assert_eq!(store.offer_beside(found[0], 1).unwrap(), Some(new[1]));
    assert_eq!(store.offer_beside(found[0], 2).unwrap(), None);

    store.add_attachment(&attachment(TYBALT, "m0", "t1")).unwrap();
    let mark = store.newest_attachment().unwrap();
    for (target, message) in [("m0", "r1"), ("o1", "r2"), ("m0", "r3")] {
        store.add_attachment(&attachment(ROMEO, target, message)).unwrap();
    }
    let of = |key: OfferKey| -> Vec<String> { store.attachments_of(key).unwrap().into_iter().map(|row| row.message.unwrap()).collect() };
    assert_eq!((of(old[0]), of(old[1])), (of(old[1]), ["r3", "r2", "r1", "t1"].map(str::to_owned).to_vec()));
    assert_eq!(of(new[0]), ["r3", "r1", "t1"]);
    assert_eq!(of(elsewhere[0]), [""; 0]);

    assert_eq!(store.offers_attached_to(&juliet, mark, 9).unwrap(), [old[0], old[1], new[0], new[1]]);
    store.set_offer_state(old[1], OfferState::Declined).unwrap();
    assert_eq!(store.offers_attached_to(&juliet, mark, 2).unwrap(), [old[0], new[0]]);
    assert_eq!(store.offers_attached_to(&juliet, store.newest_attachment().unwrap(), 9).unwrap(), []);
    assert_eq!(store.offers_attached_to(&bare("nurse@capulet.lit"), mark, 9).unwrap(), []);
    let behind = |key| store.offers_behind(&juliet, key, 9).unwrap().into_iter().map(|row| row.key).collect::<Vec<_>>();
    assert_eq!((behind(old[1]), behind(elsewhere[0])), (vec![new[0], new[1], elsewhere[0]], vec![]));
    assert_eq!(store.newest_offer().unwrap(), elsewhere[0]);
}

fn answers_are_kept_and_bounded(store: &Store) {
    let key = add(store, from(ROMEO, 1)).remove(0);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    store.add_answers(key, &words(&["third-hosts", "unproven"])).unwrap();
    store.add_answers(key, &words(&["unproven", "address", &"x".repeat(1_025)])).unwrap();
    assert_eq!(store.answers(key).unwrap(), ["third-hosts", "unproven", "address"]);
    let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    store.add_answers(key, &many).unwrap();
    assert_eq!(store.answers(key).unwrap().len(), 64);
    let nobody = OfferKey::from_number(999);
    assert!(matches!(store.add_answers(nobody, &many), Err(StoreError::Unknown(_))));
    assert_eq!(store.answers(nobody).unwrap(), [""; 0]);
}

fn small_data_is_kept_and_bounded(store: &Store) {
    let bits = |from: Option<&str>, cid: String| Bits {
        cid,
        from: from.map(bare),
        media_type: Some("image/png".to_owned()),
        data: vec![7; 100],
        expires_at: None,
    };
    let own = bits(None, "sha1+0@bob.xmpp.org".to_owned());
    assert!(store.add_bits(&own).unwrap());
    let theirs = Bits { data: vec![8; MAX_BITS], ..bits(Some(ROMEO), own.cid.clone()) };
    assert!(store.add_bits(&theirs).unwrap());
    assert!(!store.add_bits(&Bits { data: vec![8; MAX_BITS + 1], ..bits(Some(ROMEO), "large".to_owned()) }).unwrap());
    assert_eq!(store.bits(&own.cid, None).unwrap(), Some(own.clone()));
    assert_eq!(store.bits(&own.cid, Some(&bare(ROMEO))).unwrap(), Some(theirs));
    assert_eq!(store.bits(&own.cid, Some(&bare(TYBALT))).unwrap(), None, "each has what they gave");
    let soon = Bits { expires_at: Some(SystemTime::now() + Duration::from_secs(60)), ..bits(Some(ROMEO), "soon".to_owned()) };
    let late = Bits { expires_at: Some(SystemTime::now() - Duration::from_secs(1)), ..bits(Some(ROMEO), "late".to_owned()) };
    assert!(store.add_bits(&soon).unwrap() && store.add_bits(&late).unwrap());
    assert!(store.bits("soon", Some(&bare(ROMEO))).unwrap().is_some());
    assert_eq!(store.bits("late", Some(&bare(ROMEO))).unwrap(), None);
    // 128 of one sender, the last ones; and what another gave stays
    for number in 0..130 {
        store.add_bits(&bits(Some(TYBALT), format!("t{number}"))).unwrap();
    }
    let has = |sender: &str, cid: &str| store.bits(cid, Some(&bare(sender))).unwrap().is_some();
    assert_eq!((has(TYBALT, "t1"), has(TYBALT, "t2"), has(TYBALT, "t129"), has(ROMEO, "soon")), (false, true, true, true));
    // 2,048 of all others together: those who have most lose some
    for flood in 0..17 {
        for number in 0..128 {
            store.add_bits(&bits(Some(&format!("flood{flood}@tybalt.lit")), format!("t{number}"))).unwrap();
        }
    }
    let left = (0..17).map(|flood| (0..128).filter(|number| has(&format!("flood{flood}@tybalt.lit"), &format!("t{number}"))).count());
    assert!(left.sum::<usize>() <= 2_048);
    assert!(has(ROMEO, "soon") && store.bits(&own.cid, None).unwrap().is_some());
    assert_eq!(Standing::default(), Standing::Stranger);
}
