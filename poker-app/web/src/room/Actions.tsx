import { useEffect, useState } from 'react'
import { useTexts } from '../i18n'
import { Icon } from '../ui/Icon'
import { Timer } from './Timer'
import { useRoom } from './useRoom'
import { facilitator, facilitatorMissing } from './view'

/** How long the primary action takes no press after it has become another one. */
const FRESH_MS = 500

/** One primary action, always in the same place; the rest beside it. */
export function Actions() {
  const { room, isFacilitator } = useRoom()
  return (
    <div className="actions">
      <div className="actions-side">{isFacilitator && <VoteAgain />}</div>
      <div className="actions-main">
        {isFacilitator ? (
          <Lead />
        ) : facilitatorMissing(room) ? (
          <TakeOver />
        ) : (
          <WaitForFacilitator />
        )}
      </div>
      <div className="actions-side end">
        <Timer />
      </div>
    </div>
  )
}

function VoteAgain() {
  const t = useTexts()
  const { room, voteAgain } = useRoom()
  if (room.round.phase === 'voting') return null
  return (
    <button type="button" className="button" aria-keyshortcuts="V" onClick={voteAgain}>
      <Icon name="again" />
      <span className="wide-label">{t.round.again}</span>
    </button>
  )
}

function Lead() {
  const t = useTexts()
  const { room, primary, choices, lead } = useRoom()
  const idle = primary.kind === 'reveal' && !primary.enabled && choices.vote.card === null
  const texts = {
    reveal: () => [t.round.reveal, 'R'] as const,
    save: () => [t.round.save(primary.kind === 'save' ? primary.card : ''), 'Enter'] as const,
    next: () =>
      [room.stories.length > 0 && !lastStory() ? t.round.next : t.round.nextRound, 'N'] as const,
  }
  const [label, key] = texts[primary.kind]()
  const isFresh = useFresh(`${room.round.number} ${primary.kind}`)
  return (
    <button
      type="button"
      className="button primary large lead"
      aria-disabled={idle}
      aria-keyshortcuts={key}
      data-testid="primary"
      data-fresh={isFresh || undefined}
      onKeyDown={(event) => {
        if (event.repeat) event.preventDefault()
      }}
      onClick={(event) => {
        // Neither the second press of a double click nor one meant for what stood here a moment ago.
        if (!idle && !isFresh && event.detail <= 1) lead()
      }}
    >
      <span className="lead-text">
        {label}
        {idle && <small> {t.round.revealWaits}</small>}
      </span>
      <kbd aria-hidden="true">{key === 'Enter' ? '↵' : key}</kbd>
    </button>
  )

  function lastStory(): boolean {
    return primary.kind === 'next' && primary.last
  }
}

/** Whether `what` has changed just now. */
function useFresh(what: string): boolean {
  const [seen, setSeen] = useState(what)
  useEffect(() => {
    const timer = setTimeout(() => setSeen(what), FRESH_MS)
    return () => clearTimeout(timer)
  }, [what])
  return seen !== what
}

function TakeOver() {
  const t = useTexts()
  const { room, send } = useRoom()
  const away = facilitator(room)
  return (
    <>
      <p className="hint">{away ? t.round.facilitatorAway(away.name) : t.round.noFacilitator}</p>
      <button
        type="button"
        className="button primary"
        onClick={() => send({ type: 'take_facilitator' })}
      >
        {t.round.takeOver}
      </button>
    </>
  )
}

function WaitForFacilitator() {
  const t = useTexts()
  const { room } = useRoom()
  const name = facilitator(room)?.name ?? ''
  return (
    <p className="hint" dir="auto">
      {room.round.phase === 'voting' ? t.round.waitReveal(name) : t.round.waitNext(name)}
    </p>
  )
}
