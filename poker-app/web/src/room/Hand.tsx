import { useEffect, useRef } from 'react'
import { useTexts } from '../i18n'
import type { Card } from './types'
import { Icon } from '../ui/Icon'
import { CardFace, cardName } from './CardFace'
import { useRoom } from './RoomContext'

/** The cards at the lower edge: for the own vote and, after the reveal, for the estimate. */
export function Hand() {
  const t = useTexts()
  const { room, you, isFacilitator, choices, primary, estimating, markedCard, send } = useRoom()
  const voting = room.round.phase === 'voting'
  if (you?.role === 'observer' && (voting || !isFacilitator)) {
    return (
      <section id="hand" className="hand observing" aria-label={t.hand.title} tabIndex={-1}>
        <p>{t.hand.observer}</p>
        <button
          type="button"
          className="button"
          onClick={() => send({ type: 'set_role', role: 'voter' })}
        >
          {t.hand.becomeVoter}
        </button>
      </section>
    )
  }
  const saved = voting && choices.vote.saved
  return (
    <section id="hand" className="hand" tabIndex={-1} aria-label={t.hand.title}>
      <p className="hand-title" id="hand-title">
        {estimating ? t.hand.estimate : t.hand.title}
        <span className="hand-status" data-testid="vote-status">
          {status()}
        </span>
      </p>
      <Cards chosen={markedCard} saved={saved} enabled={voting || estimating} canClear={voting} />
    </section>
  )

  function status(): string {
    if (estimating) {
      return markedCard !== null && primary.kind === 'next' ? t.round.savedAs(markedCard) : ''
    }
    if (!voting) return t.hand.revealed
    if (choices.vote.card === null) return t.hand.none
    return choices.vote.saved ? t.hand.sent : t.hand.sending
  }
}

interface CardsProps {
  chosen: Card | null
  saved: boolean
  enabled: boolean
  canClear: boolean
}

function Cards({ chosen, saved, enabled, canClear }: CardsProps) {
  const t = useTexts()
  const { room, choices } = useRoom()
  const row = useRef<HTMLDivElement>(null)
  useEffect(() => bringIntoView(row.current), [chosen])
  return (
    <div
      ref={row}
      className="cards"
      role="radiogroup"
      aria-labelledby="hand-title"
      aria-disabled={!enabled}
      // Disabled cards take no focus: the row takes it, so that the keyboard can scroll it.
      tabIndex={enabled ? undefined : 0}
    >
      {room.deck.cards.map((card) => (
        <label key={card} className="card" data-chosen={card === chosen || undefined}>
          <input
            type="radio"
            name="hand"
            value={card}
            checked={card === chosen}
            disabled={!enabled}
            aria-label={cardName(t, card)}
            onChange={() => choices.choose(card)}
            onClick={() => {
              if (card === chosen && canClear) choices.clear()
            }}
          />
          <CardFace card={card} />
          {card === chosen && saved && (
            <span className="tick" data-testid="tick">
              <Icon name="check" />
            </span>
          )}
        </label>
      ))}
    </div>
  )
}

/** Scrolls the row alone, never the page. */
function bringIntoView(row: HTMLElement | null) {
  const card = row?.querySelector<HTMLElement>('[data-chosen]')
  if (!row || !card || row.scrollWidth <= row.clientWidth) return
  const left = card.offsetLeft - (row.clientWidth - card.offsetWidth) / 2
  const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches
  row.scrollTo({ left, behavior: calm ? 'instant' : 'smooth' })
}
