//! Logs: one JSON object per line for a pod, readable text for a terminal.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{ParseError, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text when standard error is a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object per line, on standard output.
    Json,
    /// Readable lines, on standard error.
    Text,
}

/// Messages of libraries about connections: the programs report these themselves, with a remedy.
const QUIET: &str = "librdkafka=off,rdkafka=off,kube_client::client::builder=off,kube_runtime::watcher=error";
/// Libraries that log the frames of sockets. Frames contain votes, so no filter enables these messages.
const SECRET: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// Installs the log writer of the process. `filter` has the syntax of `RUST_LOG`; without a level of its own it means
/// `info`.
///
/// # Errors
/// A filter that cannot be parsed, or a second installation.
pub fn install(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let logs =
        filtered(filter).map_err(|error| anyhow::anyhow!("log filter `{filter}` is not valid: {error}"))?;
    let is_json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let writer = if is_json {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed()
    } else {
        fmt::layer()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed()
    };
    logs.with(writer)
        .try_init()
        .map_err(|error| anyhow::anyhow!("logging is already set up: {error}"))
}

fn filtered(filter: &str) -> Result<impl Subscriber + for<'a> LookupSpan<'a>, ParseError> {
    let levels = EnvFilter::try_new(format!("info,{QUIET},{filter}"))?;
    Ok(tracing_subscriber::registry()
        .with(levels)
        .with(filter_fn(holds_no_frames)))
}

fn holds_no_frames(event: &Metadata) -> bool {
    !SECRET.iter().any(|library| event.target().starts_with(library))
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
    fn no_filter_brings_frames_to_the_log() {
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
