import { useEffect, useState } from 'react'
import type { ClientState } from './client'
import { useTexts } from '../i18n'
import type { Catalogue } from '../i18n/en'

const SHOWN_MS = 6000

/** A refused command. Hidden from screen readers, for which the live region announces it. */
export function Toast({ refusal }: { refusal: ClientState['refusal'] }) {
  const t = useTexts()
  const [shown, setShown] = useState(refusal !== null)
  useEffect(() => {
    const timer = setTimeout(() => setShown(false), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [])
  if (!refusal || !shown) return null
  return (
    <div className="toast" aria-hidden="true" data-testid="toast">
      {refusalText(t, refusal.code)}
    </div>
  )
}

export function refusalText(t: Catalogue, code: string): string {
  const texts: Record<string, string> = t.errors
  return texts[code] ?? t.errors.other
}
