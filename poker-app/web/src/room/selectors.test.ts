import { describe, expect, it } from 'vitest'
import type { PendingCommand } from '../connection/machine'
import type { RoomView } from '../protocol/protocol'
import { exampleRoom, exampleState, participant, revealedRound } from './fixtures'
import {
  chosenCard,
  departedVotes,
  facilitatorMissing,
  nextStory,
  primaryAction,
  table,
} from './selectors'

describe('chosenCard', () => {
  const pending = (command: PendingCommand['command']): PendingCommand => ({
    id: 'x',
    command,
    queuedAtMs: 0,
    sent: true,
    notBeforeMs: 0,
  })

  it('prefers the newest pending vote of the round to the saved vote', () => {
    const state = { ...exampleState(), yourVote: '3' }
    expect(chosenCard(state, [])).toEqual({ card: '3', saved: true })
    const vote = pending({ type: 'vote', round: 4, card: '8' })
    expect(chosenCard(state, [vote])).toEqual({ card: '8', saved: false })
    const cleared = pending({ type: 'clear_vote', round: 4 })
    expect(chosenCard(state, [vote, cleared])).toEqual({ card: null, saved: false })
    const old = pending({ type: 'vote', round: 3, card: '8' })
    expect(chosenCard(state, [old])).toEqual({ card: '3', saved: true })
  })
})

describe('table', () => {
  it('counts connected participants and voters, without observers', () => {
    const round = { ...exampleRoom().round, voted: ['ben'] }
    const { seats, observers, missing, votedCount, voterCount } = table(
      exampleRoom({ round }),
      'ada',
    )
    expect(seats.map(({ participant: { id }, hasVoted }) => [id, hasVoted])).toEqual([
      ['ada', false],
      ['ben', true],
      ['chen', false],
    ])
    expect(observers.map(({ id }) => id)).toEqual(['eve'])
    expect([votedCount, voterCount]).toEqual([1, 2])
    expect(missing.map(({ id }) => id)).toEqual(['ada'])
  })

  it('has cards only after the reveal', () => {
    expect(table(exampleRoom(), 'ada').seats.every(({ card }) => card === null)).toBe(true)
    const revealed = exampleRoom({ round: revealedRound({ ada: '5', ben: '8' }) })
    expect(table(revealed, 'ada').seats.map(({ card }) => card)).toEqual(['5', '8', null])
  })
})

describe('departedVotes', () => {
  it('counts votes of participants who left', () => {
    expect(departedVotes(exampleRoom({ round: revealedRound({ ada: '5', gone: '8' }) }))).toBe(1)
  })
})

describe('facilitatorMissing', () => {
  it('is true while the facilitator is away', () => {
    expect(facilitatorMissing(exampleRoom())).toBe(false)
    const away = participant('ada', { facilitator: true, connected: false })
    expect(facilitatorMissing(exampleRoom({ participants: [away, participant('ben')] }))).toBe(true)
  })
})

describe('primaryAction', () => {
  const action = (patch: Partial<RoomView>, picked: string | null = null) =>
    primaryAction(exampleRoom(patch), picked)

  it('is reveal, then save, then next', () => {
    expect(action({})).toEqual({ kind: 'reveal', enabled: false })
    const voted = { ...exampleRoom().round, voted: ['ben'] }
    expect(action({ round: voted })).toEqual({ kind: 'reveal', enabled: true })
    const round = revealedRound({ ada: '5' })
    expect(action({ round })).toEqual({ kind: 'save', card: '5' })
    expect(action({ round }, '8')).toEqual({ kind: 'save', card: '8' })
    const stories = exampleRoom().stories.map((one) =>
      one.id === 2 ? { ...one, estimate: '5' } : one,
    )
    const saved = { round: { ...round, saved: true }, stories }
    expect(action(saved)).toEqual({ kind: 'next', last: false })
    expect(action(saved, '8')).toEqual({ kind: 'save', card: '8' })
  })

  it('is save while the estimate comes from an earlier round', () => {
    const stories = exampleRoom().stories.map((one) =>
      one.id === 2 ? { ...one, estimate: '5' } : one,
    )
    const round = revealedRound({ ada: '5' })
    expect(action({ round, stories })).toEqual({ kind: 'save', card: '5' })
  })

  it('is next without a story or without an estimate', () => {
    const withoutStory = { ...revealedRound({ ada: '5' }), story: null }
    expect(action({ round: withoutStory })).toEqual({ kind: 'next', last: false })
    const withoutEstimate = revealedRound({ ada: '?' }, null)
    expect(action({ round: withoutEstimate })).toEqual({ kind: 'next', last: false })
  })
})

describe('nextStory', () => {
  it('is the next story without an estimate, from the top after the last', () => {
    expect(nextStory(exampleRoom())?.id).toBe(3)
    const round = { ...exampleRoom().round, story: 3 }
    expect(nextStory(exampleRoom({ round }))?.id).toBe(2)
    expect(nextStory(exampleRoom({ stories: [] }))).toBeNull()
  })
})
