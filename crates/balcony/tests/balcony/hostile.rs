//! What strangers send, as it is shown: no name, description or address of theirs may speak to the terminal, pass for words of
//! ours, or become a path.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use balcony_client::{Account, ConnectOptions};
use balcony_session::Security;
use balcony_store::Store;
use balcony_wire::{Element, Message, Stanza};

use crate::actors::{OwnServer, Person, patience};
use crate::process::{Done, balcony, run};

/// Carol, who is out for mischief: she can say any stanza.
pub(crate) struct Carol {
    runtime: tokio::runtime::Runtime,
    account: Account,
}

impl Carol {
    pub(crate) fn at(server: &OwnServer, resource: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let endpoints = server.endpoints();
        let mut options = ConnectOptions::with_password(endpoints.jid("carol").parse().unwrap(), endpoints.password("carol"));
        options.server = Some((endpoints.starttls().parse().unwrap(), Security::StartTls));
        options.ca_pem = Some(fs::read_to_string(endpoints.ca()).unwrap());
        options.resource = Some(resource.to_owned());
        let account = runtime.block_on(Account::connect(options, Store::in_memory().unwrap())).unwrap();
        Self { runtime, account }
    }

    pub(crate) fn say(&self, xml: &str) {
        let Stanza::Message(message) = Stanza::read(Element::parse(xml).unwrap()).unwrap() else { panic!("no message: {xml}") };
        let message: Message = message;
        self.runtime.block_on(self.account.send(message)).unwrap();
    }

    /// Everything said before is with the server.
    pub(crate) fn settle(&self) {
        let ping = balcony_session::client::Ask::Get(Element::new("ping", "urn:xmpp:ping"));
        let _ = self.runtime.block_on(self.account.request(None, ping, Duration::from_secs(20)));
    }
}

/// A command as a person types it: words, no JSON.
pub(crate) fn words(person: &Person, arguments: &[&str]) -> Done {
    run(balcony(person.home()).args(arguments).current_dir(person.folder()), b"")
}

#[track_caller]
fn says_nothing_to_the_terminal(what: &str, done: &Done) {
    let harmful = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    };
    for text in [&done.out, &done.err] {
        assert!(!text.contains(harmful), "{what}: {text:?}");
        for line in text.lines() {
            assert!(!line.starts_with("FORGED") && !line.trim_start().starts_with("FORGED"), "{what}: a line of theirs: {text}");
        }
    }
}

const NAMES: [&str; 8] = [
    "\u{202e}gpj.exe",
    "a\u{9b}31mred\u{9c}",
    "line&#10;FORGED saved everything.txt",
    "tab&#9;return&#13;FORGED",
    "../../../../../../../../tmp/FORGED",
    "\u{2028}FORGED\u{2029}.txt",
    "..",
    "&#x7f;&#x85;&#x90;\u{2066}x",
];

fn share(name: &str, id: usize) -> String {
    format!(
        "<message xmlns='jabber:client' type='chat' to='bob@localhost' id='m{id}'>\
         <file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline' id='{name}'><file xmlns='urn:xmpp:file:metadata:0'>\
         <name>{name}</name><media-type>image/{name}</media-type><size>10</size><desc>{name}&#10;FORGED line</desc>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash></file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://127.0.0.1:1/{name}'/>\
         <url-data xmlns='http://jabber.org/protocol/url-data' target='{name}:x'/></sources></file-sharing></message>"
    )
}

/// Proves: SFS-6-7, SEC-2-3, USER-8-3.
#[test]
fn what_strangers_call_their_files_says_nothing_to_the_terminal_and_is_no_path() {
    let server = OwnServer::start();
    let bob = Person::at(server.endpoints(), "bob");
    let carol = Carol::at(&server, "\u{1f608} FORGED");
    for (id, name) in NAMES.iter().enumerate() {
        carol.say(&share(name, id));
    }
    // A name that hides escape codes in a link.
    let link = "https://127.0.0.1:1/%1B%5B2J%1B%5D0;FORGED%07%0AFORGED.jpg";
    carol.say(&format!(
        "<message xmlns='jabber:client' type='chat' to='bob@localhost' id='link'><body>{link}</body><x xmlns='jabber:x:oob'><url>{link}</url></x></message>"
    ));
    carol.settle();
    let count = NAMES.len() + 1;
    let received = words(&bob, &["receive", "--yes", "--count", &count.to_string(), "--timeout", &patience()]);
    says_nothing_to_the_terminal("receive", &received);
    assert!(received.code != 0 && !received.err.contains("fetching from"), "nobody is sent to this machine: {received:?}");
    let list = words(&bob, &["list"]).ok();
    says_nothing_to_the_terminal("list", &list);
    assert_eq!(list.out.lines().count(), count, "one line for each file: {}", list.out);
    for number in 1..=count {
        let number = number.to_string();
        says_nothing_to_the_terminal("why", &words(&bob, &["why", &number]));
        says_nothing_to_the_terminal("fetch", &words(&bob, &["fetch", &number, "--yes"]));
    }
    assert_eq!(bob.names(), Vec::<String>::new(), "nothing has arrived");
    assert!(!PathBuf::from("/tmp/FORGED").exists());
    for (id, name) in NAMES.iter().enumerate() {
        let mut explain = balcony(bob.home());
        says_nothing_to_the_terminal("explain", &run(explain.arg("explain"), share(name, id).as_bytes()));
    }
}

/// A file whose name is a path arrives in the folder, under a name that is none.
/// Proves: SEC-2-1.
#[test]
fn a_file_named_like_a_path_arrives_in_the_folder_and_nowhere_else() {
    let server = OwnServer::start();
    let bob = Person::at(server.endpoints(), "bob");
    let carol = Person::at(server.endpoints(), "carol");
    carol.file("a.txt", b"hello");
    let sent = carol.run(&["send", "a.txt", "--to", "bob@localhost"]).ok();
    let url = sent.event("sent")["url"].as_str().unwrap().to_owned();
    let mischief = Carol::at(&server, "x");
    for (id, name) in ["../../FORGED.txt", "/tmp/FORGED.txt", ".bashrc", "-rf", "nul", "a/../../FORGED-b"].iter().enumerate() {
        mischief.say(&format!(
            "<message xmlns='jabber:client' type='chat' to='bob@localhost' id='p{id}'><file-sharing xmlns='urn:xmpp:sfs:0' id='s'>\
             <file xmlns='urn:xmpp:file:metadata:0'><name>{name}</name><size>5</size>\
             <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=</hash></file><sources>\
             <url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources></file-sharing></message>"
        ));
    }
    mischief.settle();
    bob.run(&["receive", "--yes", "--count", "7", "--timeout", &patience()]).ok();
    let names = bob.names();
    assert_eq!(names.len(), 7, "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with(['.', '-']) && name != "nul"), "{names:?}");
    for outside in [
        bob.folder().parent().unwrap().join("FORGED.txt"),
        PathBuf::from("/tmp/FORGED.txt"),
        bob.folder().parent().unwrap().join("FORGED-b"),
    ] {
        assert!(!outside.exists(), "{}", outside.display());
    }
}

/// Arguments are seen by everybody on the machine.
/// Proves: SEC-2-4.
#[test]
fn secrets_are_never_arguments() {
    let person = Person::new();
    for arguments in [
        &["login", "bob@localhost", "--password", "secret"][..],
        &["login", "bob@localhost", "secret"],
        &["login", "bob@localhost", "--password-stdin=secret"],
        &["serve", "--add-account", "bob", "--password", "secret"],
    ] {
        words(&person, arguments).exits(2);
    }
    let login = words(&person, &["login", "--help"]).ok();
    assert!(!login.out.contains("--password <") && login.out.contains("--password-stdin"), "{}", login.out);
}

/// The words of a server that refuses us are shown, and are no lines of ours.
/// Proves: SEC-2-3.
#[test]
fn the_words_of_a_server_do_not_pass_for_ours() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut tcp in listener.incoming().map_while(Result::ok) {
            let _ = tcp.read(&mut [0; 4096]);
            let _ = tcp.write_all(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' \
                 id='x' version='1.0'><stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text \
                 xmlns='urn:ietf:params:xml:ns:xmpp-streams'>no&#10;FORGED: type your password here&#10;  FORGED \u{9b}2J\u{202e}</text>\
                 </stream:error></stream:stream>"
                    .as_bytes(),
            );
            // Closed with words of theirs unread, it would take its own back.
            let _ = tcp.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut tcp, &mut std::io::sink());
        }
    });
    let person = Person::new();
    let mut login = balcony(person.home());
    let done = run(login.args(["login", "bob@localhost", "--server", &address, "--password-stdin"]), b"secret\n");
    assert!(done.code != 0 && done.err.contains("FORGED"), "{done:?}");
    says_nothing_to_the_terminal("login", &done);
}
