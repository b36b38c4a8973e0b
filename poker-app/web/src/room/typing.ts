/** Choosing a card by typing what stands on it: "5", or "1" "3" for 13. */
import type { Card } from './names'

/** A pause this long ends a number of several digits. */
export const TYPING_PAUSE_MS = 600

export interface Typed {
  buffer: string
  card: Card | null
  /** More typing could mean another card, so wait before the choice is sent. */
  ambiguous: boolean
}

const nothing: Typed = { buffer: '', card: null, ambiguous: false }

export function typeCard(cards: readonly Card[], buffer: string, key: string): Typed {
  const continued = match(cards, buffer + key)
  return continued.card !== null || buffer === '' ? continued : match(cards, key)
}

function match(cards: readonly Card[], typed: string): Typed {
  const wanted = typed.toLowerCase()
  const starting = cards.filter((card) => card.toLowerCase().startsWith(wanted))
  const exact = starting.find((card) => card.toLowerCase() === wanted)
  const card = exact ?? starting[0]
  if (card !== undefined) return { buffer: typed, card, ambiguous: starting.length > 1 }
  return byPosition(cards, typed)
}

/** In a deck without digits, like T-shirt sizes, 1…9 count the cards. */
function byPosition(cards: readonly Card[], typed: string): Typed {
  if (!/^[1-9]$/.test(typed) || cards.some((card) => /^\d/.test(card))) return nothing
  return { buffer: '', card: cards[Number(typed) - 1] ?? null, ambiguous: false }
}

/** The card `by` places further, from the chosen one or from the nearer end. */
export function neighbour(cards: readonly Card[], chosen: Card | null, by: 1 | -1): Card | null {
  const index = chosen === null ? -1 : cards.indexOf(chosen)
  if (index === -1) return (by === 1 ? cards[0] : cards.at(-1)) ?? null
  return cards[(index + by + cards.length) % cards.length] ?? null
}
