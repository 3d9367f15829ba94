//! What is written to logs: never who, what, or from where.

use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::house::house_with;
use crate::uploads::{bytes, slot};
use crate::web::{ask, put};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything at the most talkative level, through success and failure.
/// Proves: SEC-5-7.
#[tokio::test]
async fn logs_of_a_full_run_name_nobody_and_nothing() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // For all threads, and so for all tests that run beside this one: their logs are read as well.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let house = house_with(|settings| settings.resume_for = std::time::Duration::ZERO).await;
    let mut romeo = house.online("romeo", "secretresource").await;
    romeo.send("<message type='chat' to='juliet@localhost'><body>secretwords</body></message>").await;
    let (to, from) = slot(&mut romeo, "secretname.jpg", 1000, "image/jpeg").await;
    assert_eq!(put(&house, &to, None, b"short").await.status, 400);
    assert_eq!(put(&house, &to, None, &bytes(1000)).await.status, 201);
    assert_eq!(ask(&house, "GET", &from, &[]).await.status, 200);
    let mut broken = house.online("nurse", "secretresource").await;
    broken.send("<secretelement xmlns='x").await;
    broken.cut();
    let mut refused = house.stranger().await;
    refused.try_plain("romeo", "secretpassword").await;
    let mut forger = house.login("nurse", "secretresource").await;
    forger.send("<message from='juliet@localhost/x'/>").await;
    forger.ending().await;
    romeo.log_out().await;
    let token = to.split("token=").nth(1).unwrap().to_owned();
    let object = to.split('/').nth(3).unwrap().to_owned();
    house.server.shutdown().await;

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(text.lines().count() >= 5, "nothing was logged: {text}");
    // The line with the server's own addresses is meant to be there.
    for line in text.lines().filter(|line| !line.contains("the server is running")) {
        for private in ["romeo", "juliet", "nurse", "secret", "127.0.0.1", &token, &object] {
            assert!(!line.contains(private), "{private:?} in the log: {line}");
        }
    }
}
