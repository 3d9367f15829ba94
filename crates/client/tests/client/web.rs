//! A web server for one file that does what a scene tells it to, and counts what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// How the server misbehaves.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Not at all: ranges and validators as RFC 9110 says.
    Good,
    /// Ranges are ignored: always 200 and everything.
    NoRange,
    /// This status and nothing else.
    Status(u16),
    /// The connection breaks after so many bytes of each answer.
    Breaks(usize),
    /// The body ends early in an orderly way: `Content-Length` is that of what is sent.
    Short(usize),
    /// So many bytes too much, length untold.
    Long(usize),
    /// Other bytes of the same length.
    Wrong,
    /// Redirects there.
    Redirect(String),
    /// Never goes on after so many bytes.
    Stalls(usize),
}

/// The server.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    file: Vec<u8>,
    /// Taken from the front, one for each request; the last one stays.
    manners: Mutex<Vec<Manner>>,
    /// The `Range` of each request.
    asked: Mutex<Vec<Option<String>>>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Web {
    pub(crate) async fn new(file: &[u8], manners: impl IntoIterator<Item = Manner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let manners = Mutex::new(manners.into_iter().collect());
        let state = Arc::new(State { file: file.to_vec(), manners, asked: Mutex::default() });
        let served = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = served.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let state = state.clone();
                        async move { Ok::<_, Infallible>(state.answer(&request)) }
                    });
                    // A broken connection is the point of some scenes.
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, state, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/file.bin", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Option<String>> {
        self.state.asked.lock().unwrap().clone()
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

impl State {
    fn answer(&self, request: &Request<Incoming>) -> Answer {
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert!(header("cookie").is_none() && header("referer").is_none(), "nothing ambient is sent");
        self.asked.lock().unwrap().push(header("range"));
        let manner = {
            let mut manners = self.manners.lock().unwrap();
            if manners.len() > 1 { manners.remove(0) } else { manners[0].clone() }
        };
        let from = match (&manner, header("range"), header("if-range")) {
            (Manner::NoRange, ..) => None,
            (_, Some(range), tag) if tag.as_deref().is_none_or(|tag| tag == "\"v1\"") => {
                Some(range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse::<usize>().unwrap())
            }
            _ => None,
        };
        let head = match from {
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", self.file.len() - 1, self.file.len());
                Response::builder().status(StatusCode::PARTIAL_CONTENT).header("content-range", range)
            }
            None => Response::builder(),
        };
        let head = head.header("etag", "\"v1\"");
        let rest = &self.file[from.unwrap_or_default()..];
        match manner {
            Manner::Good | Manner::NoRange => head.header("content-length", rest.len()).body(whole(rest)).unwrap(),
            Manner::Status(status) => Response::builder().status(status).body(whole(b"no")).unwrap(),
            Manner::Breaks(at) => head.header("content-length", rest.len()).body(then(&rest[..at.min(rest.len())], End::Break)).unwrap(),
            Manner::Short(at) => head.body(whole(&rest[..at])).unwrap(),
            Manner::Long(by) => head.body(then(&[rest, &vec![7; by]].concat(), End::Close)).unwrap(),
            Manner::Wrong => head.body(whole(&vec![7; rest.len()])).unwrap(),
            Manner::Redirect(to) => Response::builder().status(302).header("location", to).body(whole(b"")).unwrap(),
            Manner::Stalls(at) => head.header("content-length", rest.len()).body(then(&rest[..at], End::Never)).unwrap(),
        }
    }
}

enum End {
    Close,
    Break,
    Never,
}

fn whole(bytes: &[u8]) -> UnsyncBoxBody<Bytes, std::io::Error> {
    Full::new(Bytes::copy_from_slice(bytes)).map_err(|never| match never {}).boxed_unsync()
}

/// Bytes, then the end.
fn then(bytes: &[u8], end: End) -> UnsyncBoxBody<Bytes, std::io::Error> {
    let first = Ok(Frame::data(Bytes::copy_from_slice(bytes)));
    let stream = futures_util::stream::unfold((Some(first), end), |(first, end)| async move {
        if let Some(first) = first {
            return Some((first, (None, end)));
        }
        match end {
            End::Close => None,
            End::Break => {
                // What was written before must get out first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Err(std::io::Error::other("broken on purpose")), (None, End::Close)))
            }
            End::Never => std::future::pending().await,
        }
    });
    StreamBody::new(stream).boxed_unsync()
}
