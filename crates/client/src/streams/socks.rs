//! Both ends of the SOCKS5 handshake for streams: the address is 40 hex digits that name the stream, the port is 0.
//!
//! XEP-0065 SOCKS5 Bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html> (§5.3.2)

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::net::proxy::{Trouble, ask};

/// Asks for a stream. Not a byte behind the answer is read.
pub(super) async fn ask_for(stream: &mut TcpStream, dstaddr: &str) -> Result<(), String> {
    ask(stream, None, dstaddr, 0).await.map_err(|trouble| match trouble {
        Trouble::Said(why) => why.to_owned(),
        Trouble::Io(error) => format!("it broke off: {error}"),
    })
}

/// Hears what somebody asks for; `is_expected` says whether they are in the right place. They have the answer when this returns.
pub(super) async fn hear(stream: &mut TcpStream, is_expected: impl Fn(&str) -> bool) -> io::Result<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let [5, methods] = head else { return Err(wrong("no SOCKS5")) };
    let mut offered = [0; 255];
    let offered = &mut offered[..usize::from(methods)];
    stream.read_exact(offered).await?;
    if !offered.contains(&NO_LOGIN) {
        stream.write_all(&[5, 0xff]).await?;
        return Err(wrong("no method without login"));
    }
    stream.write_all(&[5, NO_LOGIN]).await?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    let refusal = match request {
        [5, CONNECT, _, NAME] => None,
        [5, CONNECT, _, _] => Some(8),
        [5, _, _, _] => Some(7),
        _ => return Err(wrong("no SOCKS5")),
    };
    if let Some(code) = refusal {
        return refuse(stream, code).await;
    }
    let length = usize::from(stream.read_u8().await?);
    let mut name = [0; 255 + 2];
    let name = &mut name[..length + 2];
    stream.read_exact(name).await?;
    let (address, port) = name.split_at(length);
    if !std::str::from_utf8(address).is_ok_and(is_expected) {
        return refuse(stream, 2).await;
    }
    let mut answer = vec![5, 0, 0, NAME, request_length(length)];
    answer.extend_from_slice(address);
    answer.extend_from_slice(port);
    stream.write_all(&answer).await
}

const NO_LOGIN: u8 = 0;
const CONNECT: u8 = 1;
const NAME: u8 = 3;

fn request_length(length: usize) -> u8 {
    u8::try_from(length).expect("it was a byte")
}

async fn refuse(stream: &mut TcpStream, code: u8) -> io::Result<()> {
    stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Err(wrong("not expected here"))
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const DSTADDR: &str = "972b7bf47291ca609517f67f86b5081086052dad";

    fn vector(name: &str) -> Vec<u8> {
        let hex = testing_corpus::vector("s5b")["socks5_connect"][name].as_str().unwrap().to_owned();
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (one, other) = tokio::join!(connecting, listener.accept());
        (one.unwrap(), other.unwrap().0)
    }

    /// Proves: S5B-5.3-3.
    #[tokio::test]
    async fn who_asks_says_what_the_vector_says_and_reads_nothing_behind_the_answer() {
        let (mut asking, mut host) = pair().await;
        let playing = tokio::spawn(async move {
            for (asked, answered) in [("greeting_hex", "greeting_reply_hex"), ("request_hex", "reply_hex")] {
                let mut heard = vec![0; vector(asked).len()];
                host.read_exact(&mut heard).await.unwrap();
                assert_eq!(heard, vector(asked), "{asked}");
                let mut answer = vector(answered);
                if answered == "reply_hex" {
                    answer.extend_from_slice(b"bytes of the file");
                }
                host.write_all(&answer).await.unwrap();
            }
        });
        ask_for(&mut asking, DSTADDR).await.unwrap();
        playing.await.unwrap();
        let mut rest = Vec::new();
        asking.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"bytes of the file");
    }

    #[tokio::test]
    async fn who_is_asked_answers_what_the_vector_says() {
        let (mut asking, mut host) = pair().await;
        let hearing = tokio::spawn(async move { hear(&mut host, |asked| asked == DSTADDR).await.map(|()| host) });
        for (said, heard) in [("greeting_hex", "greeting_reply_hex"), ("request_hex", "reply_hex")] {
            asking.write_all(&vector(said)).await.unwrap();
            let mut answer = vec![0; vector(heard).len()];
            asking.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, vector(heard));
        }
        hearing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn hosts_that_babble_endlessly_or_stop_in_the_middle_are_left() {
        for babble in [&[0_u8; 4096][..], b"HTTP/1.1 400 Bad Request", &[5, 0, 5, 0, 0, 3, 255], &[5, 0, 5, 1], &[5, 0xff]] {
            let (mut asking, mut host) = pair().await;
            let babbling = tokio::spawn(async move {
                for _ in 0..100 {
                    if host.write_all(babble).await.is_err() || babble.len() < 100 {
                        break;
                    }
                }
            });
            let asked = timeout(Duration::from_secs(60), ask_for(&mut asking, DSTADDR)).await.unwrap();
            assert!(asked.is_err(), "{babble:?}");
            babbling.await.unwrap();
        }
    }

    #[tokio::test]
    async fn whoever_wants_anything_else_is_turned_away() {
        let named = |address: &[u8]| [&[5, 1, 0, 5, 1, 0, 3, u8::try_from(address.len()).unwrap()], address, &[0, 0]].concat();
        let wrong = [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            vec![4, 1, 0, 80, 1, 2, 3, 4, 0],
            vec![5, 1, 2],
            vec![5, 0],
            vec![5, 1, 0, 5, 2, 0, 3, 40],
            vec![5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 22],
            vec![5, 1, 0, 4, 1, 0, 3, 40],
            named(b"localhost"),
            named(b""),
            named(&[0xff; 255]),
            named(&DSTADDR.as_bytes()[..39]),
            named(b"1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba"),
            vec![5, 1, 0, 5, 1, 0, 3, 40, b'9'],
        ];
        for said in wrong {
            let (mut asking, mut host) = pair().await;
            asking.write_all(&said).await.unwrap();
            asking.shutdown().await.unwrap();
            assert!(hear(&mut host, |asked| asked == DSTADDR).await.is_err(), "{said:?}");
        }
    }
}
