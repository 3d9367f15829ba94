//! What lies in front of a small stanza while many files go in band over one connection: counted between the account and its server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use balcony_client::{Account, ServerAddress, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
/// Twice the 240 blocks that may be under way, as answers that were on their way at the end let others follow; each takes 5.8 KB at most.
/// What a client may send without acknowledgement is half as much again.
const FRONT: u64 = 480 * 5_800;

/// Lies between a client and its server, counts what the client says, and can keep from it what the server says.
struct Between {
    address: ServerAddress,
    said: Arc<AtomicU64>,
    is_deaf: watch::Sender<bool>,
}

impl Between {
    async fn before(server: ServerAddress) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (said, is_deaf) = (Arc::new(AtomicU64::new(0)), watch::Sender::new(false));
        let (counted, mut deaf) = (Arc::clone(&said), is_deaf.subscribe());
        tokio::spawn(async move {
            let (mut client, mut client_hears) = listener.accept().await.unwrap().0.into_split();
            let (mut server, mut server_hears) = TcpStream::connect((server.host, server.port)).await.unwrap().into_split();
            tokio::spawn(async move {
                let mut piece = vec![0; 64 << 10];
                while let Ok(count @ 1..) = client.read(&mut piece).await {
                    counted.fetch_add(count as u64, Ordering::Relaxed);
                    server_hears.write_all(&piece[..count]).await.unwrap();
                }
            });
            let mut piece = vec![0; 64 << 10];
            while let Ok(count @ 1..) = server.read(&mut piece).await {
                let _ = deaf.wait_for(|deaf| !deaf).await;
                client_hears.write_all(&piece[..count]).await.unwrap();
            }
        });
        Self { address: ServerAddress { host: "127.0.0.1".to_owned(), port }, said, is_deaf }
    }

    fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    /// Waits until the client says no more.
    async fn silence(&self) -> u64 {
        loop {
            let before = self.said();
            sleep(Duration::from_millis(500)).await;
            if self.said() == before {
                return before;
            }
        }
    }
}

#[tokio::test]
async fn many_files_in_band_leave_room_for_what_else_is_said() {
    let scene = Scene::with(|settings| settings.listen.proxy = None).await;
    let mut by_way = options(&scene, "romeo");
    let (server, security) = by_way.server.take().unwrap();
    let between = Between::before(server).await;
    by_way.server = Some((between.address.clone(), security));
    let romeo = Account::connect(by_way, Store::in_memory().unwrap()).await.unwrap();
    let juliet_account = Account::connect(options(&scene, "juliet"), Store::in_memory().unwrap()).await.unwrap();
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
        while between.said() < 10_000_000 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, flows).await.expect("nothing moves");
    between.is_deaf.send_replace(true);
    let before = between.said();
    let front = between.silence().await - before;
    assert!(front < FRONT, "{front} bytes in front of what else is said");
    between.is_deaf.send_replace(false);
    for fetched in fetching {
        timeout(PATIENCE, fetched).await.expect("it takes too long").unwrap().unwrap();
    }
    drop(sending);
}
