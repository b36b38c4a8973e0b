/** Timings and caps of the connection; all in milliseconds or pieces. */

/** How often an idle connection is asked for a sign of life. */
export const PING_EVERY_MS = 10_000
/** How long a ping may stay unanswered: dead after PING_EVERY_MS + this = 15 s of silence. */
export const PONG_TIMEOUT_MS = 5_000
/** After this without an answer the pill stops saying that all is well. */
export const DOUBT_AFTER_MS = 2_500
/** Shorter patience when the device itself reports a change (woken up, network gone). */
export const PROBE_TIMEOUT_MS = 3_000
/** How long a socket may take from opening to the first picture of the room. */
export const CONNECT_TIMEOUT_MS = 10_000

/** Backoff with full jitter: random in [0, min(cap, base × 2^attempt)]. */
export const BACKOFF_BASE_MS = 500
export const BACKOFF_CAP_MS = 15_000
/** A connection that lived this long starts the backoff anew. */
export const STABLE_AFTER_MS = 5_000
/** Longest wait a server can ask for; protects against a senseless value. */
export const RETRY_AFTER_MAX_MS = 120_000

/** A command that waits longer than this for its acknowledgement shows as "Saving…". */
export const SAVING_AFTER_MS = 400
/** Commands kept for a server that cannot be reached; beyond, further ones are refused. */
export const PENDING_COMMANDS_MAX = 64
/** Commands sent and not yet answered; further ones wait. The server remembers more than these. */
export const COMMANDS_ON_THE_WAY_MAX = 16
