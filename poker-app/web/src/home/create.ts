import type { CreateRoom } from '../protocol/protocol'
import { isRecord, readJson, remove, session, writeJson } from '../settings/storage'

const key = (slug: string) => `poker:create:${slug}`

/** Asks the server for a slug and notes, in this tab, that the room is still to be made. */
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

/** The room to make on the first hello; the server ignores it once the room exists. */
export function roomToCreate(slug: string): CreateRoom | null {
  const name = readJson(session, key(slug))
  return typeof name === 'string' ? { name, deck: { kind: 'modified_fibonacci' } } : null
}

/** The room exists: it is not to be made again. */
export function roomIsMade(slug: string): void {
  remove(session, key(slug))
}
