import { useState } from 'react'
import { useTexts } from '../i18n'
import type { Role } from '../protocol/protocol'
import type { Join } from '../room/client'
import { roomToCreate } from '../room/createTeam'
import { RoomPage } from '../room/RoomPage'
import { Stopped } from '../room/Stopped'
import { participantKey } from '../settings/identity'
import { changeSettings, settings } from '../settings/settings'
import { knownTeam } from '../settings/teams'
import { JoinForm } from './JoinForm'
import { useTeamPreview } from './teamPreview'

type OnJoin = (name: string, role: Role) => void

/** A browser that knows the team, or has just created it, joins at once; others get the join form. */
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

/** Shows the join form only for an existing team, or when the server cannot answer. */
function SharedLink({ slug, onJoin }: { slug: string; onJoin: OnJoin }) {
  const t = useTexts()
  const preview = useTeamPreview(slug)
  switch (preview?.kind) {
    case 'found':
      return <JoinForm title={t.join.title(preview.name)} onJoin={onJoin} />
    case 'unavailable':
      return <JoinForm title={t.join.untitled} hint={t.join.unavailable} onJoin={onJoin} />
    case 'not_found':
      return <Stopped reason="team_not_found" />
    case undefined:
      return (
        <main className="centred">
          <title>{t.app.name}</title>
          <h1 className="quiet">{t.join.loading}</h1>
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
