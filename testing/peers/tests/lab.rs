//! Does the lab do to connections what it is told?
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;
use std::time::{Duration, Instant};

use testing_peers::{Family, Host, Lab, Line, Lines, Rule, Server};

fn up() -> Option<Lab> {
    Lab::up().map_err(testing_peers::Skipped::say).ok()
}

/// Takes connections on port 7000, one after the other, and says back what it hears.
const ECHO: &str = "
import socket
listener = socket.create_server(('', 7000), family=socket.AF_INET6, dualstack_ipv6=True)
print('ready', flush=True)
while True:
    one = listener.accept()[0]
    try:
        while heard := one.recv(65536):
            one.sendall(heard)
    except OSError as error:
        print('broken', error, flush=True)
";

/// Connects, sends so many thousand bytes and hears them come back, each answer within so many seconds. Prints what became of it.
const SAY: &str = "
import socket, sys, time
host, count, patience, began = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), time.monotonic()
try:
    with socket.create_connection((host, 7000), timeout=patience) as line:
        print('joined', flush=True)
        for _ in range(count):
            line.sendall(b'x' * 1000)
            heard = 0
            while heard < 1000:
                heard += len(line.recv(65536)) or sys.exit('closed')
    print('same', time.monotonic() - began)
except TimeoutError: print('silence')
except ConnectionRefusedError: print('refused')
except OSError as error: print('broken', error)
";

fn python(lab: &Lab, host: Host, program: &str, arguments: &[&str]) -> Lines {
    let mut command = Command::new("python3");
    command.args(["-c", program]).args(arguments);
    Lines::start(host.name(), &mut lab.inside(host, &command)).unwrap()
}

#[track_caller]
fn says(lab: &Lab, from: Host, to: Host) -> String {
    says_by(Family::V4, lab, from, to)
}

#[track_caller]
fn says_by(family: Family, lab: &Lab, from: Host, to: Host) -> String {
    python(lab, from, SAY, &[to.address_of(family), "10", LONG]).wait_for("end", |line| line != "joined")
}

/// The same where nothing is to come: who waited for something would have to wait longer.
#[track_caller]
fn hears_nothing_by(family: Family, lab: &Lab, from: Host, to: Host) -> bool {
    python(lab, from, SAY, &[to.address_of(family), "10", SHORT]).wait_for("end", |line| line != "joined") == "silence"
}

/// Seconds that a busy machine may take for an answer; seconds after which no answer is silence.
const LONG: &str = "40";
const SHORT: &str = "2";

/// They answer as long as these are held.
fn echoes(lab: &Lab) -> Vec<Lines> {
    let echo = |host| {
        let mut echo = python(lab, host, ECHO, &[]);
        echo.wait_for("port", |line| line == "ready");
        echo
    };
    [Host::Alice, Host::Bob].map(echo).into()
}

#[test]
fn the_filter_lets_through_refuses_swallows_and_cuts_as_told() {
    let Some(lab) = up() else { return };
    let _echoes = echoes(&lab);
    assert_eq!(lab.count(Host::Alice, Host::Bob).packets, 0);
    assert!(says(&lab, Host::Alice, Host::Bob).starts_with("same"));
    let count = lab.count(Host::Alice, Host::Bob);
    assert!(count.packets > 10 && count.bytes > 10_000, "{count:?}");
    assert!(lab.count(Host::Bob, Host::Alice).bytes > 10_000);
    assert_eq!(lab.count(Host::Alice, Host::Server).packets, 0);

    // One way only: what alice begins is answered, what bob begins is not.
    lab.filter(&[Rule::refuse(Host::Bob, Host::Alice)]);
    assert_eq!(says(&lab, Host::Bob, Host::Alice), "refused");
    assert!(says(&lab, Host::Alice, Host::Bob).starts_with("same"));
    lab.filter(&[Rule::swallow(Host::Bob, Host::Alice)]);
    assert!(hears_nothing_by(Family::V4, &lab, Host::Bob, Host::Alice));
    lab.filter(&[Rule::refuse(Host::Alice, Host::Bob).port(7001)]);
    assert!(says(&lab, Host::Alice, Host::Bob).starts_with("same"), "another port");

    // What stands already.
    for (rule, becomes, patience) in
        [(Rule::cut(Host::Alice, Host::Bob), "broken", LONG), (Rule::silence(Host::Alice, Host::Bob), "silence", SHORT)]
    {
        lab.filter(&[]);
        let mut talk = python(&lab, Host::Alice, SAY, &[Host::Bob.address(), "10000000", patience]);
        talk.wait_for("connection", |line| line == "joined");
        lab.filter(&[rule]);
        assert!(talk.wait_for("end", |line| line != "joined").starts_with(becomes));
    }
}

#[test]
fn rules_and_counters_are_of_hosts_by_whichever_address_and_may_be_of_one_family() {
    let Some(lab) = up() else { return };
    let _echoes = echoes(&lab);
    let outcomes = |expected: [&str; 2]| {
        [0, 1].map(|n| match expected[n] {
            "silence" => hears_nothing_by(Family::ALL[n], &lab, Host::Alice, Host::Bob),
            said => says_by(Family::ALL[n], &lab, Host::Alice, Host::Bob).starts_with(said),
        })
    };
    let counts = || Family::ALL.map(|family| lab.count_of(family, Host::Alice, Host::Bob).bytes > 10_000);
    assert_eq!((says_by(Family::V6, &lab, Host::Alice, Host::Bob).starts_with("same"), counts()), (true, [false, true]));
    assert_eq!((outcomes(["same", "same"]), counts()), ([true, true], [true, true]));
    let sum: u64 = Family::ALL.iter().map(|family| lab.count_of(*family, Host::Alice, Host::Bob).packets).sum();
    assert_eq!(lab.count(Host::Alice, Host::Bob).packets, sum);
    let rule = Rule::refuse(Host::Alice, Host::Bob);
    for (rule, expected) in [
        (rule, ["refused", "refused"]),
        (rule.port(7000), ["refused", "refused"]),
        (rule.family(Family::V4), ["refused", "same"]),
        (rule.family(Family::V6).port(7000), ["same", "refused"]),
        (Rule::swallow(Host::Alice, Host::Bob).family(Family::V6), ["same", "silence"]),
    ] {
        lab.filter(&[rule]);
        assert_eq!(outcomes(expected), [true, true], "{rule:?}: {expected:?}");
    }
    // An address that nobody told the filter of.
    lab.filter(&[rule]);
    let mut another = Command::new("ip");
    another.args(["address", "add", "2d00:1::3/64", "dev", "eth0", "nodad"]);
    assert!(lab.inside(Host::Alice, &another).status().unwrap().success());
    let bound = SAY.replace("timeout=patience)", "timeout=patience, source_address=('2d00:1::3', 0))");
    assert!(bound.contains("2d00:1::3"));
    let mut alice = python(&lab, Host::Alice, &bound, &[Host::Bob.address_of(Family::V6), "1", LONG]);
    assert_eq!(alice.wait_for("end", |line| line != "joined"), "refused");
}

#[test]
fn hosts_of_one_family_have_no_address_of_the_other() {
    for family in Family::ALL {
        let Some(lab) = Lab::only(family).map_err(testing_peers::Skipped::say).ok() else { return };
        let _echoes = echoes(&lab);
        for other in Family::ALL {
            let said = says_by(other, &lab, Host::Alice, Host::Bob);
            assert_eq!(said.starts_with("same"), family == other, "{family:?} to {other:?}: {said}");
        }
    }
}

#[test]
fn a_bad_line_is_slow_and_loses_and_what_was_said_arrives_all_the_same() {
    let Some(lab) = up() else { return };
    let bad = Line { delay: 30, loss: 2, rate: 0 };
    match lab.line(Host::Bob, bad) {
        Ok(by) => eprintln!("the bad line is made by {by}"),
        Err(skipped) => return skipped.say(),
    }
    let mut echo = python(&lab, Host::Bob, ECHO, &[]);
    echo.wait_for("port", |line| line == "ready");
    for family in Family::ALL {
        let said = says_by(family, &lab, Host::Alice, Host::Bob);
        let seconds: f32 = said.strip_prefix("same ").unwrap_or_else(|| panic!("{said}")).parse().unwrap();
        assert!(seconds > 10.0 * 2.0 * 0.030, "ten times there and back took {seconds} s by {family:?}");
    }
}

#[test]
fn the_lab_ends_with_its_handle_and_its_servers_know_their_name() {
    let Some(lab) = up() else { return };
    let began = Instant::now();
    for server in [Server::Prosody, Server::Ejabberd] {
        let instance = lab.start(server, &[]).unwrap();
        let there = instance.endpoints();
        assert_eq!(there.get("IP"), Host::Server.address());
        let mut bob = lab.peers().slixmpp(there, "bob/rx").on(&lab, Host::Bob).listen().unwrap();
        lab.peers().slixmpp(there, "alice/tx").on(&lab, Host::Alice).run(&["msg", &there.jid("bob"), "good morning"]).unwrap();
        bob.wait_for("message", |event| event["event"] == "message" && event["type"] == "chat");
    }
    assert!(lab.count(Host::Alice, Host::Server).packets > 0);
    assert_eq!(lab.count(Host::Alice, Host::Bob).packets, 0, "messages go by way of the server");
    assert!(began.elapsed() < Duration::from_secs(120));
    let folder = lab.peers().folder().to_owned();
    let pid = std::fs::read_to_string(folder.join("net-bob/pid")).unwrap();
    drop(lab);
    // One that ended and that nobody waited for yet has no command line any more.
    let command_line = std::fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    assert!(command_line.is_empty(), "{}", String::from_utf8_lossy(&command_line));
    assert!(!folder.exists());
}

/// By each way, through a server that is not ours: the peers that later tests believe.
#[test]
fn the_jingle_peer_agrees_with_itself_on_every_way() {
    let Some(lab) = up() else { return };
    let instance = lab.start(Server::Ejabberd, &[]).unwrap();
    let there = instance.endpoints();
    let file = lab.peers().folder().join("file.bin");
    std::fs::write(&file, (0..100_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let bob = lab.peers().jingle(there, "bob/rx").on(&lab, Host::Bob).with(&["--address", Host::Bob.address()]);
    let mut bob = bob.start(&["take"]).unwrap();
    let alice = lab.peers().jingle(there, "alice/tx").on(&lab, Host::Alice).with(&["--address", Host::Alice.address()]);
    let between = [Rule::refuse(Host::Alice, Host::Bob), Rule::refuse(Host::Bob, Host::Alice)];
    let proxy = [Host::Alice, Host::Bob].map(|host| Rule::refuse(host, Host::Server).port(5000));
    let ways = [(Vec::new(), "direct"), (between.to_vec(), "proxy"), ([between, proxy].concat(), "in-band")];
    for (rules, way) in ways {
        lab.filter(&rules);
        alice.run(&["offer", &format!("{}/rx", there.jid("bob")), file.to_str().unwrap()]).unwrap();
        let taken = bob.wait_for("end", |event| event["event"] == "taken" || event["event"] == "broken");
        assert_eq!((&taken["went"], &taken["bytes"]), (&way.into(), &400_000.into()), "{taken}");
        assert_eq!(std::fs::read(taken["path"].as_str().unwrap()).unwrap(), std::fs::read(&file).unwrap());
    }
}
