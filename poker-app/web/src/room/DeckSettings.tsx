import { useId, useState } from 'react'
import { useTexts } from '../i18n'
import type { Deck, DeckChoice, DeckKind } from '../protocol/protocol'
import { parseCards, DECK_KINDS } from './decks'
import { CARD_CHARS_MAX, DECK_CARDS_MAX, DECK_CARDS_MIN } from './limits'

interface Props {
  deck: Deck
  onUse: (deck: DeckChoice) => void
}

/** The deck changes by the button only: the arrow keys already change the selection of the list. */
export function DeckSettings({ deck, onUse }: Props) {
  const t = useTexts()
  const id = useId()
  const [kind, setKind] = useState<DeckKind>(deck.kind)
  const [text, setText] = useState(deck.cards.join(' '))
  const cards = parseCards(text)
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (kind !== 'custom') onUse({ kind })
        else if (cards) onUse({ kind, cards })
      }}
    >
      <label htmlFor={id}>{t.settings.deck}</label>
      <select
        id={id}
        className="field"
        value={kind}
        onChange={(event) => {
          setKind(DECK_KINDS.find((one) => one === event.target.value) ?? deck.kind)
        }}
      >
        {DECK_KINDS.map((one) => (
          <option key={one} value={one}>
            {t.settings.decks[one]}
          </option>
        ))}
      </select>
      {kind === 'custom' && (
        <>
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
            {cards ? '' : t.settings.cardsInvalid(DECK_CARDS_MIN, DECK_CARDS_MAX, CARD_CHARS_MAX)}
          </p>
        </>
      )}
      {kind === deck.kind && kind !== 'custom' ? (
        <p className="deck-cards">{deck.cards.join('  ')}</p>
      ) : (
        <>
          <p id={`${id}-hint`} className="hint">
            {t.settings.deckDiscards}
          </p>
          <button
            type="submit"
            className="button"
            aria-disabled={kind === 'custom' && !cards}
            aria-describedby={`${id}-hint`}
          >
            {t.settings.useDeck}
          </button>
        </>
      )}
    </form>
  )
}
