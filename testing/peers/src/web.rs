//! A web server for one file that does what a scene tells it to, and remembers what it was asked.
//!
//! On threads and a port of its own, so that tests of any kind can use it. It ends when dropped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the server answers one request.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Ranges of the form `bytes=N-` and validators, as RFC 9110 says.
    Good,
    /// Ranges are ignored: always 200 and everything.
    NoRange,
    /// This status and nothing else.
    Status(u16),
    /// This status, to come again after so many seconds.
    Busy(u16, u64),
    /// The connection breaks after so many bytes of the body.
    Breaks(usize),
    /// The connection closes after so many bytes of the answer, its head among them.
    ClosesAt(usize),
    /// The body ends early in an orderly way: `Content-Length` is that of what is sent.
    Short(usize),
    /// So many bytes too much, length untold.
    Long(usize),
    /// Other bytes of the same length.
    Wrong,
    /// A length that is off by so much.
    LiesAboutLength(i64),
    /// Says it sends what was asked for, and sends bytes so much further on.
    LiesAboutRange(usize),
    /// Sends another part than the one asked for and says so.
    OtherPart(usize),
    /// Several parts in one body, as nobody asked for.
    ManyParts,
    /// Each answer names another version of the file: a range of the old one gets all of the new one.
    NewTag,
    /// Each answer names another version of the file, and ranges are answered all the same.
    NewTagAnyway,
    /// There is nothing behind what was asked for, it says.
    Unsatisfiable,
    /// Packed, as nobody asked for.
    Packed,
    /// Redirects there with 302.
    Redirect(String),
    /// Redirects there with another status.
    RedirectAs(u16, String),
    /// Never goes on after so many bytes.
    Stalls(usize),
    /// Sends so many bytes at a time and pauses.
    Drips(usize, Duration),
    /// A head that never ends.
    EndlessHead,
}

/// The server.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    file: Vec<u8>,
    /// Taken from the front, one for each request; the last one stays.
    manners: Mutex<Vec<Manner>>,
    heads: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// What becomes of the connection after what was said.
enum End {
    Close,
    Stall,
    /// The same again and again.
    Again(Vec<u8>),
    /// The rest bit by bit.
    Drip(Vec<u8>, usize, Duration),
}

impl Web {
    /// Serves `file` at [`Web::url`], one manner for each request; the last one stays.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn new(file: &[u8], manners: impl IntoIterator<Item = Manner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let manners: Vec<Manner> = manners.into_iter().collect();
        assert!(!manners.is_empty(), "it must know how to behave");
        let state = State { file: file.to_vec(), manners: Mutex::new(manners), heads: Mutex::default(), is_over: AtomicBool::new(false) };
        let state = Arc::new(state);
        let served = state.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                if served.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let state = served.clone();
                // Whoever asks may go away at any moment: that is the point of some scenes.
                std::thread::spawn(move || serve(&state, tcp).ok());
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the file is.
    pub fn url(&self) -> String {
        format!("http://{}/file.bin", self.address)
    }

    /// The `Range` of each request.
    pub fn asked(&self) -> Vec<Option<String>> {
        self.heads().iter().map(|head| header(head, "range")).collect()
    }

    /// The head of each request, as it came.
    pub fn heads(&self) -> Vec<String> {
        lock(&self.state.heads).clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // so that it looks
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A header of a request, without case.
fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(own, _)| own.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

fn serve(state: &State, mut tcp: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if tcp.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (at, manner) = {
        let (mut heads, mut manners) = (lock(&state.heads), lock(&state.manners));
        heads.push(head.clone());
        (heads.len(), if manners.len() > 1 { manners.remove(0) } else { manners[0].clone() })
    };
    let (said, end) = state.answer(&head, &manner, at);
    tcp.write_all(&said)?;
    match end {
        End::Close => {
            tcp.shutdown(std::net::Shutdown::Write)?;
            state.until_gone(tcp)
        }
        End::Stall => state.until_gone(tcp),
        End::Again(piece) => loop {
            tcp.write_all(&piece)?;
        },
        End::Drip(rest, piece, pause) => {
            for piece in rest.chunks(piece) {
                std::thread::sleep(pause);
                tcp.write_all(piece)?;
            }
            Ok(())
        }
    }
}

impl State {
    /// Holds the connection open until the other side, or the scene, has ended: closing with unread input takes back what was said.
    fn until_gone(&self, mut tcp: TcpStream) -> std::io::Result<()> {
        tcp.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut rest = [0; 1024];
        while !self.is_over.load(Ordering::Relaxed) {
            match tcp.read(&mut rest) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn answer(&self, head: &str, manner: &Manner, at: usize) -> (Vec<u8>, End) {
        let total = self.file.len();
        let tag = match manner {
            Manner::NewTag | Manner::NewTagAnyway => format!("\"v{}\"", at + 1),
            _ => "\"v1\"".to_owned(),
        };
        let range = header(head, "range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let is_same = matches!(manner, Manner::NewTagAnyway) || header(head, "if-range").is_none_or(|wanted| wanted == tag);
        let from = range.filter(|from| *from <= total && is_same && !matches!(manner, Manner::NoRange));
        if from.is_some_and(|from| from == total) || matches!(manner, Manner::Unsatisfiable) {
            return (whole(416, &[format!("Content-Range: bytes */{total}")], b""), End::Close);
        }
        let rest = &self.file[from.unwrap_or_default()..];
        let part = |from: usize| vec![format!("Content-Range: bytes {from}-{}/{total}", total - 1), format!("ETag: {tag}")];
        let (status, headers) = match from {
            Some(from) => (206, part(from)),
            None => (200, vec![format!("ETag: {tag}")]),
        };
        let full = || whole(status, &headers, rest);
        let cut = |at: usize| {
            let (head, body) = (framed(status, &headers, Some(rest.len() as u64)), &rest[..at.min(rest.len())]);
            [&head, body].concat()
        };
        match manner {
            Manner::Good | Manner::NoRange | Manner::NewTag | Manner::NewTagAnyway | Manner::Unsatisfiable => (full(), End::Close),
            Manner::Status(status) => (whole(*status, &[], b"no"), End::Close),
            Manner::Busy(status, seconds) => (whole(*status, &[format!("Retry-After: {seconds}")], b"busy"), End::Close),
            Manner::Breaks(at) => (cut(*at), End::Close),
            Manner::Stalls(at) => (cut(*at), End::Stall),
            Manner::ClosesAt(at) => {
                let mut said = full();
                said.truncate(*at);
                (said, End::Close)
            }
            Manner::Short(at) => (whole(status, &headers, &rest[..(*at).min(rest.len())]), End::Close),
            Manner::Long(by) => ([&framed(status, &headers, None), rest, &vec![7; *by]].concat(), End::Close),
            Manner::Wrong => (whole(status, &headers, &vec![7; rest.len()]), End::Close),
            Manner::LiesAboutLength(by) => {
                let told = (rest.len() as u64).saturating_add_signed(*by);
                ([&framed(status, &headers, Some(told)), rest].concat(), End::Close)
            }
            Manner::LiesAboutRange(by) => {
                let shifted: Vec<u8> = rest.iter().cycle().skip(*by).take(rest.len()).copied().collect();
                (whole(status, &headers, &shifted), End::Close)
            }
            Manner::OtherPart(by) => {
                let from = (from.unwrap_or_default() + by).min(total - 1);
                (whole(206, &part(from), &self.file[from..]), End::Close)
            }
            Manner::ManyParts => (whole(206, &["Content-Type: multipart/byteranges; boundary=x".to_owned()], rest), End::Close),
            Manner::Packed => (whole(200, &["Content-Encoding: gzip".to_owned()], rest), End::Close),
            Manner::Redirect(to) => (whole(302, &[format!("Location: {to}")], b""), End::Close),
            Manner::RedirectAs(status, to) => (whole(*status, &[format!("Location: {to}")], b""), End::Close),
            Manner::Drips(piece, pause) => (framed(status, &headers, Some(rest.len() as u64)), End::Drip(rest.to_vec(), *piece, *pause)),
            Manner::EndlessHead => {
                (b"HTTP/1.1 200 OK\r\n".to_vec(), End::Again(b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".to_vec()))
            }
        }
    }
}

fn whole(status: u16, headers: &[String], body: &[u8]) -> Vec<u8> {
    [&framed(status, headers, Some(body.len() as u64)), body].concat()
}

fn framed(status: u16, headers: &[String], length: Option<u64>) -> Vec<u8> {
    let length = length.map(|length| format!("Content-Length: {length}\r\n")).unwrap_or_default();
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("HTTP/1.1 {status} As told\r\n{headers}{length}Connection: close\r\n\r\n").into_bytes()
}
