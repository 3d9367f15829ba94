//! The HTTPS side: which method, which object, and the headers every answer carries.
//!
//! XEP-0363 HTTP file upload, v1.2.0 <https://xmpp.org/extensions/xep-0363.html>

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::ledger::Known;
use super::media_type;
use super::name::{ObjectName, percent_decode, percent_encode};
use super::range::{Validators, Wanted, write_date};
use super::{Uploads, blocking, unix_now};
use crate::http::{Answer, FilePart};
use crate::refusal::{Reason, Refusal};

/// What was asked for: `/OBJECT/NAME?token=…`.
pub(super) struct Target {
    pub(super) object: ObjectName,
    pub(super) name: String,
    pub(super) token: Option<String>,
}

impl Target {
    fn of(uri: &hyper::Uri) -> Option<Self> {
        let (object, name) = uri.path().strip_prefix('/')?.split_once('/')?;
        let token = uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("token=")));
        Some(Self { object: ObjectName::parse(object)?, name: percent_decode(name)?, token: token.map(str::to_owned) })
    }
}

impl Uploads {
    /// Answers one request.
    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Response<Answer> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let is_head = request.method() == Method::HEAD;
        let outcome = self.route(request).await;
        let mut answer = outcome.unwrap_or_else(|refusal| refused(&refusal, is_head));
        common_headers(answer.headers_mut(), origin);
        answer
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<Answer>, Refusal> {
        let target = Target::of(request.uri());
        match *request.method() {
            Method::OPTIONS => Ok(options()),
            Method::GET | Method::HEAD => self.get(target.ok_or(Reason::NoSuchFile)?, &request).await,
            Method::PUT => self.put(target.ok_or(Reason::BadSlot)?, request).await,
            _ => Err(Reason::OtherMethod.into()),
        }
    }

    async fn get(&self, target: Target, request: &Request<Incoming>) -> Result<Response<Answer>, Refusal> {
        let now = unix_now();
        let known = self.ledger.find(target.object.clone()).await?.filter(|known| known.name == target.name);
        let known = known.ok_or(Reason::NoSuchFile)?;
        if known.gone || (known.stored && known.expires <= now) {
            return Err(Reason::FileGone.into());
        }
        if !known.stored {
            return Err(Reason::NoSuchFile.into());
        }
        let (folder, object) = (self.folder.clone(), target.object.clone());
        let opened = blocking(move || {
            let file = folder.get(&object)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        });
        let (file, length) = opened.await.map_err(|error| {
            tracing::error!(%error, "a stored file cannot be read");
            if error.kind() == std::io::ErrorKind::NotFound { Reason::FileGone } else { Reason::Broken }
        })?;
        let tag = format!("\"{}\"", target.object.as_str());
        let is_get = request.method() == Method::GET;
        let wanted = Validators { tag: &tag, modified: known.granted, length }.wanted(request.headers(), is_get);
        let mut answer = match wanted {
            Wanted::PreconditionFailed => return Err(Reason::Precondition.into()),
            Wanted::NotModified => status(StatusCode::NOT_MODIFIED, Answer::Empty),
            Wanted::Unsatisfiable => {
                let mut answer = refused(&Reason::OutOfRange.into(), false);
                answer.headers_mut().insert(header::CONTENT_RANGE, value(&format!("bytes */{length}")));
                return Ok(answer);
            }
            Wanted::Whole => status(StatusCode::OK, Answer::File(FilePart::new(file, 0, length))),
            Wanted::Part(first, last) => {
                let part = FilePart::new(file, first, last - first + 1);
                let mut answer = status(StatusCode::PARTIAL_CONTENT, Answer::File(part));
                answer.headers_mut().insert(header::CONTENT_RANGE, value(&format!("bytes {first}-{last}/{length}")));
                answer
            }
        };
        file_headers(answer.headers_mut(), &known, &tag, now);
        if !is_get {
            answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            *answer.body_mut() = Answer::Empty;
        }
        Ok(answer)
    }
}

/// What a browser must know of a file that strangers uploaded (decision 39).
fn file_headers(headers: &mut HeaderMap, known: &Known, tag: &str, now: u64) {
    let served = media_type::served(&known.media_type);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(served.media_type));
    let disposition = if served.inline { "inline" } else { "attachment" };
    headers.insert(header::CONTENT_DISPOSITION, value(&format!("{disposition}; filename*=UTF-8''{}", percent_encode(&known.name))));
    headers.insert(header::ETAG, value(tag));
    headers.insert(header::LAST_MODIFIED, value(&write_date(known.granted)));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let fresh = known.expires.saturating_sub(now).min(24 * 3600);
    headers.insert(header::CACHE_CONTROL, value(&format!("private, max-age={fresh}, immutable")));
}

fn options() -> Response<Answer> {
    let mut answer = status(StatusCode::NO_CONTENT, Answer::Empty);
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
    answer
}

const METHODS: &str = "OPTIONS, HEAD, GET, PUT";

/// Headers of all answers: CORS (XEP-0363 §8) and what keeps uploads apart from other sites (§9.1).
fn common_headers(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, Range, If-Range"),
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified"),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
        (header::VARY, "Origin"),
    ];
    for (name, text) in fixed {
        headers.insert(name, HeaderValue::from_static(text));
    }
    // Credentials and `*` exclude each other; there are no cookies here, so every page may be named.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.unwrap_or(HeaderValue::from_static("*")));
}

pub(super) fn status(status: StatusCode, body: Answer) -> Response<Answer> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

/// A refusal in words.
fn refused(refusal: &Refusal, is_head: bool) -> Response<Answer> {
    let code = StatusCode::from_u16(refusal.reason().row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = Bytes::from(format!("{}\n", refusal.words()));
    let mut answer = status(code, if is_head { Answer::Empty } else { Answer::Text(text) });
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if code == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
    }
    answer
}

/// A header value made of ASCII that we put together ourselves.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
