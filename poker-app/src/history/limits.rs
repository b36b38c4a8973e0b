//! Limits of the history, with what happens beyond each.

use std::time::Duration;

/// A statement that takes longer fails.
pub const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);
pub const DATABASE_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Rounds in one history answer, the newest ones.
pub const HISTORY_ROUNDS_MAX: usize = 1_000;
/// One more is read, to know whether there are older ones.
pub const HISTORY_ROUNDS_READ_MAX: usize = HISTORY_ROUNDS_MAX + 1;
