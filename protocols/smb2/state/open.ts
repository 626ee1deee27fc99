/** MS-SMB2 3.3.1.10: a file, directory, named stream or pipe that a client has open. */

import type { DirectoryCursor, DirectoryEntry, FileHandle, FileType } from '../../../storage/file-system.ts'
import type { StreamNode } from '../../../storage/sharing/node-table.ts'
import type { CachingOpen } from '../../../storage/sharing/oplocks.ts'
import type { FileId } from '../messages/structure.ts'
import type { NamedPipe } from '../rpc/pipe.ts'
import { ChannelSequence } from './channel-sequence.ts'
import type { Connection } from './connection.ts'
import type { Absence, DurableHandle } from './durable-handle.ts'
import type { Lease } from './lease.ts'
import type { Admission, Share } from './server.ts'
import type { Session } from './session.ts'
import type { TreeConnect } from './tree-connect.ts'
import type { Watch } from './watch.ts'

/** Open.EnumerationLocation and Open.EnumerationSearchPattern: a listing in progress. */
export interface Enumeration {
  readonly cursor: DirectoryCursor
  readonly searchPattern: string
  /** The directory's own, where its entries' rights are shown. */
  readonly descriptor: Buffer | undefined
  /** Entries fetched and not sent yet. */
  pending: readonly DirectoryEntry[]
  /** Position in `pending`. */
  next: number
  /** Whether any entry was sent: decides between NO_SUCH_FILE and NO_MORE_FILES. */
  answered: boolean
}

/** What an open of any protocol leaves with the node table. The keys of MS-FSA's oplocks are those of `oplockKeyOf`. */
export interface SharedFile extends CachingOpen {
  path: string
  posix: boolean
  /** Removes the entry at the last close, when this open asked for that. */
  readonly handle: FileHandle
}

/** What an open on a disk share refers to. */
export interface OpenFile {
  readonly handle: FileHandle
  readonly type: FileType
  /** Name of the stream, '' for the unnamed one; whoever renames keeps it right. */
  stream: string
  /** This open as the others of the same file see it, of whichever protocol. */
  readonly shared: SharedFile
  /** The stream that is open, with all its opens and locks. */
  readonly node: StreamNode<SharedFile>
}

/** To whom an open belongs. */
export interface Attachment {
  readonly session: Session
  readonly treeConnect: TreeConnect
  readonly connection: Connection
}

/** What is the server's to say of an open. */
export interface OpenPlace {
  readonly fileId: FileId
  /** By what right it was opened. */
  readonly right: Right
  /** It is of a previous version: `right` is of that, and stays, whatever becomes of the tree connect's. */
  readonly isPrevious: boolean
  /** Milliseconds since 1970. */
  readonly creationTime: number
}

/** What its CREATE said, and led to. */
export interface OpenFields {
  readonly grantedAccess: number
  readonly shareAccess: number
  readonly createOptions: number
  /** CreateAction of the answer. */
  readonly createAction: number
  /** What the client may ask for, at most, as it was told. */
  readonly maximalAccess: number
  /** Made with the create context of the POSIX extensions. */
  readonly posix: boolean
  readonly file: OpenFile | undefined
  readonly pipe: NamedPipe | undefined
  /** From the share's root, '\'-separated, with its stream. */
  readonly pathName: string
}

/** What remains of a tree connect when its client is away. */
export type Right = Readonly<Pick<TreeConnect, 'share' | 'admission'>>

export class Open {
  readonly fileId: FileId
  #attachment: Attachment | undefined
  #right: Right
  /** Of a previous version: nothing of it is ever changed. */
  readonly isPrevious: boolean
  readonly grantedAccess: number
  readonly shareAccess: number
  readonly createOptions: number
  readonly createAction: number
  readonly maximalAccess: number
  readonly posix: boolean
  readonly #file: OpenFile | undefined
  readonly pipe: NamedPipe | undefined
  readonly creationTime: number
  /** Open.PathName, kept right by renames through this open. */
  pathName: string
  enumeration: Enumeration | undefined
  /** FilePositionInformation */
  currentByteOffset = 0n
  /** FileModeInformation */
  mode: number
  /** Open.ResumeKey, made when FSCTL_SRV_REQUEST_RESUME_KEY asks. */
  resumeKey: Buffer | undefined
  lockCount = 0
  /** Open.LockSequenceArray: the sequence number by index, where it is valid; undefined before one is. */
  lockSequenceArray: Map<number, number> | undefined
  /** Open.Lease; Open.OplockLevel and OplockState are asked of Server.oplocks. */
  lease: Lease | undefined
  /** Open.IsDurable, with its timeout and owner. */
  durable: DurableHandle | undefined
  /** Open.CreateGuid, 16 bytes. */
  createGuid: Buffer | undefined
  /** Open.ChannelSequence, with the counts that belong to it. */
  readonly channelSequence = new ChannelSequence()
  /** FILE_DELETE_ON_CLOSE: closing this open marks the file for deletion. */
  deleteOnClose = false
  /** Data was changed through this open. */
  hasWritten = false
  /** Likewise, and those who cache its directory do not know of it yet. */
  entryUntold = false

  // ours
  /** The client is gone, and may come back for it. */
  absence: Absence | undefined
  /** Under which the CREATE may be sent once more (Open.IsReplayEligible). */
  replayKey: string | undefined
  /** Since the first CHANGE_NOTIFY. */
  watch: Watch | undefined
  /** Bits of UserSetTime: what this open's operations leave alone. */
  userSetTimes = 0
  /** Those who watch were last told of a WRITE then, milliseconds. */
  writeToldAt = 0
  /** It has written since. */
  writeUntold = false
  /** CLOSE has begun: no request finds it any longer. */
  closing = false
  /** Resolves when the open is closed, once closing has begun. */
  closed: Promise<unknown> | undefined
  /** Requests that use the enumeration run one after the other. */
  enumerationQueue: Promise<unknown> = Promise.resolve()
  #held = 0
  /** Those who wait until only so many requests still work on the handle. */
  readonly #draining = new Set<{ readonly allowed: number; readonly done: () => void }>()
  /** Called when the open closes: pending CHANGE_NOTIFY and LOCK requests end so. */
  readonly onClose = new Set<() => void>()

  constructor(fields: OpenFields, { fileId, right, isPrevious, creationTime }: OpenPlace) {
    this.fileId = fileId
    this.#right = right
    this.isPrevious = isPrevious
    this.grantedAccess = fields.grantedAccess
    this.shareAccess = fields.shareAccess
    this.createOptions = fields.createOptions
    this.createAction = fields.createAction
    this.maximalAccess = fields.maximalAccess
    this.posix = fields.posix
    this.#file = fields.file
    this.pipe = fields.pipe
    this.pathName = fields.pathName
    this.creationTime = creationTime
    this.mode = 0
  }

  /** Open.Session, Open.TreeConnect and Open.Connection from now on. */
  attach(attachment: Attachment): void {
    this.#attachment = attachment
    if (!this.isPrevious) this.#right = attachment.treeConnect
  }

  /** They are NULL from now on: the client is away. */
  detach(): void {
    const { share, admission } = this.#right
    this.#attachment = undefined
    this.#right = { share, admission }
  }

  get session(): Session | undefined {
    return this.#attachment?.session
  }

  get treeConnect(): TreeConnect | undefined {
    return this.#attachment?.treeConnect
  }

  get connection(): Connection | undefined {
    return this.#attachment?.connection
  }

  /** Of the tree connect, or of the last one; of a previous version its own. */
  get share(): Share {
    return this.#right.share
  }

  get admission(): Admission {
    return this.#right.admission
  }

  get isPipe(): boolean {
    return this.pipe !== undefined
  }

  get isDirectory(): boolean {
    return this.#file?.type === 'directory'
  }

  /** @throws Error for a pipe, which has no file: commands ask `isPipe` first */
  get file(): OpenFile {
    if (this.#file === undefined) throw new Error('a pipe has no file')
    return this.#file
  }

  /** All the bits of an access mask are granted. */
  grants(access: number): boolean {
    return (this.grantedAccess & access) === access
  }

  /** At least one of the bits is granted. */
  grantsAny(access: number): boolean {
    return (this.grantedAccess & access) !== 0
  }

  /** A request works on the handle from now on. */
  hold(): void {
    this.#held++
  }

  letGo(): void {
    this.#held--
    for (const waiter of this.#draining) {
      if (this.#held > waiter.allowed) continue
      this.#draining.delete(waiter)
      waiter.done()
    }
  }

  /** Resolves when at most `allowed` requests still work on the handle. */
  async drained(allowed: number): Promise<void> {
    if (this.#held <= allowed) return
    await new Promise<void>((done) => this.#draining.add({ allowed, done }))
  }
}
