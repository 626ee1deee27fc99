/** The open files of all protocols by file identity (MS-FSA 2.1.1.3 File and 2.1.1.5 Stream, as far as opens change them). */

import type { FileStat } from '../file-system.ts'
import { foldKey } from '../names/fold.ts'
import { ByteRangeLocks } from './byte-range-locks.ts'
import { FileTimes } from './file-times.ts'
import {
  deletionConflicts,
  GrantedAccess,
  neededShare,
  ShareAccess,
  ShareMode,
  type Sharing,
  sharingConflicts,
} from './share-access.ts'

/** Which file, and which stream of it. */
export interface Target {
  readonly volumeId: bigint
  readonly fileId: bigint
  /** Absent: the file (or directory) itself. */
  readonly stream?: string
}

/** An open of whichever protocol, as far as it is shared. */
export interface SharedOpen extends Sharing {
  /** The tree that `path` is relative to: one and the same object for all opens of a share. */
  readonly root: object
  /** POSIX' rules: it keeps no one from deleting or renaming, and lives on without a name. */
  readonly posix?: boolean
  /** As it is now; whoever renames keeps it so. */
  readonly path: string
}

/** A stream (or the file or directory itself) that has at least one open. */
export interface StreamNode<O extends SharedOpen> {
  readonly node: Node<O>
  /** Folded; '' for the file itself. */
  readonly name: string
  readonly opens: ReadonlySet<O>
  readonly locks: ByteRangeLocks
  /** The open that asked for this named stream to be deleted at its last close. */
  readonly deletePending: O | undefined
}

/** A file that has at least one open, of itself or of a stream. */
export interface Node<O extends SharedOpen> {
  readonly key: string
  readonly volumeId: bigint
  readonly fileId: bigint
  readonly streams: ReadonlyMap<string, StreamNode<O>>
  /** Opens of the file and all its streams. */
  readonly openCount: number
  /** The open that asked for the file to be deleted at the last close of it and all its streams. */
  readonly deletePending: O | undefined
  /** The times it is shown with. */
  readonly times: FileTimes
}

/**
 * Where oplocks and leases (MS-FSA 2.1.4.12) keep their state in step with the opens: called
 * after an open was attached and before one is detached.
 */
export interface NodeObserver<O extends SharedOpen> {
  attached(stream: StreamNode<O>, open: O): void
  detaching(stream: StreamNode<O>, open: O): void
}

/** What the end of an open brings about. */
export interface Detachment<O extends SharedOpen> {
  /** It was the last open of its stream. */
  readonly lastOfStream: boolean
  /** It was the last open of the file and all its streams. */
  readonly lastOfFile: boolean
  /** The stream is to be removed now, at the request of this open; then `removed` must be called. */
  readonly removeStream?: O
  /** The file is to be removed now, at the request of this open; then `removed` must be called. */
  readonly removeFile?: O
  /**
   * What was to be removed is gone, or stays after all. Until then it is deleted for everyone: who
   * opens it in between must not be left with a file that has no name. Absent: nothing is removed.
   */
  readonly removed?: () => void
}

export type SharingVerdict = 'ok' | 'delete-pending' | 'sharing-violation'

class OpenStream<O extends SharedOpen> implements StreamNode<O> {
  readonly node: OpenFile<O>
  readonly opens = new Set<O>()
  readonly shareAccess = new ShareAccess()
  readonly locks = new ByteRangeLocks()
  deletePending: O | undefined
  name: string

  constructor(node: OpenFile<O>, name: string) {
    this.node = node
    this.name = name
  }
}

class OpenFile<O extends SharedOpen> implements Node<O> {
  readonly key: string
  readonly volumeId: bigint
  readonly fileId: bigint
  readonly streams = new Map<string, OpenStream<O>>()
  openCount = 0
  readonly times: FileTimes
  deletePending: O | undefined

  constructor(target: Target, times: FileTimes) {
    this.times = times
    this.key = keyOf(target)
    this.volumeId = target.volumeId
    this.fileId = target.fileId
  }
}

/** Name of the node of the file itself among its streams. */
const FILE_ITSELF = ''

export class NodeTable<O extends SharedOpen> {
  readonly #files = new Map<string, OpenFile<O>>()
  readonly #streamOf = new Map<O, OpenStream<O>>()
  readonly #observers: readonly NodeObserver<O>[]
  /** Files that are shown with other times than storage has. */
  readonly #timed = new Set<FileTimes>()
  /** Files that are to be deleted: mostly none, and then no path is looked for. */
  readonly #doomed = new Set<OpenFile<O>>()

  constructor(observers: readonly NodeObserver<O>[] = []) {
    this.#observers = observers
  }

  /** The file, when anyone has it or a stream of it open. */
  find(target: Omit<Target, 'stream'>): Node<O> | undefined {
    return this.#files.get(keyOf(target))
  }

  /** The stream, when anyone has it open. */
  findStream(target: Target): StreamNode<O> | undefined {
    return this.#files.get(keyOf(target))?.streams.get(nameOf(target))
  }

  /** What clients see of a file, open or not. @param now milliseconds */
  shown(stat: FileStat, now: number): FileStat {
    if (this.#timed.size === 0) return stat
    return this.#files.get(keyOf(stat))?.times.shown(stat, now) ?? stat
  }

  /** The stream that an open is attached to. @throws Error when it isn't */
  streamOf(open: O): StreamNode<O> {
    return this.#attached(open)
  }

  /** All opens, in the order they were attached. */
  opens(): IterableIterator<O> {
    return this.#streamOf.keys()
  }

  /** MS-FSA 2.1.5.1.2: whether one more open would be allowed. Nothing is changed. */
  check(target: Target, sharing: Sharing): SharingVerdict {
    const file = this.#files.get(keyOf(target))
    if (file === undefined) return 'ok'
    const name = nameOf(target)
    const stream = file.streams.get(name)
    if (file.deletePending !== undefined || stream?.deletePending !== undefined) return 'delete-pending'
    if (stream !== undefined && !stream.shareAccess.permits(sharing)) return 'sharing-violation'
    return this.#deletionConflicts(file, name, sharing) ? 'sharing-violation' : 'ok'
  }

  /** The opens because of which `check` says 'sharing-violation': theirs are the caches to break first. */
  conflictingOpens(target: Target, sharing: Sharing): O[] {
    const file = this.#files.get(keyOf(target))
    const name = nameOf(target)
    const found: O[] = []
    for (const stream of file?.streams.values() ?? []) {
      for (const open of stream.opens) {
        if (stream.name === name) {
          if (sharingConflicts(open, sharing)) found.push(open)
        } else if (name === FILE_ITSELF) {
          if (deletionConflicts(sharing, open)) found.push(open)
        } else if (stream.name === FILE_ITSELF && deletionConflicts(open, sharing)) {
          found.push(open)
        }
      }
    }
    return found
  }

  /** Adds an open that `check` allowed. Its access and share mode must not change while it is attached. */
  attach(target: Target, open: O): StreamNode<O> {
    if (this.#streamOf.has(open)) throw new Error('the open is attached already')
    const key = keyOf(target)
    let file = this.#files.get(key)
    if (file === undefined) {
      file = new OpenFile(target, new FileTimes(this.#timed))
      this.#files.set(key, file)
    }
    const name = nameOf(target)
    let stream = file.streams.get(name)
    if (stream === undefined) {
      stream = new OpenStream(file, name)
      file.streams.set(name, stream)
    }
    stream.opens.add(open)
    stream.shareAccess.add(open)
    file.openCount++
    this.#streamOf.set(open, stream)
    for (const observer of this.#observers) observer.attached(stream, open)
    return stream
  }

  /** Takes an open off, with its locks, and says what is to be done now that it is gone. */
  detach(open: O): Detachment<O> {
    const stream = this.#attached(open)
    const file = stream.node
    for (const observer of this.#observers) observer.detaching(stream, open)
    stream.locks.releaseAll(open)
    stream.opens.delete(open)
    stream.shareAccess.remove(open)
    file.openCount--
    this.#streamOf.delete(open)
    const lastOfStream = stream.opens.size === 0
    const lastOfFile = file.openCount === 0
    // POSIX' opens do not keep a name: the file goes once only they are left.
    const goes = file.deletePending !== undefined && (lastOfFile || isHeldByPosixAlone(file))
    const removeFile = goes ? file.deletePending : undefined
    // A stream that was to go may go when the file does; on its own it goes earlier.
    const removeStream = lastOfStream && removeFile === undefined ? stream.deletePending : undefined
    if (removeStream === undefined) this.#forgetStream(stream)
    if (removeFile === undefined) this.#forgetFile(file)
    if (removeFile === undefined && removeStream === undefined) return { lastOfStream, lastOfFile }
    const removed = (): void => {
      if (removeStream !== undefined) stream.deletePending = undefined
      if (removeFile !== undefined) file.deletePending = undefined
      this.#doomed.delete(file)
      this.#forgetStream(stream)
      this.#forgetFile(file)
    }
    return {
      ...{ lastOfStream, lastOfFile, removed },
      ...(removeFile !== undefined && { removeFile }),
      ...(removeStream !== undefined && { removeStream }),
    }
  }

  #forgetStream(stream: OpenStream<O>): void {
    const { streams } = stream.node
    if (stream.opens.size === 0 && streams.get(stream.name) === stream) streams.delete(stream.name)
  }

  /** A file is remembered as long as anything of it is open, or about to be removed. */
  #forgetFile(file: OpenFile<O>): void {
    if (file.openCount > 0 || file.streams.size > 0 || file.deletePending !== undefined) return
    this.#files.delete(file.key)
    this.#timed.delete(file.times)
  }

  /**
   * MS-FSA 2.1.5.14.3 FileDispositionInformation: what the open has open, the file or the named
   * stream, is deleted at the last close, or no longer. Its handle must live until then.
   */
  setDeletePending(open: O, pending: boolean): void {
    const stream = this.#attached(open)
    if (stream.name !== FILE_ITSELF) {
      stream.deletePending = pending ? open : undefined
      return
    }
    stream.node.deletePending = pending ? open : undefined
    if (pending) this.#doomed.add(stream.node)
    else this.#doomed.delete(stream.node)
  }

  /** Whether what is open at a path (compared without case) is to be deleted: nothing is made in such a directory. */
  isDeletePendingAt(root: object, path: string): boolean {
    if (this.#doomed.size === 0) return false
    const key = foldKey(path)
    for (const { deletePending } of this.#doomed) {
      if (deletePending?.root === root && foldKey(deletePending.path) === key) return true
    }
    return false
  }

  /**
   * MS-FSA 2.1.5.15.11: a named stream that is open has another name now, of a stream that is not
   * open (`findStream` tells).
   */
  renameStream(open: O, name: string): void {
    const stream = this.#attached(open)
    const { streams } = stream.node
    streams.delete(stream.name)
    stream.name = foldKey(name)
    streams.set(stream.name, stream)
  }

  isDeletePending(open: O): boolean {
    const stream = this.#attached(open)
    return stream.node.deletePending !== undefined || stream.deletePending !== undefined
  }

  /** Opens of what lies below a directory of a share, for renaming it (MS-FSA 2.1.5.14.11). */
  *opensBelow(root: object, path: string): Generator<O> {
    const prefix = path === '' ? '' : `${path}/`
    for (const open of this.#streamOf.keys()) {
      if (open.root === root && open.path !== path && open.path.startsWith(prefix)) yield open
    }
  }

  /** Deleting a file takes its streams along: an open for that and those of the streams must agree. */
  #deletionConflicts(file: OpenFile<O>, name: string, sharing: Sharing): boolean {
    if (name !== FILE_ITSELF) {
      const itself = file.streams.get(FILE_ITSELF)
      const denies = neededShare(sharing) !== 0 && (sharing.share & ShareMode.delete) === 0
      return denies && (itself?.shareAccess.deleting ?? 0) > 0
    }
    if ((sharing.access & GrantedAccess.delete) === 0) return false
    return [...file.streams.values()].some(
      (stream) => stream.name !== FILE_ITSELF && stream.shareAccess.denyingDelete > 0,
    )
  }

  #attached(open: O): OpenStream<O> {
    const stream = this.#streamOf.get(open)
    if (stream === undefined) throw new Error('the open is not attached')
    return stream
  }
}

function isHeldByPosixAlone<O extends SharedOpen>(file: Node<O>): boolean {
  for (const stream of file.streams.values()) {
    for (const open of stream.opens) if (open.posix !== true) return false
  }
  return true
}

function keyOf({ volumeId, fileId }: Omit<Target, 'stream'>): string {
  return `${volumeId}:${fileId}`
}

function nameOf({ stream }: Target): string {
  return stream === undefined ? FILE_ITSELF : foldKey(stream)
}
