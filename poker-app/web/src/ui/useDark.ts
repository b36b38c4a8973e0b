import { useSyncExternalStore } from 'react'
import type { Theme } from '../settings/settings'

const query = window.matchMedia('(prefers-color-scheme: dark)')

function subscribe(listener: () => void): () => void {
  query.addEventListener('change', listener)
  return () => query.removeEventListener('change', listener)
}

/** Whether the page is shown in the dark theme. */
export function useDark(theme: Theme): boolean {
  const system = useSyncExternalStore(subscribe, () => query.matches)
  return theme === 'system' ? system : theme === 'dark'
}
