//! The bytes of a file over a way that stands, in pieces as large as may be: over a TCP connection, or in band.

use std::io;
use std::time::Duration;

use balcony_sharing::transfer::bytestream::ibb::{Terms, Window};
use balcony_wire::FullJid;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::StreamError;
use super::in_band::{InBandReader, InBandWriter};
use crate::direct::{Courier, InBand, InBandMail};

/// How long nothing may move.
const STALL: Duration = Duration::from_secs(60);
/// Bytes of a piece at most.
const PIECE: usize = 256 * 1024;
/// With less room than this, a new buffer is begun.
const ROOM: usize = 64 * 1024;

/// Bytes coming in. Dropping it closes the way.
#[derive(Debug)]
pub(crate) struct Reader {
    from: From,
    /// Bytes still to come, where that is known.
    left: Option<u64>,
}

#[derive(Debug)]
enum From {
    Socket { stream: TcpStream, buffer: BytesMut },
    InBand(Box<InBandReader>),
}

impl Reader {
    /// From a connection; `most` bytes are to come, where that is known.
    pub(crate) fn socket(stream: TcpStream, most: Option<u64>) -> Self {
        Self { from: From::Socket { stream, buffer: BytesMut::new() }, left: most }
    }

    /// From a stream in band.
    pub(crate) fn in_band(courier: Courier, mail: InBandMail, peer: FullJid, terms: Terms, opens: bool, most: Option<u64>) -> Self {
        Self { from: From::InBand(Box::new(InBandReader::new(courier, mail, peer, terms, opens, most))), left: most }
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
        Self { from: From::InBand(Box::new(stream)), left: most }
    }

    /// The next bytes, at most 256 KiB and as many as are there; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`StreamError`]. It is over then.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StreamError> {
        let Self { from, left } = self;
        let piece = match from {
            From::Socket { stream, .. } if *left == Some(0) => return nothing_more(stream),
            From::Socket { stream, buffer } => match timeout(STALL, read(stream, buffer)).await {
                Ok(read) => read.map_err(StreamError::Broken)?,
                Err(_) => return Err(StreamError::Stalled(STALL)),
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

/// Waits for some bytes, then takes all that are there.
async fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
    if buffer.capacity() - buffer.len() < ROOM {
        buffer.reserve(PIECE);
    }
    let mut read = stream.read_buf(buffer).await?;
    while read > 0 && buffer.len() < PIECE && buffer.capacity() > buffer.len() {
        match stream.try_read_buf(buffer) {
            Ok(more) => read = more,
            // An error comes again at the next call, behind what was read.
            Err(_) => break,
        }
    }
    Ok((!buffer.is_empty()).then(|| buffer.split().freeze()))
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
}

#[derive(Debug)]
enum To {
    Socket(TcpStream),
    InBand(Box<InBandWriter>),
}

impl Writer {
    /// Into a connection.
    pub(crate) fn socket(stream: TcpStream) -> Self {
        Self { to: To::Socket(stream) }
    }

    /// Into a stream in band.
    pub(crate) fn in_band(courier: Courier, mail: InBandMail, peer: FullJid, terms: Terms, opens: bool, window: Window) -> Self {
        Self { to: To::InBand(Box::new(InBandWriter::new(courier, mail, peer, terms, opens, window))) }
    }

    /// Sends bytes; returns when they are on their way, which waits for slow readers. Dropping the future breaks the stream.
    ///
    /// # Errors
    /// See [`StreamError`]. It is over then.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        match &mut self.to {
            To::Socket(stream) => write(stream, bytes).await,
            To::InBand(stream) => stream.send(bytes).await,
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

    /// Waits until the other side closes its end as well, or for so long: where nobody says that the bytes arrived, it shows that they did.
    pub(crate) async fn closed(&mut self, patience: Duration) {
        if let To::Socket(stream) = &mut self.to {
            let mut said = [0; 64];
            let end = async { while matches!(stream.read(&mut said).await, Ok(1..)) {} };
            let _ = timeout(patience, end).await; // who keeps it open has all the same had its time
        }
    }
}

/// A slow reader is fine as long as it takes something now and then.
async fn write(stream: &mut TcpStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        match timeout(STALL, stream.write(bytes)).await {
            Ok(Ok(0)) => return Err(StreamError::Broken(io::ErrorKind::WriteZero.into())),
            Ok(Ok(written)) => bytes = &bytes[written..],
            Ok(Err(error)) => return Err(StreamError::Broken(error)),
            Err(_) => return Err(StreamError::Stalled(STALL)),
        }
    }
    Ok(())
}
