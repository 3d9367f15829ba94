//! As much of an HTTP client as the tests need: one request, one connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::house::House;
use crate::peer::PATIENCE;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A connection with the head of a request sent.
pub(crate) async fn begin(house: &House, method: &str, url: &str, headers: &[(&str, &str)]) -> TlsStream<TcpStream> {
    begin_at(house.server.https_addr(), &house.tls("http/1.1"), method, url, headers).await
}

pub(crate) async fn begin_at(
    address: SocketAddr,
    tls: &TlsConnector,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
) -> TlsStream<TcpStream> {
    let rest = url.strip_prefix("https://").expect("URLs are https");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let tcp = TcpStream::connect(address).await.unwrap();
    let mut stream = tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    let extra: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{extra}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// Reads the answer to its end.
pub(crate) async fn finish(mut stream: TlsStream<TcpStream>) -> Answer {
    let mut bytes = Vec::new();
    // A connection that is reset behind the answer is as good as one that is closed.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("no answer");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("no head in the answer");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())).unwrap();
    Answer { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
}

/// A request without body.
pub(crate) async fn ask(house: &House, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
    finish(begin(house, method, url, headers).await).await
}

/// A PUT with its length told truly.
pub(crate) async fn put(house: &House, url: &str, content_type: Option<&str>, body: &[u8]) -> Answer {
    let length = body.len().to_string();
    let mut headers = vec![("Content-Length", length.as_str())];
    headers.extend(content_type.map(|told| ("Content-Type", told)));
    let mut stream = begin(house, "PUT", url, &headers).await;
    // A server that refuses may close before it has read all.
    let _ = stream.write_all(body).await;
    let _ = stream.flush().await;
    finish(stream).await
}
