/** What the revealed votes ask for: agreement, a choice between two neighbours, or a discussion. */
import type { Catalogue } from '../i18n/en'
import type { RoomView } from '../protocol/protocol'
import type { Card } from './types'

export interface Opinion {
  names: string[]
  card: Card
}

export type Discussion =
  | { kind: 'agreed'; card: Card }
  | { kind: 'close'; low: Card; high: Card }
  | { kind: 'apart'; low: Opinion; high: Opinion }
  | { kind: 'single'; card: Card }
  | { kind: 'no_estimate' }

/** Cards that are not estimates. */
const NON_ESTIMATES = new Set(['?', '☕'])

/** Null before the reveal. */
export function discussion(room: RoomView): Discussion | null {
  const { votes } = room.round
  if (!votes) return null
  const names = new Map(room.participants.map(({ id, name }) => [id, name]))
  const estimates = votes
    .filter(({ card }) => !NON_ESTIMATES.has(card) && room.deck.cards.includes(card))
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
  if (estimates.length === 1) return { kind: 'single', card: opinion(low.rank).card }
  if (low.rank === high.rank) return { kind: 'agreed', card: opinion(low.rank).card }
  if (high.rank - low.rank === 1) {
    return { kind: 'close', low: opinion(low.rank).card, high: opinion(high.rank).card }
  }
  return { kind: 'apart', low: opinion(low.rank), high: opinion(high.rank) }
}

export function discussionText({ discussion: texts }: Catalogue, result: Discussion): string {
  switch (result.kind) {
    case 'agreed':
    case 'single':
      return texts[result.kind](result.card)
    case 'close':
      return texts.close(result.low, result.high)
    case 'apart':
      return texts.apart(result.high, result.low)
    case 'no_estimate':
      return texts.no_estimate
  }
}
