//! A photo shared in one message with a link and a live source, over processes and a packet filter: one is taken away in the middle, and
//! the file comes from the other, from the byte at which it stopped.

use testing_peers::{Host, Line, Rule};

use crate::actors::{patience, random_bytes, sha256};
use crate::lab::{At, Town, way};
use crate::process::{Running, until};

const SIZE: usize = 6_000_000;

fn line(town: &Town, rate: u32) {
    town.lab.line(Host::Bob, Line { rate, ..Line::default() }).unwrap();
}

/// Alice shares a photo with bob by both ways; the command goes on.
fn share(town: &Town) -> Running {
    line(town, 6); // slow enough to be in the middle of it however slow the machine is
    town.alice.file("summit.jpg", &random_bytes(SIZE));
    let mut sharing = town.start(Host::Alice, &["share-live", "summit.jpg", "--upload", "--to", &town.there.jid("bob")]);
    sharing.event("sharing");
    sharing
}

/// Bob takes it; tells by which way the last bytes came, and that they are those of the photo.
fn take(town: &Town, meanwhile: impl FnOnce()) -> String {
    let receiving = town.start(Host::Bob, &["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    meanwhile();
    let done = receiving.wait().ok();
    let saved = done.event("saved");
    assert_eq!(saved["proven"], true, "{saved}");
    assert_eq!(sha256(&town.bob.folder().join("summit.jpg")), sha256(&town.alice.folder().join("summit.jpg")));
    way(&saved).to_owned()
}

fn upload_port(town: &Town) -> u16 {
    town.there.get("HTTPS_PORT").parse().unwrap()
}

#[test]
fn when_the_link_goes_in_the_middle_the_rest_comes_from_the_device() {
    let Some(town) = Town::with(At::Ours) else { return };
    let _sharing = share(&town);
    let before = town.lab.count(Host::Server, Host::Bob).bytes;
    let way = take(&town, || {
        let some = || (town.lab.count(Host::Server, Host::Bob).bytes - before > 2_000_000).then_some(());
        until("a part by the link", some);
        town.lab.filter(&[Rule::cut(Host::Bob, Host::Server).port(upload_port(&town))]);
        line(&town, 60);
    });
    assert_eq!(way, "direct");
    let straight = town.lab.count(Host::Alice, Host::Bob).bytes;
    assert!((1_000_000..5_000_000).contains(&straight), "{straight} bytes came from the device");
}

#[test]
fn when_the_device_goes_in_the_middle_the_rest_comes_by_the_link() {
    let Some(town) = Town::with(At::Ours) else { return };
    let sharing = share(&town);
    // The link is out of reach at first.
    let no_link = Rule::refuse(Host::Bob, Host::Server).port(upload_port(&town));
    town.lab.filter(&[no_link]);
    let mut sharing = Some(sharing);
    let way = take(&town, || {
        until("a part by the device", || (town.lab.count(Host::Alice, Host::Bob).bytes > 2_000_000).then_some(()));
        town.lab.filter(&[]);
        sharing.take().unwrap().interrupt();
        line(&town, 60);
    });
    assert_eq!(way, "link");
    let straight = town.lab.count(Host::Alice, Host::Bob).bytes;
    assert!((2_000_000..5_500_000).contains(&straight), "{straight} bytes came from the device");
}
