import { useState } from 'react'
import { useTexts } from '../i18n'
import type { Catalogue } from '../i18n/en'
import type { ParticipantView } from '../protocol/protocol'
import { Icon } from '../ui/Icon'
import { CardFace, cardName } from './CardFace'
import { PersonDialog } from './PersonDialog'
import { useRoom } from './useRoom'
import { orphanedVotes, type Seat } from './view'

/** The people around the table, each with a card: none yet, face down, or turned. */
export function Seats() {
  const t = useTexts()
  const { room, you, isFacilitator, table } = useRoom()
  const [selected, setSelected] = useState<string | null>(null)
  const person = room.participants.find(({ id }) => id === selected)
  const revealed = room.round.phase === 'revealed'
  const left = orphanedVotes(room)
  const select = (id: string) => (isFacilitator && id !== you?.id ? () => setSelected(id) : null)
  return (
    <section className="seats" aria-labelledby="people-title">
      <h3 id="people-title" className="visually-hidden">
        {t.people.title}
      </h3>
      <ul className="seat-list">
        {table.seats.map((seat) => (
          <SeatItem
            key={seat.person.id}
            seat={seat}
            revealed={revealed}
            onSelect={select(seat.person.id)}
          />
        ))}
      </ul>
      <Observers people={table.observers} youId={you?.id ?? null} select={select} />
      {left > 0 && <p className="hint">{t.people.left(left)}</p>}
      {person && <PersonDialog person={person} onClose={() => setSelected(null)} />}
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
  const { person, hasVoted, card } = seat
  const tag = note(t, seat)
  const face = card !== null ? 'up' : hasVoted ? 'down' : 'none'
  return (
    <li className="seat" data-away={!person.connected || undefined} data-testid="seat">
      <div className="seat-card" data-face={face}>
        <span className="seat-back" />
        <span className="seat-front">{card !== null && <CardFace card={card} />}</span>
        {tag !== null && <span className="seat-note">{tag}</span>}
      </div>
      <p className="seat-name" title={person.name}>
        {person.facilitator && <Icon name="star" />}
        <bdi className="one-line">{person.name}</bdi>
      </p>
      <p className="visually-hidden">
        {person.facilitator && `${t.people.facilitator}, `}
        {state(t, seat, revealed)}
      </p>
      {onSelect && (
        <button
          type="button"
          className="seat-button"
          aria-label={t.people.actions(person.name)}
          onClick={onSelect}
        />
      )}
    </li>
  )
}

function note(t: Catalogue, { person, isYou }: Seat): string | null {
  if (!person.connected) return t.people.away
  return isYou ? t.people.you : null
}

function state(t: Catalogue, { card, hasVoted }: Seat, revealed: boolean): string {
  if (card !== null) return t.people.chose(cardName(t, card))
  if (revealed) return t.people.noVote
  return hasVoted ? t.people.hasVoted : t.people.thinking
}

interface ObserversProps {
  people: ParticipantView[]
  youId: string | null
  select: (id: string) => (() => void) | null
}

function Observers({ people, youId, select }: ObserversProps) {
  const t = useTexts()
  if (people.length === 0) return null
  return (
    <ul className="observers" aria-label={t.people.observers}>
      {people.map((person) => {
        const onSelect = select(person.id)
        const details = [
          person.facilitator && t.people.facilitator,
          person.id === youId && t.people.you,
          !person.connected && t.people.away,
        ].filter(Boolean)
        const content = (
          <>
            <Icon name="eye" />
            <bdi className="one-line">{person.name}</bdi>
            {details.length > 0 && <span className="hint">{`(${details.join(', ')})`}</span>}
          </>
        )
        return (
          <li key={person.id}>
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
