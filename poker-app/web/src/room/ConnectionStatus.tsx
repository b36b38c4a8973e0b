import type { Machine } from '../connection/machine'
import { connectionStatus, type Status } from '../connection/status'
import { useTexts } from '../i18n'
import type { Catalogue } from '../i18n/en'
import { useNow } from '../ui/useNow'

const REFRESH_MS = 250

interface Props {
  machine: Machine
  onRetry: () => void
}

export function ConnectionStatus({ machine, onRetry }: Props) {
  const t = useTexts()
  const { connection, ping, pending } = machine
  const changesWithTime = connection.kind !== 'live' || ping !== null || pending.length > 0
  const status = connectionStatus(machine, useNow(REFRESH_MS, changesWithTime))
  return (
    <div className="connection-status" data-kind={status.kind} data-testid="connection-status">
      <span className="connection-dot" aria-hidden="true" />
      <span className="visually-hidden">{`${t.connection.label}: `}</span>
      <span>{statusText(t, status)}</span>
      {status.kind === 'reconnecting' && (
        <button type="button" className="connection-retry" onClick={onRetry}>
          {t.connection.now}
        </button>
      )}
    </div>
  )
}

export function statusText(t: Catalogue, status: Status): string {
  switch (status.kind) {
    case 'reconnecting':
      return t.connection.reconnecting(status.seconds)
    case 'offline':
      return status.voteKept ? t.connection.offlineKept : t.connection.offline
    default:
      return t.connection[status.kind]
  }
}
