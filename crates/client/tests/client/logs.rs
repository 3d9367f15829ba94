//! What the logs of a full run must not hold.

use std::io;
use std::sync::{Arc, Mutex};

use balcony_client::FileToShare;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::live::{published, sees};
use crate::scene::Scene;
use crate::sharing::{fetch, file, juliet};

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// At the most talkative level, from login to the saved file.
#[tokio::test]
async fn no_address_name_or_url_gets_into_the_logs() {
    let log = Log::default();
    let filter =
        EnvFilter::new("off,balcony_client=trace,balcony_session=trace,balcony_sharing=trace,balcony_store=trace,balcony_wire=trace");
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let private = file(&folder, "private-name.txt", b"private");
    let sent = romeo.share(FileToShare::new(private).describe("private words")).to(&juliet()).await.unwrap();
    fetch(&juliet_account, &offers.next().await.unwrap()).await;
    let shares = romeo.share_live(file(&folder, "live-name.txt", b"live")).relay_only().to(&juliet()).await.unwrap();
    let offer = offers.next().await.unwrap();
    sees(&juliet_account, &romeo).await;
    crate::direct::fetch(&juliet_account, &offer).await;
    let id = published(&shares).id;
    shares.stop().await.unwrap();
    romeo.close().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("logged in"), "the run was logged: {text}");
    let url = sent.files[0].url.clone().unwrap();
    for secret in ["romeo@", "juliet@", "private-name", "private words", "live-name", "127.0.0.1", url.as_str(), id.as_str()] {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
}
