/** The server's caps that the page's fields respect (poker-core `limits.rs`). */
export const TEAM_NAME_CHARS_MAX = 80
export const PARTICIPANT_NAME_CHARS_MAX = 40
export const STORY_TITLE_CHARS_MAX = 200
export const STORIES_PER_PASTE_MAX = 200
export const CARD_CHARS_MAX = 8
export const DECK_CARDS_MIN = 2
export const DECK_CARDS_MAX = 32
