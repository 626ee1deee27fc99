/** MS-FSA 2.1.5.14.2 FileBasicInformation and its kin: attributes, times, owner and mode of an open file. */

import { StorageError } from '../errors.ts'
import type { AttributeChanges, Nanoseconds } from '../file-system.ts'
import { check, Errno } from './errno.ts'
import { actAs, asServer } from './identity.ts'
import type { NodeReference } from './jobs.ts'
import {
  assertMayChange,
  mayChange,
  placeOf,
  readRecord,
  storeChangeTime,
  storeDescriptor,
  storeDosAttributes,
  storedDescriptor,
} from './metadata.ts'
import { chmod, chown, ftruncate, procPath, utimens } from './native.ts'
import { shareOf } from './share.ts'
import type { Share } from './share-type.ts'
import { dosAttributesOf, setStreamSize, typeOf } from './stat-record.ts'
import { emptyStream, removeAllStreams, streamSizeOf } from './streams.ts'

/** "The specified file is not changed" in tv_nsec of utimensat(2). */
const UTIME_OMIT = 0x3fff_fffe
const TIMESPEC_BYTES = 16
const NANOSECONDS = 1_000_000_000n
/** -1 as uid or gid leaves it as it is. */
const SAME_ID = 0xffff_ffff

export function stat(node: NodeReference): Uint8Array {
  const record = readRecord(node)
  if (node.stream !== undefined) setStreamSize(record, streamSizeOf(node))
  return record
}

export function change(job: { node: NodeReference; changes: AttributeChanges }): Uint8Array {
  const { node, changes } = job
  return actAs(node.identity, () => {
    const path = procPath(node.fd)
    if (changes.uid !== undefined || changes.gid !== undefined) {
      check(chown(path, changes.uid ?? SAME_ID, changes.gid ?? SAME_ID), 'chown')
    }
    if (changes.mode !== undefined) check(chmod(path, changes.mode), 'chmod')
    changeDosAttributes(shareOf(node.share), node, changes)
    changeTimes(node, changes)
    keepChangeTime(shareOf(node.share), node, changes.changeTime)
    return stat(node)
  })
}

function changeDosAttributes(share: Share, node: NodeReference, changes: AttributeChanges): void {
  const { dosAttributes, birthTime } = changes
  if (dosAttributes === undefined && birthTime === undefined) return
  const record = readRecord(node)
  if (birthTime === undefined && dosAttributes === dosAttributesOf(record)) return
  const type = typeOf(record)
  if (!share.extendedAttributes || (type !== 'file' && type !== 'directory')) {
    throw new StorageError('not-supported', 'no extended attributes')
  }
  assertMayChange(node, record)
  storeDosAttributes(node, record, { dosAttributes, birthTime })
}

function changeTimes(node: NodeReference, { accessTime, writeTime }: AttributeChanges): void {
  if (accessTime === undefined && writeTime === undefined) return
  const times = Buffer.alloc(2 * TIMESPEC_BYTES)
  putTimespec(times, 0, accessTime)
  putTimespec(times, TIMESPEC_BYTES, writeTime)
  const result = utimens(node.fd, times)
  // POSIX lets only the owner set a time; Windows whoever may write.
  if (result === -Errno.EPERM && mayChange(node, readRecord(node))) {
    asServer(() => check(utimens(node.fd, times), 'utimensat'))
  } else {
    check(result, 'utimensat')
  }
}

/** Last of all changes, as each of them moves the file system's own. */
function keepChangeTime(share: Share, node: NodeReference, changeTime: Nanoseconds | undefined): void {
  if (changeTime === undefined || !share.extendedAttributes) return
  const record = readRecord(node)
  const type = typeOf(record)
  if (type !== 'file' && type !== 'directory') return
  assertMayChange(node, record)
  storeChangeTime(node, changeTime)
}

function putTimespec(times: Buffer, at: number, time: Nanoseconds | undefined): void {
  if (time === undefined) {
    times.writeBigInt64LE(BigInt(UTIME_OMIT), at + 8)
    return
  }
  // Before 1970 the seconds are negative and the nanoseconds still count forward.
  const nanoseconds = ((time % NANOSECONDS) + NANOSECONDS) % NANOSECONDS
  times.writeBigInt64LE((time - nanoseconds) / NANOSECONDS, at)
  times.writeBigInt64LE(nanoseconds, at + 8)
}

/** Empties file or stream; a file also loses its named streams and gets new attributes. */
export function overwrite(job: { node: NodeReference; dosAttributes: number }): Uint8Array {
  const { node } = job
  if (node.stream !== undefined) {
    emptyStream(node)
    return stat(node)
  }
  return actAs(node.identity, () => {
    const share = shareOf(node.share)
    check(ftruncate(node.fd, 0), 'ftruncate')
    if (share.extendedAttributes) {
      removeAllStreams(node)
      const record = readRecord(node)
      if (dosAttributesOf(record) !== job.dosAttributes) {
        storeDosAttributes(node, record, { dosAttributes: job.dosAttributes })
      }
    }
    return stat(node)
  })
}

export function readSecurityDescriptor(node: NodeReference): Uint8Array | undefined {
  return asServer(() => storedDescriptor(placeOf(node)))
}

export function writeSecurityDescriptor(job: { node: NodeReference; descriptor: Uint8Array }): void {
  const { node, descriptor } = job
  if (!shareOf(node.share).extendedAttributes) throw new StorageError('not-supported')
  asServer(() => storeDescriptor(node, descriptor))
}
