//! Bytes that are too many, too few, too late, others than promised, or that nobody takes.

use std::sync::Arc;
use std::time::Duration;

use balcony_client::DirectEvent;
use balcony_wire::{Element, Jid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::mallory::{jingle, refusal};
use super::{Offer, PATIENCE, Stage, about, alone, chunk, in_band, open, polite, resident, socks, told};
use crate::scene::noise;

/// A host of SOCKS5 streams that takes any name, and then says these bytes.
pub(super) async fn host(bytes: Vec<u8>) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(welcome(stream, bytes.clone()));
        }
    });
    (port, task)
}

async fn welcome(mut stream: TcpStream, bytes: Vec<u8>) {
    let mut head = [0; 3];
    let mut request = [0; 47];
    if stream.read_exact(&mut head).await.is_err() || stream.write_all(b"\x05\x00").await.is_err() {
        return;
    }
    if stream.read_exact(&mut request).await.is_err() {
        return;
    }
    request[1] = 0;
    if stream.write_all(&request).await.is_err() || stream.write_all(&bytes).await.is_err() {
        return;
    }
    let _ = stream.shutdown().await; // they may have hung up
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}

/// Mallory offers `promised` and says `given` by SOCKS5.
async fn by_socks(stage: &Stage, sid: &str, promised: &[u8], size: usize, given: Vec<u8>) -> Result<balcony_client::SharedFile, String> {
    let (port, task) = host(given).await;
    let name = format!("{sid}.bin");
    let stream = format!("x{sid}");
    let transport = socks(&stream, &stage.mallory.jid, &[("127.0.0.1".to_owned(), port, None)]);
    assert!(refusal(&stage.offers(&Offer { sid, name: &name, size, bytes: promised, transport }).await).is_none());
    let offer = stage.offered(&name).await;
    let agree = async {
        let answered = |element: &Element| jingle(element).is_some_and(|(other, action)| other == sid && action == "session-accept");
        stage.mallory.until("session-accept", answered).await;
        let victim = stage.victim().await;
        stage.mallory.ask("set", &victim, &about("transport-info", sid, &told(&stream, "<candidate-error/>"))).await;
    };
    let (fetched, ()) = tokio::join!(stage.fetches(&offer), agree);
    task.abort();
    fetched
}

/// Proves: JFT-9.2-1, JFT-D-4.
#[tokio::test]
async fn more_bytes_fewer_bytes_and_other_bytes_never_become_the_file() {
    let stage = Stage::new().await;
    let bytes = noise(100_000);
    let honest = by_socks(&stage, "right", &bytes, bytes.len(), bytes.clone()).await.unwrap();
    assert!(honest.is_proven());
    let bytes = noise(100_001);
    let more = [&bytes[..], &noise(1 << 20)].concat();
    match by_socks(&stage, "more", &bytes, bytes.len(), more).await {
        Ok(file) => assert!(file.is_proven()),
        Err(error) => assert!(error.contains("bytes"), "{error}"),
    }
    let bytes = noise(100_002);
    let error = by_socks(&stage, "fewer", &bytes, bytes.len(), bytes[..50_000].to_vec()).await.expect_err("half of it");
    assert!(error.contains("mallory@localhost/evil") || error.contains("bytes"), "{error}");
    let error = by_socks(&stage, "other", b"something else", bytes.len(), bytes.clone()).await.expect_err("other bytes");
    assert!(error.contains("bytes"), "{error}");
    let small = by_socks(&stage, "smaller", &bytes, 10, bytes.clone()).await.expect_err("a lie about the size");
    assert!(small.contains("bytes"), "{small}");
    for name in ["fewer.bin", "other.bin", "smaller.bin"] {
        let offer = stage.offered(name).await;
        assert_ne!(stage.juliet.store().offer(offer.key()).unwrap().unwrap().state, balcony_client::OfferState::Here, "{name}");
    }
    stage.honest_file_goes_through("honest.bin").await;
}

/// Proves: IBB-2.2-4, IBB-2.2-5.
#[tokio::test]
async fn chunks_after_the_end_with_gaps_or_twice_never_become_the_file() {
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    let long = noise(5_000);
    type Play = (&'static str, fn(&str, &[u8], &[u8], &[u8]) -> Vec<String>, bool);
    let plays: [Play; 6] = [
        ("after", |i, first, second, _| vec![chunk(i, 0, first), chunk(i, 1, second), chunk(i, 2, b"more")], true),
        ("gap", |i, first, second, _| vec![chunk(i, 0, first), chunk(i, 2, second)], false),
        ("twice", |i, first, second, _| vec![chunk(i, 0, first), chunk(i, 0, first), chunk(i, 1, second)], true),
        ("long", |i, _, _, long| vec![chunk(i, 0, long)], false),
        ("garbage", |i, _, _, _| vec![chunk(i, 0, b"12").replace("MTI=", "AA=A!")], false),
        ("far", |i, first, _, _| vec![chunk(i, 65_535, first)], false),
    ];
    for (sid, chunks, may_arrive) in plays {
        let (name, stream) = (format!("{sid}.bin"), format!("i-{sid}"));
        // Of each its own: nothing is fetched that is here already.
        let bytes: Vec<u8> = noise(8_192).iter().zip(sid.bytes().cycle()).map(|(byte, more)| byte ^ more).collect();
        let chunks = chunks(&stream, &bytes[..4_096], &bytes[4_096..], &long);
        let promised = Offer { sid, name: &name, size: bytes.len(), bytes: &bytes, transport: in_band(&stream) };
        assert!(refusal(&stage.offers(&promised).await).is_none());
        let offer = stage.offered(&name).await;
        let give = async {
            stage.mallory.action(sid, "session-accept").await;
            assert!(refusal(&stage.mallory.ask("set", &victim, &open(&stream)).await).is_none());
            let mut refused = 0;
            for chunk in &chunks {
                refused += usize::from(refusal(&stage.mallory.ask("set", &victim, chunk).await).is_some());
            }
            assert!(refused > 0, "{sid}: every chunk was taken");
            stage.mallory.ask("set", &victim, &format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{stream}'/>")).await;
            stage.mallory.ask("set", &victim, &hang_up(sid)).await;
        };
        match tokio::join!(stage.fetches(&offer), give).0 {
            Ok(file) => assert!(may_arrive && file.is_proven(), "{sid}"),
            Err(error) => assert!(error.contains("mallory@localhost/evil") || error.contains("bytes"), "{sid}: {error}"),
        }
    }
    stage.honest_file_goes_through("honest.bin").await;
}

/// What is sent is what was promised, or nothing.
#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_not_sent_as_the_old_one() {
    let stage = Stage::new().await;
    let path = stage.file("changing.bin", &noise(48 << 20));
    let to: Jid = "juliet@localhost".parse().unwrap();
    let mut sending = stage.romeo.send_direct(&path).to(&to).progress();
    let change = async {
        let mut is_changed = false;
        loop {
            match timeout(PATIENCE, sending.next()).await.unwrap().unwrap() {
                DirectEvent::Progress { .. } | DirectEvent::Begins { .. } if !is_changed => {
                    is_changed = true;
                    std::fs::write(&path, noise(1_000)).unwrap();
                }
                DirectEvent::Ended(sent) => return (is_changed, sent),
                _ => {}
            }
        }
    };
    let take = async {
        let offer = stage.offered("changing.bin").await;
        stage.fetches(&offer).await
    };
    let ((is_changed, sent), taken) = tokio::join!(change, take);
    assert!(is_changed);
    let error = sent.expect_err("it is another file by now").to_string();
    assert!(error.starts_with("the file cannot be sent"), "{error}");
    taken.expect_err("half of the old one");
    stage.honest_file_goes_through("honest.bin").await;
}

/// Mallory says yes to files and then takes nothing: neither from a socket nor in band. That holds no memory and nobody else up, and who
/// hangs up then is named.
#[test]
fn who_takes_a_file_and_reads_none_of_it_holds_nothing_up() {
    alone("bytes::who_takes_a_file_and_reads_none_of_it_holds_nothing_up", async {
        // Chunks are never answered.
        let rude = |iq: &Element| polite(iq).filter(|_| iq.children().next().is_some_and(|payload| payload.name() != "data"));
        let stage = Stage::with(Arc::new(rude)).await;
        let victim = stage.victim().await;
        let path = stage.file("unread.bin", &noise(200 << 20));
        stage.honest_file_goes_through("before.bin").await;
        let before = resident();
        let to: Jid = stage.mallory.jid.parse().unwrap();
        let unread = stage.juliet.send_direct(&path).to(&to).into_future();
        let silent = stage.juliet.send_direct(&path).relay_only().to(&to).into_future();
        let play = async {
            let mut sockets = Vec::new();
            for initiate in two_initiates(&stage).await {
                let (sid, transport) = (jingle(&initiate).unwrap().0, find(&initiate, "transport").unwrap());
                let (stream, content) = (transport.attr("sid").unwrap(), find(&initiate, "content").unwrap().attr("name").unwrap());
                let say = async |action: &str, inner: &str| {
                    let request = about(action, &sid, inner).replace("name='c'", &format!("name='{content}' senders='initiator'"));
                    let answer = stage.mallory.ask("set", &victim, &request).await;
                    assert!(refusal(&answer).is_none(), "{action}: {}", answer.to_xml());
                };
                let description = "<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file/></description>";
                say("session-accept", &format!("{description}{}", told(stream, ""))).await;
                let direct = transport.children().find(|candidate| candidate.attr("type") == Some("direct"));
                if let Some(candidate) = direct {
                    sockets.push(join(candidate, &format!("{stream}{victim}{}", stage.mallory.jid)).await);
                    let used = format!("<candidate-used cid='{}'/>", candidate.attr("cid").unwrap());
                    say("transport-info", &told(stream, &used)).await;
                } else {
                    say("transport-info", &told(stream, "<candidate-error/>")).await;
                    let replaced = stage.mallory.action(&sid, "transport-replace").await;
                    say("transport-accept", &in_band(find(&replaced, "transport").unwrap().attr("sid").unwrap())).await;
                }
            }
            stage.honest_file_goes_through("meanwhile.bin").await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            let grown = resident().saturating_sub(before);
            assert!(grown < 48 << 20, "{} MiB more", grown >> 20);
            drop(sockets);
            let mut ended = std::collections::BTreeSet::new();
            loop {
                // Those that begin anew are ended as well.
                for sid in stage.mallory.sessions().into_iter().filter(|sid| ended.insert(sid.clone())).collect::<Vec<_>>() {
                    stage.mallory.ask("set", &victim, &hang_up(&sid)).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let both = async { tokio::join!(unread, silent) };
        let (unread, silent) = tokio::select! { both = both => both, () = play => unreachable!() };
        for failed in [unread, silent] {
            let error = failed.expect_err("nobody took it").to_string();
            assert!(error.contains("mallory@localhost/evil"), "{error}");
        }
    });
}

fn hang_up(sid: &str) -> String {
    format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'><reason><cancel/></reason></jingle>")
}

fn find<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    if element.name() == name {
        return Some(element);
    }
    element.children().find_map(|child| find(child, name))
}

/// What Juliet opens, once it is two.
async fn two_initiates(stage: &Stage) -> Vec<Element> {
    let begins = |element: &Element| jingle(element).is_some_and(|(_, action)| action == "session-initiate");
    let first = stage.mallory.until("a session", begins).await;
    let sid = jingle(&first).unwrap().0;
    let second = stage.mallory.until("another session", |element| begins(element) && jingle(element).unwrap().0 != sid).await;
    vec![first, second]
}

/// Connects to a candidate as the one it is meant for.
async fn join(candidate: &Element, name: &str) -> TcpStream {
    let port: u16 = candidate.attr("port").unwrap().parse().unwrap();
    let mut stream = TcpStream::connect((candidate.attr("host").unwrap(), port)).await.unwrap();
    let name = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes());
    let name: String = name.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    stream.write_all(b"\x05\x01\x00").await.unwrap();
    stream.read_exact(&mut [0; 2]).await.unwrap();
    stream.write_all(&[b"\x05\x01\x00\x03\x28", name.as_bytes(), b"\x00\x00"].concat()).await.unwrap();
    let mut answer = [0; 47];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[1], 0, "refused");
    stream
}
