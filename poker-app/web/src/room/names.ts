/** What stands on a card: "½", "13", "XL", "?", "☕". */
export type Card = string
/** The public id of a person. */
export type ParticipantId = string
