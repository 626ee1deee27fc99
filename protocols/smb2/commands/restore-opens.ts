/** MS-SMB2 3.3.3, 3.3.1.10, ours: durable opens of an earlier run come back, for what is left of their time, as those of clients that are away. */

import { FILE_ALL_ACCESS } from '../fscc/access.ts'
import { CreateOption } from '../fscc/create-options.ts'
import { OplockLevel } from '../messages/create.ts'
import { type LeaseContext, LeaseFlag } from '../messages/create-context-lease.ts'
import { beginAbsence, mayBeAbsent, mayOutliveConnection } from '../state/durable-handle.ts'
import type { DurableRecord, LeaseRecord } from '../state/durable-store.ts'
import { oplockKeyOf } from '../state/lease.ts'
import { Open, type Right } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { countLocks } from '../state/usage.ts'
import { closeOpen } from './close-open.ts'
import { pathNameOf } from './create/name.ts'
import { deniedBy, type Opened, READS, WRITES } from './create/storage-open.ts'
import { abandonOpen } from './disconnect-open.ts'
import { NO_LOCK_KEY } from './file-range.ts'
import { type Claim, claimIdly } from './node-claim.ts'
import { releaseTimes } from './notes.ts'
import { maximalAccessOf } from './tree-connect.ts'

const NO_KEY = Buffer.alloc(16)

/**
 * Brings back what can be. Before clients are let in, so that nobody comes in between. What is left out is
 * forgotten: its client is told OBJECT_NAME_NOT_FOUND.
 * @returns how many there are
 */
export async function restoreOpens(server: Server, records: readonly DurableRecord[]): Promise<number> {
  const restored: (readonly [Open, DurableRecord])[] = []
  server.durables.begin(records)
  for (const record of records) {
    const open = await restoreSafely(server, record)
    if (open === undefined) server.durables.forget(server, record.id)
    else restored.push([open, record])
  }
  // Afterwards, as nobody is granted a lease of a file in which something is locked, or opens one that is to go.
  for (const [open, record] of restored) {
    restoreLocks(server, open, record)
    if (record.deletePending) server.nodes.setDeletePending(open.file.shared, true)
  }
  return restored.length
}

/** What goes wrong with one does not keep the server from starting. */
async function restoreSafely(server: Server, record: DurableRecord): Promise<Open | undefined> {
  try {
    return await restore(server, record)
  } catch (error) {
    const { share, path } = record
    server.log('warn', 'a durable open could not be restored', { share, path, error })
    return undefined
  }
}

async function restore(server: Server, record: DurableRecord): Promise<Open | undefined> {
  const refuse = (reason: string): undefined => {
    const { share, path } = record
    server.log('info', 'a durable open was not restored', { share, path, reason })
  }
  const right = await rightTo(server, record)
  if (right === undefined) return refuse('its owner may not use the share so')
  if (!mayBeAbsent(server, record.durable.owner)) return refuse('too many')
  const outcome = await right.share.fileSystem?.open(storageRequest(right, record))
  if (outcome?.ok !== true) return refuse(outcome?.error ?? 'no file system')
  const { stat, handle } = outcome
  const isSame = String(stat.volumeId) === record.volumeId && String(stat.fileId) === record.fileId
  const claim = isSame ? claimed(server, right, record, outcome) : undefined
  if (claim === undefined) {
    await handle.close()
    return refuse(isSame ? 'another open is in the way' : 'the file is another one')
  }
  const open = openOf(right, record, outcome, claim)
  server.globalOpenTable.set(open.fileId.persistent, open)
  grantAgain(server, open, record)
  if (!mayOutliveConnection(server, open)) {
    await closeOpen(server, open)
    return refuse('its oplock or lease cannot be had')
  }
  beginAbsence(server, open, record.durable.timeout, () => void abandonOpen(server, open), record.absentSince)
  return open
}

/** What the owner has by the configuration of now; undefined when that is less than the open has. */
async function rightTo({ shareList }: Server, record: DurableRecord): Promise<Right | undefined> {
  const { share: name, durable, grantedAccess } = record
  const principal = { kind: 'user', user: durable.owner, domain: '' } as const
  const listed = shareList.get(name.toLowerCase())
  const admission = listed?.admit(principal)
  const share = listed?.own === undefined ? listed : await listed.own(principal)
  if (share === undefined || admission === undefined) return undefined
  const exceeds = (grantedAccess & FILE_ALL_ACCESS & ~maximalAccessOf(admission)) !== 0
  return exceeds ? undefined : { share, admission }
}

function storageRequest({ share, admission }: Right, record: DurableRecord) {
  const { path, stream, grantedAccess, createOptions } = record
  return {
    path,
    ...(stream === '' ? { kind: 'file' as const } : { stream, kind: 'any' as const }),
    identity: admission.identity,
    disposition: 'open' as const,
    followLinks: share.followLinks && (createOptions & CreateOption.OPEN_REPARSE_POINT) === 0,
    read: (grantedAccess & READS) !== 0,
    write: (grantedAccess & WRITES) !== 0,
    ...(share.netatalkLocking && { denies: deniedBy(record.shareAccess) }),
    create: { mode: 0, dosAttributes: 0 },
    wantPermissions: false,
  }
}

function claimed(
  server: Server,
  { share }: Right,
  record: DurableRecord,
  { handle, stat }: Opened,
): Claim | undefined {
  const { lease } = record
  return claimIdly(server, {
    root: share.fileSystem ?? {},
    handle,
    stat,
    stream: record.stream,
    path: record.path,
    isDirectory: false,
    oplockKey: lease && oplockKeyOf(bytes(lease.clientGuid), bytes(lease.leaseKey)),
    parentOplockKey: lease?.parentLeaseKey,
    access: record.grantedAccess,
    overwrites: false,
    shareAccess: record.shareAccess,
    posix: record.sharesAsPosix,
  })
}

function openOf(right: Right, record: DurableRecord, { handle }: Opened, claim: Claim): Open {
  const id = BigInt(`0x${record.id}`)
  const fileId = { persistent: id, volatile: id }
  const { grantedAccess, maximalAccess, shareAccess, createOptions, createAction, creationTime } = record
  const open = new Open(
    {
      ...{ grantedAccess, maximalAccess, shareAccess, createOptions, createAction },
      posix: record.posix,
      file: { handle, type: 'file', stream: record.stream, ...claim },
      pipe: undefined,
      pathName: pathNameOf(record.path, record.stream),
    },
    { fileId, right, isPrevious: false, creationTime },
  )
  open.durable = record.durable
  open.createGuid = record.createGuid === undefined ? undefined : bytes(record.createGuid)
  open.mode = record.mode
  open.currentByteOffset = BigInt(record.currentByteOffset)
  open.deleteOnClose = record.deleteOnClose
  if (record.lockSequences.length > 0) open.lockSequenceArray = new Map(record.lockSequences)
  return open
}

function grantAgain({ oplocks }: Server, open: Open, { lease: record }: DurableRecord): void {
  if (record === undefined) {
    oplocks.grant(open, OplockLevel.BATCH)
  } else {
    const lease = oplocks.grantLease(open, bytes(record.clientGuid), leaseContextOf(record))
    if (lease !== undefined) lease.epoch = record.epoch
  }
  oplocks.announced(open)
}

function leaseContextOf({ leaseKey, leaseState, parentLeaseKey, version, epoch }: LeaseRecord): LeaseContext {
  return {
    ...{ leaseState, version, epoch },
    leaseKey: bytes(leaseKey),
    parentLeaseKey: parentLeaseKey === undefined ? NO_KEY : bytes(parentLeaseKey),
    leaseFlags: parentLeaseKey === undefined ? 0 : LeaseFlag.PARENT_LEASE_KEY_SET,
  }
}

/**
 * The server stops: the handles of absent clients are closed, and nothing else, as the next run has the opens again.
 * After the journal has ended.
 */
export async function suspendOpens(server: Server): Promise<void> {
  const opens = [...server.absentOpens]
  for (const open of opens) open.absence?.stopTimers()
  await Promise.all(opens.map((open) => suspend(server, open)))
}

async function suspend(server: Server, open: Open): Promise<void> {
  await open.drained(0)
  // Nothing keeps them in the next run.
  await releaseTimes(server, open, open.userSetTimes)
  await open.file.handle.close()
}

function restoreLocks(server: Server, open: Open, { locks }: DurableRecord): void {
  const { node, shared } = open.file
  for (const { offset, length, exclusive } of locks) {
    const range = { offset: BigInt(offset), length: BigInt(length), exclusive }
    const held = node.locks.lock({ owner: shared, key: NO_LOCK_KEY, ...range })
    if (typeof held !== 'string') countLocks(server, open, 1)
  }
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}
