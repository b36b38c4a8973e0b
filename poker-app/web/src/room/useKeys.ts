import { useEffect, useEffectEvent, useRef, type RefObject } from 'react'
import { useSettings } from '../settings/settings'
import { neighbour, typeCard, TYPING_PAUSE_MS } from './typing'
import { estimateShown, type RoomContext } from './useRoom'

const TEXT_FIELDS =
  'textarea, select, [contenteditable], input:not([type="radio"], [type="checkbox"])'
const ARROWS: Record<string, 1 | -1> = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }

interface Typing {
  buffer: string
  atMs: number
}

/** The keys of the room. `onHelp` shows them; `active` is false while the table is not in view. */
export function useKeys(context: RoomContext, active: boolean, onHelp: () => void): void {
  const { keys: lettersOn } = useSettings()
  const typing = useRef<Typing>({ buffer: '', atMs: 0 })

  const onKey = useEffectEvent((event: KeyboardEvent) => {
    const { target, key } = event
    if (!active || event.defaultPrevented || event.isComposing) return
    if (event.ctrlKey || event.metaKey || event.altKey) return
    // A key held down leads one step; only the arrows go on.
    if (event.repeat && ARROWS[key] === undefined) return
    if (!(target instanceof HTMLElement) || isElsewhere(target)) return
    if (navigate(context, key, target)) {
      event.preventDefault()
      return
    }
    if (!lettersOn || Array.from(key).length !== 1) return
    if (key === '?') onHelp()
    else if (!lead(context, key.toLowerCase()) && !typeOnCard(context, key, typing)) return
    event.preventDefault()
  })

  useEffect(() => {
    const listener = (event: KeyboardEvent) => onKey(event)
    document.addEventListener('keydown', listener)
    return () => document.removeEventListener('keydown', listener)
  }, [])
}

/** Typing, or busy in a dialog. */
function isElsewhere(target: HTMLElement): boolean {
  return target.closest(TEXT_FIELDS) !== null || document.querySelector('dialog[open]') !== null
}

/** Keys that are no characters: these stay when the single letters are switched off. */
function navigate(context: RoomContext, key: string, target: HTMLElement): boolean {
  const by = ARROWS[key]
  if (by !== undefined) return move(context, by, key, target)
  if (key === 'Enter') {
    const pressesSomething = target.closest('button, a') !== null
    if (pressesSomething || !context.isFacilitator || context.primary.kind !== 'save') return false
    context.lead()
    return true
  }
  if (key !== 'Backspace' && key !== 'Delete') return false
  context.choices.clear()
  return true
}

function move(context: RoomContext, by: 1 | -1, key: string, target: HTMLElement): boolean {
  const inHand = target.matches('#hand input')
  const sideways = key === 'ArrowLeft' || key === 'ArrowRight'
  if (!inHand && (!sideways || target.matches('input'))) return false
  if (!canChoose(context)) return false
  const card = neighbour(context.room.deck.cards, estimateShown(context), by)
  if (card === null) return false
  context.choices.settle(card)
  if (inHand) {
    document.querySelector<HTMLElement>(`#hand input[value="${CSS.escape(card)}"]`)?.focus()
  }
  return true
}

function lead(context: RoomContext, key: string): boolean {
  if (!context.isFacilitator) return false
  const revealed = context.room.round.phase === 'revealed'
  if (key === 'r' && !revealed) context.lead()
  else if (key === 'v' && revealed) context.voteAgain()
  else if (key === 'n' && revealed) context.next()
  else return false
  return true
}

function typeOnCard(context: RoomContext, key: string, typing: RefObject<Typing>): boolean {
  if (!canChoose(context)) return false
  const nowMs = Date.now()
  const goesOn = nowMs - typing.current.atMs < TYPING_PAUSE_MS
  const typed = typeCard(context.room.deck.cards, goesOn ? typing.current.buffer : '', key)
  typing.current = { buffer: typed.buffer, atMs: nowMs }
  if (typed.card === null) return false
  if (typed.ambiguous) context.choices.settle(typed.card)
  else context.choices.choose(typed.card)
  return true
}

function canChoose({ room, you, isFacilitator }: RoomContext): boolean {
  return room.round.phase === 'voting'
    ? you?.role === 'voter'
    : isFacilitator && room.round.story !== null
}
