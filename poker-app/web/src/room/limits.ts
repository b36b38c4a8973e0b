/** Limits of the server that the page applies to its fields (poker-core `limits.rs`). */
export const TEAM_NAME_CHARS_MAX = 80
export const PARTICIPANT_NAME_CHARS_MAX = 40
export const STORY_TITLE_CHARS_MAX = 200
export const STORIES_MAX = 200
/** Titles in one command, as UTF-8 JSON: half of the server's limit for a message. */
export const ADD_STORIES_BYTES_MAX = 32 * 1024
export const CARD_CHARS_MAX = 8
export const DECK_CARDS_MIN = 2
export const DECK_CARDS_MAX = 32
