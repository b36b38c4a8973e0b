import { useEffect, useState } from 'react'

/** The time, read again every `everyMs` while `running`. */
export function useNow(everyMs: number, running: boolean): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    if (!running) return
    const update = () => setNow(Date.now())
    const first = setTimeout(update)
    const timer = setInterval(update, everyMs)
    return () => {
      clearTimeout(first)
      clearInterval(timer)
    }
  }, [everyMs, running])
  return now
}
