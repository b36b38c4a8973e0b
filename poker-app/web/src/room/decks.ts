import type { DeckKind } from '../protocol/protocol'
import type { Card } from './names'
import { CARD_CHARS_MAX, DECK_CARDS_MAX, DECK_CARDS_MIN } from './limits'

export const DECK_KINDS: readonly DeckKind[] = [
  'fibonacci',
  'modified_fibonacci',
  't_shirt',
  'powers_of_two',
  'custom',
]

/** The cards of a custom deck as typed, separated by commas or white space; null when unusable. */
export function customCards(text: string): Card[] | null {
  const cards = [...new Set(text.split(/[\s,;]+/).filter((card) => card !== ''))]
  const fits = cards.every((card) => Array.from(card).length <= CARD_CHARS_MAX)
  return fits && cards.length >= DECK_CARDS_MIN && cards.length <= DECK_CARDS_MAX ? cards : null
}
