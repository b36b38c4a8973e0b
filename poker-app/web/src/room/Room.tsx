import { useRef, useState } from 'react'
import { HistoryPage } from '../history/HistoryPage'
import { useTexts } from '../i18n'
import type { RoomView } from '../protocol/protocol'
import { keepFocus } from '../ui/keepFocus'
import { Actions } from './Actions'
import type { ClientState, RoomClient } from './client'
import { Hand } from './Hand'
import { Header, type Panel } from './Header'
import { LiveRegion } from './LiveRegion'
import { Result } from './Result'
import { RoomContext, useRoomContext } from './RoomContext'
import { Seats } from './Seats'
import { SettingsDialog } from './SettingsDialog'
import { ShareDialog } from './ShareDialog'
import { ShortcutsDialog } from './ShortcutsDialog'
import { StoryHeading } from './StoryHeading'
import { StoryPanel } from './StoryPanel'
import { Toast } from './Toast'
import { useShortcuts } from './useShortcuts'

interface Props {
  client: RoomClient
  /** What `client` knows now. */
  state: ClientState
  room: RoomView
  showHistory: boolean
}

export function Room({ client, state, room, showHistory }: Props) {
  const t = useTexts()
  const [panel, setPanel] = useState<Panel | null>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  const context = useRoomContext(client, state, room, heading)
  useShortcuts(context, !showHistory, () => setPanel('shortcuts'))
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
          machine={state.machine}
          storiesOpen={panel === 'stories'}
          onOpen={setPanel}
          onRetry={() => client.retryNow()}
        />
        <StoryPanel open={panel === 'stories'} onClose={close} />
        {showHistory ? (
          <HistoryPage team={room.team} />
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
      <Toast key={state.refusal?.count} refusal={state.refusal} />
      <LiveRegion state={state} />
      {panel === 'share' && <ShareDialog team={room.team} onClose={close} />}
      {panel === 'shortcuts' && <ShortcutsDialog onClose={close} />}
      {panel === 'settings' && (
        <SettingsDialog client={client} onClose={close} onShortcuts={() => setPanel('shortcuts')} />
      )}
    </RoomContext>
  )
}
