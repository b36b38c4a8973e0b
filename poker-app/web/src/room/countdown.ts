import type { TimerView } from '../protocol/protocol'

/** Whole seconds left by the server's clock, at most the timer's duration. */
export function secondsLeft(timer: TimerView, nowMs: number): number {
  const left = Math.ceil((timer.endsAtMs - nowMs) / 1000)
  return Math.max(0, Math.min(timer.seconds, left))
}

/** 80 → "1:20". */
export function formatSeconds(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
