import { expect, it } from 'vitest'
import type { RoomEvent } from '../protocol/protocol'
import { announcement } from './announcement'
import { exampleState, participant } from './fixtures'
import { reduce } from './state'

const stats = { histogram: [], median: '5', mean: 5, agreement: 100 }

it.each<[RoomEvent, unknown]>([
  [
    { type: 'voted', participant: 'ben', hasVoted: true },
    { kind: 'voted', name: 'Ben', voted: 1, voters: 2 },
  ],
  [
    { type: 'revealed', round: 4, votes: [], stats },
    { kind: 'revealed', median: '5', agreement: 100 },
  ],
  [
    { type: 'round_started', number: 5, story: 3 },
    { kind: 'round', title: 'Three' },
  ],
  [
    { type: 'participant_changed', participant: participant('chen') },
    { kind: 'back', name: 'Chen' },
  ],
  [
    { type: 'participant_changed', participant: participant('ben', { facilitator: true }) },
    { kind: 'facilitates', name: 'Ben' },
  ],
  [
    { type: 'participant_left', id: 'ben' },
    { kind: 'left', name: 'Ben' },
  ],
  [{ type: 'timer_changed', timer: null, ranOut: true }, { kind: 'time_up' }],
  [{ type: 'timer_changed', timer: null, ranOut: false }, null],
  [{ type: 'stories_changed', stories: [] }, null],
])('%j is announced as %j', (event, expected) => {
  const before = exampleState()
  const message = { type: 'event', epoch: 1, seq: 2, event } as const
  const after = reduce(before, message, 50)
  expect(announcement(before, after, message)).toEqual(expected)
})
