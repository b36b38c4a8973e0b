/** Inputs, messages and a live machine for tests. */
import type { Command, RoomView, ServerMessage } from '../protocol/protocol'
import { create, step, type Effect, type Input, type Machine } from './machine'

const room: RoomView = {
  team: 'payments-team-abc234',
  name: 'Payments team',
  deck: { kind: 'custom', cards: ['3', '5', '8'] },
  autoReveal: false,
  participants: [],
  stories: [],
  round: {
    number: 1,
    story: null,
    phase: 'voting',
    voted: [],
    votes: null,
    stats: null,
    saved: false,
  },
  timer: null,
}

export const vote = (card: string, round = 1): Command => ({ type: 'vote', round, card })
export const snapshot = (seq: number, epoch = 1): ServerMessage => ({
  type: 'snapshot',
  epoch,
  seq,
  nowMs: 0,
  yourVote: null,
  room,
})
export const welcome = (resumed: boolean): ServerMessage => ({
  type: 'welcome',
  protocol: 1,
  you: 'me',
  epoch: 1,
  seq: 5,
  resumed,
  nowMs: 0,
})
export const event = (seq: number, epoch = 1): ServerMessage => ({
  type: 'event',
  epoch,
  seq,
  event: { type: 'timer_changed', timer: null, ranOut: false },
})

/** Runs the inputs at their times; returns the machine and the effects of the last input. */
export function run(inputs: [number, Input][], from = create(), random = 0.5): [Machine, Effect[]] {
  let machine = from
  let effects: Effect[] = []
  for (const [nowMs, input] of inputs) [machine, effects] = step(machine, input, { nowMs, random })
  return [machine, effects]
}

export const received = (message: ServerMessage): Input => ({ type: 'received', message })
export const closed = (code = 1006, reason = ''): Input => ({ type: 'closed', code, reason })
export const command = (id: string, command: Command): Input => ({ type: 'command', id, command })

export function live(): Machine {
  const [machine] = run([
    [0, { type: 'start' }],
    [1, { type: 'opened' }],
    [2, received(welcome(false))],
    [3, received(snapshot(5))],
  ])
  return machine
}
