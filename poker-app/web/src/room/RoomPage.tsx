import { useEffect, useState, useSyncExternalStore } from 'react'
import { RoomClient, type Join } from '../connection/client'
import { rememberTeam } from '../settings/teams'
import { useTexts } from '../i18n'
import { Pill } from './Pill'
import { Room } from './Room'
import { Stopped } from './Stopped'

/** Holds the connection for as long as the page shows this team. */
export function RoomPage({ join, showHistory }: { join: Join; showHistory: boolean }) {
  const t = useTexts()
  const [client] = useState(() => new RoomClient(join))
  const view = useSyncExternalStore(client.subscribe, client.view)
  useEffect(() => {
    client.start()
    return () => client.stop()
  }, [client])

  const { room, you } = view.state
  const name = room?.name
  const role = room?.participants.find(({ id }) => id === you)?.role
  useEffect(() => {
    if (name !== undefined && role) rememberTeam({ slug: join.team, name, role })
  }, [join.team, name, role])

  const { link } = view.machine
  if (link.kind === 'stopped' && link.stop !== 'left') {
    return <Stopped stop={link.stop} onRetry={() => client.retryNow()} />
  }
  if (room) return <Room client={client} view={view} room={room} showHistory={showHistory} />
  return (
    <main className="centred">
      <title>{t.app.name}</title>
      <h1 className="quiet">{t.app.loading}</h1>
      <Pill machine={view.machine} onRetry={() => client.retryNow()} />
    </main>
  )
}
