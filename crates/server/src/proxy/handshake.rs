//! The SOCKS5 words of who comes for a bytestream: no password, CONNECT to a name of 40 hex digits, port 0.
//!
//! XEP-0065 SOCKS5 bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>
//!
//! Reads exactly what belongs to the handshake and not a byte of what follows.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const VERSION: u8 = 5;
const NO_PASSWORD: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const NAME: u8 = 3;
/// Hex digits of a SHA-1.
const DIGITS: usize = 40;

/// What both sides of a stream connect to: SHA-1 of sid, requester and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address(pub(super) [u8; 20]);

impl Address {
    /// Hex of either case.
    fn from_digits(digits: &[u8]) -> Option<Self> {
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let mut bytes = [0; DIGITS / 2];
        if digits.len() != DIGITS {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Self(bytes))
    }
}

/// How a request is answered (RFC 1928 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Granted = 0,
    NotAllowed = 2,
    HostUnreachable = 4,
    OtherCommand = 7,
    OtherAddress = 8,
}

/// Why a handshake came to nothing. What can be said to the other side was said.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("the connection ended in the handshake")]
    Io(#[from] io::Error),
    #[error("that is not SOCKS5")]
    NotSocks,
    #[error("no way to log in that is known here")]
    NoMethod,
    #[error("refused: {0:?}")]
    Refused(Answer),
}

/// A request that was read and waits for its answer.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) address: Address,
    /// As it was written: the answer repeats it.
    digits: [u8; DIGITS],
}

/// Reads greeting and request. Without a deadline: that is the caller's.
pub(super) async fn read(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Wish, HandshakeError> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    if head[0] != VERSION {
        return Err(HandshakeError::NotSocks);
    }
    let mut methods = [0; 255];
    let methods = &mut methods[..usize::from(head[1])];
    stream.read_exact(methods).await?;
    if !methods.contains(&NO_PASSWORD) {
        stream.write_all(&[VERSION, NO_METHOD]).await?;
        return Err(HandshakeError::NoMethod);
    }
    stream.write_all(&[VERSION, NO_PASSWORD]).await?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    match head {
        [VERSION, CONNECT, _, NAME, length] if usize::from(length) == DIGITS => {}
        [VERSION, CONNECT, _, NAME, _] => return refuse(stream, Answer::HostUnreachable).await,
        [VERSION, CONNECT, ..] => return refuse(stream, Answer::OtherAddress).await,
        [VERSION, ..] => return refuse(stream, Answer::OtherCommand).await,
        _ => return Err(HandshakeError::NotSocks),
    }
    let mut rest = [0; DIGITS + 2];
    stream.read_exact(&mut rest).await?;
    let mut digits = [0; DIGITS];
    digits.copy_from_slice(&rest[..DIGITS]);
    match Address::from_digits(&digits) {
        Some(address) if rest[DIGITS..] == [0, 0] => Ok(Wish { address, digits }),
        _ => refuse(stream, Answer::HostUnreachable).await,
    }
}

async fn refuse(stream: &mut (impl AsyncWrite + Unpin), answer: Answer) -> Result<Wish, HandshakeError> {
    // No address is bound: an empty name says so in the form of all other answers.
    stream.write_all(&[VERSION, answer as u8, 0, NAME, 0, 0, 0]).await?;
    Err(HandshakeError::Refused(answer))
}

impl Wish {
    /// Answers, with the address and port that were asked for (XEP-0065 §5.3.2).
    pub(super) async fn answer(&self, stream: &mut (impl AsyncWrite + Unpin), answer: Answer) -> io::Result<()> {
        let mut bytes = [0; 5 + DIGITS + 2];
        bytes[..5].copy_from_slice(&[VERSION, answer as u8, 0, NAME, DIGITS as u8]);
        bytes[5..5 + DIGITS].copy_from_slice(&self.digits);
        stream.write_all(&bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "972b7bf47291ca609517f67f86b5081086052dad";

    fn request(command: u8, kind: u8, name: &str, port: u16) -> Vec<u8> {
        let mut bytes = vec![5, 1, 0, 5, command, 0, kind, u8::try_from(name.len()).unwrap()];
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&port.to_be_bytes());
        bytes
    }

    /// What is said to `input`, and what comes of it; `follows` is left in the stream.
    async fn said(input: &[u8], follows: &[u8]) -> (Result<Wish, HandshakeError>, Vec<u8>) {
        let (mut near, mut far) = tokio::io::duplex(1024);
        far.write_all(input).await.unwrap();
        far.write_all(follows).await.unwrap();
        far.shutdown().await.unwrap();
        let outcome = read(&mut near).await;
        if let Ok(wish) = &outcome {
            wish.answer(&mut near, Answer::Granted).await.unwrap();
            let mut rest = Vec::new();
            near.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, follows);
        }
        drop(near);
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        (outcome, answer)
    }

    /// Proves: S5B-5.3-4.
    #[tokio::test]
    async fn the_answer_repeats_address_and_port_as_they_were_asked() {
        for digits in [DIGITS.to_owned(), DIGITS.to_uppercase()] {
            let (wish, answer) = said(&request(1, 3, &digits, 0), b"first bytes of the file").await;
            assert_eq!(wish.unwrap().address.0[..2], [0x97, 0x2b]);
            let mut wanted = vec![5, 0, 5, 0, 0, 3, 40];
            wanted.extend_from_slice(digits.as_bytes());
            wanted.extend_from_slice(&[0, 0]);
            assert_eq!(answer, wanted);
        }
    }

    #[tokio::test]
    async fn whatever_else_is_asked_is_refused_in_the_words_of_socks() {
        let other = "example.org";
        let long = "a".repeat(64);
        let no_hex = "x".repeat(40);
        for (input, reason) in [
            (request(2, 3, DIGITS, 0), Answer::OtherCommand),
            (request(3, 3, DIGITS, 0), Answer::OtherCommand),
            (vec![5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80], Answer::OtherAddress),
            (request(1, 4, "0123456789abcdef", 0), Answer::OtherAddress),
            (request(1, 3, other, 0), Answer::HostUnreachable),
            (request(1, 3, &long, 0), Answer::HostUnreachable),
            (request(1, 3, &no_hex, 0), Answer::HostUnreachable),
            (request(1, 3, DIGITS, 80), Answer::HostUnreachable),
        ] {
            let (outcome, answer) = said(&input, b"").await;
            assert!(matches!(outcome, Err(HandshakeError::Refused(said)) if said == reason), "{input:?}");
            assert_eq!(answer, [5, 0, 5, reason as u8, 0, 3, 0, 0, 0], "{input:?}");
        }
    }

    #[tokio::test]
    async fn who_wants_a_password_or_speaks_something_else_gets_no_further() {
        let (outcome, answer) = said(&[5, 2, 1, 2], b"").await;
        assert!(matches!(outcome, Err(HandshakeError::NoMethod)));
        assert_eq!(answer, [5, 0xff]);
        let (outcome, _) = said(&[5, 0], b"").await;
        assert!(matches!(outcome, Err(HandshakeError::NoMethod)));
        for other in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[4, 1, 0, 80, 127, 0, 0, 1, 0], &[5, 1, 0, 4, 1, 0, 3, 40]] {
            let (outcome, _) = said(other, b"").await;
            assert!(matches!(outcome, Err(HandshakeError::NotSocks)), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_handshake_that_ends_anywhere_is_over() {
        let whole = request(1, 3, DIGITS, 0);
        for end in 0..whole.len() {
            let (outcome, _) = said(&whole[..end], b"").await;
            assert!(matches!(outcome, Err(HandshakeError::Io(_))), "cut after {end} bytes");
        }
    }
}
