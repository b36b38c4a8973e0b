/** Chooses a card by typing its value: "5", or "1" "3" for 13. */
import type { Card } from './types'

/** A longer pause between two keys starts a new value. */
export const TYPEAHEAD_PAUSE_MS = 600

export interface Match {
  buffer: string
  card: Card | null
  /** More keys could select another card, so wait before the choice is sent. */
  ambiguous: boolean
}

const NO_MATCH: Match = { buffer: '', card: null, ambiguous: false }

/** The match after `key`: of the typed `buffer` with it, else of the key alone. */
export function typeahead(cards: readonly Card[], buffer: string, key: string): Match {
  const continued = match(cards, buffer + key)
  return continued.card !== null || buffer === '' ? continued : match(cards, key)
}

function match(cards: readonly Card[], typed: string): Match {
  const prefix = typed.toLowerCase()
  const candidates = cards.filter((card) => card.toLowerCase().startsWith(prefix))
  const exact = candidates.find((card) => card.toLowerCase() === prefix)
  const card = exact ?? candidates[0]
  if (card !== undefined) return { buffer: typed, card, ambiguous: candidates.length > 1 }
  return matchPosition(cards, typed)
}

/** In a deck without digits, like T-shirt sizes, 1…9 select the card at that position. */
function matchPosition(cards: readonly Card[], typed: string): Match {
  if (!/^[1-9]$/.test(typed) || cards.some((card) => /^\d/.test(card))) return NO_MATCH
  return { buffer: '', card: cards[Number(typed) - 1] ?? null, ambiguous: false }
}

/** The next or previous card, around the ends; without a chosen card the first or the last. */
export function adjacentCard(cards: readonly Card[], chosen: Card | null, by: 1 | -1): Card | null {
  const index = chosen === null ? -1 : cards.indexOf(chosen)
  if (index === -1) return (by === 1 ? cards[0] : cards.at(-1)) ?? null
  return cards[(index + by + cards.length) % cards.length] ?? null
}
