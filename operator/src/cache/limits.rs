//! Bounds of the watches.

use std::time::Duration;

/// A watch that is silent for this long is reconnected: below the idle timeouts of common load balancers.
pub const WATCH_TIMEOUT_SECONDS: u32 = 200;
/// Objects per page of a list.
pub const WATCH_PAGE_OBJECTS: u32 = 500;
/// kube's watch backoff is at most 30 s plus 100 % jitter: after this time without a failure a watch counts as healthy.
pub const WATCH_RETRY_MAX: Duration = Duration::from_secs(90);
