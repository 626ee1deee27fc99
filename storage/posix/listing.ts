/** MS-FSA 2.1.5.6.3: a directory's names, taken at once, and their attributes page by page. */

import { constants } from 'node:fs'
import { StorageError } from '../errors.ts'
import type { Identity, ListRequest, MacMetadata } from '../file-system.ts'
import { ownerOfSidecar, sidecarName } from '../metadata/sidecar.ts'
import { compile, isWild } from '../names/expression.ts'
import { toNative } from '../names/sfm.ts'
import { shortNameOf } from '../names/short-name.ts'
import { eachName } from './directory-read.ts'
import { decodeName, wellFormed } from './disk-name.ts'
import { diskPathOf, linkTextOf } from './disk-path.ts'
import { type DirectoryRights, directoryRights, permissionsOf, streamsOf } from './entry-details.ts'
import { check } from './errno.ts'
import { actAs, asServer } from './identity.ts'
import type { NodeReference } from './jobs.ts'
import { NAME_END, type Page } from './listing-page.ts'
import { addMetadata } from './metadata.ts'
import {
  close,
  mayAccess,
  mayAccessEntry,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  openBeneath,
  statEntry,
  statOf,
} from './native.ts'
import { openDirectoryExact } from './resolve.ts'
import { joinPath, shareOf } from './share.ts'
import { clientName, type Share, splitPath } from './share-type.ts'
import { isSidecar } from './sidecar-file.ts'
import { sidecarFacts } from './sidecar-of.ts'
import { newRecord, RECORD_BYTES, setPermissions, typeOf } from './stat-record.ts'
import { type EntryPath, insideDirectory } from './thread-directory.ts'
import { listXattrs, type XattrPlace } from './xattr.ts'

/** Most entries of one job, so that a worker is not held for long. */
export const MAXIMUM_PAGE_ENTRIES = 1024
const INITIAL_BYTES = 4096
const DOT = 0x2e
const UNDERSCORE = 0x5f

/** A listing in progress; names are kept as bytes, each ended by a NUL, off the heap. */
interface Cursor {
  readonly node: NodeReference
  readonly directory: number
  readonly hideUnreadable: boolean
  readonly posixNames: boolean
  /** Without search permission names can be listed, but nothing be learned of them. */
  readonly searchable: boolean
  /** Where details of the entries are asked for. */
  readonly rights: DirectoryRights | undefined
  /** Names that may be sidecars, whether they matched or not. */
  readonly sidecars: ReadonlySet<string>
  /** '.' and '..', as far as they matched and were not given yet. */
  readonly dots: string[]
  names: Buffer
  end: number
  at: number
}

const cursors = new Map<number, Cursor>()
let lastCursor = 0

/** Reads the names that match. Returns the cursor's id. */
export function beginListing(job: ListRequest & { node: NodeReference }): number {
  const { node, pattern, hideUnreadable, posixNames = false, details = false } = job
  const share = shareOf(node.share)
  const matches = compile(pattern)
  // An expression without wildcards may also be a short name.
  const exact = !isWild(pattern)
  return actAs(node.identity, () => {
    const directory = check(openBeneath(node.fd, '', O_RDONLY | O_DIRECTORY), 'open directory')
    const sidecars = new Set<string>()
    const cursor: Cursor = {
      node,
      directory,
      hideUnreadable,
      posixNames,
      sidecars,
      rights: details ? rightsIn(directory, node) : undefined,
      searchable: mayAccess(directory, constants.X_OK),
      dots: ['.', '..'].filter(matches),
      names: Buffer.allocUnsafe(INITIAL_BYTES),
      end: 0,
      at: 0,
    }
    try {
      eachName(directory, (bytes, from, to) => {
        const mayBeSidecar = share.macStreams && bytes[from] === DOT && bytes[from + 1] === UNDERSCORE
        if (mayBeSidecar) sidecars.add(decodeName(bytes, from, to))
        if (pattern !== '*') {
          const name = shownName(share, decodeName(bytes, from, to), posixNames)
          if (!matches(name) && !(exact && matches(shortNameOf(toNative(name))))) return
        }
        append(cursor, bytes, from, to)
      })
    } catch (error) {
      close(directory)
      throw error
    }
    cursors.set(++lastCursor, cursor)
    return lastCursor
  })
}

function rightsIn(directory: number, { identity }: NodeReference): DirectoryRights {
  const record = newRecord()
  check(statOf(directory, record), 'statx')
  return directoryRights(directory, record, identity)
}

function shownName(share: Share, diskName: string, posixNames: boolean): string {
  return posixNames ? wellFormed(diskName) : clientName(share, diskName)
}

function append(cursor: Cursor, bytes: Buffer, from: number, to: number): void {
  const needed = cursor.end + to - from + 1
  if (needed > cursor.names.length) {
    const larger = Buffer.allocUnsafe(Math.max(needed, cursor.names.length * 2))
    cursor.names.copy(larger, 0, 0, cursor.end)
    cursor.names = larger
  }
  bytes.copy(cursor.names, cursor.end, from, to)
  cursor.names[needed - 1] = 0
  cursor.end = needed
}

export function endListing(id: number): void {
  const cursor = cursors.get(id)
  if (cursor === undefined) return
  cursors.delete(id)
  close(cursor.directory)
}

export function nextPage(job: { cursor: number; count: number }): Page {
  const cursor = cursors.get(job.cursor)
  if (cursor === undefined) throw new StorageError('stale', 'the listing ended')
  const count = Math.min(job.count, MAXIMUM_PAGE_ENTRIES)
  const left = cursor.dots.length + (cursor.end - cursor.at) / 2
  const page = new PageWriter(shareOf(cursor.node.share), cursor, Math.min(count, Math.ceil(left)))
  return insideDirectory(cursor.directory, (pathOf) => {
    while (page.length < count) {
      const name = cursor.dots.shift() ?? nextName(cursor)
      if (name === undefined) return page.finish(true)
      page.add(name, pathOf)
    }
    return page.finish(false)
  })
}

function nextName(cursor: Cursor): string | undefined {
  if (cursor.at >= cursor.end || !cursor.searchable) return undefined
  const end = cursor.names.indexOf(0, cursor.at)
  const name = decodeName(cursor.names, cursor.at, end)
  cursor.at = end + 1
  return name
}

class PageWriter {
  readonly #share: Share
  readonly #cursor: Cursor
  #names = ''
  #count = 0
  readonly #records: Buffer<ArrayBuffer>
  readonly #targets = new Map<number, string>()
  readonly #descriptors = new Map<number, Uint8Array>()
  readonly #mac = new Map<number, MacMetadata>()
  #path: string | undefined

  constructor(share: Share, cursor: Cursor, capacity: number) {
    this.#share = share
    this.#cursor = cursor
    this.#records = Buffer.from(new ArrayBuffer(capacity * RECORD_BYTES))
  }

  get length(): number {
    return this.#count
  }

  /** Adds an entry; one that vanished, or that the account may not see, is left out. */
  add(name: string, pathOf: EntryPath): void {
    const at = this.#count * RECORD_BYTES
    const record = this.#records.subarray(at, at + RECORD_BYTES)
    if (name === '.' || name === '..') {
      this.#describeDots(name, record)
      this.#named(name)
      return
    }
    const { directory, hideUnreadable, node } = this.#cursor
    if (this.#isHiddenSidecar(name)) return
    if (hideUnreadable && !mayRead(node.identity, directory, name)) return
    if (statEntry(directory, name, record) < 0) return
    if (typeOf(record) === 'symlink') {
      this.#describeLink(name, record)
    } else {
      const place: XattrPlace = { kind: 'entry', path: pathOf(name) }
      this.#addMetadata(place, record, name)
    }
    this.#named(shownName(this.#share, name, this.#cursor.posixNames))
  }

  #named(name: string): void {
    this.#names += name + NAME_END
    this.#count++
  }

  /** What its file shows as streams; one whose file is gone is a file like others. */
  #isHiddenSidecar(name: string): boolean {
    const { sidecars, directory, posixNames, node } = this.#cursor
    if (!this.#share.hidesSidecars || posixNames || !sidecars.has(name)) return false
    const owner = ownerOfSidecar(name)
    if (owner === undefined || statEntry(directory, owner, newRecord()) < 0) return false
    return actAs(node.identity, () => isSidecar(directory, name))
  }

  finish(done: boolean): Page {
    const bytes = this.#count * RECORD_BYTES
    return {
      names: this.#names,
      records: this.#records.subarray(0, bytes),
      targets: this.#targets,
      descriptors: this.#descriptors,
      mac: this.#mac,
      done,
    }
  }

  #addMetadata(place: XattrPlace, record: Buffer, name: string): void {
    const { hideUnreadable, rights, node, directory, sidecars } = this.#cursor
    const xattrs = listXattrs(place)
    const descriptor = addMetadata(place, record, hideUnreadable || rights !== undefined, xattrs)
    if (descriptor !== undefined) this.#descriptors.set(this.#count, descriptor)
    if (rights === undefined) return
    const sidecar =
      sidecars.size > 0 && sidecars.has(sidecarName(name))
        ? actAs(node.identity, () => sidecarFacts({ directory, name }))
        : undefined
    setPermissions(
      record,
      permissionsOf(xattrs, record, { identity: node.identity, rights, directory, name }),
    )
    const mac = streamsOf(place, xattrs, sidecar)
    if (mac !== undefined) this.#mac.set(this.#count, mac)
  }

  /** '..' of the root is the root: nothing above it is shown. */
  #describeDots(name: string, record: Buffer): void {
    const path = diskPathOf(this.#share, this.#cursor.directory)
    const fd = openDirectoryExact(this.#share, name === '.' ? path : splitPath(path).parent)
    this.#describe(fd, record, name)
  }

  /** A link is shown as what it leads to, as long as that is in the share. */
  #describeLink(name: string, record: Buffer): void {
    this.#path ??= diskPathOf(this.#share, this.#cursor.directory)
    const path = joinPath(this.#path, name)
    if (this.#cursor.posixNames) {
      this.#targets.set(this.#count, linkTextOf(this.#cursor.directory, name))
      return
    }
    const { identity } = this.#cursor.node
    const fd = actAs(identity, () => openBeneath(this.#share.root, path, O_PATH))
    if (fd >= 0) {
      this.#describe(fd, record, name)
      return
    }
    this.#targets.set(this.#count, linkTextOf(this.#cursor.directory, name))
  }

  #describe(fd: number, record: Buffer, name: string): void {
    try {
      check(statOf(fd, record), 'statx')
      const place: XattrPlace = { kind: 'path-only', fd }
      asServer(() => this.#addMetadata(place, record, name))
    } finally {
      close(fd)
    }
  }
}

function mayRead(identity: Identity | undefined, directory: number, name: string): boolean {
  return actAs(identity, () => mayAccessEntry(directory, name, constants.R_OK))
}
