/** The room as this browser knows it: a pure reducer of the server's messages. */
import type {
  ParticipantView,
  RoomEvent,
  RoomView,
  RoundView,
  ServerMessage,
} from '../protocol/protocol'
import type { Card, ParticipantId } from './types'

export interface RoomState {
  you: ParticipantId | null
  room: RoomView | null
  /** The own vote as the server has it, for the current round. */
  yourVote: Card | null
  /** The server's clock minus the device's clock. */
  clockAheadMs: number
  /** When the timer ran out, by the device's clock; null after the next timer event. */
  timeUpAtMs: number | null
}

export const emptyRoom: RoomState = {
  you: null,
  room: null,
  yourVote: null,
  clockAheadMs: 0,
  timeUpAtMs: null,
}

/** `receivedAtMs`: by the device's clock. */
export function reduce(state: RoomState, message: ServerMessage, receivedAtMs: number): RoomState {
  switch (message.type) {
    case 'welcome':
      return { ...state, you: message.you, clockAheadMs: message.nowMs - receivedAtMs }
    case 'snapshot':
      return {
        ...state,
        room: message.room,
        yourVote: message.yourVote,
        clockAheadMs: message.nowMs - receivedAtMs,
      }
    case 'your_vote':
      return message.round === state.room?.round.number
        ? { ...state, yourVote: message.card }
        : state
    case 'event':
      return state.room ? applyEvent(state, state.room, message.event, receivedAtMs) : state
    case 'ack':
    case 'error':
    case 'pong':
    case 'notice':
      return state
  }
}

function applyEvent(
  state: RoomState,
  room: RoomView,
  change: RoomEvent,
  receivedAtMs: number,
): RoomState {
  const withRoom = (patch: Partial<RoomView>): RoomState => ({
    ...state,
    room: { ...room, ...patch },
  })
  switch (change.type) {
    case 'participant_joined':
    case 'participant_changed':
      return withRoom({ participants: upsert(room.participants, change.participant) })
    case 'participant_left':
      return withRoom({ participants: room.participants.filter(({ id }) => id !== change.id) })
    case 'voted':
      return withRoom({ round: withVoted(room.round, change.participant, change.hasVoted) })
    case 'revealed':
      return change.round === room.round.number
        ? withRoom({
            round: { ...room.round, phase: 'revealed', votes: change.votes, stats: change.stats },
          })
        : state
    case 'round_started':
      return {
        ...withRoom({ round: newRound(change.number, change.story) }),
        yourVote: null,
      }
    case 'estimate_saved':
      return withRoom({
        round: { ...room.round, saved: room.round.saved || change.story === room.round.story },
        stories: room.stories.map((story) =>
          story.id === change.story ? { ...story, estimate: change.card } : story,
        ),
      })
    case 'stories_changed':
      return withRoom({ stories: change.stories })
    case 'settings_changed':
      return withRoom({ name: change.name, deck: change.deck, autoReveal: change.autoReveal })
    case 'timer_changed':
      return {
        ...withRoom({ timer: change.timer }),
        timeUpAtMs: change.ranOut ? receivedAtMs : null,
      }
    default:
      return state
  }
}

function upsert(participants: ParticipantView[], changed: ParticipantView): ParticipantView[] {
  return participants.some(({ id }) => id === changed.id)
    ? participants.map((one) => (one.id === changed.id ? changed : one))
    : [...participants, changed]
}

function withVoted(round: RoundView, participant: ParticipantId, hasVoted: boolean): RoundView {
  const others = round.voted.filter((id) => id !== participant)
  return { ...round, voted: hasVoted ? [...others, participant] : others }
}

function newRound(number: number, story: number | null): RoundView {
  return { number, story, phase: 'voting', voted: [], votes: null, stats: null, saved: false }
}
