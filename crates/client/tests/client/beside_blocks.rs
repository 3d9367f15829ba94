//! What lies in front of a small stanza while many files go in band over one connection: counted between the server and whom they are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use balcony_client::{Account, ServerAddress, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::direct::{options, yes};
use crate::live::sees;
use crate::scene::{Scene, noise};
use crate::sharing::{file, juliet};

const PATIENCE: Duration = Duration::from_secs(60);
/// Files at once.
const MANY: usize = 30;
/// The 240 blocks that may be under way, and what else is said meanwhile.
const FRONT: u64 = 250 * 6_000;

/// Lies between a client and its server, counts what the client hears, and holds up either direction.
struct Between {
    address: ServerAddress,
    heard: Arc<AtomicU64>,
    hears: watch::Sender<bool>,
    speaks: watch::Sender<bool>,
}

impl Between {
    async fn before(server: ServerAddress) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, hears, speaks) = (Arc::new(AtomicU64::new(0)), watch::Sender::new(true), watch::Sender::new(true));
        let (counted, may_hear, may_speak) = (Arc::clone(&heard), hears.subscribe(), speaks.subscribe());
        tokio::spawn(async move {
            let (client, to_client) = listener.accept().await.unwrap().0.into_split();
            let (server, to_server) = TcpStream::connect((server.host, server.port)).await.unwrap().into_split();
            tokio::spawn(carry(client, to_server, may_speak, Arc::default()));
            carry(server, to_client, may_hear, counted).await;
        });
        Self { address: ServerAddress { host: "127.0.0.1".to_owned(), port }, heard, hears, speaks }
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Waits until the client hears no more.
    async fn silence(&self) -> u64 {
        loop {
            let before = self.heard();
            sleep(Duration::from_millis(500)).await;
            if self.heard() == before {
                return before;
            }
        }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut may: watch::Receiver<bool>, count: Arc<AtomicU64>) {
    let mut piece = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if may.wait_for(|may| *may).await.is_err() || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
        count.fetch_add(length as u64, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn many_files_in_band_leave_room_for_what_else_is_said() {
    let scene = Scene::with(|settings| settings.listen.proxy = None).await;
    let mut by_way = options(&scene, "juliet");
    let (server, security) = by_way.server.take().unwrap();
    let between = Between::before(server).await;
    by_way.server = Some((between.address.clone(), security));
    let romeo = Account::connect(options(&scene, "romeo"), Store::in_memory().unwrap()).await.unwrap();
    let juliet_account = Account::connect(by_way, Store::in_memory().unwrap()).await.unwrap();
    juliet_account.fetcher().set_at_once(MANY);
    romeo.add_contact(juliet_account.jid(), None, Vec::new(), true).await.unwrap();
    juliet_account.add_contact(romeo.jid(), None, Vec::new(), true).await.unwrap();
    sees(&romeo, &juliet_account).await;
    sees(&juliet_account, &romeo).await;
    let mut offers = juliet_account.offers();

    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..MANY).map(|number| file(&folder, &format!("{number}.bin"), &noise(2_000_000 + number))).collect();
    let sending: Vec<_> = paths.iter().map(|path| romeo.send_direct(path).relay_only().to(&juliet()).progress()).collect();
    let mut fetching = Vec::new();
    for _ in 0..MANY {
        let offer = timeout(PATIENCE, offers.next()).await.expect("no offer comes").unwrap();
        let account = juliet_account.clone();
        fetching.push(tokio::spawn(async move { account.fetch(&offer, yes(&account, &offer).await).await.map(drop) }));
    }
    let flows = async {
        while between.heard() < 30_000_000 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, flows).await.expect("nothing moves");
    // She answers what came before, and romeo sends all that may be under way. Then it comes, and nothing more: nobody hears her answers.
    between.hears.send_replace(false);
    sleep(Duration::from_secs(1)).await;
    between.speaks.send_replace(false);
    let before = between.heard();
    between.hears.send_replace(true);
    let front = between.silence().await - before;
    assert!(front < FRONT, "{front} bytes in front of what else is said");
    between.speaks.send_replace(true);
    for fetched in fetching {
        timeout(PATIENCE, fetched).await.expect("it takes too long").unwrap().unwrap();
    }
    drop(sending);
}
