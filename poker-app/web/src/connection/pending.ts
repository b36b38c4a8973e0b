import type { PendingCommand } from './machine'

/** Pending commands from the tab's storage, which may hold anything. */
export function parsePending(stored: unknown): PendingCommand[] {
  return Array.isArray(stored) ? stored.filter(isPending) : []
}

function isPending(value: unknown): value is PendingCommand {
  const pending = value as Partial<PendingCommand> | null
  return typeof pending?.id === 'string' && typeof pending.command?.type === 'string'
}
