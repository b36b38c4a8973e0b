import type { ClientView } from '../connection/client'
import { pill } from '../connection/pill'
import { useTexts } from '../i18n'
import { useNow } from '../ui/useNow'
import { pillText } from './Pill'
import { refusalText } from './Toast'

/** The one polite live region: what others did, what was refused, and a lost connection. */
export function LiveRegion({ view }: { view: ClientView }) {
  const t = useTexts()
  const { announced, refusal, machine } = view
  const lost = machine.link.kind !== 'live'
  const state = pill(machine, useNow(1000, lost))
  // Without the seconds, which would be read out one by one.
  const connection = state.kind === 'offline' ? pillText(t, state) : lost ? t.pill.connecting : ''
  return (
    <div className="visually-hidden" role="status" aria-live="polite" data-testid="live">
      <p key={`said-${announced?.count ?? 0}`}>{announced ? t.announce(announced.what) : ''}</p>
      <p key={`refused-${refusal?.count ?? 0}`}>{refusal ? refusalText(t, refusal.code) : ''}</p>
      <p>{connection}</p>
    </div>
  )
}
