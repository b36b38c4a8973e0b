/** Timings and limits of the connection. */

/** Interval between pings on an idle connection. */
export const PING_EVERY_MS = 10_000
/** Timeout of a ping. A silent connection is closed after PING_EVERY_MS + PONG_TIMEOUT_MS = 15 s. */
export const PONG_TIMEOUT_MS = 5_000
/** A ping unanswered for this long shows as "Checking…". */
export const CHECKING_AFTER_MS = 2_500
/** Timeout of a ping after the device reports a change (woke up, lost its network). */
export const PROBE_TIMEOUT_MS = 3_000
/** Timeout from opening a socket to the first snapshot of the room. */
export const CONNECT_TIMEOUT_MS = 10_000

/** Backoff with full jitter: random in [0, min(cap, base × 2^attempt)]. */
export const BACKOFF_BASE_MS = 500
export const BACKOFF_CAP_MS = 15_000
/** A connection that lived this long resets the backoff. */
export const STABLE_AFTER_MS = 5_000
/** The longest delay accepted from the server. */
export const RETRY_AFTER_MAX_MS = 120_000

/** A command unacknowledged for this long shows as "Saving…". */
export const SAVING_AFTER_MS = 400
/** Commands queued while the server is unreachable; further commands are refused. */
export const PENDING_COMMANDS_MAX = 64
/** Commands sent and not yet answered; further commands wait. The server deduplicates more than these. */
export const COMMANDS_IN_FLIGHT_MAX = 16
