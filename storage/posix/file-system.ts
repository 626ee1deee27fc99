/** A directory as a share's tree: the main thread's side, which sends jobs to workers and moves data itself. */

import type { Features, FileSystem, OpenOutcome, OpenRequest, SpaceInfo } from '../file-system.ts'
import { normalKey } from '../names/fold.ts'
import { closeDescriptor } from './descriptor.ts'
import { PosixHandle } from './handle.ts'
import type { HandleContext } from './handle-context.ts'
import type { OpenJob, OpenReply } from './jobs.ts'
import { hashOf } from './name-table.ts'
import { WOULD_WAIT, withoutWaiting } from './no-wait.ts'
import type { OccupiedWalk } from './occupied.ts'
import { open } from './open.ts'
import type { ProbedRoot } from './probe.ts'
import { addShare, removeShare } from './share.ts'
import {
  clientName,
  type MacMetadataFormat,
  type MacResourceFormat,
  type NameMapping,
  type Share,
  splitPath,
} from './share-type.ts'
import { decodeStat, fileIdentityHash } from './stat-record.ts'
import type { WorkerPool } from './worker-pool.ts'

export interface PosixFileSystemOptions {
  /** Absolute path of a directory that exists. */
  readonly root: string
  /** A folder below `root` that is the tree's root instead: no link on the way to it leads out of `root`. */
  readonly below?: string
  /** Stays open when the file system is closed: others may use it too. */
  readonly workers: WorkerPool
  readonly nameMapping?: NameMapping
  /** Whether AFP_AfpInfo and AFP_Resource have Apple's rules and sidecars ._NAME are looked at; they are unless false. */
  readonly macStreams?: boolean
  /** Where new AFP_AfpInfo goes; 'stream' unless given. What is there is read in any format. */
  readonly macMetadata?: MacMetadataFormat
  /** Likewise for AFP_Resource. */
  readonly macResource?: MacResourceFormat
  /** Whether sidecars ._NAME of files that exist are left out of listings; they are unless false. */
  readonly hidesSidecars?: boolean
}

class PosixFileSystem implements FileSystem {
  readonly features: Features
  readonly volumeId: bigint
  readonly #share: Share
  readonly #context: HandleContext<PosixHandle>
  readonly #handles = new Set<PosixHandle>()

  constructor(workers: WorkerPool, share: Share, probed: ProbedRoot) {
    this.features = probed.features
    this.volumeId = probed.volumeId
    this.#share = share
    this.#context = {
      workers,
      volume: probed,
      features: probed.features,
      localChanges: workers.localChanges,
      answersFromMemory: probed.answersFromMemory,
      clientName: (name) => clientName(share, name),
      forget: (handle) => this.#handles.delete(handle),
      handles: this.#handles,
    }
  }

  async open(request: OpenRequest): Promise<OpenOutcome> {
    // All jobs on one directory's entries go to one worker, which has its index.
    const entryKey = hashOf(normalKey(splitPath(request.path).parent))
    const { workers, volume } = this.#context
    const { securityDescriptor, heeded } = request.create
    const create =
      securityDescriptor === undefined && heeded === undefined
        ? request.create
        : { ...request.create, ...ownMemory({ securityDescriptor, heeded }) }
    const job = { ...request, create, share: this.#share.id }
    const atOnce = this.#openAtOnce(job)
    const reply = atOnce === WOULD_WAIT ? await workers.run(entryKey, 'open', job) : atOnce
    if (!reply.ok) return refusalOf(reply)
    const record = Buffer.from(reply.record.buffer, reply.record.byteOffset, reply.record.byteLength)
    const stat = decodeStat(record, 0, volume)
    const handle = new PosixHandle(this.#context, {
      node: {
        share: this.#share.id,
        fd: reply.fd,
        pathOnly: reply.pathOnly,
        link: reply.link,
        identity: request.identity,
        stream: reply.stream,
      },
      fileId: stat.fileId,
      type: stat.type,
      readable: request.read,
      writable: request.write,
      entryKey,
      nodeKey: fileIdentityHash(record),
    })
    this.#handles.add(handle)
    return {
      ok: true,
      handle,
      created: reply.created,
      fileCreated: reply.fileCreated,
      path: reply.path,
      stat,
      stream: reply.streamName,
      permissions: reply.permissions,
      securityDescriptor: reply.securityDescriptor && Buffer.from(reply.securityDescriptor),
      parentDescriptor: reply.parentDescriptor && Buffer.from(reply.parentDescriptor),
    }
  }

  /** What exists under just this name, and is in the kernel's memory, is opened here: the way to a worker and back takes longer. */
  #openAtOnce(job: OpenJob): OpenReply | typeof WOULD_WAIT {
    const { answersFromMemory, workers } = this.#context
    const mayLook = answersFromMemory && workers.isIdle
    const isTried = mayLook && job.stream === undefined && job.disposition !== 'create'
    return isTried ? withoutWaiting(() => open(job)) : WOULD_WAIT
  }

  async space(): Promise<SpaceInfo> {
    return await this.#context.workers.run(0, 'space', this.#share.id)
  }

  async occupied(...[goesOn, metBands]: Parameters<FileSystem['occupied']>): Promise<number | undefined> {
    const { workers } = this.#context
    const linked = new Set<string>()
    let walk: OccupiedWalk = { folders: [''], fd: undefined }
    let bytes = 0
    try {
      while (walk.folders.length > 0) {
        const page = await workers.run(0, 'addOccupied', { ...walk, share: this.#share.id })
        walk = { folders: page.folders, fd: page.fd }
        bytes += page.bytes
        for (const [identity, occupied] of page.linked) {
          if (!linked.has(identity)) bytes += occupied
          linked.add(identity)
        }
        for (const [bundle, bands] of page.bands) metBands?.(clientName(this.#share, bundle), bands)
        if (!goesOn(bytes)) return undefined
      }
      return bytes
    } finally {
      // One that was given up leaves a folder open.
      const { fd } = walk
      if (fd !== undefined) await workers.lane.unlessStopped(workers.lane.release(() => closeDescriptor(fd)))
    }
  }

  async close(): Promise<void> {
    await this.#context.workers.lane.unlessStopped(this.#close())
  }

  async #close(): Promise<void> {
    const { workers } = this.#context
    await Promise.all([...this.#handles].map((handle) => handle.close()))
    removeShare(this.#share.id)
    await workers.removeShare(this.#share.id)
    await workers.lane.release(() => closeDescriptor(this.#share.root))
  }
}

/** A message takes the whole memory behind a view along, so what goes is copied. */
function ownMemory(descriptors: {
  securityDescriptor: Buffer | undefined
  heeded: Buffer | undefined
}): Partial<OpenRequest['create']> {
  const { securityDescriptor, heeded } = descriptors
  return {
    ...(securityDescriptor !== undefined && {
      securityDescriptor: Buffer.from(new Uint8Array(securityDescriptor).buffer),
    }),
    ...(heeded !== undefined && { heeded: Buffer.from(new Uint8Array(heeded).buffer) }),
  }
}

function refusalOf({ error, parentDescriptor }: OpenReply & { ok: false }): OpenOutcome {
  return { ok: false, error, parentDescriptor: parentDescriptor && Buffer.from(parentDescriptor) }
}

/** Opens a directory as a file system. @throws StorageError when it cannot be opened */
export async function createPosixFileSystem(options: PosixFileSystemOptions): Promise<FileSystem> {
  const { workers } = options
  const probed = await workers.run(0, 'openRoot', { path: options.root, below: options.below })
  const share = await workers.addShare({
    root: probed.root,
    nameMapping: options.nameMapping ?? 'native',
    extendedAttributes: probed.features.extendedAttributes,
    compression: probed.features.compression,
    maximumStreamBytes: probed.features.maximumStreamBytes,
    macStreams: options.macStreams ?? true,
    macMetadata: options.macMetadata ?? 'stream',
    macResource: options.macResource ?? 'stream',
    hidesSidecars: options.macStreams !== false && options.hidesSidecars !== false,
  })
  addShare(share)
  return new PosixFileSystem(workers, share, probed)
}
