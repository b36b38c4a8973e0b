//! How signals end a process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that a second signal ends at once.
const EXIT_INTERRUPTED: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels; a second one ends the process at once.
///
/// # Errors
/// When the process cannot listen to signals.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            if stopping.is_cancelled() {
                std::process::exit(EXIT_INTERRUPTED);
            }
            tracing::info!("stopping; a second signal ends the process at once");
            stopping.cancel();
        }
    });
    Ok(stop)
}
