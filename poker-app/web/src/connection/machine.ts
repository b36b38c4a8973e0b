/**
 * The connection to a room as a pure state machine: what happened goes in, what to do comes out.
 * Time and chance are parameters; sockets and timers live in `client.ts`.
 */
import type { ClientMessage, Command, ErrorCode, Resume, ServerMessage } from '../protocol/protocol'
import {
  BACKOFF_BASE_MS,
  BACKOFF_CAP_MS,
  COMMANDS_ON_THE_WAY_MAX,
  CONNECT_TIMEOUT_MS,
  PENDING_COMMANDS_MAX,
  PING_EVERY_MS,
  PONG_TIMEOUT_MS,
  PROBE_TIMEOUT_MS,
  RETRY_AFTER_MAX_MS,
  STABLE_AFTER_MS,
} from './limits'
import { utf8Bytes } from './size'

export type Stop =
  'bad_hello' | 'team_not_found' | 'removed' | 'too_many' | 'unsupported_protocol' | 'left'

export interface PendingCommand {
  id: string
  command: Command
  queuedAtMs: number
  /** Sent on the present socket. */
  sent: boolean
  /** The server asked for patience until then. */
  notBeforeMs: number
}

export type Link =
  | { kind: 'connecting'; sinceMs: number }
  | { kind: 'live'; sinceMs: number }
  | { kind: 'waiting'; untilMs: number }
  | { kind: 'stopped'; stop: Stop }

export interface Machine {
  link: Link
  /** Failed tries in a row. */
  attempt: number
  resume: Resume | null
  pending: readonly PendingCommand[]
  /** The last time that the server was heard or the socket opened. */
  heardAtMs: number
  ping: { sentAtMs: number; deadlineMs: number } | null
  /** What the device says about its network. */
  online: boolean
  storeAvailable: boolean
  /** Why the server refused this person, when it said so before closing. */
  refusal: ErrorCode | null
}

export type Input =
  | { type: 'start' }
  | { type: 'opened' }
  | { type: 'closed'; code: number; reason: string }
  | { type: 'received'; message: ServerMessage }
  | { type: 'command'; id: string; command: Command }
  | { type: 'tick' }
  | { type: 'online' }
  | { type: 'offline' }
  | { type: 'visible' }
  | { type: 'retry_now' }
  | { type: 'leave' }

export type Effect =
  | { type: 'open' }
  | { type: 'close' }
  /** Say hello with `resume`. */
  | { type: 'hello'; resume: Resume | null }
  | { type: 'send'; message: ClientMessage }
  /** Give to the room's state. */
  | { type: 'deliver'; message: ServerMessage }
  | { type: 'refused'; command: Command | null; code: ErrorCode }

export interface Context {
  nowMs: number
  /** In [0, 1). */
  random: number
}

export type Step = [Machine, Effect[]]

export function create(pending: readonly PendingCommand[] = [], online = true): Machine {
  return {
    link: { kind: 'waiting', untilMs: 0 },
    attempt: 0,
    resume: null,
    // Kept from before a reload: times of another clock mean nothing to this one.
    pending: pending.map((entry) => ({ ...entry, queuedAtMs: 0, sent: false, notBeforeMs: 0 })),
    heardAtMs: 0,
    ping: null,
    online,
    storeAvailable: true,
    refusal: null,
  }
}

export function step(machine: Machine, input: Input, context: Context): Step {
  const starts = input.type === 'start' || input.type === 'retry_now'
  if (machine.link.kind === 'stopped' && !starts) return [machine, []]
  switch (input.type) {
    case 'start':
    case 'retry_now':
      return machine.link.kind === 'live' ? [machine, []] : connect(machine, context)
    case 'opened':
      return [machine, [{ type: 'hello', resume: machine.resume }]]
    case 'closed':
      return closed(machine, input.code, input.reason, context)
    case 'received':
      return received(machine, input.message, context)
    case 'command':
      return command(machine, input.id, input.command, context)
    case 'tick':
      return tick(machine, context)
    case 'online':
      return wake({ ...machine, online: true }, context)
    case 'offline':
      return probe({ ...machine, online: false }, context)
    case 'visible':
      return wake(machine, context)
    case 'leave':
      return [stopped(machine, 'left'), [{ type: 'close' }]]
  }
}

/** When `tick` is due next, or null while nothing is. */
export function nextDeadlineMs(machine: Machine): number | null {
  switch (machine.link.kind) {
    case 'stopped':
      return null
    case 'waiting':
      return machine.link.untilMs
    case 'connecting':
      return machine.link.sinceMs + CONNECT_TIMEOUT_MS
    case 'live': {
      const heartbeat = machine.ping?.deadlineMs ?? machine.heardAtMs + PING_EVERY_MS
      const held = machine.pending.find((entry) => !entry.sent)
      return held ? Math.min(heartbeat, held.notBeforeMs) : heartbeat
    }
  }
}

export function backoffMs(attempt: number, random: number): number {
  return Math.round(random * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempt))
}

function connect(machine: Machine, { nowMs }: Context): Step {
  const next: Machine = {
    ...machine,
    link: { kind: 'connecting', sinceMs: nowMs },
    heardAtMs: nowMs,
    ping: null,
    refusal: null,
  }
  return [next, [{ type: 'open' }]]
}

function stopped(machine: Machine, stop: Stop): Machine {
  return { ...machine, link: { kind: 'stopped', stop }, ping: null, attempt: 0 }
}

const STOPPING_CODES: Record<number, Stop> = {
  4000: 'bad_hello',
  4001: 'team_not_found',
  4002: 'removed',
  4003: 'too_many',
}

/** WebSocket close code for a message that is too big (RFC 6455). */
const MESSAGE_TOO_BIG = 1009

function closed(machine: Machine, code: number, reason: string, context: Context): Step {
  if (machine.link.kind === 'waiting') return [machine, []]
  if (code === MESSAGE_TOO_BIG) {
    const [lighter, effects] = dropLargest(machine)
    return [waitAfterLoss(lighter, null, context), effects]
  }
  const stop = STOPPING_CODES[code]
  if (stop !== undefined) {
    const outdated = machine.refusal === 'unsupported_protocol'
    return [stopped(machine, outdated ? 'unsupported_protocol' : stop), []]
  }
  return [waitAfterLoss(machine, retryAfterMs(reason), context), []]
}

/** The server takes no frame of this size: sent again, it would close every socket to come. */
function dropLargest(machine: Machine): Step {
  const size = ({ command }: PendingCommand) => utf8Bytes(JSON.stringify(command))
  const [largest] = machine.pending.filter(({ sent }) => sent).sort((a, b) => size(b) - size(a))
  if (!largest) return [machine, []]
  const pending = machine.pending.filter((entry) => entry !== largest)
  const { command } = largest
  return [{ ...machine, pending }, [{ type: 'refused', command, code: 'message_too_large' }]]
}

function waitAfterLoss(machine: Machine, askedMs: number | null, context: Context): Machine {
  const { link } = machine
  const stable = link.kind === 'live' && context.nowMs - link.sinceMs >= STABLE_AFTER_MS
  const attempt = stable ? 0 : machine.attempt
  const delayMs = askedMs ?? backoffMs(attempt, context.random)
  return {
    ...machine,
    link: { kind: 'waiting', untilMs: context.nowMs + delayMs },
    attempt: attempt + 1,
    ping: null,
    pending: machine.pending.map((entry) => ({ ...entry, sent: false })),
  }
}

/** The wait that a close reason asks for, `{"retryAfterMs": n}`, or null. */
export function retryAfterMs(reason: string): number | null {
  try {
    const parsed: unknown = JSON.parse(reason)
    if (typeof parsed !== 'object' || parsed === null || !('retryAfterMs' in parsed)) return null
    const { retryAfterMs: asked } = parsed
    if (typeof asked !== 'number' || !(asked >= 0)) return null
    return Math.min(asked, RETRY_AFTER_MAX_MS)
  } catch {
    return null
  }
}

/** Gives the socket up without waiting for its close event, which can take minutes on a dead line. */
function giveUp(machine: Machine, context: Context): Step {
  return [waitAfterLoss(machine, null, context), [{ type: 'close' }]]
}

function tick(machine: Machine, context: Context): Step {
  const { link, ping } = machine
  const { nowMs } = context
  switch (link.kind) {
    case 'stopped':
      return [machine, []]
    case 'waiting':
      return nowMs >= link.untilMs ? connect(machine, context) : [machine, []]
    case 'connecting':
      return nowMs >= link.sinceMs + CONNECT_TIMEOUT_MS ? giveUp(machine, context) : [machine, []]
    case 'live': {
      // Silence counts from a ping that was really sent: timers of a hidden page may run late.
      if (ping && nowMs >= ping.deadlineMs) return giveUp(machine, context)
      const [flushed, effects] = flush(machine, context)
      if (ping || nowMs < machine.heardAtMs + PING_EVERY_MS) return [flushed, effects]
      const [pinged, more] = sendPing(flushed, PONG_TIMEOUT_MS, context)
      return [pinged, [...effects, ...more]]
    }
  }
}

function sendPing(machine: Machine, timeoutMs: number, { nowMs }: Context): Step {
  const ping = { sentAtMs: nowMs, deadlineMs: nowMs + timeoutMs }
  return [{ ...machine, ping }, [{ type: 'send', message: { type: 'ping' } }]]
}

function probe(machine: Machine, context: Context): Step {
  if (machine.link.kind !== 'live' || machine.ping) return [machine, []]
  return sendPing(machine, PROBE_TIMEOUT_MS, context)
}

/** The device came back: try at once instead of waiting, or check a line that may have died. */
function wake(machine: Machine, context: Context): Step {
  if (machine.link.kind === 'waiting') return connect(machine, context)
  return probe(machine, context)
}

function received(machine: Machine, message: ServerMessage, context: Context): Step {
  const heard: Machine = { ...machine, heardAtMs: context.nowMs, ping: null }
  switch (message.type) {
    case 'pong':
      return [heard, []]
    case 'welcome':
      return message.resumed ? enterLive(heard, message, context) : [heard, deliver(message)]
    case 'snapshot': {
      const resume = { epoch: message.epoch, seq: message.seq }
      const known: Machine = { ...heard, resume }
      return known.link.kind === 'live'
        ? startAnew(known, message, context)
        : enterLive(known, message, context)
    }
    case 'event':
      return event(heard, message, context)
    case 'ack':
      return settled(heard, message.id, context)
    case 'error':
      return refused(heard, message, context)
    case 'notice':
      return [{ ...heard, storeAvailable: message.code === 'store_available' }, []]
    case 'your_vote':
      return [heard, deliver(message)]
    default:
      // A newer server may say more than this page understands.
      return [heard, []]
  }
}

function deliver(message: ServerMessage): Effect[] {
  return [{ type: 'deliver', message }]
}

/** A snapshot on a live line replaces what was on its way, answers too: what has none is sent again. */
function startAnew(machine: Machine, message: ServerMessage, context: Context): Step {
  const pending = machine.pending.map((entry) => ({ ...entry, sent: false }))
  const known: Machine = { ...machine, pending, storeAvailable: true }
  const [flushed, effects] = flush(known, context)
  return [flushed, [...deliver(message), ...effects]]
}

function enterLive(machine: Machine, message: ServerMessage, context: Context): Step {
  const live: Machine = {
    ...machine,
    link: { kind: 'live', sinceMs: context.nowMs },
    storeAvailable: true,
  }
  const [flushed, effects] = flush(live, context)
  return [flushed, [...deliver(message), ...effects]]
}

function event(
  machine: Machine,
  message: Extract<ServerMessage, { type: 'event' }>,
  context: Context,
): Step {
  const { resume } = machine
  if (resume?.epoch === message.epoch) {
    if (message.seq <= resume.seq) return [machine, []]
    if (message.seq === resume.seq + 1) {
      const next = { ...machine, resume: { epoch: message.epoch, seq: message.seq } }
      return [next, deliver(message)]
    }
  }
  // Something was missed: come back with what is known, and the server fills the gap.
  return giveUp(machine, context)
}

/** The command `id` needs no answer any more. */
function settled(machine: Machine, id: string, context: Context): Step {
  const pending = machine.pending.filter((candidate) => candidate.id !== id)
  return flush({ ...machine, pending }, context)
}

function refused(
  machine: Machine,
  message: Extract<ServerMessage, { type: 'error' }>,
  context: Context,
): Step {
  const entry = machine.pending.find((candidate) => candidate.id === message.id)
  if (entry && message.retryAfterMs !== undefined) {
    const notBeforeMs = context.nowMs + Math.min(message.retryAfterMs, RETRY_AFTER_MAX_MS)
    const later = machine.pending.slice(machine.pending.indexOf(entry) + 1)
    // Sent again it would come after the vote that replaced it.
    if (later.some(({ command: newer }) => replaces(newer, entry.command))) {
      return settled(machine, entry.id, context)
    }
    const pending = machine.pending.map((candidate) =>
      candidate === entry ? { ...entry, sent: false, notBeforeMs } : candidate,
    )
    return [{ ...machine, pending }, []]
  }
  const next: Machine = {
    ...machine,
    pending: machine.pending.filter((candidate) => candidate.id !== message.id),
    refusal: machine.link.kind === 'connecting' ? message.code : machine.refusal,
  }
  if (machine.link.kind === 'connecting') return [next, []]
  const [flushed, effects] = flush(next, context)
  const told: Effect = { type: 'refused', command: entry?.command ?? null, code: message.code }
  return [flushed, [told, ...effects]]
}

function command(machine: Machine, id: string, wanted: Command, context: Context): Step {
  const entry = { id, command: wanted, queuedAtMs: context.nowMs, sent: false, notBeforeMs: 0 }
  const kept = machine.pending.filter((queued) => queued.sent || !replaces(wanted, queued.command))
  if (kept.length >= PENDING_COMMANDS_MAX) {
    return [machine, [{ type: 'refused', command: wanted, code: 'unavailable' }]]
  }
  return flush({ ...machine, pending: [...kept, entry] }, context)
}

/** A vote that never left makes way for the newer one. */
function replaces(newer: Command, older: Command): boolean {
  const isVote = (one: Command) => one.type === 'vote' || one.type === 'clear_vote'
  return isVote(newer) && isVote(older)
}

/** Sends, in order, what is due; a command that must wait holds back those behind it. */
function flush(machine: Machine, { nowMs }: Context): Step {
  if (machine.link.kind !== 'live') return [machine, []]
  const held = machine.pending.findIndex((entry) => !entry.sent && entry.notBeforeMs > nowMs)
  const places = COMMANDS_ON_THE_WAY_MAX - machine.pending.filter((entry) => entry.sent).length
  const due = (held === -1 ? machine.pending : machine.pending.slice(0, held))
    .filter((entry) => !entry.sent)
    .slice(0, Math.max(places, 0))
  const effects = due.map(({ id, command }): Effect => ({
    type: 'send',
    message: { type: 'command', id, command },
  }))
  const pending = machine.pending.map((entry) =>
    due.includes(entry) ? { ...entry, sent: true } : entry,
  )
  return [{ ...machine, pending }, effects]
}
