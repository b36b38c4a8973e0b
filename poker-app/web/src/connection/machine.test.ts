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
import {
  backoffMs,
  create,
  nextDeadlineMs,
  retryAfterMs,
  type Input,
  type Machine,
} from './machine'
import { vote, snapshot, welcome, event, run, received, closed, command, live } from './example'
import { pill } from './pill'

describe('joining', () => {
  it('opens, says hello, and is live with the first picture of the room', () => {
    expect(run([[0, { type: 'start' }]])[1]).toEqual([{ type: 'open' }])
    const [opened, hello] = run([
      [0, { type: 'start' }],
      [1, { type: 'opened' }],
    ])
    expect(hello).toEqual([{ type: 'hello', resume: null }])
    expect(opened.link.kind).toBe('connecting')
    expect(live()).toMatchObject({ link: { kind: 'live' }, resume: { epoch: 1, seq: 5 } })
  })

  it('gives up a socket that never gets anywhere', () => {
    const [machine, effects] = run([
      [0, { type: 'start' }],
      [CONNECT_TIMEOUT_MS, { type: 'tick' }],
    ])
    expect(machine.link.kind).toBe('waiting')
    expect(effects).toEqual([{ type: 'close' }])
  })

  it.each([
    [4000, 'bad_hello'],
    [4001, 'team_not_found'],
    [4002, 'removed'],
    [4003, 'too_many'],
  ])('stays away after close code %i', (code, stop) => {
    const [machine] = run([
      [0, { type: 'start' }],
      [1, closed(code)],
    ])
    expect(machine.link).toEqual({ kind: 'stopped', stop })
    expect(nextDeadlineMs(machine)).toBeNull()
    expect(run([[9, { type: 'visible' }]], machine)[1]).toEqual([])
    expect(run([[9, { type: 'retry_now' }]], machine)[1]).toEqual([{ type: 'open' }])
  })

  it('says that the page is outdated when the protocol was refused', () => {
    const [machine] = run([
      [0, { type: 'start' }],
      [1, received({ type: 'error', code: 'unsupported_protocol', message: '' })],
      [2, closed(4000)],
    ])
    expect(machine.link).toEqual({ kind: 'stopped', stop: 'unsupported_protocol' })
  })
})

describe('coming back', () => {
  it('waits with full jitter, longer after each failure, up to the cap', () => {
    expect(backoffMs(0, 0)).toBe(0)
    expect(backoffMs(0, 1)).toBe(BACKOFF_BASE_MS)
    expect(backoffMs(3, 1)).toBe(BACKOFF_BASE_MS * 8)
    expect(backoffMs(50, 1)).toBe(BACKOFF_CAP_MS)
    expect(backoffMs(50, 0.1)).toBe(BACKOFF_CAP_MS / 10)
  })

  it('counts failures in a row and forgets them after a stable connection', () => {
    const [soon] = run([[4, closed()]], live(), 1)
    expect(soon).toMatchObject({ attempt: 1, link: { untilMs: 4 + BACKOFF_BASE_MS } })
    const [again] = run(
      [
        [600, { type: 'tick' }],
        [601, closed()],
      ],
      soon,
      1,
    )
    expect(again).toMatchObject({ attempt: 2, link: { untilMs: 601 + 2 * BACKOFF_BASE_MS } })
    const worn: Machine = { ...live(), attempt: 6 }
    const [stable] = run([[3 + STABLE_AFTER_MS, closed()]], worn, 1)
    expect(stable.attempt).toBe(1)
  })

  it('comes back when the server asks for, not earlier', () => {
    const [machine] = run([[10, closed(1012, '{"retryAfterMs":700}')]], live())
    expect(machine.link).toEqual({ kind: 'waiting', untilMs: 710 })
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
  ])('reads the close reason %j as %j', (reason, expected) => {
    expect(retryAfterMs(reason)).toBe(expected)
  })

  it('tells the last event it has seen, and goes on where the server resumes', () => {
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
    expect(resumed).toMatchObject({ link: { kind: 'live' }, resume: { epoch: 1, seq: 6 } })
    expect(effects).toEqual([{ type: 'deliver', message: event(6) }])
  })

  it('tries at once when the device or the user says so', () => {
    const [waiting] = run([[10, closed()]], live())
    for (const type of ['online', 'visible', 'retry_now'] as const) {
      expect(run([[11, { type }]], waiting)[1]).toEqual([{ type: 'open' }])
    }
  })
})

describe('events', () => {
  it('are passed on once each, in order', () => {
    expect(run([[10, received(event(6))]], live())[1]).toHaveLength(1)
    expect(run([[10, received(event(5))]], live())[1]).toEqual([])
  })

  it.each([event(7), event(6, 2)])('with a gap make it come back', (message) => {
    const [machine, effects] = run([[10, received(message)]], live())
    expect(effects).toEqual([{ type: 'close' }])
    expect(machine).toMatchObject({ link: { kind: 'waiting' }, resume: { epoch: 1, seq: 5 } })
  })

  it('go on after a snapshot of a new epoch on the same socket', () => {
    const [machine, effects] = run(
      [
        [10, received(snapshot(2, 2))],
        [11, received(event(3, 2))],
      ],
      live(),
    )
    expect(machine).toMatchObject({ link: { kind: 'live' }, resume: { epoch: 2, seq: 3 } })
    expect(effects).toHaveLength(1)
  })

  it('of a newer server are ignored when unknown', () => {
    const unknown = { type: 'confetti' } as unknown as ServerMessage
    expect(run([[10, received(unknown)]], live())[1]).toEqual([])
  })
})

describe('heartbeat', () => {
  const dueMs = 3 + PING_EVERY_MS

  it('asks after 10 s of quiet and calls the line dead after 15', () => {
    expect(nextDeadlineMs(live())).toBe(dueMs)
    const [asked, effects] = run([[dueMs, { type: 'tick' }]], live())
    expect(effects).toEqual([{ type: 'send', message: { type: 'ping' } }])
    expect(nextDeadlineMs(asked)).toBe(dueMs + PONG_TIMEOUT_MS)
    expect(run([[dueMs + 4999, { type: 'tick' }]], asked)[0].link.kind).toBe('live')
    const [dead, gone] = run([[dueMs + PONG_TIMEOUT_MS, { type: 'tick' }]], asked)
    expect(dead.link.kind).toBe('waiting')
    expect(gone).toEqual([{ type: 'close' }])
  })

  it('is satisfied by any message', () => {
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

  it('does not call a line dead only because a hidden page slept', () => {
    const [machine, effects] = run([[3_600_000, { type: 'tick' }]], live())
    expect(machine.link.kind).toBe('live')
    expect(effects).toEqual([{ type: 'send', message: { type: 'ping' } }])
  })

  it('checks at once after waking up and when the device says it is offline', () => {
    for (const type of ['visible', 'offline', 'online'] as const) {
      const [machine, effects] = run([[50, { type }]], live())
      expect(effects).toEqual([{ type: 'send', message: { type: 'ping' } }])
      expect(nextDeadlineMs(machine)).toBe(50 + PROBE_TIMEOUT_MS)
    }
  })
})

describe('pill', () => {
  const at = (machine: Machine, nowMs: number) => pill(machine, nowMs)

  it('says live only while nothing speaks against it', () => {
    expect(at(live(), 10)).toEqual({ kind: 'live' })
    const [asked] = run([[50, { type: 'visible' }]], live())
    expect(at(asked, 60)).toEqual({ kind: 'live' })
    expect(at(asked, 2600)).toEqual({ kind: 'checking' })
    const [voted] = run([[100, command('a', vote('5'))]], live())
    expect(at(voted, 200)).toEqual({ kind: 'live' })
    expect(at(voted, 500)).toEqual({ kind: 'saving' })
    const notice = { type: 'notice', code: 'store_unavailable', message: '' } as const
    expect(at(run([[5, received(notice)]], live())[0], 6)).toEqual({ kind: 'saving' })
  })

  it('says live again after a failover that told nobody that the store is back', () => {
    const notice = { type: 'notice', code: 'store_unavailable', message: '' } as const
    const [moved] = run(
      [
        [5, received(notice)],
        [9, received(snapshot(1, 2))],
      ],
      live(),
    )
    expect(at(moved, 10)).toEqual({ kind: 'live' })
  })

  it('says that a vote from before a reload is not saved yet', () => {
    const kept = { id: 'k', command: vote('3'), queuedAtMs: 1e12, sent: true, notBeforeMs: 0 }
    const inputs: [number, Input][] = [
      [900, { type: 'start' }],
      [901, { type: 'opened' }],
      [902, received(snapshot(1))],
    ]
    expect(at(run(inputs, create([kept]))[0], 903)).toEqual({ kind: 'saving' })
  })

  it('counts down to the next try', () => {
    const [waiting] = run([[1000, closed(1012, '{"retryAfterMs":2500}')]], live())
    expect(at(waiting, 1000)).toEqual({ kind: 'reconnecting', seconds: 3 })
    expect(at(waiting, 2100)).toEqual({ kind: 'reconnecting', seconds: 2 })
    expect(at(run([[3500, { type: 'tick' }]], waiting)[0], 3500)).toEqual({ kind: 'connecting' })
  })

  it('says that the vote is kept while offline', () => {
    const gone: [number, Input][] = [
      [10, { type: 'offline' }],
      [11, closed()],
    ]
    expect(at(run(gone, live())[0], 12)).toEqual({ kind: 'offline', voteKept: false })
    const [voted] = run([...gone, [12, command('a', vote('5'))]], live())
    expect(at(voted, 13)).toEqual({ kind: 'offline', voteKept: true })
  })

  it('still tries while offline, for a server on the same machine', () => {
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
