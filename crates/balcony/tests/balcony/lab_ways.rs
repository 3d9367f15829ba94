//! Whatever stands between two clients of ours: the file takes the next way, arrives whole and proven, and both sides say which way.

use serde_json::Value;
use testing_peers::{Host, Line, Rule};

use crate::actors::{patience, random_bytes, sha256};
use crate::lab::{At, Town, apart, goes_by, way, without_proxy};
use crate::process::{Done, Running, until};

/// Bob waits for one file and says yes to it.
fn bob_waits(town: &Town, more: &[&str]) -> Running {
    let mut waiting = town.start(Host::Bob, &[&["receive", "--yes", "--count", "1", "--timeout", &patience()], more].concat());
    waiting.event("waiting");
    waiting
}

/// What both said of a file that arrived, whose bytes were compared.
pub(crate) struct Passed {
    delivered: Value,
    pub(crate) saved: Value,
    sent: Done,
    received: Done,
}

/// Alice sends bob a file of so many bytes; something happens meanwhile.
#[track_caller]
fn pass_and(town: &Town, name: &str, size: usize, options: &[&str], meanwhile: impl FnOnce()) -> Passed {
    let file = town.alice.file(name, &random_bytes(size));
    let waiting = bob_waits(town, &[]);
    let bob = town.there.jid("bob");
    let sending = town.start(Host::Alice, &[&["send", "--direct", name, "--to", &bob], options].concat());
    meanwhile();
    let received = waiting.wait().ok();
    let sent = sending.wait().ok();
    let (delivered, saved) = (sent.event("delivered"), received.event("saved"));
    assert_eq!((&saved["proven"], saved["sha256"].as_str()), (&true.into(), Some(sha256(&file).as_str())), "{saved}");
    assert_eq!(sha256(&town.bob.folder().join(name)), sha256(&file));
    assert_eq!(way(&delivered), way(&saved), "{}\n{}", sent.out, received.out);
    Passed { delivered, saved, sent, received }
}

/// The same, by this way.
#[track_caller]
pub(crate) fn pass(town: &Town, name: &str, size: usize, options: &[&str], expected: &str) -> Passed {
    goes_by(expected, name, |name| {
        let passed = pass_and(town, name, size, options, || ());
        (way(&passed.saved).to_owned(), passed)
    })
}

/// Refused or swallowed, one after the other, the ways to each other and to the proxy.
fn the_next_way_is_taken_at(at: At) {
    let Some(town) = Town::with(at) else { return };
    pass(&town, "open.bin", 3_000_000, &[], "direct");
    let through = town.lab.count(Host::Alice, Host::Bob).bytes;
    assert!(through > 3_000_000, "{through} bytes went straight");

    town.lab.filter(&apart());
    pass(&town, "apart.bin", 3_000_000, &[], "proxy");
    town.lab.filter(&without_proxy(town.proxy_port()));
    pass(&town, "in-band.bin", 200_000, &[], "in-band");
}

/// Proves: USER-3-2, S5J-3-1, JFT-10.2-1.
#[test]
fn direct_is_refused_then_the_proxy_then_it_goes_in_band_over_our_server() {
    the_next_way_is_taken_at(At::Ours);
}

/// Proves: USER-3-2, USER-3-3.
#[test]
fn direct_is_refused_then_the_proxy_then_it_goes_in_band_over_prosody() {
    the_next_way_is_taken_at(At::Prosody);
}

/// Proves: USER-3-2, USER-3-3.
#[test]
fn direct_is_refused_then_the_proxy_then_it_goes_in_band_over_ejabberd() {
    the_next_way_is_taken_at(At::Ejabberd);
}

/// Only one of them can be reached, or nobody says that they cannot.
#[test]
fn one_way_is_enough_and_silence_is_not_waited_for_long() {
    let Some(town) = Town::with(At::Ours) else { return };
    for (name, from, to) in [("to-bob.bin", Host::Bob, Host::Alice), ("to-alice.bin", Host::Alice, Host::Bob)] {
        for rule in [Rule::refuse(from, to), Rule::swallow(from, to)] {
            town.lab.filter(&[rule]);
            let passed = pass(&town, name, 500_000, &[], "direct");
            std::fs::remove_file(town.bob.folder().join(passed.saved["name"].as_str().unwrap())).unwrap();
        }
    }
    let silent = [(Host::Alice, Host::Bob), (Host::Bob, Host::Alice)].map(|(from, to)| Rule::swallow(from, to));
    let proxy = [Host::Alice, Host::Bob].map(|host| Rule::swallow(host, Host::Server).port(town.proxy_port()));
    town.lab.filter(&[silent, proxy].concat());
    pass(&town, "silence.bin", 200_000, &[], "in-band");
}

/// Both have addresses of both families, and either would do for a direct connection.
/// Proves: USER-5-5.
#[test]
fn relay_only_sends_no_packet_from_one_to_the_other() {
    let Some(town) = Town::with(At::Ours) else { return };
    let relayed = pass(&town, "relayed.bin", 2_000_000, &["--relay-only"], "proxy");
    assert_eq!(relayed.delivered["address_shown"], false, "{}", relayed.delivered);
    let proxy = [Host::Alice, Host::Bob].map(|host| Rule::refuse(host, Host::Server).port(town.proxy_port()));
    town.lab.filter(&proxy);
    pass(&town, "in-band.bin", 200_000, &["--relay-only"], "in-band");
    for (from, to) in [(Host::Alice, Host::Bob), (Host::Bob, Host::Alice)] {
        assert_eq!(town.lab.count(from, to).packets, 0, "{from:?} to {to:?}");
    }
}

/// The way breaks when a part of the file is there: by a reset, on the direct way and at the proxy.
/// Proves: JFT-6.4-1.
#[test]
fn cut_in_the_middle_it_goes_on_where_it_stopped() {
    let Some(town) = Town::with(At::Ours) else { return };
    // Slow until it is cut, so that it is cut in the middle however slow the machine is.
    let line = |rate| town.lab.line(Host::Bob, Line { rate, ..Line::default() }).unwrap();
    let size = 9_000_000;
    line(12);
    let moved = |from| town.lab.count(from, Host::Bob).bytes;
    let cut = pass_and(&town, "cut.bin", size, &[], || {
        until("the middle of the file", || (moved(Host::Alice) > 3_000_000).then_some(()));
        let rules = [Rule::cut(Host::Alice, Host::Bob), Rule::cut(Host::Bob, Host::Alice)];
        town.lab.filter(&rules);
        line(100);
    });
    assert_ne!(way(&cut.delivered), "direct", "{}\n{}", cut.sent.out, cut.received.out);
    let all = moved(Host::Alice) + moved(Host::Server);
    // The rest may go in base64.
    assert!(all < 14_000_000, "{all} bytes went to bob for a file of {size}: it began anew");

    town.lab.filter(&apart());
    line(12);
    let before = moved(Host::Server);
    let again = pass_and(&town, "cut again.bin", size, &[], || {
        until("the middle of the file", || (moved(Host::Server) - before > 3_000_000).then_some(()));
        let proxy = [Host::Alice, Host::Bob].map(|host| Rule::cut(host, Host::Server).port(town.proxy_port()));
        town.lab.filter(&[apart(), proxy.to_vec()].concat());
        line(100);
    });
    assert_eq!(way(&again.delivered), "in-band", "{}\n{}", again.sent.out, again.received.out);
    let all = moved(Host::Server) - before;
    assert!(all < 14_000_000, "{all} bytes went to bob for a file of {size}: it began anew");
}

/// Two packets of a hundred are lost each way, and each takes 50 milliseconds.
#[test]
fn a_bad_line_is_slow_and_the_file_is_whole() {
    let Some(town) = Town::with(At::Ours) else { return };
    match town.lab.line(Host::Bob, Line { delay: 50, loss: 2, rate: 0 }) {
        Ok(by) => eprintln!("the bad line is made by {by}"),
        Err(skipped) => return skipped.say(),
    }
    pass(&town, "bad line.bin", 500_000, &[], "direct");
    town.lab.filter(&apart());
    pass(&town, "bad line, proxy.bin", 500_000, &[], "proxy");
    town.lab.filter(&without_proxy(town.proxy_port()));
    pass(&town, "bad line, in band.bin", 100_000, &[], "in-band");
}
