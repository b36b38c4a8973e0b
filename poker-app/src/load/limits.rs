//! Limits of the load generator. Arguments beyond them are refused.

use std::time::Duration;

/// A process may have 20,000 file descriptors on common machines; more sockets need more processes.
pub const SOCKETS_MAX: u32 = 19_000;
pub const RATE_MAX: f64 = 200_000.0;
pub const SECONDS_MAX: u64 = 7 * 24 * 3600;
pub const RAMP_SECONDS_MAX: u64 = 3600;
pub const TEAM_PREFIX_CHARS_MAX: usize = 32;

/// Before the load, how long to wait until a gateway accepts connections.
pub const REACH_TIMEOUT: Duration = Duration::from_secs(5);
pub const REACH_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Read buffer of a socket; small, as a run may have thousands of sockets.
pub const SOCKET_BUFFER_BYTES: usize = 4096;
/// Concurrent handshakes; further ones wait.
pub const HANDSHAKES_MAX: usize = 256;
/// From the connection to the welcome.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// A team that is not complete this long after the ramp takes no part.
pub const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// A team whose votes, reveal or next round are not answered within this time stops.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The same once the run is over.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reconnects wait a random time; its bound doubles from the first to the second.
pub const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(100);
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(5);

/// As in the page.
pub const PING_INTERVAL: Duration = Duration::from_secs(10);
pub const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The votes of a round are sent within this share of its time; the rest is for the reveal.
pub const VOTING_SHARE: f64 = 0.8;
/// Rounds of a team that slow sockets may still report; older ones are forgotten.
pub const ROUNDS_KEPT: usize = 4;
/// Commands queued for one socket.
pub const REQUESTS_MAX: usize = 8;
/// Longer latencies are counted as this one.
pub const LATENCY_MICROS_MAX: u64 = 600_000_000;
