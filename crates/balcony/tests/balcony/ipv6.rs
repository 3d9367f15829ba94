//! Both families of addresses, or one of them: a server on all of its own, and in the lab what goes by which, and what is told of them.

use testing_peers::{Family, Host, Rule};

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::lab::{At, Town, apart, way, without_proxy};
use crate::lab_others::both_pass;
use crate::lab_ways::pass;

const SIZE: usize = 500_000;

/// One logs in by IPv6 and the other by IPv4, and a file goes from one to the other.
#[test]
fn a_server_on_all_addresses_is_reached_by_either_family() {
    let server = OwnServer::with(&["--listen", "::"]);
    let there = server.endpoints();
    assert_eq!(there.get("IP"), "::1", "where it is reached from here");
    let alice = Person::at(there, "alice");
    let bob = Person::new();
    let by_ipv4 = format!("127.0.0.1:{}", there.get("C2S_PORT"));
    bob.login_with(&there.jid("bob"), there.password("bob"), &by_ipv4, &there.ca(), &[]).ok();
    let file = alice.file("file.bin", &random_bytes(10_000));
    alice.run(&["send", "file.bin", "--to", &there.jid("bob")]).ok();
    bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    assert_eq!(sha256(&bob.folder().join("file.bin")), sha256(&file));
}

/// Bytes from alice, to bob and to the server, by each family.
fn sent(town: &Town) -> [[u64; 2]; 2] {
    [Host::Bob, Host::Server].map(|to| Family::ALL.map(|family| town.lab.count_of(family, Host::Alice, to).bytes))
}

/// One family is refused, or leads nowhere, between the two, then at the proxy, which is known by its name: the other is taken.
/// Proves: USER-3-2, USER-3-3.
#[test]
fn what_does_not_go_by_one_family_goes_by_the_other() {
    let Some(town) = Town::with(At::Ours) else { return };
    for (at, (refused, taken)) in [(Family::V4, Family::V6), (Family::V6, Family::V4)].into_iter().enumerate() {
        let between = [(Host::Alice, Host::Bob), (Host::Bob, Host::Alice)];
        let silent = between.map(|(from, to)| Rule::swallow(from, to).family(refused));
        for (name, rules) in [("refused", between.map(|(from, to)| Rule::refuse(from, to).family(refused))), ("silent", silent)] {
            town.lab.filter(&rules);
            let before = sent(&town);
            let name = format!("{name} {refused:?}.bin");
            pass(&town, &name, SIZE, &[], "direct");
            assert!(sent(&town)[0][1 - at] - before[0][1 - at] > SIZE as u64, "{name} did not go by {taken:?}");
        }
        let proxy = [Host::Alice, Host::Bob].map(|host| Rule::refuse(host, Host::Server).port(town.proxy_port()).family(refused));
        town.lab.filter(&[apart(), proxy.into()].concat());
        let before = sent(&town);
        let name = format!("proxy without {refused:?}.bin");
        pass(&town, &name, SIZE, &[], "proxy");
        assert!(sent(&town)[1][1 - at] - before[1][1 - at] > SIZE as u64, "{name} did not go by {taken:?}");
    }
}

/// Login, links, and each way from device to device.
/// Proves: USER-3-2, USER-3-3.
#[test]
fn where_there_is_no_ipv4_everything_goes_by_ipv6() {
    let Some(town) = Town::without_ipv4(At::Ours) else { return };
    pass(&town, "direct.bin", SIZE, &[], "direct");
    pass(&town, "relayed.bin", SIZE, &["--relay-only"], "proxy");
    town.lab.filter(&apart());
    pass(&town, "proxy.bin", SIZE, &[], "proxy");
    town.lab.filter(&without_proxy(town.proxy_port()));
    pass(&town, "in band.bin", 100_000, &[], "in-band");
    town.alice.file("link.bin", &random_bytes(SIZE));
    let bob = town.there.jid("bob");
    town.run(Host::Alice, &["send", "link.bin", "--to", &bob]).ok();
    let saved = town.run(Host::Bob, &["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok().event("saved");
    assert_eq!((way(&saved), &saved["proven"]), ("link", &true.into()), "{saved}");
}

/// Over servers of others, to and from programs of others.
fn with_others_without_ipv4(at: At, ways: &[&str]) {
    let Some(town) = Town::without_ipv4(at) else { return };
    for expected in ways {
        town.lab.filter(&match *expected {
            "direct" => Vec::new(),
            "proxy" => apart(),
            _ => without_proxy(town.proxy_port()),
        });
        both_pass(&town, 100_000, expected);
    }
}

/// Proves: JFT-10.1-1, S5J-2.4-1.
#[test]
fn without_ipv4_files_go_to_and_from_others_over_prosody() {
    with_others_without_ipv4(At::Prosody, &["direct", "proxy", "in-band"]);
}

/// Proves: JFT-10.1-1, S5J-2.4-1.
#[test]
fn without_ipv4_the_proxy_of_ejabberd_does() {
    with_others_without_ipv4(At::Ejabberd, &["proxy"]);
}

/// Alice's system makes temporary addresses: the one that stays is nobody's business.
/// Proves: USER-5-5.
#[test]
fn nobody_is_told_the_address_that_stays_where_there_is_a_temporary_one() {
    let Some(town) = Town::with(At::Ours) else { return };
    let stays = Host::Alice.address_of(Family::V6);
    let make = format!(
        "echo 2 >/proc/sys/net/ipv6/conf/eth0/use_tempaddr && ip address change {stays}/64 dev eth0 mngtmpaddr &&
         until ip -6 address show dev eth0 temporary -tentative | grep -q inet6; do sleep 0.02; done"
    );
    let mut made = std::process::Command::new("timeout");
    made.args(["60", "bash", "-c", &make]);
    assert!(town.lab.inside(Host::Alice, &made).status().unwrap().success());
    town.alice.file("who am i.bin", &random_bytes(1_000));
    let mut bob = town.jingle(Host::Bob, "bob/other").start(&["take"]).unwrap();
    town.run(Host::Alice, &["send", "--direct", "who am i.bin", "--to", &format!("{}/other", town.there.jid("bob"))]).ok();
    let offered = bob.wait_for("offer", |event| event["action"] == "session-initiate");
    let xml = offered["xml"].as_str().unwrap();
    let network = stays.strip_suffix(":2").unwrap();
    assert!(xml.contains(&format!("host=\"{network}")) && xml.contains(Host::Alice.address()), "{xml}");
    assert!(!xml.contains(&format!("host=\"{stays}\"")), "{xml}");
}
