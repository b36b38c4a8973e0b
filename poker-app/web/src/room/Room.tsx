import { useEffect, useRef, useState } from 'react'
import type { ClientView, RoomClient } from '../connection/client'
import { HistoryView } from '../history/HistoryView'
import { useTexts } from '../i18n'
import type { RoomView } from '../protocol/protocol'
import { keepFocus } from '../ui/keepFocus'
import { Actions } from './Actions'
import { Hand } from './Hand'
import { Header, type Panel } from './Header'
import { KeysDialog } from './KeysDialog'
import { LiveRegion } from './LiveRegion'
import { Result } from './Result'
import { RoomContext } from './useRoom'
import { SettingsDialog } from './SettingsDialog'
import { ShareDialog } from './ShareDialog'
import { Seats } from './Seats'
import { StoryHeading } from './StoryHeading'
import { StoryPanel } from './StoryPanel'
import { Toast } from './Toast'
import { useChoices } from './useChoices'
import { useKeys } from './useKeys'
import { estimate, primary, self, table } from './view'

interface Props {
  client: RoomClient
  view: ClientView
  room: RoomView
  showHistory: boolean
}

export function Room({ client, view, room, showHistory }: Props) {
  const t = useTexts()
  const [panel, setPanel] = useState<Panel | null>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  const context = useRoomContext(client, view, room, heading)
  useKeys(context, !showHistory, () => setPanel('keys'))
  const close = () => setPanel(null)
  return (
    <RoomContext value={context}>
      <title>{`${room.name} – ${t.app.name}`}</title>
      {!showHistory && (
        <a className="skip" href="#hand">
          {t.app.skip}
        </a>
      )}
      <div className="room">
        <Header
          machine={view.machine}
          storiesOpen={panel === 'stories'}
          onOpen={setPanel}
          onRetry={() => client.retryNow()}
        />
        <StoryPanel open={panel === 'stories'} onClose={close} />
        {showHistory ? (
          <HistoryView team={room.team} />
        ) : (
          <main className="round" ref={keepFocus}>
            <StoryHeading ref={heading} />
            <Seats />
            <Result onInvite={() => setPanel('share')} />
            <div className="bar">
              <Actions />
              <Hand />
            </div>
          </main>
        )}
      </div>
      <Toast key={view.refusal?.count} refusal={view.refusal} />
      <LiveRegion view={view} />
      {panel === 'share' && <ShareDialog team={room.team} onClose={close} />}
      {panel === 'keys' && <KeysDialog onClose={close} />}
      {panel === 'settings' && (
        <SettingsDialog client={client} onClose={close} onKeys={() => setPanel('keys')} />
      )}
    </RoomContext>
  )
}

function useRoomContext(
  client: RoomClient,
  view: ClientView,
  room: RoomView,
  heading: React.RefObject<HTMLHeadingElement | null>,
): RoomContext {
  const { state, machine } = view
  const send = (command: Parameters<RoomClient['send']>[0]) => client.send(command)
  const choices = useChoices(state, room, machine.pending, send)
  const you = self(state)
  const round = room.round.number
  const next = primary(room, choices.picked)

  // After Next, or another story, the focus rests on the story; it is only moved for whoever asked for it.
  const leading = useRef(false)
  useEffect(() => {
    if (!leading.current) return
    leading.current = false
    heading.current?.focus({ preventScroll: true })
  }, [round, heading])

  function startNext() {
    leading.current = true
    send({ type: 'next_story', round })
  }

  function select(story: number) {
    if (story === room.round.story) return heading.current?.focus({ preventScroll: true })
    leading.current = true
    send({ type: 'select_story', story })
  }

  function lead() {
    if (next.kind === 'next') {
      startNext()
      return
    }
    if (next.kind === 'save') {
      send({ type: 'save_estimate', round, card: next.card })
      return
    }
    choices.flush()
    if (next.enabled || choices.vote.card !== null) send({ type: 'reveal', round })
  }

  return {
    room,
    you,
    isFacilitator: you?.facilitator ?? false,
    table: table(room, state.you),
    choices,
    primary: next,
    estimate: estimate(room, choices.picked),
    clockAheadMs: state.clockAheadMs,
    timeUpAtMs: state.timeUpAtMs,
    refusal: view.refusal,
    send,
    lead,
    voteAgain: () => send({ type: 'vote_again', round }),
    next: startNext,
    select,
  }
}
