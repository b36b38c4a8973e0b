import { expect, test } from 'vitest'
import type { RoomEvent, ServerMessage } from '../protocol/protocol'
import json from '../protocol/vectors.json'
import { emptyRoom, reduce, type RoomState } from './state'

/** Messages to one session and the state after each, written by poker-core's `src/tests/bindings.rs`. */
const vectors = json as unknown as {
  message: ServerMessage
  state: Pick<RoomState, 'you' | 'room' | 'yourVote'>
}[]

const steps = vectors.map(({ message, state }, index) => ({
  index,
  type: message.type === 'event' ? message.event.type : message.type,
  message,
  before: { ...emptyRoom, ...vectors[index - 1]?.state },
  after: state,
}))

test.each(steps)('vector $index: $type gives the state of the server', (step) => {
  const { you, room, yourVote } = reduce(step.before, step.message, 0)
  expect({ you, room, yourVote }).toEqual(step.after)
})

test('the vectors cover every type of event', () => {
  const eventTypes: Record<RoomEvent['type'], true> = {
    participant_joined: true,
    participant_changed: true,
    participant_left: true,
    voted: true,
    revealed: true,
    round_started: true,
    estimate_saved: true,
    stories_changed: true,
    settings_changed: true,
    timer_changed: true,
  }
  expect(steps.map(({ type }) => type)).toEqual(expect.arrayContaining(Object.keys(eventTypes)))
})
