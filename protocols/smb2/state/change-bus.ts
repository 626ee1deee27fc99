/** MS-FSA 2.1.1.1 ChangeNotifyList, 2.1.4.1: brings changes, of whichever protocol or local process, to those who watch directories. */

import { NotifyAction, NotifyFilter } from '../fscc/notify.ts'
import { OwnChanges } from './own-changes.ts'
import type { KeptBudget, Watch } from './watch.ts'

/** Something that happened to an entry of a directory. */
export interface Change {
  /** Of the entry, from the share's root, '/'-separated. */
  readonly path: string
  /** NotifyAction */
  readonly action: number
  /** Bits of NotifyFilter that the change is of. */
  readonly filter: number
  /** Bits for which it is a modification: those who watch them, and none of `filter`, are told so. */
  readonly modifies?: number
}

/** Watches of one share, by the path of the directory that they watch. */
interface WatchedTree {
  readonly directories: Map<string, Set<Watch>>
  /** Watches among them that want to know of subdirectories too. */
  recursive: number
  /** What the disk will report again. */
  readonly own: OwnChanges
}

/** The parts of a path's directories, from the entry's own up to the root. */
function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

export class ChangeBus {
  /** What all watches together keep. */
  readonly kept: KeptBudget
  readonly #trees = new Map<object, WatchedTree>()
  #size = 0
  #saidMiss = false

  readonly #now: () => number

  /**
   * @param keptChanges that all watches together keep between requests
   * @param now milliseconds
   */
  constructor(keptChanges: number, now: () => number) {
    this.kept = { limit: keptChanges, used: 0 }
    this.#now = now
  }

  /** Watches that there are. */
  get size(): number {
    return this.#size
  }

  add(watch: Watch): void {
    let tree = this.#trees.get(watch.root)
    if (tree === undefined) {
      tree = { directories: new Map(), recursive: 0, own: new OwnChanges() }
      this.#trees.set(watch.root, tree)
    }
    place(tree, watch)
    if (watch.recursive) tree.recursive++
    this.#size++
  }

  remove(watch: Watch): void {
    const tree = this.#trees.get(watch.root)
    if (tree === undefined || !displace(tree, watch)) return
    watch.discard()
    if (watch.recursive) tree.recursive--
    this.#size--
    if (tree.directories.size === 0) this.#trees.delete(watch.root)
  }

  /**
   * Tells those who watch a directory that something is below.
   * @param root the share's tree
   * @param changes what one operation did: a request that waits is answered with all of them
   */
  publish(root: object, ...changes: readonly Change[]): void {
    const tree = this.#trees.get(root)
    if (tree === undefined) return
    const told = new Set<Watch>()
    for (const change of changes) {
      if (isWatched(tree, change.path)) noteOwn(tree, change, this.#now())
      deliver(tree, change, told)
    }
    for (const watch of told) watch.wake()
  }

  /** An open that could write ends, which the disk reports though those who watch need not be told of it. */
  touched(root: object, path: string): void {
    const tree = this.#trees.get(root)
    if (tree !== undefined && isWatched(tree, path)) tree.own.note(path, NotifyAction.MODIFIED, this.#now())
  }

  /** A watch does not learn what others do on the disk; says so the first time. */
  missLocal(say: () => void): void {
    if (!this.#saidMiss) say()
    this.#saidMiss = true
  }

  /** Tells one watch what the disk reports of what is below, unless it was done through this server. */
  report(watch: Watch, changes: readonly Change[]): void {
    const own = this.#trees.get(watch.root)?.own
    const now = this.#now()
    if (own === undefined || changes.some(({ path, action }) => own.includes(path, action, now))) return
    for (const change of changes) {
      const action = actionFor(change, watch.filter)
      if (action !== undefined) watch.keep(action, nameBelow(watch.path, change.path))
    }
    watch.wake()
  }

  /** Watches of a directory, and of those below it, follow when it is renamed. */
  moved(root: object, before: string, after: string): void {
    const tree = this.#trees.get(root)
    if (tree === undefined) return
    const prefix = `${before}/`
    const moving = [...tree.directories].filter(([path]) => path === before || path.startsWith(prefix))
    for (const [path, watches] of moving) {
      for (const watch of [...watches]) {
        displace(tree, watch)
        watch.path = after + path.slice(before.length)
        place(tree, watch)
      }
    }
  }

  /** MS-FSA 2.1.4.1: what waits for changes of a directory that is to be deleted ends. */
  deleting(root: object, path: string): void {
    for (const watch of [...(this.#trees.get(root)?.directories.get(path) ?? [])]) watch.endDeleted()
  }
}

function nameBelow(directory: string, path: string): string {
  return directory === '' ? path : path.slice(directory.length + 1)
}

/** Whether the disk's report of a change may reach someone; where trees are watched it may be any. */
function isWatched(tree: WatchedTree, path: string): boolean {
  return tree.recursive > 0 || tree.directories.has(parentOf(path))
}

/** A stream's change is one of its file, as far as the disk knows. */
function noteOwn(tree: WatchedTree, { path, action }: Change, now: number): void {
  const colon = path.indexOf(':', path.lastIndexOf('/') + 1)
  tree.own.note(colon < 0 ? path : path.slice(0, colon), action, now)
}

function place(tree: WatchedTree, watch: Watch): void {
  const watches = tree.directories.get(watch.path)
  if (watches === undefined) tree.directories.set(watch.path, new Set([watch]))
  else watches.add(watch)
}

function displace(tree: WatchedTree, watch: Watch): boolean {
  const watches = tree.directories.get(watch.path)
  const isThere = watches?.delete(watch) === true
  if (watches?.size === 0) tree.directories.delete(watch.path)
  return isThere
}

/** Only the directories above the entry are looked up, however many are watched. */
function deliver(tree: WatchedTree, change: Change, told: Set<Watch>): void {
  if (change.path === '') return
  let directory = parentOf(change.path)
  let isParent = true
  for (;;) {
    for (const watch of tree.directories.get(directory) ?? []) {
      if (!isParent && !watch.recursive) continue
      const action = actionFor(change, watch.filter)
      if (action === undefined) continue
      watch.keep(action, nameBelow(directory, change.path))
      told.add(watch)
    }
    if (directory === '' || tree.recursive === 0) return
    directory = parentOf(directory)
    isParent = false
  }
}

function actionFor({ action, filter, modifies = 0 }: Change, wanted: number): number | undefined {
  if ((filter & wanted) !== 0) return action
  return (modifies & wanted) === 0 ? undefined : NotifyAction.MODIFIED
}

/** The bit that a change of an entry's name is of. */
export function nameFilter(isDirectory: boolean): number {
  return isDirectory ? NotifyFilter.DIR_NAME : NotifyFilter.FILE_NAME
}

/**
 * MS-FSA 2.1.5.15.11: a move to another directory is a removal there and an addition here. A file (but no directory)
 * is reported as modified to those who watch its attributes or creation time, as Windows does.
 */
export function renameChanges(before: string, after: string, isDirectory: boolean): [Change, Change] {
  const stays = parentOf(before) === parentOf(after)
  const filter = nameFilter(isDirectory)
  const modifies = isDirectory ? 0 : NotifyFilter.ATTRIBUTES | NotifyFilter.CREATION
  return [
    { path: before, action: stays ? NotifyAction.RENAMED_OLD_NAME : NotifyAction.REMOVED, filter },
    { path: after, action: stays ? NotifyAction.RENAMED_NEW_NAME : NotifyAction.ADDED, filter, modifies },
  ]
}
