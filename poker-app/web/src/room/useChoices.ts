import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { PendingCommand } from '../connection/machine'
import type { Command, RoomView } from '../protocol/protocol'
import type { Card } from './names'
import type { RoomState } from './state'
import { TYPING_PAUSE_MS } from './typing'
import { chosenCard, type Choice } from './view'

export interface Choices {
  vote: Choice
  /** The estimate picked in place of the median. */
  picked: Card | null
  /** Chooses at once. */
  choose: (card: Card) => void
  /** Shows the card as chosen and sends it after a pause, so that passing by is no vote. */
  settle: (card: Card) => void
  clear: () => void
  /** Sends what still waits for the pause. */
  flush: () => void
}

interface Draft {
  round: number
  card: Card
}

/** The card in the hand while voting, the estimate after the reveal. */
export function useChoices(
  state: RoomState,
  room: RoomView,
  pending: readonly PendingCommand[],
  send: (command: Command) => void,
): Choices {
  const [draft, setDraft] = useState<Draft | null>(null)
  const [picked, setPicked] = useState<Draft | null>(null)
  const waiting = useRef<{ timer: number; draft: Draft } | null>(null)
  const round = room.round.number
  const voting = room.round.phase === 'voting'

  const leave = useRef(() => {})
  useEffect(() => {
    leave.current = flush
  })
  // Who goes within the pause has chosen: sent before the connection's own effect ends it.
  useLayoutEffect(() => {
    const onLeave = () => leave.current()
    window.addEventListener('pagehide', onLeave)
    return () => {
      window.removeEventListener('pagehide', onLeave)
      onLeave()
    }
  }, [])

  function drop(): Draft | null {
    const dropped = waiting.current?.draft ?? null
    clearTimeout(waiting.current?.timer)
    waiting.current = null
    setDraft(null)
    return dropped
  }

  function flush() {
    const kept = drop()
    if (kept) send({ type: 'vote', ...kept })
  }

  function choose(card: Card) {
    drop()
    if (voting) send({ type: 'vote', round, card })
    else setPicked({ round, card })
  }

  function settle(card: Card) {
    if (!voting) {
      setPicked({ round, card })
      return
    }
    drop()
    const next = { round, card }
    setDraft(next)
    waiting.current = { draft: next, timer: window.setTimeout(flush, TYPING_PAUSE_MS) }
  }

  function clear() {
    drop()
    if (voting && chosenCard(state, pending).card !== null) send({ type: 'clear_vote', round })
  }

  const drafted = draft?.round === round ? draft.card : null
  return {
    vote: drafted === null ? chosenCard(state, pending) : { card: drafted, saved: false },
    picked: picked?.round === round ? picked.card : null,
    choose,
    settle,
    clear,
    flush,
  }
}
