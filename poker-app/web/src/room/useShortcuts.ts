import { useEffect, useEffectEvent, useRef, type RefObject } from 'react'
import { useSettings } from '../settings/settings'
import type { RoomContextValue } from './RoomContext'
import { adjacentCard, typeahead, TYPEAHEAD_PAUSE_MS } from './typeahead'

const TEXT_FIELDS =
  'textarea, select, [contenteditable], input:not([type="radio"], [type="checkbox"])'
const ARROWS: Record<string, 1 | -1> = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }

interface Typed {
  buffer: string
  atMs: number
}

/** The keyboard shortcuts of the room; not `active` while the page shows the history instead. */
export function useShortcuts(context: RoomContextValue, active: boolean, onHelp: () => void): void {
  const { keys: lettersEnabled } = useSettings()
  const typed = useRef<Typed>({ buffer: '', atMs: 0 })

  const onKey = useEffectEvent((event: KeyboardEvent) => {
    const { target, key } = event
    if (!active || event.defaultPrevented || event.isComposing) return
    if (event.ctrlKey || event.metaKey || event.altKey) return
    // A key that is held down repeats; only the arrows may act more than once.
    if (event.repeat && ARROWS[key] === undefined) return
    if (!(target instanceof HTMLElement) || isTextFieldOrDialog(target)) return
    if (handleNamedKey(context, key, target)) {
      event.preventDefault()
      return
    }
    if (!lettersEnabled || Array.from(key).length !== 1) return
    if (key === '?') onHelp()
    else if (!handleLetter(context, key.toLowerCase()) && !typeCard(context, key, typed)) return
    event.preventDefault()
  })

  useEffect(() => {
    const listener = (event: KeyboardEvent) => onKey(event)
    document.addEventListener('keydown', listener)
    return () => document.removeEventListener('keydown', listener)
  }, [])
}

function isTextFieldOrDialog(target: HTMLElement): boolean {
  return target.closest(TEXT_FIELDS) !== null || document.querySelector('dialog[open]') !== null
}

/** Keys that type no character; they work even when single-letter shortcuts are off. */
function handleNamedKey(context: RoomContextValue, key: string, target: HTMLElement): boolean {
  const by = ARROWS[key]
  if (by !== undefined) return moveChoice(context, by, key, target)
  if (key === 'Enter') {
    const pressesControl = target.closest('button, a') !== null
    if (pressesControl || !context.isFacilitator || context.primary.kind !== 'save') return false
    context.runPrimaryAction()
    return true
  }
  if (key !== 'Backspace' && key !== 'Delete') return false
  context.choices.clear()
  return true
}

function moveChoice(
  context: RoomContextValue,
  by: 1 | -1,
  key: string,
  target: HTMLElement,
): boolean {
  const inHand = target.matches('#hand input')
  const sideways = key === 'ArrowLeft' || key === 'ArrowRight'
  if (!inHand && (!sideways || target.matches('input'))) return false
  if (!canChoose(context)) return false
  const card = adjacentCard(context.room.deck.cards, context.markedCard, by)
  if (card === null) return false
  context.choices.chooseAfterPause(card)
  if (inHand) {
    document.querySelector<HTMLElement>(`#hand input[value="${CSS.escape(card)}"]`)?.focus()
  }
  return true
}

function handleLetter(context: RoomContextValue, key: string): boolean {
  if (!context.isFacilitator) return false
  const revealed = context.room.round.phase === 'revealed'
  if (key === 'r' && !revealed) context.runPrimaryAction()
  else if (key === 'v' && revealed) context.voteAgain()
  else if (key === 'n' && revealed) context.startNext()
  else return false
  return true
}

function typeCard(context: RoomContextValue, key: string, typed: RefObject<Typed>): boolean {
  if (!canChoose(context)) return false
  const nowMs = Date.now()
  const continues = nowMs - typed.current.atMs < TYPEAHEAD_PAUSE_MS
  const match = typeahead(context.room.deck.cards, continues ? typed.current.buffer : '', key)
  typed.current = { buffer: match.buffer, atMs: nowMs }
  if (match.card === null) return false
  if (match.ambiguous) context.choices.chooseAfterPause(match.card)
  else context.choices.choose(match.card)
  return true
}

function canChoose({ room, you, estimating }: RoomContextValue): boolean {
  return room.round.phase === 'voting' ? you?.role === 'voter' : estimating
}
