import { local, readJson, writeJson } from './storage'

const KEY = 'poker:key'
let fallback: string | null = null

/** This browser's secret, 32 hex digits, shared by its tabs, so that they are one participant. */
export function participantKey(): string {
  const stored = readJson(local, KEY)
  if (typeof stored === 'string' && /^[0-9a-f]{32}$/.test(stored)) return stored
  fallback ??= randomHex(16)
  writeJson(local, KEY, fallback)
  return fallback
}

export function commandId(): string {
  return randomHex(12)
}

function randomHex(bytes: number): string {
  const values = crypto.getRandomValues(new Uint8Array(bytes))
  return Array.from(values, (value) => value.toString(16).padStart(2, '0')).join('')
}
