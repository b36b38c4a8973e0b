//! Caps of the load generator; arguments beyond are refused.

use std::time::Duration;

/// A process may hold 20,000 descriptors on common machines; more sockets need more processes.
pub const SOCKETS_MAX: u32 = 19_000;
pub const RATE_MAX: f64 = 200_000.0;
pub const SECONDS_MAX: u64 = 7 * 24 * 3600;
pub const RAMP_SECONDS_MAX: u64 = 3600;
pub const TEAM_PREFIX_CHARS_MAX: usize = 32;

/// Before the load, how long to wait for a gateway that takes connections.
pub const REACH_TIMEOUT: Duration = Duration::from_secs(5);
pub const REACH_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Handshakes at the same time.
pub const HANDSHAKES_MAX: usize = 256;
/// From the connection to the welcome.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// After the ramp, a team that is not complete by then does not take part.
pub const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// A round whose votes, reveal or restart are not answered by then ends its team's part.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The same once the run is over.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reconnects wait a random time up to a bound that doubles from the first to the second.
pub const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(100);
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(5);

/// As the page does.
pub const PING_INTERVAL: Duration = Duration::from_secs(10);
pub const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Votes of a round are sent within this share of its time; the rest is for the reveal.
pub const VOTING_SHARE: f64 = 0.8;
/// Rounds of a team that late sockets may still report on.
pub const ROUNDS_KEPT: usize = 4;
/// Commands waiting for one socket.
pub const REQUESTS_MAX: usize = 8;
/// Latencies above are counted as this.
pub const LATENCY_MICROS_MAX: u64 = 600_000_000;
