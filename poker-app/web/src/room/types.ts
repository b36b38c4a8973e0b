/** The value on a card: "½", "13", "XL", "?", "☕". */
export type Card = string
/** The public id of a participant. */
export type ParticipantId = string
