import { connectionStatus } from '../connection/status'
import { useTexts } from '../i18n'
import { useNow } from '../ui/useNow'
import { announcementText } from './announcement'
import type { ClientState } from './client'
import { statusText } from './ConnectionStatus'
import { refusalText } from './Toast'

/** The page's only live region: announces what others did, refused commands and a lost connection. */
export function LiveRegion({ state }: { state: ClientState }) {
  const t = useTexts()
  const { announced, refusal, machine } = state
  const lost = machine.connection.kind !== 'live'
  const status = connectionStatus(machine, useNow(1000, lost))
  // Without the seconds: a screen reader would read each of them.
  const connection =
    status.kind === 'offline' ? statusText(t, status) : lost ? t.connection.connecting : ''
  return (
    <div className="visually-hidden" role="status" aria-live="polite" data-testid="live">
      <p key={`said-${announced?.count ?? 0}`}>
        {announced ? announcementText(t, announced.announcement) : ''}
      </p>
      <p key={`refused-${refusal?.count ?? 0}`}>{refusal ? refusalText(t, refusal.code) : ''}</p>
      <p>{connection}</p>
    </div>
  )
}
