//! The bytes of a file over a way that stands, in pieces as large as may be: over a TCP connection, or in band.

use std::io;
use std::time::Duration;

use balcony_sharing::transfer::bytestream::ibb::{Terms, Window};
use balcony_wire::FullJid;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::StreamError;
use super::filling::Filling;
use super::in_band::{InBandReader, InBandWriter};
use crate::direct::{Courier, InBand, InBandMail};

/// How long nothing may move.
const STALL: Duration = Duration::from_secs(60);

/// Bytes coming in. Dropping it closes the way.
#[derive(Debug)]
pub(crate) struct Reader {
    from: From,
    /// Bytes still to come, where that is known.
    left: Option<u64>,
    patience: Duration,
}

#[derive(Debug)]
enum From {
    Socket { stream: TcpStream, filling: Filling },
    InBand(Box<InBandReader>),
}

impl Reader {
    /// From a connection, in pieces of at most so many bytes: where many transfers share the memory they are small. The first byte is number
    /// `from` of the file; `most` bytes are to come, where that is known.
    pub(crate) fn socket(stream: TcpStream, piece: usize, from: u64, most: Option<u64>) -> Self {
        Self { from: From::Socket { stream, filling: Filling::new(piece, from) }, left: most, patience: STALL }
    }

    /// From a stream in band.
    pub(crate) fn in_band(courier: Courier, mail: InBandMail, peer: FullJid, terms: Terms, opens: bool, most: Option<u64>) -> Self {
        Self { from: From::InBand(Box::new(InBandReader::new(courier, mail, peer, terms, opens, most))), left: most, patience: STALL }
    }

    /// From a stream in band that the other side opened by this request, on terms that nothing had agreed on.
    pub(crate) fn opened_in_band(
        courier: Courier,
        mail: InBandMail,
        peer: FullJid,
        terms: Terms,
        request: InBand,
        most: Option<u64>,
    ) -> Self {
        let mut stream = InBandReader::new(courier, mail, peer, terms, false, most);
        stream.take(request);
        Self { from: From::InBand(Box::new(stream)), left: most, patience: STALL }
    }

    /// The next bytes, as many as are there; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`StreamError`]. It is over then.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StreamError> {
        let Self { from, left, patience } = self;
        let piece = match from {
            From::Socket { stream, .. } if *left == Some(0) => return nothing_more(stream),
            From::Socket { stream, filling } => match timeout(*patience, filling.next(stream, left.unwrap_or(u64::MAX))).await {
                Ok(piece) => piece.map_err(StreamError::Broken)?,
                Err(_) => return Err(StreamError::Stalled(*patience)),
            },
            From::InBand(stream) => stream.next().await?,
        };
        match (&piece, left) {
            (Some(piece), Some(left)) => *left = left.checked_sub(piece.len() as u64).ok_or(StreamError::TooMuch)?,
            (None, Some(missing)) if *missing > 0 => return Err(StreamError::Short { missing: *missing }),
            _ => {}
        }
        Ok(piece)
    }
}

/// All bytes came; more of them are a mistake, and an end that has not come yet is none.
fn nothing_more(stream: &TcpStream) -> Result<Option<Bytes>, StreamError> {
    match stream.try_read(&mut [0]) {
        Ok(1..) => Err(StreamError::TooMuch),
        Ok(0) | Err(_) => Ok(None),
    }
}

/// Bytes going out. Keep it until the other side says that it has them: dropping it closes the way.
#[derive(Debug)]
pub(crate) struct Writer {
    to: To,
    patience: Duration,
}

#[derive(Debug)]
enum To {
    Socket(TcpStream),
    InBand(Box<InBandWriter>),
}

impl Writer {
    /// Into a connection.
    pub(crate) fn socket(stream: TcpStream) -> Self {
        Self { to: To::Socket(stream), patience: STALL }
    }

    /// Into a stream in band.
    pub(crate) fn in_band(courier: Courier, mail: InBandMail, peer: FullJid, terms: Terms, opens: bool, window: Window) -> Self {
        Self { to: To::InBand(Box::new(InBandWriter::new(courier, mail, peer, terms, opens, window))), patience: STALL }
    }

    /// Whether it goes through the servers, between what else is said.
    pub(crate) fn is_in_band(&self) -> bool {
        matches!(self.to, To::InBand(_))
    }

    /// Sends all bytes; returns when they are on their way, which waits for slow readers. Dropping the future breaks the stream.
    ///
    /// # Errors
    /// See [`StreamError`]. It is over then.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            bytes = &bytes[self.send_some(bytes).await?..];
        }
        Ok(())
    }

    /// Sends some bytes, at least one: as many as the stream takes at once. A slow reader is fine as long as it takes something now and then.
    /// Dropping the future breaks the stream.
    ///
    /// # Errors
    /// See [`StreamError`]. It is over then.
    pub(crate) async fn send_some(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        match &mut self.to {
            To::Socket(stream) => match timeout(self.patience, stream.write(bytes)).await {
                Ok(Ok(0)) => Err(StreamError::Broken(io::ErrorKind::WriteZero.into())),
                Ok(Ok(written)) => Ok(written),
                Ok(Err(error)) => Err(StreamError::Broken(error)),
                Err(_) => Err(StreamError::Stalled(self.patience)),
            },
            To::InBand(stream) => stream.send(bytes).await.map(|()| bytes.len()),
        }
    }

    /// All bytes were sent: says so, and in band waits until they arrived.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub(crate) async fn finish(&mut self) -> Result<(), StreamError> {
        match &mut self.to {
            To::Socket(stream) => stream.shutdown().await.map_err(StreamError::Broken),
            To::InBand(stream) => stream.finish().await,
        }
    }

    /// Waits until the other side closes its end as well: where nobody says that the bytes arrived, it shows that they did. `false` if it
    /// does not do so in that time.
    ///
    /// # Errors
    /// When it breaks the connection with bytes under way.
    pub(crate) async fn closed(&mut self, patience: Duration) -> Result<bool, StreamError> {
        let To::Socket(stream) = &mut self.to else { return Ok(true) }; // the end of a stream in band is agreed on
        let mut said = [0; 64];
        let end = async {
            loop {
                match stream.read(&mut said).await {
                    Ok(0) => return Ok(true),
                    Ok(_) => {}
                    Err(error) => return Err(StreamError::Broken(error)),
                }
            }
        };
        timeout(patience, end).await.unwrap_or(Ok(false))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    const PIECE: usize = 64 * 1024;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (one, other) = tokio::join!(connecting, listener.accept());
        (one.unwrap(), other.unwrap().0)
    }

    async fn all(reader: &mut Reader) -> Result<Vec<u8>, StreamError> {
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await? {
            assert!(piece.len() <= PIECE);
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn bytes_come_in_large_pieces_and_end_where_they_were_to_end() {
        let (out, into) = pair().await;
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| at as u8).collect();
        let (mut writer, mut reader) = (Writer::socket(out), Reader::socket(into, PIECE, 0, Some(bytes.len() as u64)));
        let sent = bytes.clone();
        let sending = tokio::spawn(async move {
            for piece in sent.chunks(100_000) {
                writer.send(piece).await.unwrap();
            }
            // Without an end: a reader that knows how much comes need not wait for one.
            writer
        });
        assert_eq!(all(&mut reader).await.unwrap(), bytes);
        let mut writer = sending.await.unwrap();
        writer.finish().await.unwrap();
        assert!(reader.next().await.unwrap().is_none(), "an end behind the last byte is fine");
    }

    #[tokio::test]
    async fn too_few_bytes_and_too_many_have_names() {
        let (mut out, into) = pair().await;
        out.write_all(b"abc").await.unwrap();
        drop(out);
        let short = all(&mut Reader::socket(into, PIECE, 0, Some(5))).await.unwrap_err();
        assert!(matches!(short, StreamError::Short { missing: 2 }), "{short}");

        let (mut out, into) = pair().await;
        out.write_all(b"abcdef").await.unwrap();
        let more = all(&mut Reader::socket(into, PIECE, 0, Some(5))).await.unwrap_err();
        assert!(matches!(more, StreamError::TooMuch), "{more}");

        let (mut out, into) = pair().await;
        out.write_all(b"abcdef").await.unwrap();
        drop(out);
        assert_eq!(all(&mut Reader::socket(into, PIECE, 0, None)).await.unwrap(), b"abcdef", "nobody said how many");
    }

    #[tokio::test]
    async fn who_sends_nothing_and_who_takes_nothing_is_not_waited_for_forever() {
        let (out, into) = pair().await;
        let mut reader = Reader { patience: Duration::from_millis(50), ..Reader::socket(into, PIECE, 0, Some(5)) };
        assert!(matches!(reader.next().await, Err(StreamError::Stalled(_))));
        let mut writer = Writer { patience: Duration::from_millis(50), ..Writer::socket(out) };
        // Buffers of the system take some of it.
        let stalled = writer.send(&vec![0; 64 << 20]).await;
        assert!(matches!(stalled, Err(StreamError::Stalled(_))));
        drop(reader);
        let gone = writer.send(&vec![0; 64 << 20]).await;
        assert!(matches!(gone, Err(StreamError::Broken(_))));
    }
}
