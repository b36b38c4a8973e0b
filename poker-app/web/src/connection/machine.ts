/**
 * The connection to a room as a pure state machine: inputs go in, effects come out.
 * Time and randomness are parameters; `room/client.ts` owns the socket and the timer.
 */
import type { ClientMessage, Command, ErrorCode, Resume, ServerMessage } from '../protocol/protocol'
import {
  BACKOFF_BASE_MS,
  BACKOFF_CAP_MS,
  COMMANDS_IN_FLIGHT_MAX,
  CONNECT_TIMEOUT_MS,
  PENDING_COMMANDS_MAX,
  PING_EVERY_MS,
  PONG_TIMEOUT_MS,
  PROBE_TIMEOUT_MS,
  RETRY_AFTER_MAX_MS,
  STABLE_AFTER_MS,
} from './limits'
import { utf8Bytes } from './utf8'

export type StopReason =
  'bad_hello' | 'team_not_found' | 'removed' | 'too_many' | 'unsupported_protocol' | 'left'

export interface PendingCommand {
  id: string
  command: Command
  queuedAtMs: number
  /** Sent on the current socket. */
  sent: boolean
  /** Not sent before this time, as the server asked. */
  notBeforeMs: number
}

export type Connection =
  | { kind: 'connecting'; sinceMs: number }
  | { kind: 'live'; sinceMs: number }
  | { kind: 'waiting'; untilMs: number }
  | { kind: 'stopped'; reason: StopReason }

export interface Machine {
  connection: Connection
  /** Consecutive failed attempts. */
  attempt: number
  resume: Resume | null
  pending: readonly PendingCommand[]
  /** When the last message arrived or the socket was opened. */
  heardAtMs: number
  ping: { sentAtMs: number; deadlineMs: number } | null
  /** The device reports a network. */
  online: boolean
  storeAvailable: boolean
  /** The error that the server sent before it closed the connection, if any. */
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
  | { type: 'hello'; resume: Resume | null }
  | { type: 'send'; message: ClientMessage }
  /** Pass to the room's state. */
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
    connection: { kind: 'waiting', untilMs: 0 },
    attempt: 0,
    resume: null,
    // Loaded after a reload: the monotonic clock has restarted, so the old times mean nothing.
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
  if (machine.connection.kind === 'stopped' && !starts) return [machine, []]
  switch (input.type) {
    case 'start':
    case 'retry_now':
      return machine.connection.kind === 'live' ? [machine, []] : connect(machine, context)
    case 'opened':
      return [machine, [{ type: 'hello', resume: machine.resume }]]
    case 'closed':
      return closed(machine, input.code, input.reason, context)
    case 'received':
      return received(machine, input.message, context)
    case 'command':
      return enqueue(machine, input.id, input.command, context)
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

/** When the next `tick` is due, or null. */
export function nextDeadlineMs(machine: Machine): number | null {
  switch (machine.connection.kind) {
    case 'stopped':
      return null
    case 'waiting':
      return machine.connection.untilMs
    case 'connecting':
      return machine.connection.sinceMs + CONNECT_TIMEOUT_MS
    case 'live': {
      const heartbeat = machine.ping?.deadlineMs ?? machine.heardAtMs + PING_EVERY_MS
      const next = machine.pending.find((entry) => !entry.sent)
      return next ? Math.min(heartbeat, next.notBeforeMs) : heartbeat
    }
  }
}

export function backoffMs(attempt: number, random: number): number {
  return Math.round(random * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempt))
}

function connect(machine: Machine, { nowMs }: Context): Step {
  const next: Machine = {
    ...machine,
    connection: { kind: 'connecting', sinceMs: nowMs },
    heardAtMs: nowMs,
    ping: null,
    refusal: null,
  }
  return [next, [{ type: 'open' }]]
}

function stopped(machine: Machine, reason: StopReason): Machine {
  return { ...machine, connection: { kind: 'stopped', reason }, ping: null, attempt: 0 }
}

/** Close codes after which the page does not reconnect by itself. */
const STOP_REASONS: Record<number, StopReason> = {
  4000: 'bad_hello',
  4001: 'team_not_found',
  4002: 'removed',
  4003: 'too_many',
}

/** WebSocket close code for a message that is too big (RFC 6455). */
const MESSAGE_TOO_BIG = 1009

function closed(machine: Machine, code: number, reason: string, context: Context): Step {
  if (machine.connection.kind === 'waiting') return [machine, []]
  if (code === MESSAGE_TOO_BIG) {
    const [rest, effects] = dropLargest(machine)
    return [waitAfterLoss(rest, null, context), effects]
  }
  const stopReason = STOP_REASONS[code]
  if (stopReason !== undefined) {
    const outdated = machine.refusal === 'unsupported_protocol'
    return [stopped(machine, outdated ? 'unsupported_protocol' : stopReason), []]
  }
  return [waitAfterLoss(machine, parseRetryAfterMs(reason), context), []]
}

/** The server refuses a frame of this size; sent again, it would close each new socket too. */
function dropLargest(machine: Machine): Step {
  const size = ({ command }: PendingCommand) => utf8Bytes(JSON.stringify(command))
  const [largest] = machine.pending.filter(({ sent }) => sent).sort((a, b) => size(b) - size(a))
  if (!largest) return [machine, []]
  const pending = machine.pending.filter((entry) => entry !== largest)
  const { command } = largest
  return [{ ...machine, pending }, [{ type: 'refused', command, code: 'message_too_large' }]]
}

function waitAfterLoss(machine: Machine, retryAfterMs: number | null, context: Context): Machine {
  const { connection } = machine
  const stable = connection.kind === 'live' && context.nowMs - connection.sinceMs >= STABLE_AFTER_MS
  const attempt = stable ? 0 : machine.attempt
  const delayMs = retryAfterMs ?? backoffMs(attempt, context.random)
  return {
    ...machine,
    connection: { kind: 'waiting', untilMs: context.nowMs + delayMs },
    attempt: attempt + 1,
    ping: null,
    pending: machine.pending.map((entry) => ({ ...entry, sent: false })),
  }
}

/** The delay in a close reason, `{"retryAfterMs": n}`, or null. */
export function parseRetryAfterMs(reason: string): number | null {
  try {
    const parsed: unknown = JSON.parse(reason)
    if (typeof parsed !== 'object' || parsed === null || !('retryAfterMs' in parsed)) return null
    const { retryAfterMs } = parsed
    if (typeof retryAfterMs !== 'number' || !(retryAfterMs >= 0)) return null
    return Math.min(retryAfterMs, RETRY_AFTER_MAX_MS)
  } catch {
    return null
  }
}

/** Closes the socket without waiting for its close event, which can take minutes on a dead connection. */
function reconnect(machine: Machine, context: Context): Step {
  return [waitAfterLoss(machine, null, context), [{ type: 'close' }]]
}

function tick(machine: Machine, context: Context): Step {
  const { connection, ping } = machine
  const { nowMs } = context
  switch (connection.kind) {
    case 'stopped':
      return [machine, []]
    case 'waiting':
      return nowMs >= connection.untilMs ? connect(machine, context) : [machine, []]
    case 'connecting':
      return nowMs >= connection.sinceMs + CONNECT_TIMEOUT_MS
        ? reconnect(machine, context)
        : [machine, []]
    case 'live': {
      // A connection is dead only after an unanswered ping: timers of a hidden page may run late.
      if (ping && nowMs >= ping.deadlineMs) return reconnect(machine, context)
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
  if (machine.connection.kind !== 'live' || machine.ping) return [machine, []]
  return sendPing(machine, PROBE_TIMEOUT_MS, context)
}

/** The device woke up: reconnect at once, or check a connection that may have died. */
function wake(machine: Machine, context: Context): Step {
  if (machine.connection.kind === 'waiting') return connect(machine, context)
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
      return known.connection.kind === 'live'
        ? resync(known, message, context)
        : enterLive(known, message, context)
    }
    case 'event':
      return event(heard, message, context)
    case 'ack':
      return answered(heard, message.id, context)
    case 'error':
      return refused(heard, message, context)
    case 'notice':
      return [{ ...heard, storeAvailable: message.code === 'store_available' }, []]
    case 'your_vote':
      return [heard, deliver(message)]
    default:
      // A newer server may send message types that this page does not know.
      return [heard, []]
  }
}

function deliver(message: ServerMessage): Effect[] {
  return [{ type: 'deliver', message }]
}

/** A snapshot on a live connection replaces queued messages, acks included: resend what is unanswered. */
function resync(machine: Machine, message: ServerMessage, context: Context): Step {
  const pending = machine.pending.map((entry) => ({ ...entry, sent: false }))
  const known: Machine = { ...machine, pending, storeAvailable: true }
  const [flushed, effects] = flush(known, context)
  return [flushed, [...deliver(message), ...effects]]
}

function enterLive(machine: Machine, message: ServerMessage, context: Context): Step {
  const live: Machine = {
    ...machine,
    connection: { kind: 'live', sinceMs: context.nowMs },
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
  // An event is missing: reconnect with `resume`, and the server sends the missing events.
  return reconnect(machine, context)
}

/** The server has answered the command `id`. */
function answered(machine: Machine, id: string, context: Context): Step {
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
    // Sent again, it would arrive after the vote that replaces it.
    if (later.some(({ command: newer }) => replaces(newer, entry.command))) {
      return answered(machine, entry.id, context)
    }
    const pending = machine.pending.map((candidate) =>
      candidate === entry ? { ...entry, sent: false, notBeforeMs } : candidate,
    )
    return [{ ...machine, pending }, []]
  }
  const next: Machine = {
    ...machine,
    pending: machine.pending.filter((candidate) => candidate.id !== message.id),
    refusal: machine.connection.kind === 'connecting' ? message.code : machine.refusal,
  }
  if (machine.connection.kind === 'connecting') return [next, []]
  const [flushed, effects] = flush(next, context)
  const command = entry?.command ?? null
  return [flushed, [{ type: 'refused', command, code: message.code }, ...effects]]
}

function enqueue(machine: Machine, id: string, command: Command, context: Context): Step {
  const entry = { id, command, queuedAtMs: context.nowMs, sent: false, notBeforeMs: 0 }
  const kept = machine.pending.filter((queued) => queued.sent || !replaces(command, queued.command))
  if (kept.length >= PENDING_COMMANDS_MAX) {
    return [machine, [{ type: 'refused', command, code: 'unavailable' }]]
  }
  return flush({ ...machine, pending: [...kept, entry] }, context)
}

/** A newer vote replaces a vote that was not sent. */
function replaces(newer: Command, older: Command): boolean {
  const isVote = (one: Command) => one.type === 'vote' || one.type === 'clear_vote'
  return isVote(newer) && isVote(older)
}

/** Sends due commands in order; one that must wait delays those behind it. */
function flush(machine: Machine, { nowMs }: Context): Step {
  if (machine.connection.kind !== 'live') return [machine, []]
  const delayed = machine.pending.findIndex((entry) => !entry.sent && entry.notBeforeMs > nowMs)
  const free = COMMANDS_IN_FLIGHT_MAX - machine.pending.filter((entry) => entry.sent).length
  const due = (delayed === -1 ? machine.pending : machine.pending.slice(0, delayed))
    .filter((entry) => !entry.sent)
    .slice(0, Math.max(free, 0))
  const effects = due.map(({ id, command }): Effect => ({
    type: 'send',
    message: { type: 'command', id, command },
  }))
  const pending = machine.pending.map((entry) =>
    due.includes(entry) ? { ...entry, sent: true } : entry,
  )
  return [{ ...machine, pending }, effects]
}
