/** The room as its components share it: state, derived values and actions. */
import { createContext, use, useEffect, useRef, type RefObject } from 'react'
import type { Command, ParticipantView, RoomView } from '../protocol/protocol'
import type { ClientState, RoomClient } from './client'
import {
  estimate,
  ownParticipant,
  primaryAction,
  table,
  type PrimaryAction,
  type Table,
} from './selectors'
import type { Card } from './types'
import { useChoices, type Choices } from './useChoices'

export interface RoomContextValue {
  room: RoomView
  you: ParticipantView | null
  isFacilitator: boolean
  table: Table
  choices: Choices
  primary: PrimaryAction
  /** The facilitator can choose the estimate: the round has a story and is revealed. */
  estimating: boolean
  /** The card marked in the hand: the own vote, or the estimate while `estimating`. */
  markedCard: Card | null
  clockAheadMs: number
  timeUpAtMs: number | null
  refusal: ClientState['refusal']
  send: (command: Command) => void
  runPrimaryAction: () => void
  voteAgain: () => void
  startNext: () => void
  select: (story: number) => void
}

export const RoomContext = createContext<RoomContextValue | null>(null)

export function useRoom(): RoomContextValue {
  const value = use(RoomContext)
  if (!value) throw new Error('useRoom needs a RoomContext around it')
  return value
}

/** The value of `RoomContext` for the client's current state. */
export function useRoomContext(
  client: RoomClient,
  { machine, roomState, refusal }: ClientState,
  room: RoomView,
  heading: RefObject<HTMLHeadingElement | null>,
): RoomContextValue {
  const send = (command: Command) => client.send(command)
  const choices = useChoices(roomState, room, machine.pending, send)
  const you = ownParticipant(roomState)
  const isFacilitator = you?.facilitator ?? false
  const round = room.round.number
  const primary = primaryAction(room, choices.picked)
  const estimating = room.round.phase === 'revealed' && isFacilitator && room.round.story !== null

  // Only the person who changed the story has the focus moved to it, once the new round is there.
  const focusNextRound = useRef(false)
  useEffect(() => {
    if (!focusNextRound.current) return
    focusNextRound.current = false
    heading.current?.focus({ preventScroll: true })
  }, [round, heading])

  function startNext() {
    focusNextRound.current = true
    send({ type: 'next_story', round })
  }

  function select(story: number) {
    if (story === room.round.story) return heading.current?.focus({ preventScroll: true })
    focusNextRound.current = true
    send({ type: 'select_story', story })
  }

  function runPrimaryAction() {
    switch (primary.kind) {
      case 'next':
        startNext()
        return
      case 'save':
        send({ type: 'save_estimate', round, card: primary.card })
        return
      case 'reveal':
        choices.flush()
        if (primary.enabled || choices.vote.card !== null) send({ type: 'reveal', round })
    }
  }

  return {
    room,
    you,
    isFacilitator,
    table: table(room, roomState.you),
    choices,
    primary,
    estimating,
    markedCard: estimating ? estimate(room, choices.picked) : choices.vote.card,
    clockAheadMs: roomState.clockAheadMs,
    timeUpAtMs: roomState.timeUpAtMs,
    refusal,
    send,
    runPrimaryAction,
    voteAgain: () => send({ type: 'vote_again', round }),
    startNext,
    select,
  }
}
