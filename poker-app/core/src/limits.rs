//! Limits of a room and its protocol, with what happens beyond each.

/// Version of the client protocol; a `hello` with a newer one, or an older one than the next, is refused
/// (`unsupported_protocol`).
pub const PROTOCOL_VERSION: u32 = 1;
/// The oldest version of the client protocol that is still served: pages that were loaded before a new version of the app go
/// on. When the protocol changes, raise only [`PROTOCOL_VERSION`].
pub const PROTOCOL_VERSION_MIN: u32 = 1;

/// A longer client frame is refused without parsing (`message_too_large`).
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bounds of a team's slug, in characters (`[a-z0-9-]`).
pub const TEAM_SLUG_CHARS_MIN: usize = 3;
pub const TEAM_SLUG_CHARS_MAX: usize = 48;
/// Hex digits of a browser's secret key, and of the public id derived from it.
pub const KEY_HEX_DIGITS: usize = 32;
pub const PARTICIPANT_ID_HEX_DIGITS: usize = 16;

/// Longer names and titles are refused (`invalid_name`, `invalid_title`), never cut.
pub const TEAM_NAME_CHARS_MAX: usize = 80;
pub const PARTICIPANT_NAME_CHARS_MAX: usize = 40;
pub const STORY_TITLE_CHARS_MAX: usize = 200;
/// Longer or empty command ids are refused (`invalid_id`).
pub const COMMAND_ID_CHARS_MAX: usize = 36;

/// Participants with a seat, connected or not. A new one replaces the participant who has been gone longest (see
/// `AWAY_GRACE_MS`), else is refused (`too_many_participants`).
pub const PARTICIPANTS_MAX: usize = 200;
/// Sessions (tabs, devices) of one participant; further ones are refused (`too_many_sessions`).
pub const SESSIONS_PER_PARTICIPANT_MAX: usize = 8;
/// Stories in a room; an `add_stories` that exceeds it is refused as a whole (`too_many_stories`).
pub const STORIES_MAX: usize = 200;
/// Votes in one round, including those of participants who left after voting (`too_many_votes`).
pub const VOTES_PER_ROUND_MAX: usize = 2 * PARTICIPANTS_MAX;

/// A custom deck outside these bounds is refused (`invalid_deck`).
pub const DECK_CARDS_MIN: usize = 2;
pub const DECK_CARDS_MAX: usize = 32;
pub const CARD_CHARS_MAX: usize = 8;

/// Command ids remembered per participant; an older command, sent again, would be applied again.
pub const COMMAND_IDS_REMEMBERED: usize = 32;

/// Published events kept for clients that resume. A client that missed more gets a snapshot.
pub const RING_EVENTS_MAX: usize = 256;
/// Bytes of these events; large events displace older ones sooner.
pub const RING_BYTES_MAX: usize = 256 * 1024;

/// A timer outside these bounds is refused (`invalid_timer`).
pub const TIMER_SECONDS_MIN: u32 = 1;
pub const TIMER_SECONDS_MAX: u32 = 60 * 60;

/// Auto-reveal waits for a disconnected voter this long.
pub const AWAY_GRACE_MS: u64 = 60 * 1000;
/// A disconnected participant keeps the seat this long; a vote already cast stays in its round.
pub const SEAT_GRACE_MS: u64 = 10 * 60 * 1000;

/// A session must send its `hello` within this time (close code 4000).
pub const HELLO_TIMEOUT_MS: u64 = 5 * 1000;
/// When a client may send a command again that was refused for now (`rate_limited`, `unavailable`).
pub const COMMAND_RETRY_AFTER_MS: u64 = 1_000;

const BYTES_PER_CHAR_MAX: usize = 4;
/// JSON around one participant, story or vote: keys, ids, punctuation.
const JSON_OVERHEAD_BYTES: usize = 160;

/// Upper bound of a snapshot's text.
pub const SNAPSHOT_BYTES_MAX: usize = PARTICIPANTS_MAX
    * (PARTICIPANT_NAME_CHARS_MAX * BYTES_PER_CHAR_MAX + JSON_OVERHEAD_BYTES)
    + STORIES_MAX * ((STORY_TITLE_CHARS_MAX + CARD_CHARS_MAX) * BYTES_PER_CHAR_MAX + JSON_OVERHEAD_BYTES)
    + 2 * VOTES_PER_ROUND_MAX * (CARD_CHARS_MAX * BYTES_PER_CHAR_MAX + JSON_OVERHEAD_BYTES);

const _: () = assert!(AWAY_GRACE_MS >= 60 * 1000 && AWAY_GRACE_MS < SEAT_GRACE_MS);
const _: () = assert!(VOTES_PER_ROUND_MAX >= PARTICIPANTS_MAX);
const _: () = assert!(COMMAND_IDS_REMEMBERED >= SESSIONS_PER_PARTICIPANT_MAX);
