//! Log set-up: JSON in a pod, text on a terminal. `POKER_LOG_FILTER` sets levels.

use std::io::IsTerminal;

use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry::LookupSpan,
};

use crate::cli::LogFormat;

/// Connection messages of libraries, which the app reports itself.
const QUIET: &str = "librdkafka=off,rdkafka=off";

/// Installs the global log writer. Call it once, at the start.
pub fn init(format: LogFormat) -> anyhow::Result<()> {
    let wanted = std::env::var("POKER_LOG_FILTER").unwrap_or_default();
    let logs = filtered(&wanted)
        .map_err(|cause| anyhow::anyhow!("POKER_LOG_FILTER `{wanted}` is not valid: {cause}"))?;
    let writer = match format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).boxed(),
        LogFormat::Text => fmt::layer()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed(),
    };
    tracing_subscriber::util::SubscriberInitExt::try_init(logs.with(writer))
        .map_err(|cause| anyhow::anyhow!("cannot install the log writer: {cause}"))
}

fn filtered(
    wanted: &str,
) -> Result<impl Subscriber + for<'a> LookupSpan<'a>, tracing_subscriber::filter::ParseError> {
    let levels = EnvFilter::try_new(format!("info,{QUIET},{wanted}"))?;
    Ok(tracing_subscriber::registry()
        .with(levels)
        .with(filter_fn(holds_no_frames)))
}

/// Frames contain secret votes: no filter may log them.
fn holds_no_frames(from: &Metadata) -> bool {
    !["tungstenite", "tokio_tungstenite"]
        .iter()
        .any(|library| from.target().starts_with(library))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_logs_frames() {
        let written = Written::default();
        let writer = written.clone();
        let filter = "trace,tungstenite::protocol=trace,tokio_tungstenite=trace";
        let logs = filtered(filter)
            .unwrap()
            .with(fmt::layer().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(logs, || {
            tracing::trace!(target: "tungstenite::protocol", "xyzzy");
            tracing::trace!(target: "tokio_tungstenite::compat", "xyzzy");
            tracing::trace!(target: "poker_app", "plugh");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("plugh") && !text.contains("xyzzy"), "{text}");
    }
}
