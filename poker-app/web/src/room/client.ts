/** Connects the connection machine and the room's state to the browser: socket, timer, events, storage. */
import {
  create,
  nextDeadlineMs,
  step,
  type Effect,
  type Input,
  type Machine,
} from '../connection/machine'
import { parsePending } from '../connection/pending'
import type {
  ClientMessage,
  Command,
  CreateRoom,
  ErrorCode,
  Resume,
  Role,
  ServerMessage,
} from '../protocol/protocol'
import { commandId } from '../settings/identity'
import { readJson, session, writeJson } from '../settings/storage'
import { monotonicMs } from '../ui/useNow'
import { announcement, type Announcement } from './announcement'
import { roomCreated } from './createTeam'
import { emptyRoom, reduce, type RoomState } from './state'

const PROTOCOL_VERSION = 1

/** Pending commands survive a reload of the tab. */
const pendingKey = (team: string) => `poker:pending:${team}`

export interface Join {
  team: string
  key: string
  name: string
  role: Role
  create: CreateRoom | null
}

/** Replaced as a whole by each change; `count` distinguishes equal announcements and refusals. */
export interface ClientState {
  machine: Machine
  roomState: RoomState
  announced: { count: number; announcement: Announcement } | null
  /** The last command that the server refused. */
  refusal: { count: number; code: ErrorCode; command: Command | null } | null
}

export class RoomClient {
  #join: Join
  #state: ClientState
  #socket: WebSocket | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #listeners = new Set<() => void>()
  #abort = new AbortController()

  constructor(join: Join) {
    this.#join = join
    const pending = parsePending(readJson(session, pendingKey(join.team)))
    this.#state = {
      machine: create(pending, navigator.onLine),
      roomState: emptyRoom,
      announced: null,
      refusal: null,
    }
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly state = (): ClientState => this.#state

  start(): void {
    this.#abort = new AbortController()
    const { signal } = this.#abort
    window.addEventListener('online', () => this.#input({ type: 'online' }), { signal })
    window.addEventListener('offline', () => this.#input({ type: 'offline' }), { signal })
    // A page that returns from the back/forward cache or from a phone's sleep.
    window.addEventListener('pageshow', () => this.#input({ type: 'visible' }), { signal })
    const onVisibility = () => {
      if (document.visibilityState === 'visible') this.#input({ type: 'visible' })
    }
    document.addEventListener('visibilitychange', onVisibility, { signal })
    this.#input({ type: 'start' })
  }

  stop(): void {
    this.#abort.abort()
    clearTimeout(this.#timer)
    this.#input({ type: 'leave' })
  }

  send(command: Command): void {
    this.#input({ type: 'command', id: commandId(), command })
  }

  /** Changes the name and role of the next hello. */
  rejoinAs(name: string, role: Role): void {
    this.#join = { ...this.#join, name, role }
  }

  retryNow(): void {
    this.#input({ type: 'retry_now' })
  }

  #input(input: Input): void {
    const before = this.#state.machine
    const [machine, effects] = step(before, input, { nowMs: monotonicMs(), random: Math.random() })
    this.#state = { ...this.#state, machine }
    if (machine.pending !== before.pending) {
      writeJson(session, pendingKey(this.#join.team), machine.pending)
    }
    for (const effect of effects) this.#perform(effect)
    this.#schedule()
    for (const listener of this.#listeners) listener()
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'open': {
        this.#open()
        return
      }
      case 'close': {
        this.#close()
        return
      }
      case 'hello': {
        this.#transmit({ type: 'hello', ...this.#hello(effect.resume) })
        return
      }
      case 'send': {
        this.#transmit(effect.message)
        return
      }
      case 'deliver': {
        this.#deliver(effect.message)
        return
      }
      case 'refused': {
        const count = (this.#state.refusal?.count ?? 0) + 1
        const { code, command } = effect
        this.#state = { ...this.#state, refusal: { count, code, command } }
      }
    }
  }

  #hello(resume: Resume | null) {
    const { key, name, role, create } = this.#join
    const base = { protocol: PROTOCOL_VERSION, key, name, role }
    return { ...base, ...(create && { create }), ...(resume && { resume }) }
  }

  #deliver(message: ServerMessage): void {
    const before = this.#state.roomState
    const roomState = reduce(before, message, Date.now())
    if (message.type === 'snapshot') this.#stopCreating()
    const what = announcement(before, roomState, message)
    const count = (this.#state.announced?.count ?? 0) + 1
    const announced = what ? { count, announcement: what } : this.#state.announced
    this.#state = { ...this.#state, roomState, announced }
  }

  /** The room exists. If it is lost later, its participants must see that instead of an empty room. */
  #stopCreating(): void {
    if (this.#join.create === null) return
    this.#join = { ...this.#join, create: null }
    roomCreated(this.#join.team)
  }

  #open(): void {
    this.#close()
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    const team = encodeURIComponent(this.#join.team)
    const socket = new WebSocket(`${scheme}://${location.host}/ws?team=${team}`)
    this.#socket = socket
    // A socket that was replaced can still emit events; ignore them.
    const current = (handle: () => void) => () => {
      if (this.#socket === socket) handle()
    }
    socket.onopen = current(() => this.#input({ type: 'opened' }))
    socket.onmessage = ({ data }: MessageEvent<unknown>) =>
      current(() => {
        const message = decode(data)
        if (message) this.#input({ type: 'received', message })
      })()
    socket.onclose = ({ code, reason }) =>
      current(() => this.#input({ type: 'closed', code, reason }))()
  }

  #close(): void {
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  #transmit(message: ClientMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message))
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const deadlineMs = nextDeadlineMs(this.#state.machine)
    if (deadlineMs === null || this.#abort.signal.aborted) return
    const delayMs = Math.max(0, deadlineMs - monotonicMs())
    this.#timer = setTimeout(() => this.#input({ type: 'tick' }), delayMs)
  }
}

/** Trusts the shape of the server's frames; ignores a frame that is not JSON. */
function decode(data: unknown): ServerMessage | null {
  if (typeof data !== 'string') return null
  try {
    return JSON.parse(data) as ServerMessage
  } catch {
    return null
  }
}
