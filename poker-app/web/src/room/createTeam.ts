import type { CreateRoom } from '../protocol/protocol'
import { isRecord, readJson, remove, session, writeJson } from '../settings/storage'

const key = (slug: string) => `poker:create:${slug}`

/** Gets a slug from the server. The first hello of this tab creates the room. */
export async function createTeam(name: string): Promise<string> {
  const response = await fetch('/api/teams', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name }),
  })
  const body: unknown = await response.json()
  if (!response.ok || !isRecord(body) || typeof body.slug !== 'string') {
    throw new Error(`creating a team failed with status ${response.status}`)
  }
  writeJson(session, key(body.slug), name)
  return body.slug
}

/** The room that the next hello creates; the server ignores it if the room exists. */
export function roomToCreate(slug: string): CreateRoom | null {
  const name = readJson(session, key(slug))
  return typeof name === 'string' ? { name, deck: { kind: 'modified_fibonacci' } } : null
}

/** The room exists, so `roomToCreate` is null from now on. */
export function roomCreated(slug: string): void {
  remove(session, key(slug))
}
