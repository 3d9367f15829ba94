//! Every pairing of abilities, in both roles: a verified file, or a named refusal on both sides.

use balcony_sharing::transfer::jingle::{EndReason, Means};
use balcony_wire::jingle_file::Version;

use super::world::{Blob, JULIET, ROMEO, Weather, World, bytes, described, from_byte};

fn all_means() -> Vec<Means> {
    (0..8).map(|bits| Means { socks: bits & 1 > 0, in_band: bits & 2 > 0, ranges: bits & 4 > 0 }).collect()
}

/// What a device knows of another: all of it, or nothing, so that it tries.
fn seen(means: Means, is_known: bool) -> Means {
    if is_known { means } else { Means::ALL }
}

struct Pairing {
    romeo: Means,
    juliet: Means,
    known: bool,
    version: Version,
    weather: Weather,
}

impl Pairing {
    fn world(&self) -> World {
        let mut world = World::new(1, self.weather.clone());
        world.devices[ROMEO].settings.own = self.romeo;
        world.devices[JULIET].settings.own = self.juliet;
        world.devices[ROMEO].sees = seen(self.juliet, self.known);
        world.devices[JULIET].sees = seen(self.romeo, self.known);
        world
    }

    /// Whether bytes can flow at all. An offer by a way that the peer does not know is refused, unless it was known.
    fn has_way(&self) -> bool {
        let socks = self.romeo.socks && self.juliet.socks && self.weather.direct;
        let in_band = self.romeo.in_band && self.juliet.in_band;
        let tries_socks_in_vain = self.romeo.socks && !self.juliet.socks && !self.known;
        (socks || in_band) && !tries_socks_in_vain
    }

    fn words(&self) -> String {
        format!("{:?} {:?} known {} {:?} direct {}", self.romeo, self.juliet, self.known, self.version, self.weather.direct)
    }

    fn judge(&self, world: &World, taker: usize, have: usize) {
        let words = self.words();
        assert!(world.is_over(), "{words}");
        let kept = world.devices[taker].kept.iter().any(|(_, kept)| *kept == Blob(bytes(20_000)));
        assert_eq!(kept, self.has_way(), "{words}: {:?} {:?}", world.devices[ROMEO].events, world.devices[JULIET].events);
        for device in world.devices.iter().filter(|device| device.session.is_some()) {
            let end = device.end().unwrap_or_else(|| panic!("{words}: silence"));
            assert_eq!(*end == EndReason::Done, kept, "{words}: {end}");
        }
        assert!(have == 0 || !kept || self.romeo.ranges && self.juliet.ranges || world.devices[taker].kept.len() == 1);
    }
}

/// Proves: JFT-5-4, JFT-6.1-1.
#[test]
fn every_pairing_ends_in_a_verified_file_or_a_named_refusal() {
    for romeo in all_means() {
        for juliet in all_means() {
            for bits in 0..8 {
                let version = if bits & 2 > 0 { Version::V5 } else { Version::V4 };
                let weather = Weather { direct: bits & 4 > 0, ..Weather::fine() };
                let pairing = Pairing { romeo, juliet, known: bits & 1 > 0, version, weather };
                for have in [0, 5_000] {
                    offered(&pairing, have);
                    asked(&pairing, have);
                }
            }
        }
    }
}

fn offered(pairing: &Pairing, have: usize) {
    let mut world = pairing.world();
    if have > 0 {
        world.devices[JULIET].will.have.insert("a".into(), bytes(20_000)[..have].to_vec());
    }
    world.offer(vec![(described("a", &bytes(20_000)), bytes(20_000))], pairing.version);
    world.run();
    pairing.judge(&world, JULIET, have);
}

fn asked(pairing: &Pairing, have: usize) {
    let mut world = pairing.world();
    world.devices[JULIET].shared = vec![bytes(20_000)];
    let mut file = described("a", &bytes(20_000));
    if have > 0 {
        world.devices[ROMEO].will.have.insert("a".into(), bytes(20_000)[..have].to_vec());
        file = from_byte(file, have as u64);
    }
    world.ask(vec![file], pairing.version);
    world.run();
    pairing.judge(&world, ROMEO, have);
}
