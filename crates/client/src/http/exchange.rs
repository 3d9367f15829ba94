//! One request and its answer over a connection of its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use balcony_sharing::net_rules::AddressRule;
use balcony_sharing::transfer::ResponseHead;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use url::Url;

use super::HttpError;
use crate::net::connector::{Moved, WebHost, connect};
use crate::net::network::Network;

/// What we call ourselves: no version, no system.
const AGENT: HeaderValue = HeaderValue::from_static("Balcony");

/// An answer whose body is still to be read. Dropping it closes the connection.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    host: String,
    _driver: Driver,
}

/// Runs the connection; ends it when dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a request: what a channel brings, with its length told beforehand.
pub(crate) struct RequestBody {
    pieces: Option<Receiver<Bytes>>,
    left: u64,
}

impl RequestBody {
    /// Exactly `length` bytes; if fewer come, the connection is broken off.
    pub(crate) fn new(pieces: Receiver<Bytes>, length: u64) -> Self {
        Self { pieces: Some(pieces), left: length }
    }

    /// No body.
    pub(crate) fn none() -> Self {
        Self { pieces: None, left: 0 }
    }
}

/// The file ended before its announced length.
#[derive(Debug, thiserror::Error)]
#[error("the file ended early")]
pub(crate) struct EndedEarly;

impl Body for RequestBody {
    type Data = Bytes;
    type Error = EndedEarly;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EndedEarly>>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        match pieces.poll_recv(cx) {
            Poll::Ready(Some(piece)) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Poll::Ready(None) if self.left > 0 => Poll::Ready(Some(Err(EndedEarly))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A request to make. The URL was judged already; `rule` judges the addresses of its host.
pub(crate) struct WebRequest<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    /// What is the caller's to say; `Host` and `User-Agent` are added.
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    pub(crate) rule: &'a AddressRule,
    /// Counts what goes over the wire.
    pub(crate) moved: Moved,
}

/// Sends a request and waits for the head of the answer, however long that takes: the machines know their deadlines. Dropping
/// the future closes the connection.
pub(crate) async fn exchange(asked: WebRequest<'_>, network: &Network) -> Result<Answer, HttpError> {
    let to = web_host(asked.url);
    let host = to.host.clone();
    let unspeakable = |why| HttpError::Unspeakable { host: host.clone(), why };
    let request = request(asked.method, asked.url, asked.headers, asked.body).map_err(unspeakable)?;
    let stream = connect(&to, network, asked.rule, asked.moved).await?;
    let broken = |source| HttpError::Broken { host: host.clone(), source };
    let (mut sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = Driver(tokio::spawn(async move {
        if let Err(error) = connection.await {
            // The request's own future says it to whom it concerns.
            tracing::debug!(%error, "a connection to a web server ended");
        }
    }));
    let answer = sender.send_request(request).await.map_err(broken)?;
    let (head, body) = answer.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body, host, _driver: driver })
}

fn request(method: Method, url: &Url, headers: HeaderMap, body: RequestBody) -> Result<Request<RequestBody>, String> {
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut request = Request::builder().method(method).uri(path).body(body).map_err(|error| error.to_string())?;
    *request.headers_mut() = headers;
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    request.headers_mut().insert(HOST, HeaderValue::from_str(host).map_err(|error| error.to_string())?);
    request.headers_mut().insert(USER_AGENT, AGENT);
    Ok(request)
}

fn web_host(url: &Url) -> WebHost {
    WebHost {
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or(443),
        encrypted: url.scheme() == "https",
    }
}

/// One more header, if it can be said at all.
pub(crate) fn add_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
    headers.append(name, value);
    Ok(())
}

impl Answer {
    /// Status and headers as the machines read them.
    pub(crate) fn head(&self) -> ResponseHead {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        ResponseHead { status: self.status.as_u16(), headers }
    }

    /// The next bytes of the body; `None` at its end. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(source)) => return Err(HttpError::Broken { host: self.host.clone(), source }),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_trailers) => {}
                },
            }
        }
    }
}
