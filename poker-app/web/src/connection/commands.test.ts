import { describe, expect, it } from 'vitest'
import type { Command, ServerMessage } from '../protocol/protocol'
import { vote, snapshot, welcome, run, received, closed, command, live } from './example'
import { COMMANDS_ON_THE_WAY_MAX, PENDING_COMMANDS_MAX } from './limits'
import { create, nextDeadlineMs, type Effect, type Input } from './machine'

describe('commands', () => {
  const forNow = (id: string, retryAfterMs: number): ServerMessage => ({
    type: 'error',
    id,
    code: 'rate_limited',
    message: '',
    retryAfterMs,
  })
  const sent = (id: string, wanted: Command): Effect => ({
    type: 'send',
    message: { type: 'command', id, command: wanted },
  })

  it('go out at once and leave the list with their acknowledgement', () => {
    const [machine, effects] = run([[10, command('a', vote('5'))]], live())
    expect(effects).toEqual([sent('a', vote('5'))])
    const [done, more] = run([[11, received({ type: 'ack', id: 'a', seq: 6 })]], machine)
    expect(done.pending).toEqual([])
    expect(more).toEqual([])
  })

  it('without acknowledgement are sent again after a reconnect, with the same id', () => {
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

  it('of an offline voter wait, and only the last vote counts', () => {
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

  it('are bounded', () => {
    const many: [number, Input][] = Array.from({ length: PENDING_COMMANDS_MAX + 9 }, (_, n) => [
      20 + n,
      command(`c${n}`, { type: 'stop_timer' }),
    ])
    const [machine, effects] = run([[10, closed()], ...many], live())
    expect(machine.pending).toHaveLength(PENDING_COMMANDS_MAX)
    expect(machine.pending.at(-1)?.id).toBe(`c${PENDING_COMMANDS_MAX - 1}`)
    const told = { type: 'refused', command: { type: 'stop_timer' }, code: 'unavailable' }
    expect(effects).toEqual([told])
  })

  it('beyond those on the way wait for an answer', () => {
    const many: [number, Input][] = Array.from({ length: COMMANDS_ON_THE_WAY_MAX + 2 }, (_, n) => [
      20 + n,
      command(`c${n}`, { type: 'stop_timer' }),
    ])
    const [machine] = run(many, live())
    expect(machine.pending.filter((one) => one.sent)).toHaveLength(COMMANDS_ON_THE_WAY_MAX)
    const next = sent(`c${COMMANDS_ON_THE_WAY_MAX}`, { type: 'stop_timer' })
    expect(run([[99, received({ type: 'ack', id: 'c0', seq: 6 })]], machine)[1]).toEqual([next])
    const refusal = { type: 'error', id: 'c0', code: 'stale_round', message: '' } as const
    expect(run([[99, received(refusal)]], machine)[1]).toContainEqual(next)
  })

  it('refused for now make way for a vote that was sent after them', () => {
    const later = forNow('a', 300)
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

  it('refused for good are told to the user', () => {
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

  it('refused for now are sent again when the server said, and keep their order', () => {
    const later = forNow('a', 300)
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

  it('whose answers an overflow may have taken are sent again after the snapshot', () => {
    const later = forNow('b', 90)
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

  it('too large for the server are given up, and only those', () => {
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
    expect(machine.link.kind).toBe('waiting')
  })

  it('kept from before a reload are sent when live', () => {
    const kept = { id: 'k', command: vote('3'), queuedAtMs: 0, sent: true, notBeforeMs: 0 }
    const [, effects] = run(
      [
        [0, { type: 'start' }],
        [1, { type: 'opened' }],
        [2, received(snapshot(1))],
      ],
      create([kept]),
    )
    expect(effects.slice(1)).toEqual([sent('k', vote('3'))])
  })
})
