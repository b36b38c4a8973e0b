import type { DeckKind } from '../protocol/protocol'
import type { Card } from './types'
import { CARD_CHARS_MAX, DECK_CARDS_MAX, DECK_CARDS_MIN } from './limits'

export const DECK_KINDS: readonly DeckKind[] = [
  'fibonacci',
  'modified_fibonacci',
  't_shirt',
  'powers_of_two',
  'custom',
]

/** The cards of a custom deck, separated by commas or white space; null if they are no valid deck. */
export function parseCards(text: string): Card[] | null {
  const cards = [...new Set(text.split(/[\s,;]+/).filter((card) => card !== ''))]
  const valid = cards.every((card) => Array.from(card).length <= CARD_CHARS_MAX)
  return valid && cards.length >= DECK_CARDS_MIN && cards.length <= DECK_CARDS_MAX ? cards : null
}
