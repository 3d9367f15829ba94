//! What the servers do for transfers from person to person, seen by clients that are not ours.

use testing_peers::{Host, Rule};

use crate::actors::{random_bytes, sha256};
use crate::lab::{At, Town, apart, without_proxy};

/// Two clients that know nothing of us pass a file by each way through our server, and by its proxy in each direction.
fn strangers_pass_files_over(at: At) {
    let Some(town) = Town::with(at) else { return };
    let file = town.alice.file("file.bin", &random_bytes(400_000));
    let mut bob = town.jingle(Host::Bob, "bob/rx").start(&["take"]).unwrap();
    let alice = town.jingle(Host::Alice, "alice/tx");
    let proxy = town.proxy_port();
    let ways: [(Vec<Rule>, &str); 3] = [(Vec::new(), "direct"), (apart(), "proxy"), (without_proxy(proxy), "in-band")];
    for (rules, way) in ways {
        town.lab.filter(&rules);
        alice.run(&["offer", &format!("{}/rx", town.there.jid("bob")), file.to_str().unwrap()]).unwrap();
        let taken = bob.wait_for("end", |event| event["event"] == "taken" || event["event"] == "broken");
        assert_eq!((&taken["went"], &taken["sha256"]), (&way.into(), &sha256(&file).into()), "{taken}");
    }
}

#[test]
fn strangers_pass_files_over_our_server() {
    strangers_pass_files_over(At::Ours);
}
