//! One proxy for everything: XMPP and HTTP, names included, so that nothing of ours is seen on the way around it.
//!
//! RFC 1928 SOCKS5 (CONNECT), RFC 1929 (user name and password).

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::{NetError, dial, dns};

/// How long it may take from the first byte to the open way: Tor builds one first.
const DEADLINE: Duration = Duration::from_secs(60);
/// The longest name, user name or password that SOCKS5 can say.
const LONGEST: usize = 255;

/// A SOCKS5 proxy. It gets to know the names and ports of all servers; the servers see its address and not ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Socks5,
    Tor,
}

/// Why a text names no [`Proxy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no proxy: write socks5://HOST:PORT, tor://HOST:PORT, or tor for the one on this machine")]
pub struct NoProxy;

impl Proxy {
    /// Whether it leads to .onion addresses.
    pub fn reaches_onion(&self) -> bool {
        self.kind == Kind::Tor
    }

    /// Whether it takes a user name and a password.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// As it is read by `parse`, with its password.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let login = self.login.as_ref().map(|(name, password)| format!("{}:{}@", encoded(name), encoded(password))).unwrap_or_default();
        format!("{}://{login}{}:{}", self.scheme(), self.host, self.port)
    }

    fn scheme(&self) -> &'static str {
        match self.kind {
            Kind::Socks5 => "socks5",
            Kind::Tor => "tor",
        }
    }

    /// Opens a way to a host that is not looked up here. Dropping the future closes what was begun.
    pub(crate) async fn open(&self, host: &str, port: u16) -> Result<TcpStream, NetError> {
        let failed = |why: String| NetError::Proxy { proxy: self.to_string(), host: host.to_owned(), why };
        let addresses = dns::addresses(&self.host, self.port).await?;
        let mut stream = dial::dial(&self.host, addresses).await?;
        match timeout(DEADLINE, ask(&mut stream, self.login_for(host), host, port)).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(Trouble::Said(why))) => Err(failed(why.to_owned())),
            Ok(Err(Trouble::Io(error))) => Err(failed(format!("it broke off: {error}"))),
            Err(_) => Err(NetError::TimedOut { host: host.to_owned() }),
        }
    }

    /// Tor keeps ways apart that have different logins: what one host sees of us is not seen by another.
    fn login_for(&self, host: &str) -> Option<(String, String)> {
        match self.kind {
            Kind::Socks5 => self.login.clone(),
            Kind::Tor => Some(("balcony".to_owned(), host.chars().take(60).filter(char::is_ascii).collect::<String>() + ".")),
        }
    }
}

/// Asks whoever is at the other end to lead to a host, or to the stream that has an address of its own. Reads nothing behind the answer.
pub(crate) async fn ask(stream: &mut TcpStream, login: Option<(String, String)>, host: &str, port: u16) -> Result<(), Trouble> {
    let methods: &[u8] = if login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(methods).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    match (chosen, &login) {
        ([5, 0], _) => {}
        ([5, 2], Some((name, password))) => log_in(stream, name, password).await?,
        ([5, _], None) => return Err(Trouble::Said("it wants a user name and a password")),
        ([5, _], Some(_)) => return Err(Trouble::Said("it wants another kind of login")),
        _ => return Err(Trouble::Said("it is no SOCKS5 proxy")),
    }
    stream.write_all(&request(host, port).ok_or(Trouble::Said("the name is too long for it"))?).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [5, reply, _, kind] = head else { return Err(Trouble::Said("it is no SOCKS5 proxy")) };
    refusal(reply).map_or(Ok(()), |why| Err(Trouble::Said(why)))?;
    // The address it speaks from, which nobody needs.
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(Trouble::Said("its answer makes no sense")),
    };
    let mut bound = [0; LONGEST + 2];
    stream.read_exact(&mut bound[..length + 2]).await?;
    Ok(())
}

/// Why it does not.
pub(crate) enum Trouble {
    Said(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn log_in(stream: &mut TcpStream, name: &str, password: &str) -> Result<(), Trouble> {
    let mut message = vec![1];
    for text in [name, password] {
        let length = u8::try_from(text.len()).map_err(|_| Trouble::Said("its user name or password is too long"))?;
        message.push(length);
        message.extend_from_slice(text.as_bytes());
    }
    stream.write_all(&message).await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    if answer[1] == 0 { Ok(()) } else { Err(Trouble::Said("it does not take this user name and password")) }
}

/// CONNECT. Addresses go as addresses, names as names: nobody on this side looks them up.
fn request(host: &str, port: u16) -> Option<Vec<u8>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut request = vec![5, 1, 0];
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        Err(_) => {
            request.extend([3, u8::try_from(bare.len()).ok()?]);
            request.extend(bare.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Some(request)
}

/// The replies of RFC 1928 §6, and those of Tor for .onion names.
fn refusal(reply: u8) -> Option<&'static str> {
    Some(match reply {
        0 => return None,
        2 => "its rules do not allow it",
        3 => "it cannot reach that network",
        4 => "it cannot reach that host",
        5 => "nobody listens there",
        6 => "the way there is too long",
        7 | 8 => "it cannot do what we ask for",
        0xf0..=0xf7 => "the .onion address is not there",
        _ => "it failed",
    })
}

impl FromStr for Proxy {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let text = if text == "tor" { "tor://127.0.0.1:9050" } else { text };
        let url = Url::parse(text).map_err(|_| NoProxy)?;
        let kind = match url.scheme() {
            "socks5" | "socks5h" => Kind::Socks5,
            "tor" => Kind::Tor,
            _ => return Err(NoProxy),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(NoProxy)?.to_owned();
        let port = url.port().filter(|port| *port != 0).ok_or(NoProxy)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(NoProxy);
        }
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (name, password) => Some((decoded(name)?, decoded(password.unwrap_or_default())?)),
        };
        let fits = |text: &String| (1..=LONGEST).contains(&text.len());
        if login.as_ref().is_some_and(|(name, password)| kind == Kind::Tor || !fits(name) || !fits(password)) {
            return Err(NoProxy);
        }
        Ok(Self { kind, host, port, login })
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn decoded(text: &str) -> Result<String, NoProxy> {
    percent_encoding::percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| NoProxy)
}

/// Without its password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_proxy_is_named_by_its_address_and_shows_no_password() {
        let read = |text: &str| text.parse::<Proxy>();
        assert_eq!(read("socks5://127.0.0.1:1080").unwrap().to_string(), "socks5://127.0.0.1:1080");
        assert_eq!(read("tor").unwrap(), read("tor://127.0.0.1:9050").unwrap());
        assert!(read("tor").unwrap().reaches_onion() && !read("socks5://[::1]:1080").unwrap().reaches_onion());
        let secret = read("socks5://me:p%40ss@proxy.example:1080").unwrap();
        assert!(secret.has_login() && !format!("{secret} {secret:?}").contains("p@ss"));
        assert_eq!(read(&secret.to_secret_text()).unwrap(), secret);
        let long = format!("socks5://{}:x@h:1", "n".repeat(256));
        for wrong in ["", "127.0.0.1:1080", "http://h:1", "socks5://h", "socks5://:1", "socks5://h:1/x", "tor://me:p@h:1", long.as_str()] {
            assert_eq!(read(wrong), Err(NoProxy), "{wrong}");
        }
    }

    /// Plays a proxy: takes what is said up to the request, gives these answers.
    async fn played(answers: &'static [&'static [u8]], asks: &'static [usize]) -> (Proxy, tokio::task::JoinHandle<Vec<Vec<u8>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("socks5://me:secret@{}", listener.local_addr().unwrap()).parse().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            for (answer, asked) in answers.iter().zip(asks) {
                let mut bytes = vec![0; *asked];
                stream.read_exact(&mut bytes).await.unwrap();
                heard.push(bytes);
                stream.write_all(answer).await.unwrap();
            }
            heard
        });
        (proxy, task)
    }

    #[tokio::test]
    async fn a_name_is_said_as_a_name_behind_the_login() {
        const BOUND: &[u8] = &[5, 0, 0, 3, 2, b'a', b'b', 0, 7];
        let (proxy, task) = played(&[&[5, 2], &[1, 0], BOUND], &[4, 11, 19]).await;
        proxy.open("montague.lit", 5222).await.unwrap();
        let heard = task.await.unwrap();
        assert_eq!(heard[0], [5, 2, 0, 2]);
        assert_eq!(heard[1], b"\x01\x02me\x06secret");
        assert_eq!(heard[2], b"\x05\x01\x00\x03\x0cmontague.lit\x14\x66");
    }

    #[tokio::test]
    async fn what_a_proxy_refuses_is_said_in_words() {
        for (answers, asks, words) in [
            (&[b"HT" as &[u8]] as &[&[u8]], &[4_usize] as &[usize], "no SOCKS5 proxy"),
            (&[&[5, 0xff]], &[4], "another kind of login"),
            (&[&[5, 2], &[1, 1]], &[4, 11], "does not take this user name"),
            (&[&[5, 0], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]], &[4, 19], "nobody listens"),
            (&[&[5, 0], &[5, 0, 0, 9, 0, 0]], &[4, 19], "makes no sense"),
            (&[&[5, 0], &[5, 0, 0]], &[4, 19], "broke off"),
        ] {
            let (proxy, _task) = played(answers, asks).await;
            let error = proxy.open("montague.lit", 5222).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn addresses_are_said_as_addresses() {
        assert_eq!(request("192.0.2.1", 1).unwrap(), [5, 1, 0, 1, 192, 0, 2, 1, 0, 1]);
        assert_eq!(request("[::1]", 258).unwrap()[3..], [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2]);
        assert_eq!(request(&"a".repeat(256), 1), None);
    }
}
