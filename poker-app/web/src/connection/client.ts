/** The thin shell around the connection machine and the room's state: socket, timer, events, storage. */
import type {
  ClientMessage,
  Command,
  CreateRoom,
  ErrorCode,
  Resume,
  Role,
  ServerMessage,
} from '../protocol/protocol'
import { announcement, type Announcement } from '../room/announce'
import { emptyRoom, reduce, type RoomState } from '../room/state'
import { roomIsMade } from '../home/create'
import { commandId } from '../settings/identity'
import { monotonicMs } from '../ui/useNow'
import { create, nextDeadlineMs, step, type Effect, type Input, type Machine } from './machine'
import { loadPending, savePending } from './pending'

const PROTOCOL_VERSION = 1

export interface Join {
  team: string
  key: string
  name: string
  role: Role
  create: CreateRoom | null
}

export interface ClientView {
  machine: Machine
  state: RoomState
  announced: { count: number; what: Announcement } | null
  /** The last command that the server refused. */
  refusal: { count: number; code: ErrorCode; command: Command | null } | null
}

export class RoomClient {
  #join: Join
  #view: ClientView
  #socket: WebSocket | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #listeners = new Set<() => void>()
  #abort = new AbortController()

  constructor(join: Join) {
    this.#join = join
    this.#view = {
      machine: create(loadPending(join.team), navigator.onLine),
      state: emptyRoom,
      announced: null,
      refusal: null,
    }
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly view = (): ClientView => this.#view

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

  /** The name and role that the next hello carries. */
  rejoinAs(name: string, role: Role): void {
    this.#join = { ...this.#join, name, role }
  }

  retryNow(): void {
    this.#input({ type: 'retry_now' })
  }

  #input(input: Input): void {
    const before = this.#view.machine
    const [machine, effects] = step(before, input, { nowMs: monotonicMs(), random: Math.random() })
    this.#view = { ...this.#view, machine }
    if (machine.pending !== before.pending) savePending(this.#join.team, machine.pending)
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
        const count = (this.#view.refusal?.count ?? 0) + 1
        const { code, command } = effect
        this.#view = { ...this.#view, refusal: { count, code, command } }
      }
    }
  }

  #hello(resume: Resume | null) {
    const { key, name, role, create } = this.#join
    const base = { protocol: PROTOCOL_VERSION, key, name, role }
    return { ...base, ...(create && { create }), ...(resume && { resume }) }
  }

  #deliver(message: ServerMessage): void {
    const before = this.#view.state
    const state = reduce(before, message, Date.now())
    if (message.type === 'snapshot') this.#forgetToCreate()
    const what = announcement(before, state, message)
    const count = (this.#view.announced?.count ?? 0) + 1
    const announced = what ? { count, what } : this.#view.announced
    this.#view = { ...this.#view, state, announced }
  }

  /** The room is there. Were it lost, its people must hear so instead of finding an empty one. */
  #forgetToCreate(): void {
    if (this.#join.create === null) return
    this.#join = { ...this.#join, create: null }
    roomIsMade(this.#join.team)
  }

  #open(): void {
    this.#close()
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    const team = encodeURIComponent(this.#join.team)
    const socket = new WebSocket(`${scheme}://${location.host}/ws?team=${team}`)
    this.#socket = socket
    // A socket that was given up may still speak; only the present one is listened to.
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
    const deadlineMs = nextDeadlineMs(this.#view.machine)
    if (deadlineMs === null || this.#abort.signal.aborted) return
    const delayMs = Math.max(0, deadlineMs - monotonicMs())
    this.#timer = setTimeout(() => this.#input({ type: 'tick' }), delayMs)
  }
}

/** The server's own frames: trusted in shape, ignored when not JSON. */
function decode(data: unknown): ServerMessage | null {
  if (typeof data !== 'string') return null
  try {
    return JSON.parse(data) as ServerMessage
  } catch {
    return null
  }
}
