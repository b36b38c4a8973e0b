/** Two routes: `/` and `/t/:slug`. The hash `#history` of the second shows the team's history. */
import { useSyncExternalStore } from 'react'

export type Route =
  { page: 'home' } | { page: 'team'; slug: string; history: boolean } | { page: 'unknown' }

export function parseRoute(pathname: string, hash: string): Route {
  if (pathname === '/') return { page: 'home' }
  const slug = /^\/t\/([a-z0-9-]{3,48})\/?$/.exec(pathname)?.[1]
  return slug === undefined
    ? { page: 'unknown' }
    : { page: 'team', slug, history: hash === '#history' }
}

export function teamPath(slug: string): string {
  return `/t/${slug}`
}

const listeners = new Set<() => void>()

export function navigate(path: string): void {
  history.pushState(null, '', path)
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  window.addEventListener('popstate', listener)
  window.addEventListener('hashchange', listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener('popstate', listener)
    window.removeEventListener('hashchange', listener)
  }
}

export function useRoute(): Route {
  const address = useSyncExternalStore(subscribe, () => `${location.pathname}${location.hash}`)
  const [pathname = '/', hash] = address.split('#')
  return parseRoute(pathname, hash === undefined ? '' : `#${hash}`)
}
