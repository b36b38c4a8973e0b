import type { Catalogue } from '../i18n/en'
import type { Card } from './types'
import { Icon } from '../ui/Icon'

/** A card's value, large in the middle and small in two corners as on a playing card. */
export function CardFace({ card }: { card: Card }) {
  const length = Array.from(card).length
  const size = length <= 2 ? 'short' : length <= 3 ? 'medium' : 'long'
  const mark = card === '☕' ? <Icon name="coffee" /> : <bdi>{card}</bdi>
  return (
    <span className="face" data-size={size} aria-hidden="true">
      {length <= 3 && <span className="corner">{mark}</span>}
      <span className="pip">{mark}</span>
      {length <= 3 && <span className="corner turned">{mark}</span>}
    </span>
  )
}

/** The name of a card for screen readers. */
export function cardName(t: Catalogue, card: Card): string {
  switch (card) {
    case '☕':
      return t.hand.coffee
    case '?':
      return t.hand.unsure
    case '½':
      return t.hand.half
    default:
      return card
  }
}
