//! Whole transfers between two devices: what is said, which way it goes, what is there in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use balcony_sharing::transfer::jingle::{EndReason, Event, Finding};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::jingle::Action as Verb;
use balcony_wire::jingle_file::Version;

use super::world::{Blob, JULIET, ROMEO, Weather, World, bytes, described, from_byte};

fn one(world: &mut World, len: usize) -> Vec<u8> {
    let file = bytes(len);
    world.offer(vec![(described("summit.jpg", &file), file.clone())], Version::V5);
    file
}

fn verbs(world: &World, who: usize) -> Vec<String> {
    world.devices[who].said.iter().map(|jingle| jingle.action.as_str().to_owned()).collect()
}

/// Proves: JFT-6.6-1, JFT-4-1, JIN-6.7-1.
#[test]
fn a_file_goes_directly_and_who_took_it_ends_the_session_by_success() {
    let mut world = World::new(1, Weather::fine());
    let file = one(&mut world, 40_000);
    world.run();
    let [romeo, juliet] = &world.devices;
    assert_eq!(juliet.kept, [("summit.jpg".to_owned(), Blob(file))]);
    assert_eq!((romeo.end(), juliet.end()), (Some(&EndReason::Done), Some(&EndReason::Done)));
    assert_eq!((&romeo.carriers[..], &juliet.carriers[..]), (&["socket"][..], &["socket"][..]));
    let last = juliet.said.last().unwrap();
    assert_eq!((last.action.clone(), last.reason.as_ref().unwrap().condition.as_str()), (Verb::SessionTerminate, "success"));
    assert!(verbs(&world, ROMEO).iter().all(|verb| verb == "session-initiate" || verb == "transport-info"));
}

#[test]
fn by_the_proxy_where_no_direct_connection_can_be_made() {
    let mut world = World::new(2, Weather { direct: false, proxy: true, ..Weather::fine() });
    let file = one(&mut world, 40_000);
    world.run();
    assert_eq!(world.devices[JULIET].kept, [("summit.jpg".to_owned(), Blob(file))]);
    assert_eq!(world.devices[JULIET].carriers, ["socket"]);
}

/// Proves: JFT-10.2-1, JFT-10.1-1, S5J-3-1.
#[test]
fn in_band_comes_last_and_is_there_when_all_else_fails() {
    let mut world = World::new(3, Weather { direct: false, ..Weather::fine() });
    let file = one(&mut world, 40_000);
    let took = world.run();
    assert_eq!(world.devices[JULIET].kept, [("summit.jpg".to_owned(), Blob(file))]);
    assert_eq!((&world.devices[ROMEO].carriers[..], world.devices[ROMEO].fell_back()), (&["in band"][..], true));
    assert!(
        verbs(&world, ROMEO).contains(&"transport-replace".to_owned()) && verbs(&world, JULIET).contains(&"transport-accept".to_owned())
    );
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_connection_that_breaks_midway_is_replaced_and_nothing_is_sent_twice() {
    for (seed, cut) in [(4, 1), (5, 10_000), (6, 39_999)] {
        let mut world = World::new(seed, Weather { cut_socket: Some(cut), ..Weather::fine() });
        let file = one(&mut world, 40_000);
        world.run();
        let [romeo, juliet] = &world.devices;
        assert_eq!(juliet.kept, [("summit.jpg".to_owned(), Blob(file))], "seed {seed}");
        assert_eq!(juliet.carriers, ["socket", "in band"]);
        assert_eq!(romeo.end(), Some(&EndReason::Done));
        let replace = romeo.said.iter().chain(&juliet.said).find(|jingle| jingle.action == Verb::TransportAccept).unwrap();
        // where nothing had moved, there is nothing to say
        let offset = replace.contents[0].file().and_then(|file| file.range.clone()).map_or(0, |range| range.offset.unwrap());
        assert!(offset <= cut && (offset > 0 || cut < 5_000), "{offset}");
    }
}

#[test]
fn the_taking_side_may_have_begun_the_session_when_it_breaks() {
    for seed in 0..10 {
        let mut world = World::new(seed, Weather { cut_socket: Some(20_000), ..Weather::fine() });
        let file = bytes(40_000);
        world.devices[JULIET].shared = vec![file.clone()];
        world.ask(vec![described("summit.jpg", &file)], Version::V5);
        world.run();
        assert_eq!(world.devices[ROMEO].kept, [("summit.jpg".to_owned(), Blob(file))], "seed {seed}");
        assert_eq!(world.devices[JULIET].end(), Some(&EndReason::Done));
    }
}

/// A device that is killed closes its sockets and says nothing more; its server holds what is said to it.
#[test]
fn a_device_that_died_midway_is_given_up_within_seconds() {
    for taker_begins in [false, true] {
        let mut world = World::new(3, Weather { cut_socket: Some(300_000), ..Weather::fine() });
        let file = bytes(400_000);
        if taker_begins {
            world.devices[JULIET].shared = vec![file.clone()];
            world.ask(vec![described("summit.jpg", &file)], Version::V5);
        } else {
            world.offer(vec![(described("summit.jpg", &file), file)], Version::V5);
        }
        world.run_for(Duration::from_millis(80));
        world.weather.lost = 100;
        let took = world.run();
        for device in &world.devices {
            let end = device.end().unwrap();
            assert!(matches!(end, EndReason::Broke { .. }) && end.is_passing(), "{end}");
        }
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

/// Proves: JFT-6.4-1.
#[test]
fn what_broke_for_good_goes_on_in_a_new_session_from_the_byte_it_came_to() {
    let mut cut = World::new(7, Weather { cut_socket: Some(10_000), ..Weather::fine() });
    cut.devices[ROMEO].settings.own.in_band = false;
    let file = one(&mut cut, 40_000);
    cut.run();
    let end = cut.devices[JULIET].end().unwrap();
    assert!(matches!(end, EndReason::Broke { .. } | EndReason::PeerEnded { .. }), "{end}");
    let have = cut.devices[JULIET].takes.values().next().unwrap().clone();
    assert!(!have.is_empty() && have.len() <= 10_000 && file.starts_with(&have));

    let mut again = World::new(8, Weather::fine());
    again.devices[JULIET].will.have = BTreeMap::from([("summit.jpg".to_owned(), have.clone())]);
    one(&mut again, 40_000);
    again.run();
    assert_eq!(again.devices[JULIET].kept, [("summit.jpg".to_owned(), Blob(file))]);
    let accept = again.devices[JULIET].said.iter().find(|jingle| jingle.action == Verb::SessionAccept).unwrap();
    assert_eq!(accept.files().next().unwrap().1.range.as_ref().unwrap().offset, Some(have.len() as u64));
}

/// Proves: JFT-6.2-1, JFT-5-5, JFT-7-1.
#[test]
fn a_file_is_asked_for_by_its_hash_and_from_a_byte_on() {
    let file = bytes(40_000);
    for offset in [0, 1, 39_999, 40_000] {
        let mut world = World::new(offset, Weather::fine());
        world.devices[JULIET].shared = vec![bytes(7), file.clone()];
        world.devices[ROMEO].will.have = BTreeMap::from([("summit.jpg".to_owned(), file[..offset as usize].to_vec())]);
        let asked = described("summit.jpg", &file);
        world.ask(vec![if offset > 0 { from_byte(asked, offset) } else { asked }], Version::V5);
        world.run();
        assert_eq!(world.devices[ROMEO].kept, [("summit.jpg".to_owned(), Blob(file.clone()))], "from {offset}");
        let accepted = world.devices[ROMEO].events.iter().find_map(|event| match event {
            Event::Accepted { span, .. } => Some(span.offset),
            _ => None,
        });
        assert_eq!(accepted, Some(offset));
    }
}

/// What is asked for and not there is refused, the same way as what is not given.
#[test]
fn a_file_that_is_not_there_is_refused_by_name() {
    let mut world = World::new(1, Weather::fine());
    world.ask(vec![described("secret.txt", b"secret")], Version::V5);
    world.run();
    assert_eq!(world.devices[ROMEO].end(), Some(&EndReason::PeerHasNot));
    assert_eq!(world.devices[JULIET].end(), Some(&EndReason::NotGiven));
}

/// Decision 18.
#[test]
fn a_file_without_a_byte_is_a_file() {
    for (direct, who) in [(true, "socket"), (false, "in band")] {
        let mut world = World::new(1, Weather { direct, ..Weather::fine() });
        one(&mut world, 0);
        world.run();
        assert_eq!(world.devices[JULIET].kept, [("summit.jpg".to_owned(), Blob(Vec::new()))]);
        assert_eq!((world.devices[ROMEO].end(), world.devices[JULIET].carriers[0]), (Some(&EndReason::Done), who));
    }
}

/// Proves: JFT-5-1, JFT-8.1-1.
#[test]
fn several_files_are_several_contents_and_each_is_confirmed() {
    let mut world = World::new(9, Weather::fine());
    let files: Vec<_> =
        [30_000, 0, 5, 60_000].map(bytes).into_iter().enumerate().map(|(at, file)| (described(&format!("{at}"), &file), file)).collect();
    world.offer(files.clone(), Version::V5);
    world.run();
    let mut kept = world.devices[JULIET].kept.clone();
    kept.sort();
    let all: Vec<_> = files.into_iter().map(|(file, bytes)| (file.metadata.name.unwrap(), Blob(bytes))).collect();
    assert_eq!(kept, all);
    assert_eq!(world.devices[ROMEO].end(), Some(&EndReason::Done));
    let received = verbs(&world, JULIET).iter().filter(|verb| *verb == "session-info").count();
    assert_eq!((received, verbs(&world, JULIET).last().unwrap().as_str()), (3, "session-terminate"));
}

/// Proves: JFT-D-3.
#[test]
fn of_several_files_some_may_be_declined() {
    let mut world = World::new(10, Weather::fine());
    let files: Vec<_> = ["a", "b", "c"].into_iter().map(|name| (described(name, name.as_bytes()), name.as_bytes().to_vec())).collect();
    world.devices[JULIET].will.unwanted = ["a".to_owned(), "c".to_owned()].into();
    world.offer(files, Version::V5);
    world.run();
    assert_eq!(world.devices[JULIET].kept, [("b".to_owned(), Blob(b"b".to_vec()))]);
    assert_eq!(verbs(&world, JULIET).iter().filter(|verb| *verb == "content-reject").count(), 2);
    let ends: Vec<_> = world.devices[ROMEO]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::ContentEnded { reason, .. } => Some(reason.is_done()),
            _ => None,
        })
        .collect();
    assert_eq!((ends.len(), ends.iter().filter(|done| **done).count()), (3, 1));
}

/// Proves: JFT-8.2-1, JFT-8.2-2, JFT-5-2.
#[test]
fn the_hash_may_come_behind_the_bytes() {
    let mut world = World::new(11, Weather::fine());
    let file = bytes(30_000);
    let mut offered = described("summit.jpg", &file);
    offered.metadata.hashes.clear();
    offered.metadata.hash_used = vec![HashAlgo::Sha256.into()];
    world.devices[ROMEO].will.digest_later = true;
    world.offer(vec![(offered, file.clone())], Version::V5);
    world.run();
    assert_eq!(world.devices[JULIET].kept, [("summit.jpg".to_owned(), Blob(file))]);
    assert_eq!(world.devices[ROMEO].end(), Some(&EndReason::Done));
}

#[test]
fn a_hash_that_was_promised_and_never_comes_is_not_waited_for_without_end() {
    let mut world = World::new(11, Weather::fine());
    let file = bytes(3_000);
    let mut offered = described("summit.jpg", &file);
    offered.metadata.hashes.clear();
    offered.metadata.hash_used = vec![HashAlgo::Sha256.into()];
    world.offer(vec![(offered, file)], Version::V5);
    let took = world.run();
    assert_eq!((world.devices[JULIET].end(), &world.devices[JULIET].kept[..]), (Some(&EndReason::WrongBytes), &[][..]));
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn other_bytes_than_those_offered_are_not_confirmed() {
    let mut world = World::new(12, Weather::fine());
    world.offer(vec![(described("summit.jpg", &bytes(3_000)), vec![0; 3_000])], Version::V5);
    world.run();
    assert_eq!(world.devices[JULIET].end(), Some(&EndReason::WrongBytes));
    let end = world.devices[ROMEO].end().unwrap();
    assert!(end.to_string().contains("media-error") && end.to_string().contains("not those that were offered"), "{end}");
}

/// Proves: JFT-6.3-1.
#[test]
fn more_files_are_offered_while_the_session_runs() {
    let mut world = World::new(13, Weather::fine());
    let file = one(&mut world, 400_000);
    world.run_for(Duration::from_millis(60));
    let second = bytes(5_000);
    let id = world
        .with(ROMEO, |session, now| {
            session.add(now, described("second", &bytes(5_000)), balcony_sharing::transfer::jingle::Direction::Give)
        })
        .unwrap();
    world.devices[ROMEO].gives.insert(id, second.clone());
    world.run();
    let mut kept = world.devices[JULIET].kept.clone();
    kept.sort();
    assert_eq!(kept, [("second".to_owned(), Blob(second)), ("summit.jpg".to_owned(), Blob(file))]);
    assert!(verbs(&world, ROMEO).contains(&"content-add".to_owned()) && verbs(&world, JULIET).contains(&"content-accept".to_owned()));
}

/// Proves: JFT-6.5-1, JIN-7.2-3, JFT-6.5-2.
#[test]
fn one_of_several_is_stopped_and_the_others_go_on() {
    for stopper in [ROMEO, JULIET] {
        let mut world = World::new(14, Weather::fine());
        let files: Vec<_> = ["a", "b"].into_iter().map(|name| (described(name, &bytes(200_000)), bytes(200_000))).collect();
        world.offer(files, Version::V5);
        world.run_for(Duration::from_millis(80));
        let first = world.devices[ROMEO].session.as_ref().unwrap().contents().next().unwrap().clone();
        world.with(stopper, |session, now| session.cancel(now, &first));
        world.run();
        assert_eq!(world.devices[JULIET].kept.len(), 1);
        let removed = world.devices[stopper].said.iter().find(|jingle| jingle.action == Verb::ContentRemove).unwrap();
        assert_eq!(removed.reason.as_ref().unwrap().condition.as_str(), "cancel");
        assert!(world.is_over());
    }
}

#[test]
fn a_held_file_moves_no_byte_and_goes_on_when_it_may() {
    let mut world = World::new(15, Weather::fine());
    let file = one(&mut world, 300_000);
    world.run_for(Duration::from_millis(80));
    let id = world.devices[JULIET].session.as_ref().unwrap().contents().next().unwrap().clone();
    world.with(JULIET, |session, now| session.hold(now, &id));
    world.run_for(Duration::from_secs(1));
    let moved = world.devices[JULIET].session.as_ref().unwrap().moved(&id).unwrap().0;
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.devices[JULIET].session.as_ref().unwrap().moved(&id).unwrap().0, moved);
    world.with(JULIET, |session, now| session.go_on(now, &id));
    world.run();
    assert_eq!(world.devices[JULIET].kept, [("summit.jpg".to_owned(), Blob(file))]);
}

#[test]
fn our_own_disk_may_fail() {
    let mut world = World::new(16, Weather::fine());
    one(&mut world, 300_000);
    world.run_for(Duration::from_millis(80));
    let id = world.devices[JULIET].session.as_ref().unwrap().contents().next().unwrap().clone();
    world.with(JULIET, |session, now| session.finish(now, &id, Finding::Unusable));
    world.run();
    assert_eq!(world.devices[JULIET].end(), Some(&EndReason::Unusable));
    assert!(world.devices[ROMEO].end().unwrap().to_string().contains("failed-application"));
}

/// Decision 22.
/// Proves: JFT-D-1.
#[test]
fn peers_of_version_4_are_talked_to_in_version_4() {
    for later in [false, true] {
        let mut world = World::new(17, Weather::fine());
        let file = bytes(30_000);
        let mut offered = described("summit.jpg", &file);
        if later {
            offered.metadata.hashes.clear();
            offered.metadata.hash_used = vec![HashAlgo::Sha256.into()];
            world.devices[ROMEO].will.digest_later = true;
        }
        world.offer(vec![(offered.clone(), file.clone()), (described("b", b"b"), b"b".to_vec())], Version::V4);
        world.run();
        assert_eq!(world.devices[JULIET].kept.len(), 2, "hash later: {later}");
        for said in world.devices.iter().flat_map(|device| &device.said) {
            let xml = balcony_wire::Payload::write(said).to_xml();
            assert!(!xml.contains("file-transfer:5"), "{xml}");
        }
    }
}
