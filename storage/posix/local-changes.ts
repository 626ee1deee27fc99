/** Changes of watched directories by whomever, through inotify(7): read from the main thread, a few times a second. */

import * as fs from 'node:fs'
import type { LocalChange } from '../file-system.ts'
import { closeDescriptor } from './descriptor.ts'
import { type Event, eventAt, HEADER_BYTES, InotifyEvent } from './inotify-event.ts'
import type { NodeReference } from './jobs.ts'
import type { WorkerPool } from './worker-pool.ts'

type Listener = (change: LocalChange) => void

/**
 * Between two looks, milliseconds; none while nothing is watched. What is read is told at the next look, so that by then a
 * client's own operation has been answered, and its echo can be told from what others do.
 */
const LOOK_INTERVAL = 250
const READ_BYTES = 64 * 1024
/** Directories watched by this process at most, and its part of what the user may have. */
const MAXIMUM_WATCHES = 65_536
const SHARE_OF_USER_LIMIT = 0.5
const USER_LIMIT_FILE = '/proc/sys/fs/inotify/max_user_watches'

interface Told {
  readonly listeners: ReadonlySet<Listener>
  readonly change: LocalChange
}

/** The one inotify instance of a worker pool. */
export class LocalChanges {
  readonly #workers: WorkerPool
  readonly #listeners = new Map<number, Set<Listener>>()
  #inotify: Promise<number> | undefined
  #timer: NodeJS.Timeout | undefined
  #limit: number | undefined
  #toTell: Told[] = []
  readonly #buffer = Buffer.alloc(READ_BYTES)

  constructor(workers: WorkerPool) {
    this.#workers = workers
  }

  /** Returns how to stop, or undefined when no more directories can be watched. */
  async watch(node: NodeReference, listener: Listener): Promise<(() => Promise<void>) | undefined> {
    this.#limit ??= await watchLimit()
    if (this.#listeners.size >= this.#limit) return undefined
    this.#inotify ??= this.#workers.run(0, 'beginInotify', undefined)
    const inotify = await this.#inotify
    const watch = await this.#workers.run(0, 'watchDirectory', { inotify, node })
    if (watch === undefined) return undefined
    const listeners = this.#listeners.get(watch) ?? new Set()
    this.#listeners.set(watch, listeners.add(listener))
    this.#schedule()
    return async () => {
      if (!listeners.delete(listener) || listeners.size > 0 || this.#listeners.get(watch) !== listeners)
        return
      this.#listeners.delete(watch)
      await this.#workers.run(0, 'unwatchDirectory', { inotify, watch })
    }
  }

  /** Lets go of the descriptor. Nothing may be watched any more. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#listeners.clear()
    const inotify = this.#inotify
    this.#inotify = undefined
    if (inotify !== undefined) await closeDescriptor(await inotify)
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#listeners.size === 0) return
    this.#timer = setTimeout(() => this.#look(), LOOK_INTERVAL)
    this.#timer.unref()
  }

  #look(): void {
    const toTell = this.#toTell
    this.#toTell = []
    for (const { listeners, change } of toTell) for (const listener of listeners) listener(change)
    void this.#inotify?.then((inotify) => this.#read(inotify))
  }

  /** Reads until there is nothing more; what comes while it reads is told with the rest. */
  #read(inotify: number): void {
    fs.read(inotify, this.#buffer, 0, READ_BYTES, null, (error, bytes) => {
      if (error === null && bytes > 0) {
        this.#take(this.#buffer.subarray(0, bytes))
        this.#read(inotify)
        return
      }
      this.#timer = undefined
      this.#schedule()
    })
  }

  #take(events: Buffer): void {
    let movedFrom: Moved | undefined
    for (let at = 0; at + HEADER_BYTES <= events.length; ) {
      const event = eventAt(events, at)
      at = event.next
      const listeners = this.#listeners.get(event.watch)
      if ((event.mask & InotifyEvent.queueOverflow) !== 0) this.#lost()
      if ((event.mask & InotifyEvent.ignored) !== 0) this.#listeners.delete(event.watch)
      if (listeners === undefined) continue
      if ((event.mask & InotifyEvent.movedTo) !== 0 && movedFrom?.cookie === event.cookie) {
        const isSame = movedFrom.told.listeners === listeners
        if (isSame) this.#toTell.splice(this.#toTell.indexOf(movedFrom.told), 1)
        this.#tell(listeners, isSame ? renamed(movedFrom, event) : changeOf(event))
      } else {
        const told = this.#tell(listeners, changeOf(event))
        const isMove = (event.mask & InotifyEvent.movedFrom) !== 0
        if (isMove && told !== undefined) movedFrom = { cookie: event.cookie, name: event.name, told }
      }
    }
  }

  #tell(listeners: ReadonlySet<Listener>, change: LocalChange | undefined): Told | undefined {
    if (change === undefined) return undefined
    const told = { listeners, change }
    this.#toTell.push(told)
    return told
  }

  /** The kernel's queue was full. */
  #lost(): void {
    for (const listeners of this.#listeners.values()) this.#tell(listeners, { kind: 'lost' })
  }
}

/** An entry that was moved away, perhaps to another name in the same directory. */
interface Moved {
  readonly cookie: number
  readonly name: string
  readonly told: Told
}

function renamed(from: Moved, { mask, name }: Event): LocalChange {
  return { kind: 'renamed', name: from.name, to: name, isDirectory: (mask & InotifyEvent.isDirectory) !== 0 }
}

function changeOf({ mask, name }: Event): LocalChange | undefined {
  const isDirectory = (mask & InotifyEvent.isDirectory) !== 0
  // Events without a name are of the directory itself, which those who watch it are not told of.
  if (name === '') return undefined
  if ((mask & (InotifyEvent.create | InotifyEvent.movedTo)) !== 0) return { kind: 'added', name, isDirectory }
  if ((mask & (InotifyEvent.delete | InotifyEvent.movedFrom)) !== 0) {
    return { kind: 'removed', name, isDirectory }
  }
  if ((mask & InotifyEvent.closeWrite) !== 0) return { kind: 'written', name, isDirectory }
  return (mask & InotifyEvent.attrib) === 0 ? undefined : { kind: 'attributes', name, isDirectory }
}

async function watchLimit(): Promise<number> {
  try {
    const ofUser = Number(await fs.promises.readFile(USER_LIMIT_FILE, 'latin1'))
    return Math.min(MAXIMUM_WATCHES, Math.floor(ofUser * SHARE_OF_USER_LIMIT))
  } catch {
    // No /proc, no inotify.
    return 0
  }
}
