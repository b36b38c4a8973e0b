/** Pure functions that derive what the page shows from the room's state. */
import type { PendingCommand } from '../connection/machine'
import type { ParticipantView, RoomView, Story } from '../protocol/protocol'
import type { Card, ParticipantId } from './types'
import type { RoomState } from './state'

export interface Choice {
  card: Card | null
  /** The server has it. */
  saved: boolean
}

/** The card to show as chosen: the newest one not yet acknowledged, else the server's. */
export function chosenCard(state: RoomState, pending: readonly PendingCommand[]): Choice {
  const round = state.room?.round.number
  for (const { command } of [...pending].reverse()) {
    if (command.type === 'vote' && command.round === round)
      return { card: command.card, saved: false }
    if (command.type === 'clear_vote' && command.round === round)
      return { card: null, saved: false }
  }
  return { card: state.yourVote, saved: state.yourVote !== null }
}

export interface Seat {
  participant: ParticipantView
  isYou: boolean
  hasVoted: boolean
  card: Card | null
}

export interface Table {
  seats: Seat[]
  observers: ParticipantView[]
  /** Connected voters without a vote. */
  missing: ParticipantView[]
  votedCount: number
  voterCount: number
}

export function table(room: RoomView, you: ParticipantId | null): Table {
  const voted = new Set(room.round.voted)
  const cards = new Map(room.round.votes?.map(({ participant, card }) => [participant, card]))
  const seats = room.participants
    .filter(({ id, role }) => role === 'voter' || voted.has(id))
    .map((participant) => ({
      participant,
      isYou: participant.id === you,
      hasVoted: voted.has(participant.id),
      card: cards.get(participant.id) ?? null,
    }))
  const counted = seats.filter(({ participant, hasVoted }) => participant.connected || hasVoted)
  return {
    seats,
    observers: room.participants.filter(({ id, role }) => role === 'observer' && !voted.has(id)),
    missing: counted.filter(({ hasVoted }) => !hasVoted).map(({ participant }) => participant),
    votedCount: counted.filter(({ hasVoted }) => hasVoted).length,
    voterCount: counted.length,
  }
}

export function ownParticipant(state: RoomState): ParticipantView | null {
  return state.room?.participants.find(({ id }) => id === state.you) ?? null
}

export function facilitator(room: RoomView): ParticipantView | null {
  return room.participants.find(({ facilitator }) => facilitator) ?? null
}

/** No facilitator is connected, so any participant can take over. */
export function facilitatorMissing(room: RoomView): boolean {
  return !room.participants.some(({ facilitator, connected }) => facilitator && connected)
}

export function currentStory(room: RoomView): Story | null {
  return room.stories.find(({ id }) => id === room.round.story) ?? null
}

/** The next story without an estimate: after the current one, else from the top of the list. */
export function nextStory(room: RoomView): Story | null {
  const index = room.stories.findIndex(({ id }) => id === room.round.story)
  const open = (story: Story) => story.estimate === null && story.id !== room.round.story
  return room.stories.slice(index + 1).find(open) ?? room.stories.find(open) ?? null
}

export type PrimaryAction =
  | { kind: 'reveal'; enabled: boolean }
  | { kind: 'save'; card: Card }
  | { kind: 'next'; last: boolean }

/** The facilitator's next action; `picked` is the estimate chosen instead of the median. */
export function primaryAction(room: RoomView, picked: Card | null): PrimaryAction {
  const { round } = room
  if (round.phase === 'voting') return { kind: 'reveal', enabled: round.voted.length > 0 }
  const story = currentStory(room)
  const card = estimate(room, picked)
  const saved = round.saved && card === story?.estimate
  if (story && card !== null && !saved) return { kind: 'save', card }
  return { kind: 'next', last: nextStory(room) === null }
}

/** The estimate that Save saves: the picked card, else the saved estimate, else the median. */
export function estimate(room: RoomView, picked: Card | null): Card | null {
  if (room.round.phase !== 'revealed') return null
  if (picked !== null && room.deck.cards.includes(picked)) return picked
  const saved = room.round.saved ? currentStory(room)?.estimate : null
  return saved ?? room.round.stats?.median ?? null
}

/** Votes of this round whose voters have left the room. */
export function departedVotes(room: RoomView): number {
  const present = new Set(room.participants.map(({ id }) => id))
  return room.round.voted.filter((id) => !present.has(id)).length
}
