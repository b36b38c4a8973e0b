/** Storage that may be full, forbidden or edited by hand: reading never fails, writing may be lost. */
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
    // A private window or a full disk: the page works on, it just forgets.
  }
}

export function remove(area: () => Storage, key: string): void {
  try {
    area().removeItem(key)
  } catch {
    // As with writing.
  }
}

export const local = () => window.localStorage
export const session = () => window.sessionStorage

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
