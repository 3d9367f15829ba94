//! A network that loses, doubles and swaps what is said: every transfer ends in the right bytes or with a name, within bounded time.

use std::time::Duration;

use balcony_sharing::transfer::jingle::{Direction, EndReason, Event};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::jingle_file::Version;

use super::world::{Blob, Dice, JULIET, ROMEO, Weather, World, bytes, described, from_byte};

/// The longest way there is: nobody decides (10 minutes), then the bytes, then all deadlines one after the other.
const LONGEST: Duration = Duration::from_secs(3_600);

fn weather(dice: &mut Dice) -> Weather {
    let (least, spread) = (dice.below(50), [0, 5, 300, 3_000][dice.below(4) as usize]);
    Weather {
        lost: [0, 0, 5, 20, 50][dice.below(5) as usize],
        doubled: [0, 10, 50][dice.below(3) as usize],
        delay: (least, least + spread),
        direct: dice.happens(60),
        proxy: dice.happens(50),
        cut_socket: dice.happens(40).then(|| dice.below(20_000)),
        cut_in_band: dice.happens(20).then(|| dice.below(20_000)),
    }
}

fn story(seed: u64) -> (World, Vec<(String, Vec<u8>)>) {
    let mut dice = Dice(seed);
    let mut world = World::new(dice.roll(), weather(&mut dice));
    for who in [ROMEO, JULIET] {
        world.devices[who].settings.own.socks = dice.happens(80);
        world.devices[who].settings.own.in_band = dice.happens(85);
        world.devices[who].settings.own.ranges = dice.happens(80);
    }
    let version = if dice.happens(80) { Version::V5 } else { Version::V4 };
    let files: Vec<(String, Vec<u8>)> =
        (0..=dice.below(3)).map(|at| (format!("file {at}"), bytes([0, 1, 4_096, 30_000][dice.below(4) as usize] + at as usize))).collect();
    let is_offer = dice.happens(60);
    let (giver, taker) = if is_offer { (ROMEO, JULIET) } else { (JULIET, ROMEO) };
    if dice.happens(30) {
        let (name, file) = &files[0];
        world.devices[taker].will.have.insert(name.clone(), file[..file.len() / 2].to_vec());
    }
    world.devices[giver].shared = files.iter().map(|(_, file)| file.clone()).collect();
    world.devices[giver].will.digest_later = is_offer && dice.happens(30);
    let later = world.devices[giver].will.digest_later;
    let mut told: Vec<_> = files.iter().map(|(name, file)| (described(name, file), file.clone())).collect();
    if is_offer {
        for (file, _) in &mut told {
            if later {
                file.metadata.hashes.clear();
                file.metadata.hash_used = vec![HashAlgo::Sha256.into()];
            }
        }
        world.offer(told, version);
    } else {
        let have = world.devices[taker].will.have.clone();
        let asked = told.into_iter().map(|(file, _)| match have.get(file.metadata.name.as_ref().unwrap()) {
            Some(have) => from_byte(file, have.len() as u64),
            None => file,
        });
        world.ask(asked.collect(), version);
    }
    meddle(&mut world, &mut dice);
    (world, files)
}

/// People change their minds in the middle.
fn meddle(world: &mut World, dice: &mut Dice) {
    for _ in 0..dice.below(4) {
        world.run_for(Duration::from_millis(dice.below(400)));
        let who = dice.below(2) as usize;
        let Some(session) = &world.devices[who].session else { continue };
        let contents: Vec<_> = session.contents().cloned().collect();
        let content = contents[dice.below(contents.len() as u64) as usize].clone();
        match dice.below(12) {
            0 => world.with(who, |session, now| session.cancel(now, &content)),
            1 => world.with(who, |session, now| session.hold(now, &content)),
            2 => world.with(who, |session, now| session.go_on(now, &content)),
            3 => world.with(who, |session, now| session.ping(now)),
            4 => world.with(who, |session, now| session.handle_unavailable(now)),
            5 => world.with(who, |session, now| session.terminate(now, EndReason::Stopped)),
            6 => {
                let file = bytes(777);
                let id = world.with(who, |session, now| session.add(now, described("added", &bytes(777)), Direction::Give));
                if let Some(id) = id {
                    world.devices[who].gives.insert(id, file);
                }
            }
            _ => {}
        }
    }
}

fn judge(seed: u64) -> bool {
    let (mut world, files) = story(seed);
    let took = world.run();
    assert!(world.is_over(), "seed {seed}: {:?}", world.devices.iter().map(|device| &device.events).collect::<Vec<_>>());
    assert!(took < LONGEST, "seed {seed}: {took:?}");
    for device in &world.devices {
        let Some(session) = &device.session else { continue };
        assert!(device.end().is_some() && matches!(device.events.last(), Some(Event::Ended(_))), "seed {seed}: {:?}", device.events);
        for content in session.contents() {
            let ends = device.events.iter().filter(|event| matches!(event, Event::ContentEnded { content: known, .. } if known == content));
            assert_eq!(ends.count(), 1, "seed {seed}: {content:?} {:?}", device.events);
            assert!(session.ended(content).is_some_and(|reason| !reason.to_string().is_empty()));
        }
        for (name, kept) in &device.kept {
            let is_it = |file: &[u8]| *kept == Blob(file.to_vec());
            assert!(name == "added" && is_it(&bytes(777)) || files.iter().any(|(known, file)| known == name && is_it(file)), "seed {seed}");
        }
        // who gave hears `Done` only where it was kept
        let given = device.gives.keys().filter(|content| session.ended(content).is_some_and(EndReason::is_done)).count();
        let other = world.devices.iter().find(|other| other.jid != device.jid).unwrap();
        assert!(given <= other.kept.len(), "seed {seed}: {:?} {:?}", device.events, other.events);
    }
    let all = world.devices.iter().map(|device| device.kept.len()).sum::<usize>();
    all >= files.len()
}

#[test]
fn every_transfer_ends_in_the_right_bytes_or_with_a_name() {
    let mut whole = 0;
    for seed in 0..1_000 {
        whole += u32::from(judge(seed));
    }
    assert!(whole > 200, "only {whole} of 1000 came through"); // the network is bad, not hopeless
}

#[test]
fn what_is_doubled_and_swapped_but_not_lost_still_arrives() {
    let mut through = 0;
    for seed in 0..300 {
        let mut world = World::new(seed, Weather { doubled: 40, delay: (5, 80), ..Weather::fine() });
        world.offer(vec![(described("a", &bytes(20_000)), bytes(20_000))], Version::V5);
        world.run();
        assert!(world.is_over(), "seed {seed}");
        let is_there = world.devices[JULIET].kept == [("a".to_owned(), Blob(bytes(20_000)))];
        assert!(is_there, "seed {seed}: {:?} {:?}", world.devices[ROMEO].events, world.devices[JULIET].events);
        through += 1;
    }
    assert_eq!(through, 300);
}
