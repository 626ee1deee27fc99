/** Changes of watched directories by whomever, through inotify(7): read from the main thread, a few times a second. */

import * as fs from 'node:fs'
import type { LocalChange } from '../file-system.ts'
import { withPrefix } from '../local-change.ts'
import { closeDescriptor } from './descriptor.ts'
import { FolderWalk, type Step, type WalkHost } from './folder-walk.ts'
import type { WatchedEntries } from './inotify.ts'
import { type Event, eventAt, HEADER_BYTES, InotifyEvent } from './inotify-event.ts'
import type { NodeReference } from './jobs.ts'
import { type Listening, WatchedFolder } from './watched-folder.ts'
import type { WorkerPool } from './worker-pool.ts'

/**
 * Between two looks, milliseconds; none while nothing is watched. What is read is told at the next look, so that by then a
 * client's own operation has been answered, and its echo can be told from what others do.
 */
const LOOK_INTERVAL = 250
const READ_BYTES = 64 * 1024
/** Directories watched by this process at most, and its part of what the user may have. */
const MAXIMUM_WATCHES = 65_536
const SHARE_OF_USER_LIMIT = 0.5
/** Directories watched for one that is watched with all that is below. */
const MAXIMUM_TREE_FOLDERS = 16_384
const USER_LIMIT_FILE = '/proc/sys/fs/inotify/max_user_watches'

/** A change and those whom it is for, on one level of the forest. */
interface Told {
  readonly listeners: ReadonlySet<Listening>
  /** The change is further down. */
  readonly isDeep: boolean
  readonly change: LocalChange
  /** It turned out to be half of a rename. */
  void: boolean
}

/** An entry that was moved away, perhaps to another name in the same directory. */
interface Moved {
  readonly cookie: number
  readonly name: string
  readonly from: WatchedFolder
  /** What moves, if it is watched. */
  readonly folder: WatchedFolder | undefined
  readonly told: readonly Told[]
}

export interface LocalChangesOptions {
  /** Directories watched for one that is watched with all that is below, at most. */
  readonly treeFolders?: number
}

/** The one inotify instance of a worker pool. */
export class LocalChanges implements WalkHost {
  readonly #workers: WorkerPool
  readonly #treeFolders: number
  readonly #folders = new Map<number, WatchedFolder>()
  readonly #walk = new FolderWalk(this)
  #inotify: Promise<number> | undefined
  #timer: NodeJS.Timeout | undefined
  #limit: number | undefined
  #toTell: Told[] = []
  /** Moved away in what was read since the last look. */
  #moved: Moved[] = []
  /** Watches that ended before the job that began them was answered. */
  readonly #ended = new Set<number>()
  #isAdding = false
  #lastWork: Promise<unknown> = Promise.resolve()
  /** Folders whose `found` the kernel's queue may still hold. */
  #found: WatchedFolder[] = []
  readonly #buffer = Buffer.alloc(READ_BYTES)

  constructor(workers: WorkerPool, options: LocalChangesOptions = {}) {
    this.#workers = workers
    this.#treeFolders = options.treeFolders ?? MAXIMUM_TREE_FOLDERS
  }

  /** Returns how to stop, or undefined when no more directories can be watched. */
  async watch(node: NodeReference, listening: Listening): Promise<(() => Promise<void>) | undefined> {
    this.#limit ??= await watchLimit()
    const folder = await this.alone(() => this.#begin(node, listening))
    if (folder === undefined) return undefined
    this.#schedule()
    return async () => {
      // At once, so that nothing is told any more.
      if (folder.listeners.delete(listening)) await this.alone(() => this.#settle(folder))
    }
  }

  /** Lets go of the descriptors. Nothing may be watched any more. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#walk.clear()
    const inotify = this.#inotify
    this.#inotify = undefined
    await this.alone(async () => {
      const roots = [...this.#folders.values()].flatMap(({ root }) => root ?? [])
      this.#folders.clear()
      await Promise.all(roots.map(closeDescriptor))
    })
    if (inotify !== undefined) await closeDescriptor(await inotify)
  }

  /** The same number may be given back and taken again, so additions and removals are not mixed. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastWork.then(work, work)
    this.#lastWork = result.catch(() => undefined)
    return await result
  }

  async #begin(node: NodeReference, listening: Listening): Promise<WatchedFolder | undefined> {
    if (this.#room() <= 0) return undefined
    this.#inotify ??= this.#workers.run(0, 'beginInotify', undefined)
    const inotify = await this.#inotify
    const watch = await this.#workers.run(0, 'watchDirectory', { inotify, node })
    if (watch === undefined) return undefined
    const folder = this.#folders.get(watch) ?? new WatchedFolder(watch)
    this.#folders.set(watch, folder)
    folder.listeners.add(listening)
    if (listening.recursive && folder.root === undefined) await this.#beginTree(node, folder, listening)
    return folder
  }

  async #beginTree(node: NodeReference, folder: WatchedFolder, listening: Listening): Promise<void> {
    const isCovered = folder.tree !== undefined
    try {
      folder.root = await this.#workers.run(0, 'beginTree', node)
    } catch (error) {
      folder.listeners.delete(listening)
      await this.#settle(folder)
      throw error
    }
    if (!isCovered) this.#goBelow(folder, false)
  }

  /** Looks into a tree's own directory. */
  #goBelow(tree: WatchedFolder, again: boolean): void {
    this.#walk.add({ parent: tree, name: '', isNew: false, again })
  }

  #room(): number {
    return (this.#limit ?? 0) - this.#folders.size
  }

  room(tree: WatchedFolder): number {
    return Math.min(this.#room(), this.#treeFolders - tree.below)
  }

  async watchFolders(
    root: number,
    folders: Parameters<WalkHost['watchFolders']>[1],
  ): Promise<readonly WatchedEntries[] | undefined> {
    const inotify = await this.#inotify
    if (inotify === undefined) return undefined
    this.#ended.clear()
    this.#isAdding = true
    const watched = this.#workers.run(0, 'watchFolders', { inotify, root, folders })
    return await watched.catch(() => undefined).finally(() => (this.#isAdding = false))
  }

  arrived({ parent, name, isNew, again }: Step, watched: WatchedEntries): WatchedFolder | undefined {
    if (this.#ended.has(watched.watch) || parent.tree === undefined) return undefined
    let folder = this.#folders.get(watched.watch)
    const isCovered = folder?.parent !== undefined && folder.tree !== undefined
    folder ??= new WatchedFolder(watched.watch)
    this.#folders.set(folder.watch, folder)
    if (folder !== parent) {
      // Mounted a second time, within itself.
      if (parent.isWithin(folder)) return undefined
      folder.attach(parent, name)
    }
    if (isNew && !isCovered) this.#tellFound(folder, watched)
    return isCovered && !again && folder !== parent ? undefined : folder
  }

  /** What was made in a new folder before it was watched; of what was made since, the kernel will tell too. */
  #tellFound(folder: WatchedFolder, { folders, others }: WatchedEntries): void {
    folder.found = new Set([...folders, ...others])
    this.#found.push(folder)
    for (const name of folders) this.#tell(folder, { kind: 'added', name, isDirectory: true })
    for (const name of others) this.#tell(folder, { kind: 'added', name, isDirectory: false })
  }

  incomplete(tree: WatchedFolder): void {
    this.#tell(tree, { kind: 'incomplete' })
  }

  /** Stops to watch what nobody listens to any more, from a folder downwards. */
  async #settle(top: WatchedFolder): Promise<void> {
    const watches: number[] = []
    const roots: number[] = []
    const left = [top]
    for (let folder = left.pop(); folder !== undefined; folder = left.pop()) {
      const isTree = [...folder.listeners].some(({ recursive }) => recursive)
      if (!isTree && folder.root !== undefined) {
        roots.push(folder.root)
        folder.root = undefined
      }
      if (folder.parent !== undefined && folder.parent.tree === undefined) folder.detach()
      if (folder.tree !== undefined) continue
      for (const child of folder.children.values()) left.push(child)
      if (folder.listeners.size > 0 || this.#folders.get(folder.watch) !== folder) continue
      this.#folders.delete(folder.watch)
      watches.push(folder.watch)
    }
    await Promise.all(roots.map(closeDescriptor))
    const inotify = await this.#inotify
    if (inotify !== undefined && watches.length > 0)
      await this.#workers.run(0, 'unwatchDirectories', { inotify, watches })
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#folders.size === 0) return
    this.#timer = setTimeout(() => this.#look(), LOOK_INTERVAL)
    this.#timer.unref()
  }

  #look(): void {
    const toTell = this.#toTell
    this.#toTell = []
    for (const { listeners, isDeep, change, void: isVoid } of toTell) {
      if (isVoid) continue
      for (const { tell, recursive } of listeners) if (recursive || !isDeep) tell(change)
    }
    const moved = this.#moved
    this.#moved = []
    for (const { folder } of moved)
      if (folder !== undefined && folder.parent === undefined) this.#drop(folder)
    const found = this.#found
    this.#found = []
    void this.#inotify?.then((inotify) =>
      this.#read(inotify, () => {
        for (const folder of found) folder.found = undefined
      }),
    )
  }

  #drop(folder: WatchedFolder): void {
    this.alone(() => this.#settle(folder)).catch(() => undefined)
  }

  /** Reads until there is nothing more; what comes while it reads is told with the rest. */
  #read(inotify: number, atEnd: () => void): void {
    fs.read(inotify, this.#buffer, 0, READ_BYTES, null, (error, bytes) => {
      if (error === null && bytes > 0) {
        this.#take(this.#buffer.subarray(0, bytes))
        this.#read(inotify, atEnd)
        return
      }
      atEnd()
      this.#timer = undefined
      this.#schedule()
    })
  }

  #take(events: Buffer): void {
    for (let at = 0; at + HEADER_BYTES <= events.length; ) {
      const event = eventAt(events, at)
      at = event.next
      if ((event.mask & InotifyEvent.queueOverflow) !== 0) this.#lost()
      const folder = this.#folders.get(event.watch)
      if ((event.mask & InotifyEvent.ignored) !== 0) this.#forget(event.watch, folder)
      else if (folder !== undefined) this.#happened(folder, event)
    }
  }

  /** The directory is gone, and its watch with it. */
  #forget(watch: number, folder: WatchedFolder | undefined): void {
    if (this.#isAdding) this.#ended.add(watch)
    if (folder === undefined) return
    this.#folders.delete(watch)
    folder.detach()
    if (folder.children.size > 0) this.#drop(folder)
  }

  #happened(folder: WatchedFolder, event: Event): void {
    const { mask, name, cookie } = event
    const isDirectory = (mask & InotifyEvent.isDirectory) !== 0
    const child = isDirectory ? folder.children.get(name) : undefined
    if ((mask & InotifyEvent.movedFrom) !== 0) {
      child?.detach()
      this.#moved.push({
        cookie,
        name,
        from: folder,
        folder: child,
        told: this.#tell(folder, changeOf(event)),
      })
      return
    }
    if ((mask & InotifyEvent.create) !== 0 && folder.found?.delete(name) === true) return
    const moved =
      (mask & InotifyEvent.movedTo) === 0 ? undefined : this.#moved.findLast((each) => each.cookie === cookie)
    const stays = moved?.from === folder
    if (stays) for (const told of moved.told) told.void = true
    this.#tell(folder, stays ? { kind: 'renamed', name: moved.name, to: name, isDirectory } : changeOf(event))
    if (!isDirectory || name === '' || folder.tree === undefined) return
    const isNew = (mask & InotifyEvent.create) !== 0
    if (moved?.folder !== undefined && !folder.isWithin(moved.folder)) moved.folder.attach(folder, name)
    else if (isNew || (mask & InotifyEvent.movedTo) !== 0)
      this.#walk.add({ parent: folder, name, isNew, again: false })
  }

  /** To those who watch the folder, and those who watch a tree that it is in. */
  #tell(folder: WatchedFolder, change: LocalChange | undefined): readonly Told[] {
    const all: Told[] = []
    if (change === undefined) return all
    for (const [{ listeners }, prefix] of folder.upwards()) {
      if (listeners.size === 0) continue
      all.push({
        listeners,
        isDeep: prefix !== '' || change.kind === 'incomplete',
        change: withPrefix(change, prefix),
        void: false,
      })
    }
    this.#toTell.push(...all)
    return all
  }

  /** The kernel's queue was full: what is below may be another tree by now. */
  #lost(): void {
    for (const folder of this.#folders.values()) {
      if (folder.listeners.size === 0) continue
      this.#toTell.push({ listeners: folder.listeners, isDeep: false, change: { kind: 'lost' }, void: false })
      if (folder.root !== undefined) this.#goBelow(folder, true)
    }
  }
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
