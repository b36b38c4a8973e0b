import { useEffect, useState } from 'react'
import { isRecord } from '../settings/storage'

/** How soon a server that could not tell is asked again. */
const RETRY_MS = 3_000

/** What somebody with the link may know of a team: its name, that there is none, or nothing for now. */
export type Sight = { kind: 'team'; name: string } | { kind: 'none' } | { kind: 'away' }

/** Looks at a team without joining it, again until it can be told; null before the first answer. */
export function useSight(slug: string): Sight | null {
  const [sight, setSight] = useState<Sight | null>(null)
  useEffect(() => {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    async function ask() {
      const seen = await look(slug, abort.signal)
      if (abort.signal.aborted) return
      setSight(seen)
      if (seen.kind === 'away') timer = setTimeout(() => void ask(), RETRY_MS)
    }
    void ask()
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [slug])
  return sight
}

async function look(slug: string, signal: AbortSignal): Promise<Sight> {
  try {
    const response = await fetch(`/api/teams/${encodeURIComponent(slug)}`, { signal })
    return read(response.status, await response.json())
  } catch {
    return { kind: 'away' }
  }
}

/** Only the server's own word counts: a proxy's 404 says nothing about the team. */
export function read(status: number, body: unknown): Sight {
  if (!isRecord(body)) return { kind: 'away' }
  if (status === 200 && typeof body.name === 'string') return { kind: 'team', name: body.name }
  if (status === 404 && body.code === 'team_not_found') return { kind: 'none' }
  return { kind: 'away' }
}
