//! A client that says what it is told to say, byte by byte, and reads what comes.

use std::net::SocketAddr;
use std::time::Duration;

use balcony_wire::Element;
use balcony_wire::framing::{Frame, Framing, Limits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::house::House;

/// Nothing here takes that long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                      to='localhost' version='1.0'>";

pub(crate) struct Peer {
    stream: TlsStream<TcpStream>,
    framing: Framing,
    /// Full address, once bound.
    pub(crate) jid: String,
}

impl Peer {
    /// Direct TLS.
    pub(crate) async fn connect(house: &House) -> Self {
        Self::connect_to(house.server.c2s_tls_addr(), &house.tls("xmpp-client")).await
    }

    pub(crate) async fn connect_to(address: SocketAddr, tls: &TlsConnector) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let stream = tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
        Self { stream, framing: Framing::new(Limits::AFTER_LOGIN), jid: String::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// As [`Peer::send`], for a server that may have closed already.
    pub(crate) async fn try_send(&mut self, text: &str) -> bool {
        self.stream.write_all(text.as_bytes()).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The next frame; `None` when the connection is closed.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut buffer = [0; 8192];
        loop {
            if let Some(frame) = self.framing.next_frame().unwrap() {
                return Some(frame);
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the server says nothing");
            match read {
                Ok(count) if count > 0 => self.framing.push(&buffer[..count]),
                _ => return None,
            }
        }
    }

    /// The next element.
    pub(crate) async fn next(&mut self) -> Element {
        loop {
            match self.frame().await {
                Some(Frame::Element(element)) => return element,
                Some(Frame::Open(_)) => {}
                other => panic!("an element should have come, not {other:?}"),
            }
        }
    }

    /// Skips elements until one fits.
    pub(crate) async fn until(&mut self, fits: impl Fn(&Element) -> bool) -> Element {
        loop {
            let element = self.next().await;
            if fits(&element) {
                return element;
            }
        }
    }

    /// Sends a header and reads features.
    pub(crate) async fn open(&mut self) -> Element {
        self.framing.restart();
        self.send(HEADER).await;
        self.until(|element| element.name() == "features").await
    }

    /// PLAIN, and the new stream behind it.
    pub(crate) async fn log_in(&mut self, name: &str, password: &str) -> Element {
        let answer = self.try_plain(name, password).await;
        assert_eq!(answer.name(), "success", "{}", answer.to_xml());
        self.open().await
    }

    pub(crate) async fn try_plain(&mut self, name: &str, password: &str) -> Element {
        let secret = STANDARD.encode(format!("\0{name}\0{password}"));
        self.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>")).await;
        self.next().await
    }

    pub(crate) async fn bind(&mut self, resource: &str) {
        let answer = self.try_bind(resource).await;
        assert_eq!(answer.attr("type"), Some("result"), "{}", answer.to_xml());
        let jid = answer.children().next().unwrap().child_text("jid").unwrap();
        self.jid = jid;
    }

    pub(crate) async fn try_bind(&mut self, resource: &str) -> Element {
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ))
        .await;
        self.until(|element| element.attr("id") == Some("bind")).await
    }

    /// Sends an iq and waits for its answer; what comes before is skipped.
    pub(crate) async fn ask(&mut self, kind: &str, to: &str, payload: &str) -> Element {
        let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
        self.send(&format!("<iq type='{kind}' id='ask'{to}>{payload}</iq>")).await;
        self.until(|element| element.is("iq", "jabber:client") && element.attr("id") == Some("ask")).await
    }

    /// Everything the server had to say to this client so far is read: a ping comes back behind it.
    pub(crate) async fn settle(&mut self) -> Vec<Element> {
        self.send("<iq type='get' id='settle' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
        let mut seen = Vec::new();
        loop {
            let element = self.next().await;
            if element.attr("id") == Some("settle") {
                return seen;
            }
            seen.push(element);
        }
    }

    /// Reads to the end of the stream; the stream error on the way, if there is one.
    pub(crate) async fn ending(&mut self) -> Option<String> {
        let mut condition = None;
        while let Some(frame) = self.frame().await {
            if let Frame::Element(element) = frame
                && element.is("error", "http://etherx.jabber.org/streams")
            {
                condition = element.children().next().map(|child| child.name().to_owned());
            }
        }
        condition
    }

    /// The connection breaks: no closing tag, no TLS goodbye.
    pub(crate) fn cut(self) {
        let (tcp, _) = self.stream.into_inner();
        tcp.set_zero_linger().unwrap();
    }

    /// Closes in order.
    pub(crate) async fn log_out(mut self) {
        self.send("</stream:stream>").await;
        while self.frame().await.is_some() {}
    }
}

/// The condition of an error stanza.
pub(crate) fn condition(element: &Element) -> &str {
    assert_eq!(element.attr("type"), Some("error"), "{}", element.to_xml());
    let error = element.children().find(|child| child.name() == "error").unwrap();
    error.children().find(|child| child.ns() == "urn:ietf:params:xml:ns:xmpp-stanzas" && child.name() != "text").unwrap().name()
}

pub(crate) fn body(element: &Element) -> Option<String> {
    element.child_text("body")
}
