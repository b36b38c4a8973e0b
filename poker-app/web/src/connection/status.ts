/** The connection status that the page shows: derived from the machine, and never more than is known. */
import { CHECKING_AFTER_MS, SAVING_AFTER_MS } from './limits'
import type { Machine } from './machine'

export type Status =
  | { kind: 'live' }
  | { kind: 'saving' }
  | { kind: 'checking' }
  | { kind: 'connecting' }
  | { kind: 'reconnecting'; seconds: number }
  | { kind: 'offline'; voteKept: boolean }
  | { kind: 'closed' }

export function connectionStatus(machine: Machine, nowMs: number): Status {
  const { connection, ping, pending } = machine
  switch (connection.kind) {
    case 'stopped':
      return { kind: 'closed' }
    case 'live':
      if (ping && nowMs - ping.sentAtMs >= CHECKING_AFTER_MS) return { kind: 'checking' }
      if (!machine.storeAvailable) return { kind: 'saving' }
      if (pending.some((entry) => nowMs - entry.queuedAtMs >= SAVING_AFTER_MS))
        return { kind: 'saving' }
      return { kind: 'live' }
    case 'connecting':
    case 'waiting': {
      if (!machine.online) {
        return { kind: 'offline', voteKept: pending.some((p) => p.command.type === 'vote') }
      }
      if (connection.kind === 'connecting') return { kind: 'connecting' }
      return {
        kind: 'reconnecting',
        seconds: Math.max(1, Math.ceil((connection.untilMs - nowMs) / 1000)),
      }
    }
  }
}
