//! Sends a file with one PUT: one pass over it, the digests taken on the way if they are not known.

use balcony_sharing::net_rules::{NetRules, Origin, check_url};
use balcony_sharing::transfer::upload::{Put, PutFailure};
use balcony_sharing::verify::{Hashed, Hasher};
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap};

use super::HttpError;
use super::exchange::{RequestBody, WebRequest, add_header, exchange};
use super::source::{ReadFailure, Reading};
use crate::net::NetError;
use crate::net::connector::Moved;
use crate::net::network::Network;
use crate::share::Input;
use crate::words::with_causes;

/// How a PUT ended: the status, and the digests of what was sent if they were asked for and all of it was.
pub(crate) struct PutDone {
    pub(crate) status: u16,
    pub(crate) hashed: Option<Hashed>,
}

/// Sends the file from its first byte to the own server's service. `moved` tells how far it is. Dropping the future closes
/// the connection; the service then has nothing that anybody can fetch.
pub(crate) async fn put(put: &Put, input: Input, hasher: Option<Hasher>, network: &Network, moved: Moved) -> Result<PutDone, PutFailure> {
    let broken = |why: String| PutFailure::Network(why);
    // The account's own server chose the host: it may be anywhere.
    let own = Origin::of(&put.url).into_iter().collect();
    let rules = NetRules { own, loopback_http: put.url.scheme() == "http", onion: network.reaches_onion() };
    let rule = check_url(&put.url, &rules).map_err(|refused| broken(refused.to_string()))?;
    let mut headers = HeaderMap::new();
    for header in &put.headers {
        add_header(&mut headers, header.name(), header.value()).map_err(broken)?;
    }
    if let Some(content_type) = &put.content_type {
        add_header(&mut headers, CONTENT_TYPE.as_str(), content_type).map_err(broken)?;
    }
    let (reading, pieces) = Reading::start(input, hasher);
    let body = RequestBody::new(pieces, put.size);
    let answer = exchange(WebRequest { method: Method::PUT, url: &put.url, headers, body, rule: &rule, moved }, network).await;
    match answer {
        Ok(answer) => {
            let status = answer.status.as_u16();
            // A refusal may come before everything was sent: then the rest need not be read.
            drop(answer);
            match reading.finish().await {
                Ok(hashed) => Ok(PutDone { status, hashed }),
                Err(ReadFailure::Dropped) => Ok(PutDone { status, hashed: None }),
                Err(failure) => Err(ours(&failure)),
            }
        }
        // The connection also breaks when the file does not give what was announced: then that is what to tell.
        Err(error) => match reading.finish().await {
            Err(failure @ (ReadFailure::Changed | ReadFailure::Io(_) | ReadFailure::Lanes(_))) => Err(ours(&failure)),
            Ok(_) | Err(ReadFailure::Dropped) => Err(theirs(&error)),
        },
    }
}

fn ours(failure: &ReadFailure) -> PutFailure {
    match failure {
        ReadFailure::Changed => PutFailure::FileChanged("its size or its time of change is another now".to_owned()),
        ReadFailure::Io(source) => PutFailure::Unreadable(source.to_string()),
        ReadFailure::Lanes(_) | ReadFailure::Dropped => PutFailure::Unreadable(failure.to_string()),
    }
}

fn theirs(error: &HttpError) -> PutFailure {
    match error {
        HttpError::Net(NetError::Certificate { why, .. }) => PutFailure::Certificate(why.clone()),
        HttpError::Net(_) | HttpError::Broken { .. } | HttpError::Unspeakable { .. } => PutFailure::Network(with_causes(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use balcony_sharing::verify::SHARED_ALGOS;
    use balcony_store::FileStamp;
    use balcony_wire::http_upload::SlotHeader;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;
    use url::Url;

    use super::*;

    /// A service that reads so many bytes (head included), answers, and tells what it read.
    async fn service(reads: usize, answer: &'static str) -> (Url, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/slot/a?token=1", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            let mut buffer = vec![0; 65536];
            while read.len() < reads {
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => read.extend_from_slice(&buffer[..count]),
                }
            }
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            // A client that is still sending gets the answer before the connection is reset.
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
            read
        });
        (Url::parse(&url).unwrap(), task)
    }

    async fn send(url: Url, length: usize, stamp_of_other: bool) -> Result<PutDone, PutFailure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; length]).unwrap();
        let stamp = FileStamp::of(&file.as_file().metadata().unwrap());
        if stamp_of_other {
            file.write_all(b"more").unwrap();
        }
        let headers = vec![SlotHeader::new("Authorization", "secret").unwrap()];
        let put = Put { url, headers, content_type: Some("text/plain".to_owned()), size: length as u64 };
        let network = Network::new(None, None).unwrap();
        super::put(&put, Input::File(file.reopen().unwrap(), stamp), Some(Hasher::new(SHARED_ALGOS)), &network, Moved::default()).await
    }

    /// Proves: HUP-4-10.
    #[tokio::test]
    async fn sends_length_type_the_headers_of_the_slot_and_every_byte() {
        let (url, service) = service(1_000_000 + 150, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
        let done = send(url, 1_000_000, false).await.unwrap();
        assert_eq!(done.status, 201);
        assert_eq!(done.hashed.unwrap().size(), 1_000_000);
        let read = service.await.unwrap();
        let end = read.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(read[..end].to_vec()).unwrap().to_lowercase();
        assert!(head.starts_with("put /slot/a?token=1 http/1.1\r\n"), "{head}");
        for header in ["content-length: 1000000\r\n", "content-type: text/plain\r\n", "authorization: secret\r\n", "host: 127.0.0.1:"] {
            assert!(head.contains(header), "{header} in {head}");
        }
        assert_eq!(read.len() - end, 1_000_000);
    }

    #[tokio::test]
    async fn a_refusal_that_comes_before_the_end_is_heard() {
        let (url, _service) = service(10_000, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        assert_eq!(send(url, 8_000_000, false).await.unwrap().status, 413);
    }

    #[tokio::test]
    async fn a_file_that_changed_is_never_sent_whole() {
        let (url, service) = service(usize::MAX, "").await;
        assert!(matches!(send(url, 1_000_000, true).await, Err(PutFailure::FileChanged(_))));
        assert!(service.await.unwrap().len() < 1_000_000);
    }

    #[tokio::test]
    async fn a_connection_that_breaks_is_the_networks_fault() {
        let (url, _service) = service(10_000, "").await;
        assert!(matches!(send(url, 8_000_000, false).await, Err(PutFailure::Network(_))));
    }
}
