import { useEffect, useState } from 'react'

/** Milliseconds of a monotonic clock, independent of changes to the device's clock. */
export const monotonicMs = (): number => performance.now()

/** The time by `clock`, updated every `everyMs` while `running`. */
export function useNow(everyMs: number, running: boolean, clock = monotonicMs): number {
  const [now, setNow] = useState(clock)
  useEffect(() => {
    if (!running) return
    const update = () => setNow(clock())
    const first = setTimeout(update)
    const timer = setInterval(update, everyMs)
    return () => {
      clearTimeout(first)
      clearInterval(timer)
    }
  }, [everyMs, running, clock])
  return now
}
