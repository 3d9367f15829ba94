//! Work for threads that may block.

/// Runs it on such a thread. Dropping the future lets it run on to its end. A panic in it goes on here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down; so are we.
            Err(_) => std::future::pending().await,
        },
    }
}
