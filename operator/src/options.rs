//! How this process runs.

/// Clusters reconciled at the same time, unless the command line sets another number.
pub const RECONCILE_CONCURRENCY: u16 = 8;

/// How this process runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The only namespace to watch; `None`: all.
    pub watch_namespace: Option<String>,
    /// Holds the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Name of this process in the Lease.
    pub identity: String,
    /// Clusters reconciled at the same time.
    pub concurrency: u16,
}
