/** A room for tests: Ada facilitates, Ben votes, Chen is away, Eve observes. */
import type { ParticipantView, RoomView, RoundView } from '../protocol/protocol'
import { emptyRoom, type RoomState } from './state'

export function participant(id: string, patch: Partial<ParticipantView> = {}): ParticipantView {
  const name = id.charAt(0).toUpperCase() + id.slice(1)
  return { id, name, role: 'voter', facilitator: false, connected: true, ...patch }
}

export function exampleRoom(patch: Partial<RoomView> = {}): RoomView {
  return {
    team: 'payments-team-abc234',
    name: 'Payments team',
    deck: { kind: 'fibonacci', cards: ['0', '1', '2', '3', '5', '8', '13', '21', '?', '☕'] },
    autoReveal: false,
    participants: [
      participant('ada', { facilitator: true }),
      participant('ben'),
      participant('chen', { connected: false }),
      participant('eve', { role: 'observer' }),
    ],
    stories: [
      { id: 1, title: 'One', estimate: '3' },
      { id: 2, title: 'Two', estimate: null },
      { id: 3, title: 'Three', estimate: null },
    ],
    round: {
      number: 4,
      story: 2,
      phase: 'voting',
      voted: [],
      votes: null,
      stats: null,
      saved: false,
    },
    timer: null,
    ...patch,
  }
}

export function exampleState(patch: Partial<RoomView> = {}): RoomState {
  return { ...emptyRoom, you: 'ada', room: exampleRoom(patch) }
}

/** The revealed round after these votes, by participant. */
export function revealedRound(
  cards: Record<string, string>,
  median: string | null = '5',
): RoundView {
  const votes = Object.entries(cards).map(([participant, card]) => ({ participant, card }))
  return {
    number: 4,
    story: 2,
    phase: 'revealed',
    voted: votes.map(({ participant }) => participant),
    votes,
    stats: { histogram: [], median, mean: null, agreement: 50 },
    saved: false,
  }
}
