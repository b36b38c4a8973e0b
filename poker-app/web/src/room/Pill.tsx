import type { Machine } from '../connection/machine'
import { pill, type Pill as PillState } from '../connection/pill'
import { useTexts } from '../i18n'
import type { Catalogue } from '../i18n/en'
import { useNow } from '../ui/useNow'

const LOOK_AGAIN_MS = 250

interface Props {
  machine: Machine
  onRetry: () => void
}

/** What is known about the connection, and never more than that. */
export function Pill({ machine, onRetry }: Props) {
  const t = useTexts()
  const { link, ping, pending } = machine
  const moving = link.kind !== 'live' || ping !== null || pending.length > 0
  const state = pill(machine, useNow(LOOK_AGAIN_MS, moving))
  return (
    <div className="pill" data-kind={state.kind} data-testid="pill">
      <span className="pill-dot" aria-hidden="true" />
      <span className="visually-hidden">{`${t.pill.label}: `}</span>
      <span className="pill-text">{pillText(t, state)}</span>
      {state.kind === 'reconnecting' && (
        <button type="button" className="pill-now" onClick={onRetry}>
          {t.pill.now}
        </button>
      )}
    </div>
  )
}

export function pillText(t: Catalogue, state: PillState): string {
  switch (state.kind) {
    case 'reconnecting':
      return t.pill.reconnecting(state.seconds)
    case 'offline':
      return state.voteKept ? t.pill.offlineKept : t.pill.offline
    default:
      return t.pill[state.kind]
  }
}
