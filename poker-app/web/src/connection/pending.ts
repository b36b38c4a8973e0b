/** Commands that wait for the server survive a reload or a phone's sleep, in the tab's own storage. */
import { isRecord, readJson, session, writeJson } from '../settings/storage'
import type { PendingCommand } from './machine'

const key = (team: string) => `poker:pending:${team}`

export function loadPending(team: string): PendingCommand[] {
  const stored = readJson(session, key(team))
  return Array.isArray(stored) ? stored.filter(isPending) : []
}

export function savePending(team: string, pending: readonly PendingCommand[]): void {
  writeJson(session, key(team), pending)
}

function isPending(value: unknown): value is PendingCommand {
  return (
    isRecord(value) &&
    typeof value.id === 'string' &&
    typeof value.queuedAtMs === 'number' &&
    isRecord(value.command) &&
    typeof value.command.type === 'string'
  )
}
