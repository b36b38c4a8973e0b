import { useState } from 'react'
import type { Join } from '../connection/client'
import { roomToCreate } from '../home/create'
import type { Role } from '../protocol/protocol'
import { RoomPage } from '../room/RoomPage'
import { participantKey } from '../settings/identity'
import { changeSettings, settings } from '../settings/settings'
import { knownTeam } from '../settings/teams'
import { JoinForm } from './JoinForm'

/** Whoever has been here, or has just made the team, goes straight in; others say who they are. */
export function TeamPage({ slug, showHistory }: { slug: string; showHistory: boolean }) {
  const [join, setJoin] = useState(() => joinWithoutAsking(slug))
  if (join) return <RoomPage join={join} showHistory={showHistory} />
  return (
    <JoinForm
      slug={slug}
      onJoin={(name, role) => {
        changeSettings({ name, role })
        setJoin(joinAs(slug, name, role))
      }}
    />
  )
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
