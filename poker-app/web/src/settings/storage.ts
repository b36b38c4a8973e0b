/** Browser storage, which may be full, forbidden or edited by hand: reads never fail, writes may be lost. */
export function readJson(area: () => Storage, key: string): unknown {
  try {
    const text = area().getItem(key)
    return text === null ? null : JSON.parse(text)
  } catch {
    return null
  }
}

export function writeJson(area: () => Storage, key: string, value: unknown): void {
  try {
    area().setItem(key, JSON.stringify(value))
  } catch {
    // In a private window or on a full disk the page works without storage.
  }
}

export function remove(area: () => Storage, key: string): void {
  try {
    area().removeItem(key)
  } catch {
    // As in writeJson.
  }
}

export const local = () => window.localStorage
export const session = () => window.sessionStorage

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
