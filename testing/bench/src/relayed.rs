//! Bytes through a server's SOCKS5 proxy, without files and digests: what the proxy alone lets through.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use balcony_session::client::{Action, Ask};
use balcony_wire::bytestreams::{Activate, Query, QueryPayload};
use balcony_wire::{Element, Jid, Payload as _};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use tokio::runtime::Builder;

use crate::Result;
use crate::client::{Client, Site};

const SID: &str = "bench";
const BLOCK: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends `size` bytes from alice to somebody at the proxy; MB/s from the first one sent to the last one read.
pub(crate) fn relayed(size: usize, endpoints: &Path) -> Result<f64> {
    let site = Site::read(endpoints)?;
    let (to, from) = Builder::new_current_thread().enable_all().build()?.block_on(stream(&site))?;
    let started = Instant::now();
    let sender = std::thread::spawn(move || send(to, size));
    receive(from, size)?;
    let took = started.elapsed();
    sender.join().map_err(|_| "the sender broke")??;
    Ok(size as f64 / 1e6 / took.as_secs_f64())
}

/// Both ends of an activated stream.
async fn stream(site: &Site) -> Result<(TcpStream, TcpStream)> {
    let mut client = site.login("alice").await?;
    let proxy = Jid::parse(site.proxy())?;
    let answer = ask(&mut client, &proxy, Ask::Get(Query::default().write())).await?.ok_or("the proxy tells nothing")?;
    let query = Query::read(&answer)?;
    let host = query.hosts().first().ok_or("the proxy tells no address")?;
    let own = client.stream.jid().ok_or("not bound")?.to_string();
    let target = Jid::parse(&format!("{}/bench", site.jid("bob")))?;
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    [SID, &own, target.as_str()].iter().for_each(|part| hash.update(part.as_bytes()));
    let address: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let sides = (connect(&host.host, host.port(), &address)?, connect(&host.host, host.port(), &address)?);
    let activate = Query::new(SID, QueryPayload::Activate(Activate { target }));
    ask(&mut client, &proxy, Ask::Set(activate.write())).await?;
    Ok(sides)
}

async fn ask(client: &mut Client, to: &Jid, ask: Ask) -> Result<Option<Element>> {
    let asked = client.stream.request(Instant::now(), Some(to.clone()), ask, PATIENCE);
    loop {
        for action in client.actions().await? {
            if let Action::Answer { request, result } = action
                && request == asked
            {
                return Ok(result?);
            }
        }
        client.hear().await?;
    }
}

fn connect(host: &str, port: u16, address: &str) -> Result<TcpStream> {
    let mut tcp = TcpStream::connect((host, port))?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.write_all(&[5, 1, 0])?;
    tcp.read_exact(&mut [0; 2])?;
    tcp.write_all(&[&[5, 1, 0, 3, 40], address.as_bytes(), &[0, 0]].concat())?;
    let mut answer = [0; 47];
    tcp.read_exact(&mut answer)?;
    if answer[1] == 0 { Ok(tcp) } else { Err(format!("the proxy refuses with {}", answer[1]).into()) }
}

fn send(mut to: TcpStream, size: usize) -> Result<()> {
    let block = vec![7; BLOCK];
    let mut left = size;
    while left > 0 {
        let now = left.min(BLOCK);
        to.write_all(&block[..now])?;
        left -= now;
    }
    Ok(())
}

fn receive(mut from: TcpStream, size: usize) -> Result<()> {
    let mut block = vec![0; BLOCK];
    let mut left = size;
    while left > 0 {
        let count = from.read(&mut block)?;
        if count == 0 {
            return Err(format!("{left} bytes are missing").into());
        }
        left -= count;
    }
    Ok(())
}
