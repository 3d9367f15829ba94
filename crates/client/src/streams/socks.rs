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
