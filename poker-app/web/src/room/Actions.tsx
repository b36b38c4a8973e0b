import { useEffect, useState } from 'react'
import { useTexts } from '../i18n'
import { Icon } from '../ui/Icon'
import { Timer } from './Timer'
import { useRoom } from './RoomContext'
import { facilitator, facilitatorMissing } from './selectors'

/** How long the primary button ignores presses after its action has changed. */
const FRESH_MS = 500

/** The primary action, always in the same place, with the other actions beside it. */
export function Actions() {
  const { room, isFacilitator } = useRoom()
  return (
    <div className="actions">
      <div className="actions-side">{isFacilitator && <VoteAgain />}</div>
      <div className="actions-main">
        {isFacilitator ? (
          <PrimaryButton />
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

function PrimaryButton() {
  const t = useTexts()
  const { room, primary, choices, runPrimaryAction } = useRoom()
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
      className="button primary large primary-action"
      aria-disabled={idle}
      aria-keyshortcuts={key}
      data-testid="primary"
      data-fresh={isFresh || undefined}
      onKeyDown={(event) => {
        if (event.repeat) event.preventDefault()
      }}
      onClick={(event) => {
        // Ignores the second press of a double click, and a press meant for the previous action.
        if (!idle && !isFresh && event.detail <= 1) runPrimaryAction()
      }}
    >
      <span className="primary-action-text">
        {label}
        {idle && <small> {t.round.noVotes}</small>}
      </span>
      <kbd aria-hidden="true">{key === 'Enter' ? '↵' : key}</kbd>
    </button>
  )

  function lastStory(): boolean {
    return primary.kind === 'next' && primary.last
  }
}

/** Whether `value` has changed within FRESH_MS. */
function useFresh(value: string): boolean {
  const [seen, setSeen] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSeen(value), FRESH_MS)
    return () => clearTimeout(timer)
  }, [value])
  return seen !== value
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
