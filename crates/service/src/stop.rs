//! The shutdown token: cancelled on SIGTERM or SIGINT; a second signal ends the process at once.

use std::sync::OnceLock;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

static TOKEN: OnceLock<CancellationToken> = OnceLock::new();

/// The process's shutdown token. The first call installs the signal handlers and must run inside a tokio runtime.
///
/// # Errors
/// The operating system refuses a signal handler.
pub fn shutdown() -> std::io::Result<CancellationToken> {
    if let Some(token) = TOKEN.get() {
        return Ok(token.clone());
    }
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let token = TOKEN.get_or_init(CancellationToken::new).clone();
    let handle = token.clone();
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            };
            if handle.is_cancelled() {
                tracing::warn!(signal = name, "second signal: ending at once");
                std::process::exit(130);
            }
            tracing::info!(signal = name, "stopping");
            handle.cancel();
        }
    });
    Ok(token)
}
