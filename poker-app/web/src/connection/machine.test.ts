import { describe, expect, it } from 'vitest'
import type { ServerMessage } from '../protocol/protocol'
import {
  BACKOFF_BASE_MS,
  BACKOFF_CAP_MS,
  CONNECT_TIMEOUT_MS,
  PING_EVERY_MS,
  PONG_TIMEOUT_MS,
  PROBE_TIMEOUT_MS,
  RETRY_AFTER_MAX_MS,
  STABLE_AFTER_MS,
} from './limits'
import { backoffMs, nextDeadlineMs, parseRetryAfterMs, type Machine } from './machine'
import { snapshot, welcome, event, run, received, closed, live } from './fixtures'

describe('joining', () => {
  it('opens a socket, sends hello, and is live after the snapshot', () => {
    expect(run([[0, { type: 'start' }]])[1]).toEqual([{ type: 'open' }])
    const [opened, hello] = run([
      [0, { type: 'start' }],
      [1, { type: 'opened' }],
    ])
    expect(hello).toEqual([{ type: 'hello', resume: null }])
    expect(opened.connection.kind).toBe('connecting')
    expect(live()).toMatchObject({ connection: { kind: 'live' }, resume: { epoch: 1, seq: 5 } })
  })

  it('closes a socket that times out before the snapshot', () => {
    const [machine, effects] = run([
      [0, { type: 'start' }],
      [CONNECT_TIMEOUT_MS, { type: 'tick' }],
    ])
    expect(machine.connection.kind).toBe('waiting')
    expect(effects).toEqual([{ type: 'close' }])
  })

  it.each([
    [4000, 'bad_hello'],
    [4001, 'team_not_found'],
    [4002, 'removed'],
    [4003, 'too_many'],
  ])('stops after close code %i', (code, reason) => {
    const [machine] = run([
      [0, { type: 'start' }],
      [1, closed(code)],
    ])
    expect(machine.connection).toEqual({ kind: 'stopped', reason })
    expect(nextDeadlineMs(machine)).toBeNull()
    expect(run([[9, { type: 'visible' }]], machine)[1]).toEqual([])
    expect(run([[9, { type: 'retry_now' }]], machine)[1]).toEqual([{ type: 'open' }])
  })

  it('stops as outdated when the server refuses the protocol version', () => {
    const [machine] = run([
      [0, { type: 'start' }],
      [1, received({ type: 'error', code: 'unsupported_protocol', message: '' })],
      [2, closed(4000)],
    ])
    expect(machine.connection).toEqual({ kind: 'stopped', reason: 'unsupported_protocol' })
  })
})

describe('reconnecting', () => {
  it('backs off exponentially with full jitter, up to the cap', () => {
    expect(backoffMs(0, 0)).toBe(0)
    expect(backoffMs(0, 1)).toBe(BACKOFF_BASE_MS)
    expect(backoffMs(3, 1)).toBe(BACKOFF_BASE_MS * 8)
    expect(backoffMs(50, 1)).toBe(BACKOFF_CAP_MS)
    expect(backoffMs(50, 0.1)).toBe(BACKOFF_CAP_MS / 10)
  })

  it('counts consecutive failures and resets after a stable connection', () => {
    const [first] = run([[4, closed()]], live(), 1)
    expect(first).toMatchObject({ attempt: 1, connection: { untilMs: 4 + BACKOFF_BASE_MS } })
    const [second] = run(
      [
        [600, { type: 'tick' }],
        [601, closed()],
      ],
      first,
      1,
    )
    expect(second).toMatchObject({ attempt: 2, connection: { untilMs: 601 + 2 * BACKOFF_BASE_MS } })
    const failing: Machine = { ...live(), attempt: 6 }
    const [stable] = run([[3 + STABLE_AFTER_MS, closed()]], failing, 1)
    expect(stable.attempt).toBe(1)
  })

  it('waits as long as the server asks', () => {
    const [machine] = run([[10, closed(1012, '{"retryAfterMs":700}')]], live())
    expect(machine.connection).toEqual({ kind: 'waiting', untilMs: 710 })
    expect(run([[709, { type: 'tick' }]], machine)[1]).toEqual([])
    expect(run([[710, { type: 'tick' }]], machine)[1]).toEqual([{ type: 'open' }])
  })

  it.each([
    ['', null],
    ['slow_consumer', null],
    ['{"retryAfterMs":"5"}', null],
    ['{"retryAfterMs":-1}', null],
    ['null', null],
    ['{"retryAfterMs":0}', 0],
    ['{"retryAfterMs":1e12}', RETRY_AFTER_MAX_MS],
  ])('parses the close reason %j as %j', (reason, expected) => {
    expect(parseRetryAfterMs(reason)).toBe(expected)
  })

  it('sends the last event it has seen, and continues where the server resumes', () => {
    const [, hello] = run(
      [
        [10, closed()],
        [900, { type: 'tick' }],
        [901, { type: 'opened' }],
      ],
      live(),
    )
    expect(hello).toEqual([{ type: 'hello', resume: { epoch: 1, seq: 5 } }])
    const [resumed, effects] = run(
      [
        [10, closed()],
        [900, { type: 'tick' }],
        [901, { type: 'opened' }],
        [902, received(welcome(true))],
        [903, received(event(6))],
      ],
      live(),
    )
    expect(resumed).toMatchObject({ connection: { kind: 'live' }, resume: { epoch: 1, seq: 6 } })
    expect(effects).toEqual([{ type: 'deliver', message: event(6) }])
  })

  it('reconnects at once when the device or the user asks', () => {
    const [waiting] = run([[10, closed()]], live())
    for (const type of ['online', 'visible', 'retry_now'] as const) {
      expect(run([[11, { type }]], waiting)[1]).toEqual([{ type: 'open' }])
    }
  })

  it('continues while offline, for a server on the same machine', () => {
    const [machine] = run(
      [
        [10, { type: 'offline' }],
        [11, closed()],
      ],
      live(),
    )
    expect(nextDeadlineMs(machine)).not.toBeNull()
  })
})

describe('events', () => {
  it('are delivered once and in order', () => {
    expect(run([[10, received(event(6))]], live())[1]).toHaveLength(1)
    expect(run([[10, received(event(5))]], live())[1]).toEqual([])
  })

  it.each([event(7), event(6, 2)])('with a gap cause a reconnect', (message) => {
    const [machine, effects] = run([[10, received(message)]], live())
    expect(effects).toEqual([{ type: 'close' }])
    expect(machine).toMatchObject({ connection: { kind: 'waiting' }, resume: { epoch: 1, seq: 5 } })
  })

  it('continue after a snapshot of a new epoch on the same socket', () => {
    const [machine, effects] = run(
      [
        [10, received(snapshot(2, 2))],
        [11, received(event(3, 2))],
      ],
      live(),
    )
    expect(machine).toMatchObject({ connection: { kind: 'live' }, resume: { epoch: 2, seq: 3 } })
    expect(effects).toHaveLength(1)
  })

  it('unknown to this page are ignored', () => {
    const unknown = { type: 'confetti' } as unknown as ServerMessage
    expect(run([[10, received(unknown)]], live())[1]).toEqual([])
  })
})

describe('heartbeat', () => {
  const dueMs = 3 + PING_EVERY_MS

  it('pings after 10 s of silence and reconnects after 15 s', () => {
    expect(nextDeadlineMs(live())).toBe(dueMs)
    const [pinged, effects] = run([[dueMs, { type: 'tick' }]], live())
    expect(effects).toEqual([{ type: 'send', message: { type: 'ping' } }])
    expect(nextDeadlineMs(pinged)).toBe(dueMs + PONG_TIMEOUT_MS)
    expect(run([[dueMs + 4999, { type: 'tick' }]], pinged)[0].connection.kind).toBe('live')
    const [dead, gone] = run([[dueMs + PONG_TIMEOUT_MS, { type: 'tick' }]], pinged)
    expect(dead.connection.kind).toBe('waiting')
    expect(gone).toEqual([{ type: 'close' }])
  })

  it('restarts with any message', () => {
    const [machine] = run(
      [
        [dueMs, { type: 'tick' }],
        [dueMs + 100, received({ type: 'pong' })],
      ],
      live(),
    )
    expect(machine.ping).toBeNull()
    expect(nextDeadlineMs(machine)).toBe(dueMs + 100 + PING_EVERY_MS)
  })

  it('keeps a connection whose page slept without a ping', () => {
    const [machine, effects] = run([[3_600_000, { type: 'tick' }]], live())
    expect(machine.connection.kind).toBe('live')
    expect(effects).toEqual([{ type: 'send', message: { type: 'ping' } }])
  })

  it('pings at once when the device wakes up or its network changes', () => {
    for (const type of ['visible', 'offline', 'online'] as const) {
      const [machine, effects] = run([[50, { type }]], live())
      expect(effects).toEqual([{ type: 'send', message: { type: 'ping' } }])
      expect(nextDeadlineMs(machine)).toBe(50 + PROBE_TIMEOUT_MS)
    }
  })
})
