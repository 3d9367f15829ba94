//! `balcony files`: what is kept here, what goes, and what is found damaged.

use std::fs;

use serde_json::Value;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::cli::files_below;

/// Bob with three files of alice, the first one received first.
fn scene(sizes: [usize; 3]) -> (OwnServer, Person, Person) {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    for (number, size) in sizes.into_iter().enumerate() {
        let name = format!("file{number}.bin");
        alice.file(&name, &random_bytes(size));
        alice.run(&["send", &name, "--to", "bob@localhost"]).ok();
        bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    }
    (server, alice, bob)
}

fn kept(bob: &Person) -> Vec<Value> {
    bob.run(&["files"]).ok().all("file")
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["name"].as_str().unwrap()).collect()
}

/// What was used a moment ago is not swept, and nobody wants to wait for that in a test: as if all had happened a day ago.
fn a_day_passes(bob: &Person) {
    let path = files_below(bob.home()).into_iter().find(|(path, _)| path.ends_with("catalogue.sqlite")).unwrap().0;
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute("UPDATE blob_uses SET used_at = used_at - 86400000", []).unwrap();
}

#[test]
fn files_are_listed_pinned_exported_and_swept() {
    let (_server, alice, bob) = scene([3_000, 2_000, 1_000]);
    let files = kept(&bob);
    assert_eq!(names(&files), ["file0.bin", "file1.bin", "file2.bin"], "the last used at the end");
    assert_eq!((&files[0]["size"], &files[0]["from"][0], &files[0]["pinned"]), (&3_000.into(), &"alice@localhost".into(), &false.into()));
    let digest = files[0]["sha256"].as_str().unwrap();
    assert_eq!(digest, sha256(&alice.folder().join("file0.bin")));

    let pinned = bob.run(&["files", "pin", &digest[..8]]).ok().event("pinned");
    assert_eq!((&pinned["sha256"], &pinned["changed"]), (&digest.into(), &true.into()));
    let number = files[1]["offers"][0].to_string();
    fs::create_dir(bob.folder().join("copies")).unwrap();
    let saved = bob.run(&["files", "export", &number, "--into", "copies"]).ok().event("saved");
    assert_eq!(sha256(&bob.folder().join(saved["path"].as_str().unwrap())), sha256(&alice.folder().join("file1.bin")));
    bob.run(&["files", "export", &number, "--into", "copies", "--refuse"]).exits(9);
    let again = bob.run(&["files", "export", digest, "--into", "copies", "--name", "../else.bin"]).ok().event("saved");
    assert!(again["path"].as_str().unwrap().starts_with("copies"), "{again}");
    bob.run(&["files", "export", "777", "--into", "copies"]).exits(2);

    let recent = bob.run(&["files", "sweep", "--keep-total", "0", "--yes"]).ok();
    assert_eq!((recent.event("swept")["files"].as_u64(), recent.event("swept")["kept"]["recent"].as_u64()), (Some(0), Some(2)));
    a_day_passes(&bob);
    let look = bob.run(&["files", "sweep", "--keep-total", "0", "--dry-run"]).ok();
    assert_eq!(names(&look.all("would-remove")), ["file1.bin", "file2.bin"]);
    let unanswered = bob.run(&["files", "sweep", "--keep-total", "0"]).exits(10);
    assert!(unanswered.err.contains("--yes"), "{}", unanswered.err);
    assert_eq!(kept(&bob).len(), 3, "nobody said yes");
    let swept = bob.run(&["files", "sweep", "--keep-total", "0", "--yes"]).ok().event("swept");
    assert_eq!(
        (&swept["files"], &swept["bytes"], &swept["left"], &swept["kept"]["pinned"]),
        (&2.into(), &3_000.into(), &3_000.into(), &1.into())
    );
    assert_eq!(names(&kept(&bob)), ["file0.bin"]);
    assert_eq!(sha256(&bob.folder().join("file1.bin")), sha256(&alice.folder().join("file1.bin")), "what was saved stays");

    let idle = bob.run(&["receive", "--count", "1", "--timeout", "1"]);
    assert!(idle.all("saved").is_empty(), "what was swept is not fetched unasked");
    let fetched = bob.run(&["fetch", &number, "--yes", "--into", "copies"]).ok().event("saved");
    assert_eq!(sha256(&bob.folder().join(fetched["path"].as_str().unwrap())), sha256(&alice.folder().join("file1.bin")));
}

#[test]
fn what_is_to_be_kept_is_remembered_and_whoever_receives_keeps_to_it() {
    let (_server, _alice, bob) = scene([30, 20, 10]);
    let shown = bob.run(&["files", "retention"]).ok().event("retention");
    assert!(shown["keep_total"].is_null() && shown["older_than"].is_null(), "{shown}");
    let set = ["files", "retention", "set", "--keep-total", "35", "--larger-than", "1G=30d"];
    let set = bob.run(&set).ok().event("retention");
    assert_eq!((&set["keep_total"], &set["larger_than"][0]["unused_for"]), (&35.into(), &(30 * 86_400).into()));
    a_day_passes(&bob);
    assert_eq!(kept(&bob).len(), 3);
    let swept = bob.run(&["receive", "--timeout", "1"]);
    assert_eq!((swept.all("removed").len(), &swept.event("swept")["left"]), (1, &30.into()), "{:?}", swept.event("swept"));
    assert!(bob.run(&["receive", "--timeout", "1"]).all("swept").is_empty(), "there is nothing to say");
    bob.run(&["files", "retention", "set"]).exits(2);
    bob.run(&["files", "retention", "set", "--keep-everything"]).ok();
    assert!(bob.run(&["files", "retention", "show"]).ok().event("retention")["keep_total"].is_null());
}

/// Bits that turn on the disk keep length and times.
#[test]
fn damage_is_found_put_aside_and_can_be_fetched_again() {
    let (_server, alice, bob) = scene([3_000, 2_000, 1_000]);
    assert_eq!(bob.run(&["files", "check"]).ok().event("checked")["whole"], 3);
    let digest = kept(&bob)[1]["sha256"].as_str().unwrap().to_owned();
    let (stored, mut bytes) = files_below(bob.home()).into_iter().find(|(path, _)| path.ends_with(&digest)).unwrap();
    fs::remove_file(bob.folder().join("file1.bin")).unwrap(); // it may be the same file
    bytes[1_000] ^= 1;
    fs::write(&stored, &bytes).unwrap();
    let checked = bob.run(&["files", "check"]).exits(9);
    let damaged = checked.event("damaged");
    assert_eq!((&damaged["name"], &damaged["sha256"]), (&"file1.bin".into(), &digest.as_str().into()));
    assert_eq!(fs::read(damaged["aside"].as_str().unwrap()).unwrap(), bytes);
    assert!(checked.err.contains("lost their bytes"), "{}", checked.err);
    let number = damaged["offers"][0].to_string();
    bob.run(&["fetch", &number, "--yes"]).ok();
    assert_eq!(sha256(&bob.folder().join("file1.bin")), sha256(&alice.folder().join("file1.bin")));
    assert_eq!(bob.run(&["files", "check"]).ok().event("checked")["whole"], 3);
}

/// Whoever types ahead, or leans on a key, has not read what they are asked.
#[cfg(target_os = "linux")]
#[test]
fn what_was_typed_before_a_question_is_no_answer_to_it() {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;

    use crate::process::terminal;

    let (_server, _alice, bob) = scene([300, 200, 100]);
    a_day_passes(&bob);
    let (mut person, terminal) = terminal();
    person.write_all(b"y\n").unwrap();
    let mut command = bob.command(&["files", "sweep", "--keep-total", "0"]);
    command.stdin(terminal.try_clone().unwrap()).stderr(terminal).stdout(Stdio::piped());
    let sweep = command.spawn().unwrap();
    drop(command); // it holds the terminal
    let (mut shown, mut some) = (String::new(), [0; 1_000]);
    while !shown.contains("[y/N]") {
        let count = person.read(&mut some).unwrap();
        shown.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    person.write_all(b"n\n").unwrap();
    let said = sweep.wait_with_output().unwrap();
    assert!(said.status.success() && String::from_utf8_lossy(&said.stdout).contains("\"left\""), "{said:?}");
    assert_eq!(kept(&bob).len(), 3);
}
