/** The user's settings, kept in this browser's local storage. */
import { useSyncExternalStore } from 'react'
import type { Role } from '../protocol/protocol'
import { isRecord, local, readJson, writeJson } from './storage'

export type Theme = 'system' | 'light' | 'dark'
export const LANGUAGES = ['en', 'de'] as const
export type Language = (typeof LANGUAGES)[number]

export interface Settings {
  name: string
  role: Role
  theme: Theme
  language: Language
  /** Single-letter keyboard shortcuts. */
  keys: boolean
}

const KEY = 'poker:settings'

export function parse(stored: unknown, systemLanguages: readonly string[]): Settings {
  const value = isRecord(stored) ? stored : {}
  const language = LANGUAGES.find((one) => one === value.language)
  return {
    name: typeof value.name === 'string' ? value.name : '',
    role: value.role === 'observer' ? 'observer' : 'voter',
    theme: value.theme === 'light' || value.theme === 'dark' ? value.theme : 'system',
    language: language ?? preferred(systemLanguages),
    keys: value.keys !== false,
  }
}

function preferred(systemLanguages: readonly string[]): Language {
  for (const tag of systemLanguages) {
    const known = LANGUAGES.find((one) => tag.toLowerCase().split('-')[0] === one)
    if (known) return known
  }
  return 'en'
}

let current = parse(readJson(local, KEY), navigator.languages)
const listeners = new Set<() => void>()

export function settings(): Settings {
  return current
}

export function changeSettings(patch: Partial<Settings>): void {
  current = { ...current, ...patch }
  writeJson(local, KEY, current)
  applyToDocument()
  for (const listener of listeners) listener()
}

export function applyToDocument(): void {
  const root = document.documentElement
  root.lang = current.language
  if (current.theme === 'system') delete root.dataset.theme
  else root.dataset.theme = current.theme
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function useSettings(): Settings {
  return useSyncExternalStore(subscribe, settings)
}
