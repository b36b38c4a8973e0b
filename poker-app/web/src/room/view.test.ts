import { describe, expect, it } from 'vitest'
import type { PendingCommand } from '../connection/machine'
import type { RoomView, Stats } from '../protocol/protocol'
import { clock, secondsLeft } from './clock'
import { customCards } from './decks'
import { exampleRoom, exampleState, person } from './example'
import { talk } from './talk'
import { ADD_STORIES_BYTES_MAX } from './limits'
import { batches, titles } from './titles'
import { neighbour, typeCard } from './typing'
import { chosenCard, facilitatorMissing, nextStory, orphanedVotes, primary, table } from './view'

const stats = (nearest: string | null): Stats => ({
  histogram: [],
  median: nearest,
  mean: null,
  agreement: 50,
})

function revealed(cards: Record<string, string>, nearest: string | null = '5'): Partial<RoomView> {
  const votes = Object.entries(cards).map(([participant, card]) => ({ participant, card }))
  const voted = votes.map(({ participant }) => participant)
  return {
    round: {
      number: 4,
      story: 2,
      phase: 'revealed',
      voted,
      votes,
      stats: stats(nearest),
      saved: false,
    },
  }
}

describe('the chosen card', () => {
  const pending = (command: PendingCommand['command']): PendingCommand => ({
    id: 'x',
    command,
    queuedAtMs: 0,
    sent: true,
    notBeforeMs: 0,
  })

  it('is the one on its way, then the one that the server has', () => {
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

describe('the table', () => {
  it('counts who is here or has voted, and seats observers apart', () => {
    const round = { ...exampleRoom().round, voted: ['ben'] }
    const seen = table(exampleRoom({ round }), 'ada')
    expect(seen.seats.map(({ person: { id }, hasVoted }) => [id, hasVoted])).toEqual([
      ['ada', false],
      ['ben', true],
      ['chen', false],
    ])
    expect(seen.observers.map(({ id }) => id)).toEqual(['eve'])
    expect([seen.votedCount, seen.voterCount]).toEqual([1, 2])
    expect(seen.missing.map(({ id }) => id)).toEqual(['ada'])
  })

  it('holds no card before the reveal and all of them after', () => {
    expect(table(exampleRoom(), 'ada').seats.every(({ card }) => card === null)).toBe(true)
    const after = table(exampleRoom(revealed({ ada: '5', ben: '8' })), 'ada')
    expect(after.seats.map(({ card }) => card)).toEqual(['5', '8', null])
  })

  it('counts votes of people who left', () => {
    expect(orphanedVotes(exampleRoom(revealed({ ada: '5', gone: '8' })))).toBe(1)
  })

  it('knows when nobody can lead', () => {
    expect(facilitatorMissing(exampleRoom())).toBe(false)
    const away = person('ada', { facilitator: true, connected: false })
    expect(facilitatorMissing(exampleRoom({ participants: [away, person('ben')] }))).toBe(true)
  })
})

describe('the primary action', () => {
  const of = (patch: Partial<RoomView>, picked: string | null = null) =>
    primary(exampleRoom(patch), picked)

  it('goes from reveal to save to next', () => {
    expect(of({})).toEqual({ kind: 'reveal', enabled: false })
    const voted = { round: { ...exampleRoom().round, voted: ['ben'] } }
    expect(of(voted)).toEqual({ kind: 'reveal', enabled: true })
    const open = revealed({ ada: '5' })
    expect(of(open)).toEqual({ kind: 'save', card: '5' })
    expect(of(open, '8')).toEqual({ kind: 'save', card: '8' })
    const saved = (inThisRound: boolean) => ({
      round: { ...exampleRoom().round, ...open.round, saved: inThisRound },
      stories: exampleRoom().stories.map((one) => (one.id === 2 ? { ...one, estimate: '5' } : one)),
    })
    expect(of(saved(true))).toEqual({ kind: 'next', last: false })
    expect(of(saved(true), '8')).toEqual({ kind: 'save', card: '8' })
    // After another vote on the story its estimate is that of an earlier round.
    expect(of(saved(false))).toEqual({ kind: 'save', card: '5' })
  })

  it('skips saving without a story or without an estimate', () => {
    const open = revealed({ ada: '5' })
    const noStory = open.round && { ...open, round: { ...open.round, story: null } }
    expect(of(noStory ?? {})).toEqual({ kind: 'next', last: false })
    expect(of(revealed({ ada: '?' }, null))).toEqual({ kind: 'next', last: false })
  })

  it('finds the next open story, from the top again', () => {
    expect(nextStory(exampleRoom())?.id).toBe(3)
    const round = { ...exampleRoom().round, story: 3 }
    expect(nextStory(exampleRoom({ round }))?.id).toBe(2)
    expect(nextStory(exampleRoom({ stories: [] }))).toBeNull()
  })
})

describe('the talk', () => {
  it.each<[Record<string, string>, unknown]>([
    [
      { ada: '5', ben: '5' },
      { kind: 'agreed', card: '5' },
    ],
    [
      { ada: '5', ben: '8' },
      { kind: 'close', low: '5', high: '8' },
    ],
    [
      { ada: '13', ben: '3', chen: '5' },
      { kind: 'apart', low: { names: ['Ben'], card: '3' }, high: { names: ['Ada'], card: '13' } },
    ],
    [
      { ada: '5', ben: '?' },
      { kind: 'alone', card: '5' },
    ],
    [{ ada: '?', ben: '☕' }, { kind: 'no_estimate' }],
  ])('about %j is %j', (cards, expected) => {
    expect(talk(exampleRoom(revealed(cards)))).toEqual(expected)
  })

  it('is silent before the reveal', () => {
    expect(talk(exampleRoom())).toBeNull()
  })
})

describe('typing on a card', () => {
  const fibonacci = ['0', '½', '1', '2', '3', '5', '8', '13', '20', '40', '100', '?', '☕']
  const shirts = ['XS', 'S', 'M', 'L', 'XL', 'XXL', '?', '☕']

  it.each([
    [fibonacci, '', '5', '5', false],
    [fibonacci, '', '1', '1', true],
    [fibonacci, '1', '3', '13', false],
    [fibonacci, '1', '0', '100', false],
    [fibonacci, '10', '0', '100', false],
    [fibonacci, '', '2', '2', true],
    [fibonacci, '2', '0', '20', false],
    [fibonacci, '2', '5', '5', false],
    [fibonacci, '', '4', '40', false],
    [fibonacci, '', '7', null, false],
    [fibonacci, '', 'x', null, false],
    [shirts, '', 'm', 'M', false],
    [shirts, '', 'x', 'XS', true],
    [shirts, 'x', 'l', 'XL', false],
    [shirts, '', '2', 'S', false],
    [shirts, '', '9', null, false],
  ])('in %j after %j the key %j chooses %j', (cards, buffer, key, card, ambiguous) => {
    expect(typeCard(cards, buffer, key)).toMatchObject({ card, ambiguous })
  })

  it('moves to the card beside and around the ends', () => {
    expect(neighbour(shirts, 'S', 1)).toBe('M')
    expect(neighbour(shirts, 'XS', -1)).toBe('☕')
    expect(neighbour(shirts, null, 1)).toBe('XS')
    expect(neighbour(shirts, null, -1)).toBe('☕')
    expect(neighbour([], null, 1)).toBeNull()
  })
})

describe('texts typed by people', () => {
  it('become story titles, one a line', () => {
    expect(titles('- One\r\n\n 2. Two  words\n[x] Three\n• Four\n1984 is a year')).toEqual([
      'One',
      'Two words',
      'Three',
      'Four',
      '1984 is a year',
    ])
    expect(titles('  \n')).toEqual([])
    expect(Array.from(titles('😀'.repeat(300))[0] ?? '')).toHaveLength(200)
  })

  it('lose what no title may hold, and lines without anything to see', () => {
    expect(titles('a\u0000b\u202ec\td\n\u200b\ufeff\n\u0007')).toEqual(['abc d'])
  })

  it('go in parts that the server takes, in order and whole', () => {
    const all = Array.from({ length: 200 }, (_, n) => `${n}${'故"'.repeat(95)}`)
    const parts = batches(all)
    expect(parts.length).toBeGreaterThan(1)
    expect(parts.flat()).toEqual(all)
    for (const part of parts) {
      const bytes = new TextEncoder().encode(JSON.stringify(part)).length
      expect(bytes).toBeLessThanOrEqual(ADD_STORIES_BYTES_MAX + 2)
    }
    expect(batches([])).toEqual([])
  })

  it('become a deck, or do not', () => {
    expect(customCards('1, 2 3;3\n5')).toEqual(['1', '2', '3', '5'])
    expect(customCards('1')).toBeNull()
    expect(customCards('1 muchtoolong')).toBeNull()
    expect(customCards(Array.from({ length: 33 }, (_, n) => n).join(' '))).toBeNull()
  })
})

describe('the timer', () => {
  it.each([
    [80, '1:20'],
    [5, '0:05'],
    [600, '10:00'],
  ])('shows %i seconds as %s', (seconds, text) => expect(clock(seconds)).toBe(text))

  it('never shows more than was set, nor less than nothing', () => {
    const timer = { endsAtMs: 100_000, seconds: 60 }
    expect(secondsLeft(timer, 70_500)).toBe(30)
    expect(secondsLeft(timer, 0)).toBe(60)
    expect(secondsLeft(timer, 200_000)).toBe(0)
  })
})
