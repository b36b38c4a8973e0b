import { useEffect, useState } from 'react'
import { isRecord } from '../settings/storage'

/** Pause before the next request while the preview is unavailable. */
const RETRY_MS = 3_000

/** The public name of a team, read without joining. */
export type TeamPreview = { kind: 'found'; name: string } | { kind: 'not_found' | 'unavailable' }

/** Null before the first answer; retries while the preview is unavailable. */
export function useTeamPreview(slug: string): TeamPreview | null {
  const [preview, setPreview] = useState<TeamPreview | null>(null)
  useEffect(() => {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    async function load() {
      const loaded = await fetchPreview(slug, abort.signal)
      if (abort.signal.aborted) return
      setPreview(loaded)
      if (loaded.kind === 'unavailable') timer = setTimeout(() => void load(), RETRY_MS)
    }
    void load()
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [slug])
  return preview
}

async function fetchPreview(slug: string, signal: AbortSignal): Promise<TeamPreview> {
  try {
    const response = await fetch(`/api/teams/${encodeURIComponent(slug)}`, { signal })
    return parsePreview(response.status, await response.json())
  } catch {
    return { kind: 'unavailable' }
  }
}

/** A 404 without the server's error code comes from a proxy: it does not mean that there is no team. */
export function parsePreview(status: number, body: unknown): TeamPreview {
  if (!isRecord(body)) return { kind: 'unavailable' }
  if (status === 200 && typeof body.name === 'string') return { kind: 'found', name: body.name }
  if (status === 404 && body.code === 'team_not_found') return { kind: 'not_found' }
  return { kind: 'unavailable' }
}
