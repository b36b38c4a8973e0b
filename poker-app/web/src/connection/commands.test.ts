import { describe, expect, it } from 'vitest'
import type { Command, ServerMessage } from '../protocol/protocol'
import { vote, snapshot, welcome, run, received, closed, command, live } from './fixtures'
import { COMMANDS_IN_FLIGHT_MAX, PENDING_COMMANDS_MAX } from './limits'
import { create, nextDeadlineMs, type Effect, type Input } from './machine'

describe('commands', () => {
  const retryLater = (id: string, retryAfterMs: number): ServerMessage => ({
    type: 'error',
    id,
    code: 'rate_limited',
    message: '',
    retryAfterMs,
  })
  const sent = (id: string, command: Command): Effect => ({
    type: 'send',
    message: { type: 'command', id, command },
  })

  it('are sent at once and pending until acknowledged', () => {
    const [machine, effects] = run([[10, command('a', vote('5'))]], live())
    expect(effects).toEqual([sent('a', vote('5'))])
    const [acked, more] = run([[11, received({ type: 'ack', id: 'a', seq: 6 })]], machine)
    expect(acked.pending).toEqual([])
    expect(more).toEqual([])
  })

  it('are resent with the same id after a reconnect until acknowledged', () => {
    const [, effects] = run(
      [
        [10, command('a', vote('5'))],
        [11, closed()],
        [900, { type: 'tick' }],
        [901, { type: 'opened' }],
        [902, received(welcome(false))],
        [903, received(snapshot(6))],
      ],
      live(),
    )
    expect(effects.slice(1)).toEqual([sent('a', vote('5'))])
  })

  it('wait while offline, and a newer vote replaces an older one', () => {
    const [machine, effects] = run(
      [
        [10, closed()],
        [11, command('a', vote('5'))],
        [12, command('b', { type: 'clear_vote', round: 1 })],
        [13, command('c', vote('8'))],
      ],
      live(),
    )
    expect(effects).toEqual([])
    expect(machine.pending.map(({ id }) => id)).toEqual(['c'])
  })

  it('are refused beyond the limit of pending commands', () => {
    const many: [number, Input][] = Array.from({ length: PENDING_COMMANDS_MAX + 9 }, (_, n) => [
      20 + n,
      command(`c${n}`, { type: 'stop_timer' }),
    ])
    const [machine, effects] = run([[10, closed()], ...many], live())
    expect(machine.pending).toHaveLength(PENDING_COMMANDS_MAX)
    expect(machine.pending.at(-1)?.id).toBe(`c${PENDING_COMMANDS_MAX - 1}`)
    const refused = { type: 'refused', command: { type: 'stop_timer' }, code: 'unavailable' }
    expect(effects).toEqual([refused])
  })

  it('beyond the limit in flight wait for an answer', () => {
    const many: [number, Input][] = Array.from({ length: COMMANDS_IN_FLIGHT_MAX + 2 }, (_, n) => [
      20 + n,
      command(`c${n}`, { type: 'stop_timer' }),
    ])
    const [machine] = run(many, live())
    expect(machine.pending.filter((one) => one.sent)).toHaveLength(COMMANDS_IN_FLIGHT_MAX)
    const next = sent(`c${COMMANDS_IN_FLIGHT_MAX}`, { type: 'stop_timer' })
    expect(run([[99, received({ type: 'ack', id: 'c0', seq: 6 })]], machine)[1]).toEqual([next])
    const refusal = { type: 'error', id: 'c0', code: 'stale_round', message: '' } as const
    expect(run([[99, received(refusal)]], machine)[1]).toContainEqual(next)
  })

  it('to be retried are replaced by a vote that was sent after them', () => {
    const later = retryLater('a', 300)
    const [machine] = run(
      [
        [10, command('a', vote('5'))],
        [11, command('b', vote('8'))],
        [20, received(later)],
      ],
      live(),
    )
    expect(machine.pending.map(({ id }) => id)).toEqual(['b'])
    expect(run([[400, { type: 'tick' }]], machine)[1]).not.toContainEqual(sent('a', vote('5')))
  })

  it('refused by the server are reported', () => {
    const refusal = { type: 'error', id: 'a', code: 'stale_round', message: '' } as const
    const [machine, effects] = run(
      [
        [10, command('a', vote('5'))],
        [11, received(refusal)],
      ],
      live(),
    )
    expect(machine.pending).toEqual([])
    expect(effects).toEqual([{ type: 'refused', command: vote('5'), code: 'stale_round' }])
  })

  it('to be retried wait as long as the server asks, and keep their order', () => {
    const later = retryLater('a', 300)
    const [machine] = run(
      [
        [10, command('a', vote('5'))],
        [20, received(later)],
        [30, command('b', { type: 'reveal', round: 1 })],
      ],
      live(),
    )
    expect(nextDeadlineMs(machine)).toBe(320)
    expect(run([[319, { type: 'tick' }]], machine)[1]).toEqual([])
    expect(run([[320, { type: 'tick' }]], machine)[1]).toEqual([
      sent('a', vote('5')),
      sent('b', { type: 'reveal', round: 1 }),
    ])
  })

  it('are resent after a snapshot, which may have replaced their answers', () => {
    const later = retryLater('b', 90)
    const [machine, effects] = run(
      [
        [10, command('a', vote('5'))],
        [11, command('b', { type: 'reveal', round: 1 })],
        [12, received(later)],
        [20, received(snapshot(9))],
      ],
      live(),
    )
    expect(effects).toEqual([{ type: 'deliver', message: snapshot(9) }, sent('a', vote('5'))])
    expect(machine.pending.map(({ sent }) => sent)).toEqual([true, false])
  })

  it('too large for the server are refused, and only those', () => {
    const titles = Array.from({ length: 200 }, () => '故'.repeat(200))
    const [machine, effects] = run(
      [
        [10, command('a', vote('5'))],
        [11, command('big', { type: 'add_stories', titles })],
        [12, closed(1009, 'message_too_large')],
      ],
      live(),
    )
    expect(effects).toEqual([
      { type: 'refused', command: { type: 'add_stories', titles }, code: 'message_too_large' },
    ])
    expect(machine.pending.map(({ id }) => id)).toEqual(['a'])
    expect(machine.connection.kind).toBe('waiting')
  })

  it('stored before a reload are sent when live', () => {
    const stored = { id: 'k', command: vote('3'), queuedAtMs: 0, sent: true, notBeforeMs: 0 }
    const [, effects] = run(
      [
        [0, { type: 'start' }],
        [1, { type: 'opened' }],
        [2, received(snapshot(1))],
      ],
      create([stored]),
    )
    expect(effects.slice(1)).toEqual([sent('k', vote('3'))])
  })
})
