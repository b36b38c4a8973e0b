//! Logs: JSON for a pod, text for a terminal. `POKER_LOG_FILTER` sets levels.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// What libraries say about connections that we report ourselves; and frames, which hold votes nobody may know.
const QUIET: &str = "librdkafka=off,rdkafka=off";
const SECRET: &str = "tungstenite=off,tokio_tungstenite=off";

/// Installs the process-wide log writer. Call once, first thing.
pub fn init(format: LogFormat) -> anyhow::Result<()> {
    let filter = std::env::var("POKER_LOG_FILTER").unwrap_or_default();
    let filter = EnvFilter::try_new(format!("info,{QUIET},{filter},{SECRET}"))
        .map_err(|cause| anyhow::anyhow!("POKER_LOG_FILTER `{filter}` is not valid: {cause}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter);
    let installed = match format {
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
        LogFormat::Text => logs
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .try_init(),
    };
    installed.map_err(|cause| anyhow::anyhow!("cannot install the log writer: {cause}"))
}
