//! How this process runs.

/// How this process runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Look after this namespace only; `None`: all.
    pub watch_namespace: Option<String>,
    /// Holds the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Name of this process in the Lease.
    pub identity: String,
    /// Clusters looked at in parallel.
    pub concurrency: u16,
}
