import { useEffect, useState, useSyncExternalStore } from 'react'
import { useTexts } from '../i18n'
import { rememberTeam } from '../settings/teams'
import { RoomClient, type Join } from './client'
import { ConnectionStatus } from './ConnectionStatus'
import { Room } from './Room'
import { Stopped } from './Stopped'

/** Keeps the connection open while the page shows this team. */
export function RoomPage({ join, showHistory }: { join: Join; showHistory: boolean }) {
  const t = useTexts()
  const [client] = useState(() => new RoomClient(join))
  const state = useSyncExternalStore(client.subscribe, client.state)
  useEffect(() => {
    client.start()
    return () => client.stop()
  }, [client])

  const { room, you } = state.roomState
  const name = room?.name
  const role = room?.participants.find(({ id }) => id === you)?.role
  useEffect(() => {
    if (name !== undefined && role) rememberTeam({ slug: join.team, name, role })
  }, [join.team, name, role])

  const { connection } = state.machine
  if (connection.kind === 'stopped' && connection.reason !== 'left') {
    return <Stopped reason={connection.reason} onRetry={() => client.retryNow()} />
  }
  if (room) return <Room client={client} state={state} room={room} showHistory={showHistory} />
  return (
    <main className="centred">
      <title>{t.app.name}</title>
      <h1 className="quiet">{t.app.loading}</h1>
      <ConnectionStatus machine={state.machine} onRetry={() => client.retryNow()} />
    </main>
  )
}
