import { useState } from 'react'
import { useTexts } from '../i18n'
import type { Catalogue } from '../i18n/en'
import type { ParticipantView } from '../protocol/protocol'
import { Icon } from '../ui/Icon'
import { CardFace, cardName } from './CardFace'
import { ParticipantDialog } from './ParticipantDialog'
import { useRoom } from './RoomContext'
import { departedVotes, type Seat } from './selectors'

/** The participants at the table, each with no card, a card face down, or a revealed card. */
export function Seats() {
  const t = useTexts()
  const { room, you, isFacilitator, table } = useRoom()
  const [selected, setSelected] = useState<string | null>(null)
  const participant = room.participants.find(({ id }) => id === selected)
  const revealed = room.round.phase === 'revealed'
  const left = departedVotes(room)
  const select = (id: string) => (isFacilitator && id !== you?.id ? () => setSelected(id) : null)
  return (
    <section className="seats" aria-labelledby="people-title">
      <h3 id="people-title" className="visually-hidden">
        {t.participants.title}
      </h3>
      <ul className="seat-list">
        {table.seats.map((seat) => (
          <SeatItem
            key={seat.participant.id}
            seat={seat}
            revealed={revealed}
            onSelect={select(seat.participant.id)}
          />
        ))}
      </ul>
      <Observers observers={table.observers} youId={you?.id ?? null} select={select} />
      {left > 0 && <p className="hint">{t.participants.left(left)}</p>}
      {participant && (
        <ParticipantDialog participant={participant} onClose={() => setSelected(null)} />
      )}
    </section>
  )
}

interface SeatProps {
  seat: Seat
  revealed: boolean
  onSelect: (() => void) | null
}

function SeatItem({ seat, revealed, onSelect }: SeatProps) {
  const t = useTexts()
  const { participant, hasVoted, card } = seat
  const tag = note(t, seat)
  const face = card !== null ? 'up' : hasVoted ? 'down' : 'none'
  return (
    <li className="seat" data-away={!participant.connected || undefined} data-testid="seat">
      <div className="seat-card" data-face={face}>
        <span className="seat-back" />
        <span className="seat-front">{card !== null && <CardFace card={card} />}</span>
        {tag !== null && <span className="seat-note">{tag}</span>}
      </div>
      <p className="seat-name" title={participant.name}>
        {participant.facilitator && <Icon name="star" />}
        <bdi className="one-line">{participant.name}</bdi>
      </p>
      <p className="visually-hidden">
        {participant.facilitator && `${t.participants.facilitator}, `}
        {state(t, seat, revealed)}
      </p>
      {onSelect && (
        <button
          type="button"
          className="seat-button"
          aria-label={t.participants.actions(participant.name)}
          onClick={onSelect}
        />
      )}
    </li>
  )
}

function note(t: Catalogue, { participant, isYou }: Seat): string | null {
  if (!participant.connected) return t.participants.away
  return isYou ? t.participants.you : null
}

function state(t: Catalogue, { card, hasVoted }: Seat, revealed: boolean): string {
  if (card !== null) return t.participants.chose(cardName(t, card))
  if (revealed) return t.participants.noVote
  return hasVoted ? t.participants.hasVoted : t.participants.hasNotVoted
}

interface ObserversProps {
  observers: ParticipantView[]
  youId: string | null
  select: (id: string) => (() => void) | null
}

function Observers({ observers, youId, select }: ObserversProps) {
  const t = useTexts()
  if (observers.length === 0) return null
  return (
    <ul className="observers" aria-label={t.participants.observers}>
      {observers.map((participant) => {
        const onSelect = select(participant.id)
        const details = [
          participant.facilitator && t.participants.facilitator,
          participant.id === youId && t.participants.you,
          !participant.connected && t.participants.away,
        ].filter(Boolean)
        const content = (
          <>
            <Icon name="eye" />
            <bdi className="one-line">{participant.name}</bdi>
            {details.length > 0 && <span className="hint">{`(${details.join(', ')})`}</span>}
          </>
        )
        return (
          <li key={participant.id}>
            {onSelect ? (
              <button type="button" className="observer" onClick={onSelect}>
                {content}
              </button>
            ) : (
              <span className="observer">{content}</span>
            )}
          </li>
        )
      })}
    </ul>
  )
}
