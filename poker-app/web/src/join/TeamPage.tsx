import { useState } from 'react'
import type { Join } from '../connection/client'
import { roomToCreate } from '../home/create'
import { useTexts } from '../i18n'
import type { Role } from '../protocol/protocol'
import { RoomPage } from '../room/RoomPage'
import { Stopped } from '../room/Stopped'
import { participantKey } from '../settings/identity'
import { changeSettings, settings } from '../settings/settings'
import { knownTeam } from '../settings/teams'
import { JoinForm } from './JoinForm'
import { useSight } from './look'

type OnJoin = (name: string, role: Role) => void

/** Whoever has been here, or has just made the team, goes straight in; others say who they are. */
export function TeamPage({ slug, showHistory }: { slug: string; showHistory: boolean }) {
  const t = useTexts()
  const [join, setJoin] = useState(() => joinWithoutAsking(slug))
  if (join) return <RoomPage join={join} showHistory={showHistory} />
  const onJoin: OnJoin = (name, role) => {
    changeSettings({ name, role })
    setJoin(joinAs(slug, name, role))
  }
  const created = roomToCreate(slug)
  return created ? (
    <JoinForm title={t.join.create(created.name)} onJoin={onJoin} />
  ) : (
    <SharedLink slug={slug} onJoin={onJoin} />
  )
}

/** Asks nobody's name before it is known that there is a team; a server that cannot tell keeps nobody out. */
function SharedLink({ slug, onJoin }: { slug: string; onJoin: OnJoin }) {
  const t = useTexts()
  const sight = useSight(slug)
  switch (sight?.kind) {
    case 'team':
      return <JoinForm title={t.join.title(sight.name)} onJoin={onJoin} />
    case 'away':
      return <JoinForm title={t.join.untitled} hint={t.join.away} onJoin={onJoin} />
    case 'none':
      return <Stopped stop="team_not_found" />
    case undefined:
      return (
        <main className="centred">
          <title>{t.app.name}</title>
          <h1 className="quiet">{t.join.looking}</h1>
        </main>
      )
  }
}

function joinAs(team: string, name: string, role: Role): Join {
  return { team, key: participantKey(), name, role, create: roomToCreate(team) }
}

function joinWithoutAsking(slug: string): Join | null {
  const { name } = settings()
  if (name === '') return null
  const known = knownTeam(slug)
  if (known) return joinAs(slug, name, known.role)
  return roomToCreate(slug) ? joinAs(slug, name, 'voter') : null
}
