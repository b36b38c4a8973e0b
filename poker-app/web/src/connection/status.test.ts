import { describe, expect, it } from 'vitest'
import { closed, command, live, received, run, snapshot, vote } from './fixtures'
import { create, type Input } from './machine'
import { connectionStatus } from './status'

describe('connectionStatus', () => {
  it('is live only without an overdue answer', () => {
    expect(connectionStatus(live(), 10)).toEqual({ kind: 'live' })
    const [pinged] = run([[50, { type: 'visible' }]], live())
    expect(connectionStatus(pinged, 60)).toEqual({ kind: 'live' })
    expect(connectionStatus(pinged, 2600)).toEqual({ kind: 'checking' })
    const [voted] = run([[100, command('a', vote('5'))]], live())
    expect(connectionStatus(voted, 200)).toEqual({ kind: 'live' })
    expect(connectionStatus(voted, 500)).toEqual({ kind: 'saving' })
    const notice = { type: 'notice', code: 'store_unavailable', message: '' } as const
    expect(connectionStatus(run([[5, received(notice)]], live())[0], 6)).toEqual({ kind: 'saving' })
  })

  it('is live after a failover, although no notice reported the store as available', () => {
    const notice = { type: 'notice', code: 'store_unavailable', message: '' } as const
    const [moved] = run(
      [
        [5, received(notice)],
        [9, received(snapshot(1, 2))],
      ],
      live(),
    )
    expect(connectionStatus(moved, 10)).toEqual({ kind: 'live' })
  })

  it('is saving while a vote from before a reload is pending', () => {
    const stored = { id: 'k', command: vote('3'), queuedAtMs: 1e12, sent: true, notBeforeMs: 0 }
    const inputs: [number, Input][] = [
      [900, { type: 'start' }],
      [901, { type: 'opened' }],
      [902, received(snapshot(1))],
    ]
    expect(connectionStatus(run(inputs, create([stored]))[0], 903)).toEqual({ kind: 'saving' })
  })

  it('counts down to the next attempt', () => {
    const [waiting] = run([[1000, closed(1012, '{"retryAfterMs":2500}')]], live())
    expect(connectionStatus(waiting, 1000)).toEqual({ kind: 'reconnecting', seconds: 3 })
    expect(connectionStatus(waiting, 2100)).toEqual({ kind: 'reconnecting', seconds: 2 })
    expect(connectionStatus(run([[3500, { type: 'tick' }]], waiting)[0], 3500)).toEqual({
      kind: 'connecting',
    })
  })

  it('shows while offline that a vote is kept', () => {
    const gone: [number, Input][] = [
      [10, { type: 'offline' }],
      [11, closed()],
    ]
    expect(connectionStatus(run(gone, live())[0], 12)).toEqual({ kind: 'offline', voteKept: false })
    const [voted] = run([...gone, [12, command('a', vote('5'))]], live())
    expect(connectionStatus(voted, 13)).toEqual({ kind: 'offline', voteKept: true })
  })
})
