//! What is typed and what comes back: help, exit codes, JSON, files of the home, `explain` and `draft`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::actors::{OwnServer, Person, patience};
use crate::process::{Running, alone, balcony, run};

const COMMANDS: [&str; 17] = [
    "try",
    "serve",
    "login",
    "accounts",
    "send",
    "receive",
    "list",
    "fetch",
    "why",
    "files",
    "explain",
    "draft",
    "doctor",
    "completions",
    "man",
    "help-exit-codes",
    "help",
];

#[test]
fn help_teaches_where_to_start_and_every_command_says_what_it_does() {
    let help = alone(&["--help"], "").ok().out;
    assert!(help.contains("balcony try") && help.contains("help-exit-codes"), "{help}");
    for command in COMMANDS {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not in:\n{help}");
    }
    for command in COMMANDS.iter().filter(|command| **command != "help") {
        let help = alone(&[command, "--help"], "").ok().out;
        let options = help.lines().filter(|line| line.trim_start().starts_with("--") && !line.contains("  "));
        assert!(help.contains("Usage: balcony") && help.lines().next().unwrap().len() > 15, "{command}:\n{help}");
        // An option alone on its line is explained on the next one.
        for option in options {
            let next = help.lines().skip_while(|line| *line != option).nth(1).unwrap_or_default();
            assert!(!next.trim().is_empty() && !next.trim_start().starts_with("--"), "{command} {option} is not explained:\n{help}");
        }
    }
}

/// Proves: USER-9-1.
#[test]
fn every_exit_code_of_the_program_is_documented() {
    let done = alone(&["--json", "help-exit-codes"], "").ok();
    let codes: Vec<u64> = done.all("exit-code").iter().map(|row| row["code"].as_u64().unwrap()).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 130]);
    assert!(done.all("exit-code").iter().all(|row| !row["meaning"].as_str().unwrap().is_empty()));
}

#[test]
fn a_wrong_password_is_told_from_an_unknown_host_and_a_bad_certificate() {
    let (server, other) = (OwnServer::start(), OwnServer::start());
    let there = server.endpoints();
    let person = Person::new();
    let refused = person.login_with(&there.jid("alice"), "wrong", &there.starttls(), &there.ca(), &[]).exits(3);
    assert_eq!(refused.event("failed")["class"], "login");
    assert!(refused.event("failed")["error"].as_str().unwrap().contains("alice@localhost"), "{refused:?}");
    let stranger = person.login_with("nobody@localhost", "wrong", &there.starttls(), &there.ca(), &[]).exits(3);
    assert_eq!(words(&stranger).replace("nobody", "alice"), words(&refused), "who has an account is not told");
    person.login_with(&there.jid("alice"), "alicepw", "127.0.0.1:1", &there.ca(), &[]).exits(4);
    person.login_with(&there.jid("alice"), "alicepw", "no-such-host.invalid:5222", &there.ca(), &[]).exits(4);
    let forged = person.login_with(&there.jid("alice"), "alicepw", &there.starttls(), &other.endpoints().ca(), &[]).exits(5);
    assert_eq!(forged.event("failed")["class"], "certificate");
    let forged = person.login_with(&there.jid("alice"), "alicepw", &there.direct_tls(), &other.endpoints().ca(), &["--direct-tls"]);
    forged.exits(5);
    let elsewhere = person.login_with("alice@example.org", "alicepw", &there.starttls(), &there.ca(), &[]).exits(6);
    assert!(words(&elsewhere).contains("example.org"), "{elsewhere:?}");
    assert!(!person.home().join("accounts.toml").exists(), "nothing is remembered of a login that failed");
    person.login(there, "alice", &[]).ok();
}

#[test]
fn a_port_for_something_else_is_told_from_a_broken_server() {
    let server = OwnServer::start();
    let there = server.endpoints();
    let person = Person::new();
    let https = format!("{}:{}", there.get("IP"), there.get("HTTPS_PORT"));
    let login = |address: &str, more: &[&str]| person.login_with(&there.jid("alice"), "alicepw", address, &there.ca(), more);
    for done in [login(&there.direct_tls(), &[]), login(&https, &[]), login(&there.starttls(), &["--direct-tls"])] {
        assert!([5, 6].contains(&done.code), "{done:?}");
        assert!(done.event("failed")["next"].as_str().unwrap().contains("port"), "{done:?}");
    }
}

fn words(done: &crate::process::Done) -> String {
    done.event("failed")["error"].as_str().unwrap().to_owned()
}

/// Proves: USER-1-1.
#[test]
fn a_failure_says_what_failed_and_what_to_try_next() {
    for (code, arguments) in [
        (2, &["login", "localhost"][..]),
        (2, &["login", "@"]),
        (2, &["draft", "/etc/hostname", "--url", "http://example.org/x"]),
        (3, &["doctor"]),
        (3, &["send", "/etc/hostname", "--to", "bob@localhost"]),
        (3, &["receive", "--count", "1"]),
    ] {
        let done = alone(&[&["--json"], arguments].concat(), "").exits(code);
        let failed = done.event("failed");
        assert_eq!(failed["code"], code, "{failed}");
        assert!(failed["error"].as_str().is_some_and(|error| error.len() > 10), "{failed}");
        assert!(failed["next"].as_str().is_some_and(|next| next.len() > 10), "{arguments:?}: {failed}");
        let plain = alone(arguments, "").exits(code);
        assert!(plain.out.is_empty() && plain.err.contains(failed["error"].as_str().unwrap()), "{plain:?}");
    }
    alone(&["explain", "/no/such/file"], "").exits(9);
    alone(&["draft", "/no/such/file", "--url", "https://example.org/x"], "").exits(9);
    for usage in [&["send"][..], &["frobnicate"], &["fetch", "many"], &["login", "alice@localhost", "--direct-tls"], &[]] {
        alone(usage, "").exits(2);
    }
}

#[test]
fn a_file_that_is_not_there_is_said_before_anybody_is_asked() {
    let server = OwnServer::start();
    let alice = Person::at(server.endpoints(), "alice");
    drop(server);
    // The server is gone: whoever looked for it first would say so.
    let done = alice.run(&["send", "/no/such/file", "--to", "bob@localhost"]).exits(9);
    assert!(words(&done).contains("/no/such/file"), "{done:?}");
    let done = alice.run(&["send", alice.folder().to_str().unwrap(), "--to", "bob@localhost"]).exits(9);
    assert!(words(&done).ends_with("is no file"), "{done:?}");
}

/// Proves: C6120-6-2.
#[test]
fn the_accounts_file_is_its_owners_alone_and_holds_no_password() {
    let server = OwnServer::start();
    let alice = Person::at(server.endpoints(), "alice");
    let file = alice.home().join("accounts.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&file).unwrap().contains("alice@localhost"));
    for (path, bytes) in files_below(alice.home()).into_iter().chain(files_below(&server.data())) {
        assert!(!contains(&bytes, "alicepw"), "the password is in {}", path.display());
    }
    // The keys that are kept do for the next login.
    alice.run(&["doctor"]).ok();
}

#[test]
fn accounts_are_listed_chosen_and_forgotten() {
    let server = OwnServer::start();
    let person = Person::at(server.endpoints(), "alice");
    person.login(server.endpoints(), "bob", &["--direct-tls"]).ok();
    let default = |done: crate::process::Done| {
        let accounts = done.ok().all("account");
        let default: Vec<_> = accounts.iter().filter(|account| account["default"] == true).collect();
        (accounts.len(), default.iter().map(|account| account["jid"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(","))
    };
    assert_eq!(default(person.run(&["accounts"])), (2, "alice@localhost".to_owned()));
    person.run(&["accounts", "default", "bob@localhost"]).ok();
    assert_eq!(default(person.run(&["accounts", "list"])), (2, "bob@localhost".to_owned()));
    let online = |who: &str| person.run(&["doctor", "--account", who]).ok().event("account")["jid"].as_str().unwrap().to_owned();
    assert!(online("alice@localhost").starts_with("alice@localhost/") && online("bob@localhost").starts_with("bob@localhost/"));
    person.run(&["accounts", "remove", "bob@localhost"]).ok();
    assert_eq!(default(person.run(&["accounts"])), (1, "alice@localhost".to_owned()));
    person.run(&["doctor", "--account", "bob@localhost"]).exits(3);
}

#[test]
fn doctor_names_the_service_the_limit_and_the_encryption() {
    let server = OwnServer::with(&["--max-upload", "5M"]);
    let alice = Person::at(server.endpoints(), "alice");
    let findings = alice.run(&["doctor"]).ok().all("finding");
    let about = |what: &str| {
        let found = findings.iter().find(|finding| finding["about"] == what).unwrap_or_else(|| panic!("{what}: {findings:?}"));
        (found["mark"].as_str().unwrap().to_owned(), found["words"].as_str().unwrap().to_owned())
    };
    assert!(about("upload").1.contains("upload.localhost") && about("upload").1.contains("5.2 MB"), "{findings:?}");
    assert!(about("encryption").1.contains("TLS"), "{findings:?}");
    assert!(about("login").1.contains("SCRAM-SHA"), "{findings:?}");
    assert_eq!(about("resumption").0, "good");
    assert!(about("proxy").1.contains("proxy.localhost carries files"), "{findings:?}");
}

#[test]
fn doctor_says_when_there_is_no_proxy_for_files_to_people() {
    let server = OwnServer::with(&["--no-proxy"]);
    let findings = Person::at(server.endpoints(), "alice").run(&["doctor"]).ok().all("finding");
    assert!(findings.iter().any(|finding| finding["about"] == "proxy" && finding["mark"] == "missing"), "{findings:?}");
}

#[test]
fn completions_and_man_pages_are_written() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = alone(&["completions", shell], "").ok().out;
        assert!(script.contains("balcony") && script.contains("receive"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    alone(&["man", "--into", pages.to_str().unwrap()], "").ok();
    for command in COMMANDS.iter().filter(|command| !["help", "help-exit-codes"].contains(command)) {
        let page = fs::read_to_string(pages.join(format!("balcony-{command}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains("SYNOPSIS"), "{command}");
    }
    assert!(fs::read_to_string(pages.join("balcony.1")).unwrap().contains("balcony"));
}

/// Every value of `expected` must be in `found`: absent and null are the same, lists have the same length.
fn compare(found: &Value, expected: &Value, at: &str) {
    match expected {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| compare(&found[key], value, &format!("{at}.{key}"))),
        Value::Array(values) => {
            let list = found.as_array().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(list.len(), values.len(), "{at}: {found}");
            values.iter().zip(list).enumerate().for_each(|(n, (value, found))| compare(found, value, &format!("{at}[{n}]")));
        }
        other => assert_eq!(found, other, "{at}"),
    }
}

/// Proves: SFS-3.1-D2, SFS-3.2-12, SFS-3.2-D1, SIMS-D-1, SIMS-D-2, SIMS-D-4, FMD-D-1, FMD-D-3.
#[test]
fn explain_reads_every_model_as_it_says_from_a_file_and_from_standard_input() {
    let models = testing_corpus::models();
    assert!(models.len() > 25, "{}", models.len());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/corpus");
    for (file, expected) in models {
        let path = corpus.join(&file);
        let done = alone(&["--json", "explain", path.to_str().unwrap()], "").ok();
        let found: Value = serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{file}: {error}: {}", done.out));
        assert_eq!(done.out.lines().count(), 1, "one object: {}", done.out);
        for (key, value) in expected.as_object().unwrap().iter().filter(|(key, _)| *key != "file") {
            compare(&found[key], value, &format!("{file}: {key}"));
        }
        let piped = alone(&["explain", "--json"], &fs::read_to_string(&path).unwrap()).ok();
        assert_eq!(piped.out, done.out, "{file}");
    }
}

#[test]
fn explain_refuses_what_is_no_xmpp_and_says_why() {
    let laughs = "<!DOCTYPE m [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><message xmlns='jabber:client'><body>&b;</body></message>";
    let deep = format!("<message xmlns='jabber:client'>{}{}</message>", "<a>".repeat(100_000), "</a>".repeat(100_000));
    for text in ["", "hello", "{}", "<message", "<message xmlns='jabber:client'><body></message>", laughs, "<message/><message/>", &deep] {
        let done = alone(&["explain", "--json"], text);
        assert_ne!(done.code, 0, "{text:.60}");
        let failed: Value = serde_json::from_str(done.out.trim()).unwrap();
        assert!(failed["error"].as_str().is_some_and(|error| !error.is_empty()), "{failed}");
        assert!(!done.err.is_empty() && !done.err.contains("panicked"), "{}", done.err);
    }
    let home = tempfile::tempdir().unwrap();
    let binary = run(balcony(home.path()).args(["--json", "explain"]), b"<message xmlns='jabber:client'><body>\xff</body></message>");
    assert!(binary.code != 0 && !binary.event("failed")["error"].as_str().unwrap().is_empty());
}

#[test]
fn explain_tells_people_of_each_file_and_shows_no_escape_codes_of_others() {
    let xml = "<message xmlns='jabber:client' from='mallory@example.org/x'><file-sharing xmlns='urn:xmpp:sfs:0' id='1'>\
               <file xmlns='urn:xmpp:file:metadata:0'><name>a\u{202e}gpj.exe</name><size>5</size>\
               <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>2XDHbSpXqDb9aoULcyoMlNxNVYnwyJJ3PMdzz4lsDFY=</hash></file>\
               <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://example.org/a'/></sources></file-sharing>\
               </message>";
    let told = alone(&["explain"], xml).ok().out;
    assert!(told.contains("https://example.org/a") && told.contains("decision") && told.contains("reveals"), "{told}");
    assert!(!told.contains('\u{202e}'), "{told}");
}

#[test]
fn explain_works_without_a_home_and_without_a_network() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_balcony"));
    command.env_clear().env("HOME", "/no/such/home").args(["explain", "--json"]);
    let done = run(&mut command, b"<message xmlns='jabber:client'><body>good morning</body></message>").ok();
    let found: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&found["shown_body"], found["offers"].as_array().map(Vec::len)), (&"good morning".into(), Some(0)));
}

/// Proves: SFS-3.1-1.
#[test]
fn what_draft_writes_explain_reads_back_as_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("résumé – 1 (final) & co.txt");
    fs::write(&file, "The view from the summit\n").unwrap();
    let url = "https://files.example.org/x/r%C3%A9sum%C3%A9.txt?a=1&b=2";
    let path = file.to_str().unwrap();
    let draft = ["--json", "draft", path, "--url", url, "--to", "romeo@example.org", "--describe", "A <nice> & short text"];
    let xml = alone(&draft, "").ok().event("message")["xml"].as_str().unwrap().to_owned();
    let done = alone(&["explain", "--json"], &xml).ok();
    let found: Value = serde_json::from_str(&done.out).unwrap();
    let offers = found["offers"].as_array().unwrap();
    assert_eq!(offers.len(), 1, "one file however many ways it is said: {found}");
    assert_eq!((&offers[0]["file"], &offers[0]["proof"]), (&"résumé – 1 (final) & co.txt".into(), &"digest".into()));
    let sha256 = crate::actors::sha256(&file);
    for via in ["sfs", "sims"] {
        let share = found["shares"].as_array().unwrap().iter().find(|share| share["via"] == via).unwrap();
        assert_eq!((&share["file"]["size"], &share["file"]["media_type"]), (&25.into(), &"text/plain".into()), "{share}");
        assert_eq!(share["file"]["desc"][0]["text"], "A <nice> & short text", "{share}");
        assert_eq!(share["sources"][0]["url"], url, "{share}");
        assert!(share["file"]["hashes"].as_array().unwrap().iter().any(|hash| hash["digest_hex"] == sha256.as_str()), "{share}");
    }
    assert_eq!((&found["body"], &found["oob"][0]), (&url.into(), &url.into()), "plain clients see the file too");
    assert!(found["shown_body"].is_null(), "the URL is not shown beside the file: {found}");
    let ignored = found["ignored"].as_array().unwrap();
    assert!(ignored.iter().all(|ignored| ignored["what"] == format!("oob {url}")), "nothing but the twin of the link: {found}");
    let words = alone(&["draft", path, "--url", url], "").ok().out;
    assert!(words.starts_with("<message") && words.lines().count() == 1, "only the message, to be piped: {words}");
}

#[test]
fn an_empty_file_can_be_drafted() {
    let file = tempfile::NamedTempFile::with_suffix(".bin").unwrap();
    let path = file.path().to_str().unwrap();
    let xml = alone(&["--json", "draft", path, "--url", "https://example.org/empty.bin"], "").ok().event("message")["xml"].clone();
    let done = alone(&["explain", "--json"], xml.as_str().unwrap()).ok();
    let found: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&found["shares"][0]["file"]["size"], &found["offers"][0]["proof"]), (&0.into(), &"digest".into()));
}

#[test]
fn logs_say_what_happens_and_name_nobody() {
    let verbose = |person: &Person, arguments: &[&str]| {
        let mut command = person.command(arguments);
        Running::start(command.arg("-vv"), b"")
    };
    let mut server = OwnServer::with(&["-vv"]);
    let there = server.endpoints().clone();
    let (alice, bob) = (Person::new(), Person::new());
    let mut logs = vec![("login", alice.login(&there, "alice", &["-vv"]).ok().err), ("login", bob.login(&there, "bob", &["-vv"]).ok().err)];
    logs.push(("a wrong password", alice.login_with("bob@localhost", "hunter2", &there.starttls(), &there.ca(), &["-vv"]).exits(3).err));
    let bytes = crate::actors::random_bytes(300_000);
    alice.file("diary.txt", &bytes);
    let mut waiting = verbose(&bob, &["receive", "--yes", "--count", "2", "--timeout", &patience()]);
    waiting.event("waiting");
    let send = ["send", "diary.txt", "--to", "bob@localhost", "--describe", "quite private"];
    let sent = verbose(&alice, &send).wait().ok();
    let url = sent.event("sent")["url"].as_str().unwrap().to_owned();
    logs.push(("send", sent.err));
    waiting.event("saved");
    // A server that goes away and comes back: that is when much is told.
    logs.push(("serve", server.kill()));
    server.again();
    let again = verbose(&alice, &send).wait().ok();
    logs.push(("send", again.err));
    logs.push(("receive", waiting.wait().ok().err));
    logs.push(("doctor", verbose(&bob, &["doctor"]).wait().ok().err));
    logs.push(("list", verbose(&bob, &["list"]).wait().ok().err));
    logs.push(("why", verbose(&bob, &["why", "1"]).wait().ok().err));
    fs::remove_dir_all(server.data().join("uploads")).unwrap();
    logs.push(("fetch", verbose(&bob, &["fetch", "1", "--yes"]).wait().err));
    logs.push(("serve", server.end().err));
    let slot = url.rsplit('/').nth(1).unwrap();
    let secrets = ["alice", "bob", "localhost", "127.0.0.1", "diary", "private", "alicepw", "bobpw", "hunter2", "https:", slot];
    for (what, log) in &logs {
        // What the person is told is no log, and where the server listens is not about anybody.
        let is_log =
            |line: &&str| !["balcony: ", "  next: "].iter().any(|start| line.starts_with(start)) && !line.contains("the server is running");
        for line in log.lines().filter(is_log) {
            let named = secrets.iter().find(|secret| line.contains(*secret));
            assert!(named.is_none(), "{what} logs {}: {line}", named.unwrap());
        }
    }
    for what in ["login", "send", "receive", "serve"] {
        assert!(logs.iter().any(|(who, log)| *who == what && log.lines().count() >= 2), "{what} logs nothing: {logs:?}");
    }
}

/// All files below a folder, with what is in them.
pub(crate) fn files_below(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    found
}

/// Whether the text is anywhere in the bytes.
pub(crate) fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
