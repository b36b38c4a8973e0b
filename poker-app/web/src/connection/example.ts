/** A connection for tests: inputs, messages and a live machine. */
import type { Command, ServerMessage } from '../protocol/protocol'
import { exampleRoom } from '../room/example'
import { create, step, type Effect, type Input, type Machine } from './machine'

export const vote = (card: string, round = 1): Command => ({ type: 'vote', round, card })
export const snapshot = (seq: number, epoch = 1): ServerMessage => ({
  type: 'snapshot',
  epoch,
  seq,
  nowMs: 0,
  yourVote: null,
  room: exampleRoom(),
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

/** Runs inputs at their times; gives the machine and the effects of the last input. */
export function run(inputs: [number, Input][], from = create(), random = 0.5): [Machine, Effect[]] {
  let machine = from
  let effects: Effect[] = []
  for (const [nowMs, input] of inputs) [machine, effects] = step(machine, input, { nowMs, random })
  return [machine, effects]
}

export const received = (message: ServerMessage): Input => ({ type: 'received', message })
export const closed = (code = 1006, reason = ''): Input => ({ type: 'closed', code, reason })
export const command = (id: string, wanted: Command): Input => ({
  type: 'command',
  id,
  command: wanted,
})

export function live(): Machine {
  const [machine] = run([
    [0, { type: 'start' }],
    [1, { type: 'opened' }],
    [2, received(welcome(false))],
    [3, received(snapshot(5))],
  ])
  return machine
}
