/** What the parts of a room share: its state, the person at this browser, and how to say something. */
import { createContext, use } from 'react'
import type { ClientView } from '../connection/client'
import type { Command, ParticipantView, RoomView } from '../protocol/protocol'
import type { Card } from './names'
import type { Choices } from './useChoices'
import type { Primary, Table } from './view'

export interface RoomContext {
  room: RoomView
  you: ParticipantView | null
  isFacilitator: boolean
  table: Table
  choices: Choices
  primary: Primary
  /** The estimate that stands to be saved, or was. */
  estimate: Card | null
  clockAheadMs: number
  timeUpAtMs: number | null
  refusal: ClientView['refusal']
  send: (command: Command) => void
  /** Carries out the primary action of the facilitator. */
  lead: () => void
  voteAgain: () => void
  next: () => void
  select: (story: number) => void
}

export const RoomContext = createContext<RoomContext | null>(null)

export function useRoom(): RoomContext {
  const room = use(RoomContext)
  if (!room) throw new Error('useRoom needs a RoomContext around it')
  return room
}

/** The card marked in the hand: the own vote, or after the reveal the estimate. */
export function estimateShown({
  room,
  isFacilitator,
  choices,
  estimate,
}: RoomContext): Card | null {
  const estimating = room.round.phase === 'revealed' && isFacilitator && room.round.story !== null
  return estimating ? estimate : choices.vote.card
}
