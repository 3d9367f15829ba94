//! The HTTPS listener: accepts, speaks TLS and HTTP/1.1, and hands requests to the upload service.
//!
//! HTTP/1.1 only: for large bodies it is the faster of the two, and there is no flow control to get wrong.

mod body;
mod steady;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub(crate) use body::{Answer, FilePart};
pub(crate) use steady::Steady;

use crate::certificates::HANDSHAKE;
use crate::gate::Gate;
use crate::listener::take_in;
use crate::upload::Uploads;

/// One large read from the kernel feeds many small ones of rustls.
const READ_AHEAD: usize = 128 * 1024;
/// What hyper may buffer of a request: also the bound of its head.
const BUFFER: usize = 64 * 1024;
const HEADERS: usize = 64;

/// Accepts until `ending` turns true; then lets requests under way finish for `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    uploads: Arc<Uploads>,
    gate: Arc<Gate>,
    ending: watch::Receiver<bool>,
    grace: Duration,
) {
    let serve = |stream, _| connection(stream, tls.clone(), uploads.clone(), ending.clone());
    let turn_away = |_| tracing::info!("too many HTTP connections, one was turned away");
    let cut_off = take_in(listener, &gate, ending.clone(), grace, serve, turn_away).await;
    if cut_off > 0 {
        tracing::info!(requests = cut_off, "requests were cut off at the end");
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, uploads: Arc<Uploads>, mut ending: watch::Receiver<bool>) {
    let stall = uploads.stall();
    let _ = stream.set_nodelay(true);
    let steady = Steady::new(stream, READ_AHEAD, stall);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(steady)).await else { return };
    let service = service_fn(|request| {
        let uploads = uploads.clone();
        async move { Ok::<_, Infallible>(uploads.serve(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(stall).max_headers(HEADERS).max_buf_size(BUFFER).half_close(false);
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        _ = crate::listener::ended(&mut ending) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}
