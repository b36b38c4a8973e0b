import { describe, expect, it } from 'vitest'
import type { RoomEvent, RoomView, Stats } from '../protocol/protocol'
import { exampleRoom, exampleState, participant } from './fixtures'
import { emptyRoom, reduce, type RoomState } from './state'

const stats: Stats = {
  histogram: [{ card: '5', count: 2 }],
  median: '5',
  mean: 5,
  agreement: 100,
}
const votes = [
  { participant: 'ada', card: '5' },
  { participant: 'ben', card: '5' },
]

function after(event: RoomEvent, from: RoomState = exampleState()): RoomState {
  return reduce(from, { type: 'event', epoch: 1, seq: 2, event }, 50)
}

describe('reduce', () => {
  it('takes the room, the vote and the clock from a snapshot', () => {
    const room = exampleRoom()
    const snapshot = {
      type: 'snapshot',
      epoch: 1,
      seq: 1,
      nowMs: 1_050,
      room,
      yourVote: '5',
    } as const
    const state = reduce(emptyRoom, snapshot, 50)
    expect(state).toMatchObject({ room, yourVote: '5', clockAheadMs: 1_000 })
  })

  it.each<[string, RoomEvent, (room: RoomView) => unknown, unknown]>([
    [
      'a participant joins',
      { type: 'participant_joined', participant: participant('fay') },
      (room) => room.participants.map(({ id }) => id),
      ['ada', 'ben', 'chen', 'eve', 'fay'],
    ],
    [
      'a participant reconnects',
      { type: 'participant_changed', participant: participant('chen') },
      (room) => room.participants[2]?.connected,
      true,
    ],
    [
      'a participant leaves',
      { type: 'participant_left', id: 'ben' },
      (room) => room.participants.map(({ id }) => id),
      ['ada', 'chen', 'eve'],
    ],
    [
      'a participant votes',
      { type: 'voted', participant: 'ben', hasVoted: true },
      (room) => room.round.voted,
      ['ben'],
    ],
    [
      'the cards are revealed',
      { type: 'revealed', round: 4, votes, stats },
      (room) => room.round.votes,
      votes,
    ],
    [
      'another round is revealed',
      { type: 'revealed', round: 3, votes, stats },
      (room) => room.round.phase,
      'voting',
    ],
    [
      'an estimate is saved',
      { type: 'estimate_saved', story: 2, card: '8' },
      (room) => room.stories[1]?.estimate,
      '8',
    ],
    [
      "the current story's estimate is saved",
      { type: 'estimate_saved', story: 2, card: '8' },
      (room) => room.round.saved,
      true,
    ],
    [
      "another story's estimate is saved",
      { type: 'estimate_saved', story: 1, card: '8' },
      (room) => room.round.saved,
      false,
    ],
    ['stories change', { type: 'stories_changed', stories: [] }, (room) => room.stories, []],
    [
      'the settings change',
      {
        type: 'settings_changed',
        name: 'New',
        deck: { kind: 't_shirt', cards: ['S'] },
        autoReveal: true,
      },
      ({ name, deck, autoReveal }) => [name, deck.cards, autoReveal],
      ['New', ['S'], true],
    ],
    [
      'the timer starts',
      { type: 'timer_changed', timer: { endsAtMs: 9, seconds: 5 }, ranOut: false },
      (room) => room.timer?.seconds,
      5,
    ],
  ])('updates the room when %s', (_, event, select, expected) => {
    const { room } = after(event)
    expect(room && select(room)).toEqual(expected)
  })

  it('removes a cleared vote', () => {
    const voted = after({ type: 'voted', participant: 'ben', hasVoted: true })
    expect(
      after({ type: 'voted', participant: 'ben', hasVoted: false }, voted).room?.round.voted,
    ).toEqual([])
  })

  it('clears all votes when a round starts', () => {
    const state = { ...exampleState(), yourVote: '5' }
    expect(after({ type: 'round_started', number: 5, story: 3 }, state)).toMatchObject({
      yourVote: null,
      room: { round: { number: 5, story: 3, phase: 'voting', voted: [], votes: null } },
    })
  })

  it('keeps the end of a timer until the next timer event', () => {
    const ended = (ranOut: boolean): RoomEvent => ({ type: 'timer_changed', timer: null, ranOut })
    expect(after(ended(true)).timeUpAtMs).toBe(50)
    expect(after(ended(false), after(ended(true))).timeUpAtMs).toBeNull()
  })

  it('takes the own vote of the current round only', () => {
    const echo = (round: number) =>
      reduce(exampleState(), { type: 'your_vote', round, card: '8' }, 0).yourVote
    expect(echo(4)).toBe('8')
    expect(echo(3)).toBeNull()
  })

  it('ignores unknown events of a newer server', () => {
    const state = exampleState()
    expect(after({ type: 'confetti' } as unknown as RoomEvent, state)).toBe(state)
  })
})
