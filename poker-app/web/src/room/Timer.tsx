import { useEffect, useRef, useState } from 'react'
import { useTexts } from '../i18n'
import type { TimerView } from '../protocol/protocol'
import { Icon } from '../ui/Icon'
import { useNow } from '../ui/useNow'
import { formatSeconds, secondsLeft } from './countdown'
import { useRoom } from './RoomContext'

const MINUTES = [1, 2, 5, 10]

/** How long "Time is up" is shown. */
const TIME_UP_MS = 8_000

export function Timer() {
  const { room, isFacilitator, timeUpAtMs } = useRoom()
  if (room.timer) return <Countdown timer={room.timer} />
  return (
    <>
      {timeUpAtMs !== null && <TimeUp key={timeUpAtMs} sinceMs={timeUpAtMs} />}
      {isFacilitator && <StartTimer />}
    </>
  )
}

/** Hidden from screen readers, for which the live region announces it. */
function TimeUp({ sinceMs }: { sinceMs: number }) {
  const t = useTexts()
  const now = useNow(TIME_UP_MS, true, Date.now)
  if (now - sinceMs >= TIME_UP_MS) return null
  return (
    <p className="countdown" data-over aria-hidden="true" data-testid="time-up">
      {t.timer.over}
    </p>
  )
}

function Countdown({ timer }: { timer: TimerView }) {
  const t = useTexts()
  const { isFacilitator, send, clockAheadMs } = useRoom()
  const left = secondsLeft(timer, useNow(250, true, Date.now) + clockAheadMs)
  return (
    <div className="countdown" data-over={left === 0 || undefined}>
      <span role="timer" aria-label={t.timer.left}>
        {left === 0 ? t.timer.over : formatSeconds(left)}
      </span>
      {isFacilitator && (
        <button type="button" className="button" onClick={() => send({ type: 'stop_timer' })}>
          <Icon name="close" />
          <span className="wide-label">{t.timer.stop}</span>
        </button>
      )}
    </div>
  )
}

function StartTimer() {
  const t = useTexts()
  const { send } = useRoom()
  const [open, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!open) return
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false)
    }
    const escape = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return
      setOpen(false)
      button.current?.focus()
    }
    document.addEventListener('pointerdown', outside)
    document.addEventListener('keydown', escape)
    return () => {
      document.removeEventListener('pointerdown', outside)
      document.removeEventListener('keydown', escape)
    }
  }, [open])
  return (
    <div ref={box} className="timer">
      <button
        ref={button}
        type="button"
        className="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="clock" />
        <span className="wide-label">{t.timer.label}</span>
      </button>
      {open && (
        <ul className="timer-menu">
          {MINUTES.map((minutes) => (
            <li key={minutes}>
              <button
                type="button"
                className="button"
                aria-label={t.timer.start(minutes)}
                onClick={() => {
                  setOpen(false)
                  send({ type: 'start_timer', seconds: minutes * 60 })
                }}
              >
                {t.timer.minutes(minutes)}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
