import { useId, useState } from 'react'
import { useTexts } from '../i18n'
import type { Deck, DeckChoice, DeckKind } from '../protocol/protocol'
import { customCards, DECK_KINDS } from './decks'

interface Props {
  deck: Deck
  onUse: (deck: DeckChoice) => void
}

/** A ready deck is taken at once; own cards are typed first. */
export function DeckSettings({ deck, onUse }: Props) {
  const t = useTexts()
  const id = useId()
  const [kind, setKind] = useState<DeckKind>(deck.kind)
  const [text, setText] = useState(deck.cards.join(' '))
  const cards = customCards(text)
  return (
    <div>
      <label htmlFor={id}>{t.settings.deck}</label>
      <select
        id={id}
        className="field"
        value={kind}
        onChange={(event) => {
          const wanted = DECK_KINDS.find((one) => one === event.target.value) ?? deck.kind
          setKind(wanted)
          if (wanted !== 'custom') onUse({ kind: wanted })
        }}
      >
        {DECK_KINDS.map((one) => (
          <option key={one} value={one}>
            {t.settings.decks[one]}
          </option>
        ))}
      </select>
      {kind === 'custom' ? (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            if (cards) onUse({ kind: 'custom', cards })
          }}
        >
          <label htmlFor={`${id}-cards`}>{t.settings.cards}</label>
          <textarea
            id={`${id}-cards`}
            className="field"
            rows={2}
            value={text}
            aria-invalid={!cards}
            aria-describedby={`${id}-problem`}
            onChange={(event) => setText(event.target.value)}
          />
          <p id={`${id}-problem`} className="problem">
            {cards ? '' : t.settings.cardsInvalid}
          </p>
          <button type="submit" className="button" aria-disabled={!cards}>
            {t.settings.useDeck}
          </button>
        </form>
      ) : (
        <p className="deck-cards">{deck.cards.join('  ')}</p>
      )}
    </div>
  )
}
