/** Which events the live region announces to screen readers, and their texts. */
import type { Catalogue } from '../i18n/en'
import type { ServerMessage } from '../protocol/protocol'
import type { Card } from './types'
import type { RoomState } from './state'
import { currentStory, table } from './selectors'

export type Announcement =
  | { kind: 'voted' | 'unvoted'; name: string; voted: number; voters: number }
  | { kind: 'revealed'; median: Card | null; agreement: number }
  | { kind: 'round'; title: string | null }
  | { kind: 'saved'; card: Card }
  | { kind: 'time_up' }
  | { kind: 'joined' | 'left' | 'away' | 'back' | 'facilitates'; name: string }

export function announcement(
  before: RoomState,
  after: RoomState,
  message: ServerMessage,
): Announcement | null {
  if (message.type !== 'event' || !before.room || !after.room) return null
  const change = message.event
  const nameOf = (id: string) => before.room?.participants.find((one) => one.id === id)?.name ?? ''
  switch (change.type) {
    case 'voted': {
      const { votedCount, voterCount } = table(after.room, after.you)
      const kind = change.hasVoted ? 'voted' : 'unvoted'
      return { kind, name: nameOf(change.participant), voted: votedCount, voters: voterCount }
    }
    case 'revealed':
      return { kind: 'revealed', median: change.stats.median, agreement: change.stats.agreement }
    case 'round_started':
      return { kind: 'round', title: currentStory(after.room)?.title ?? null }
    case 'estimate_saved':
      return { kind: 'saved', card: change.card }
    case 'participant_joined':
      return { kind: 'joined', name: change.participant.name }
    case 'participant_left':
      return { kind: 'left', name: nameOf(change.id) }
    case 'participant_changed': {
      const old = before.room.participants.find(({ id }) => id === change.participant.id)
      const { name, connected, facilitator } = change.participant
      if (old && !old.facilitator && facilitator) return { kind: 'facilitates', name }
      if (old && old.connected !== connected) return { kind: connected ? 'back' : 'away', name }
      return null
    }
    case 'timer_changed':
      return change.ranOut ? { kind: 'time_up' } : null
    case 'stories_changed':
    case 'settings_changed':
      return null
  }
}

export function announcementText(
  { announcement: texts }: Catalogue,
  announced: Announcement,
): string {
  switch (announced.kind) {
    case 'voted':
    case 'unvoted':
      return texts[announced.kind](announced.name, announced.voted, announced.voters)
    case 'revealed':
      return announced.median === null
        ? texts.revealedWithoutEstimate
        : texts.revealed(announced.median, announced.agreement)
    case 'round':
      return announced.title === null ? texts.round : texts.roundOf(announced.title)
    case 'saved':
      return texts.saved(announced.card)
    case 'time_up':
      return texts.time_up
    case 'joined':
    case 'left':
    case 'away':
    case 'back':
    case 'facilitates':
      return texts[announced.kind](announced.name)
  }
}
