import { describe, expect, it } from 'vitest'
import { discussion } from './discussion'
import { exampleRoom, revealedRound } from './fixtures'

describe('discussion', () => {
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
      { kind: 'single', card: '5' },
    ],
    [{ ada: '?', ben: '☕' }, { kind: 'no_estimate' }],
  ])('after the votes %j is %j', (cards, expected) => {
    expect(discussion(exampleRoom({ round: revealedRound(cards) }))).toEqual(expected)
  })

  it('is null before the reveal', () => {
    expect(discussion(exampleRoom())).toBeNull()
  })
})
