import { useEffectEvent, useLayoutEffect, useRef, useState } from 'react'
import type { PendingCommand } from '../connection/machine'
import type { Command, RoomView } from '../protocol/protocol'
import { chosenCard, type Choice } from './selectors'
import type { RoomState } from './state'
import { TYPEAHEAD_PAUSE_MS } from './typeahead'
import type { Card } from './types'

export interface Choices {
  vote: Choice
  /** The estimate that the facilitator picked instead of the median. */
  picked: Card | null
  /** Chooses at once. */
  choose: (card: Card) => void
  /** Marks the card at once and sends it after a pause, so that moving past a card is not a vote. */
  chooseAfterPause: (card: Card) => void
  clear: () => void
  /** Sends the choice that waits for the pause. */
  flush: () => void
}

interface RoundCard {
  round: number
  card: Card
}

/** The choices of this round: the own vote, and after the reveal the facilitator's estimate. */
export function useChoices(
  state: RoomState,
  room: RoomView,
  pending: readonly PendingCommand[],
  send: (command: Command) => void,
): Choices {
  const [draft, setDraft] = useState<RoundCard | null>(null)
  const [picked, setPicked] = useState<RoundCard | null>(null)
  const delayed = useRef<{ timer: number; vote: RoundCard } | null>(null)
  const round = room.round.number
  const voting = room.round.phase === 'voting'

  const onLeave = useEffectEvent(() => flush())
  // A layout effect: its cleanup runs before the effect of RoomPage that closes the connection.
  useLayoutEffect(() => {
    const listener = () => onLeave()
    window.addEventListener('pagehide', listener)
    return () => {
      window.removeEventListener('pagehide', listener)
      onLeave()
    }
  }, [])

  function cancel(): RoundCard | null {
    const vote = delayed.current?.vote ?? null
    clearTimeout(delayed.current?.timer)
    delayed.current = null
    setDraft(null)
    return vote
  }

  function flush() {
    const vote = cancel()
    if (vote) send({ type: 'vote', ...vote })
  }

  function choose(card: Card) {
    cancel()
    if (voting) send({ type: 'vote', round, card })
    else setPicked({ round, card })
  }

  function chooseAfterPause(card: Card) {
    if (!voting) {
      setPicked({ round, card })
      return
    }
    cancel()
    const vote = { round, card }
    setDraft(vote)
    delayed.current = { vote, timer: window.setTimeout(flush, TYPEAHEAD_PAUSE_MS) }
  }

  function clear() {
    cancel()
    if (voting && chosenCard(state, pending).card !== null) send({ type: 'clear_vote', round })
  }

  const drafted = draft?.round === round ? draft.card : null
  return {
    vote: drafted === null ? chosenCard(state, pending) : { card: drafted, saved: false },
    picked: picked?.round === round ? picked.card : null,
    choose,
    chooseAfterPause,
    clear,
    flush,
  }
}
