/** The one thing a facilitator would say after the reveal. */
import type { RoomView } from '../protocol/protocol'
import type { Card } from './names'

export interface Opinion {
  names: string[]
  card: Card
}

export type Talk =
  | { kind: 'agreed'; card: Card }
  | { kind: 'close'; low: Card; high: Card }
  | { kind: 'apart'; low: Opinion; high: Opinion }
  | { kind: 'alone'; card: Card }
  | { kind: 'no_estimate' }

/** Cards that are no estimate. */
const ASIDE = new Set(['?', '☕'])

/** Null before the reveal. */
export function talk(room: RoomView): Talk | null {
  const { votes } = room.round
  if (!votes) return null
  const names = new Map(room.participants.map(({ id, name }) => [id, name]))
  const estimates = votes
    .filter(({ card }) => !ASIDE.has(card) && room.deck.cards.includes(card))
    .map(({ participant, card }) => ({
      rank: room.deck.cards.indexOf(card),
      name: names.get(participant),
    }))
    .sort((a, b) => a.rank - b.rank)
  const low = estimates[0]
  const high = estimates.at(-1)
  if (!low || !high) return { kind: 'no_estimate' }
  const opinion = (rank: number): Opinion => ({
    card: room.deck.cards[rank] ?? '',
    names: estimates.flatMap((one) => (one.rank === rank && one.name ? [one.name] : [])),
  })
  if (estimates.length === 1) return { kind: 'alone', card: opinion(low.rank).card }
  if (low.rank === high.rank) return { kind: 'agreed', card: opinion(low.rank).card }
  if (high.rank - low.rank === 1) {
    return { kind: 'close', low: opinion(low.rank).card, high: opinion(high.rank).card }
  }
  return { kind: 'apart', low: opinion(low.rank), high: opinion(high.rank) }
}
