/** MS-SMB2 3.3.5.15.6 FSCTL_SRV_COPYCHUNK as Macs extend it: without chunks, a file is copied with all that belongs to it. */

import { StorageError } from '../../../../storage/errors.ts'
import type { FileHandle } from '../../../../storage/file-system.ts'
import type { CommandContext } from '../../context.ts'
import { FileAccess } from '../../fscc/access.ts'
import { fail } from '../../outcome.ts'
import type { Open } from '../../state/open.ts'
import { Status } from '../../status.ts'
import { changing } from '../caching.ts'
import { isLockedForRead, isLockedForWrite } from '../file-range.ts'
import { noteWrite } from '../notes.ts'
import type { IoctlOutcome } from './handler.ts'

/** Copied at a time: between two pieces it is asked whether the client still wants it. */
const PIECE_BYTES = 64 << 20
/** What a response can tell (TotalBytesWritten). */
const LARGEST_COUNT = 0xffff_ffff

interface Copy {
  readonly context: CommandContext
  readonly source: Open
  readonly target: Open
  isCancelled: boolean
}

/**
 * Data, named streams, and where the opens grant it extended attributes, DOS attributes and times. A large file takes its time: an interim response goes
 * out, and CANCEL ends it, with what was copied until then left in the target.
 * @param respond makes the answer of the bytes of data that were copied
 */
export function copyWholeFile(
  context: CommandContext,
  source: Open,
  respond: (bytes: number) => IoctlOutcome,
): IoctlOutcome {
  const target = context.open
  if (source.file.stream !== '' || target.file.stream !== '') return fail(Status.INVALID_PARAMETER)
  const copy: Copy = { context, source, target, isCancelled: false }
  const cancel = () => {
    copy.isCancelled = true
  }
  return { kind: 'pending', completion: run(copy, respond), cancel }
}

async function run(copy: Copy, respond: (bytes: number) => IoctlOutcome): Promise<IoctlOutcome> {
  const { context, source, target } = copy
  source.hold()
  target.hold()
  try {
    const { size } = await source.file.handle.stat()
    // Under one name or two, a file is a copy of itself already; emptying the target first would lose it.
    if (source.file.node.node === target.file.node.node) return respond(Math.min(size, LARGEST_COUNT))
    if (await isLocked(copy, size)) return fail(Status.FILE_LOCK_CONFLICT)
    const copied = await changing(context.server, target, () => copyAll(copy, size)).finally(() =>
      noteWrite(context.server, target),
    )
    return copied === undefined ? fail(Status.CANCELLED) : respond(Math.min(copied, LARGEST_COUNT))
  } finally {
    source.letGo()
    target.letGo()
  }
}

/** The target loses what it has beyond the source's end, too. */
async function isLocked({ source, target }: Copy, size: number): Promise<boolean> {
  const changed = Math.max(size, (await target.file.handle.stat()).size)
  return isLockedForRead(source, 0n, BigInt(size)) || isLockedForWrite(target, 0n, BigInt(changed))
}

/** @returns bytes of data; undefined when it was not finished */
async function copyAll(copy: Copy, size: number): Promise<number | undefined> {
  const [from, to] = [copy.source.file.handle, copy.target.file.handle]
  const copied = await copyData(copy, from, to, size)
  if (copied === undefined) return undefined
  for (const stream of await from.streams()) {
    if (stream.name !== '' && (await copyStream(copy, stream.name, stream.size)) === undefined)
      return undefined
  }
  await copyAttributes(copy)
  return copied
}

/** smbfs opens both files with the rights that this needs; others get no more than what they opened them for. */
async function copyAttributes({ source, target }: Copy): Promise<void> {
  const [from, to] = [source.file.handle, target.file.handle]
  if (source.grants(FileAccess.READ_EA) && target.grants(FileAccess.WRITE_EA)) {
    const attributes = await from.extendedAttributes()
    if (attributes.length > 0) await to.setExtendedAttributes(attributes)
  }
  if (!target.grants(FileAccess.WRITE_ATTRIBUTES)) return
  const { dosAttributes, birthTime, writeTime } = await from.stat()
  await to.change({ dosAttributes, birthTime, writeTime })
}

/** @returns bytes; undefined when it was not finished */
async function copyData(
  copy: Copy,
  from: FileHandle,
  to: FileHandle,
  size: number,
): Promise<number | undefined> {
  await to.setSize(0)
  let offset = 0
  while (offset < size) {
    if (copy.isCancelled || copy.target.closing || copy.source.closing) return undefined
    const length = Math.min(PIECE_BYTES, size - offset)
    const copied = await to.copyFrom(from, { offset, length }, offset)
    // The source has become shorter meanwhile.
    if (copied === 0) break
    offset += copied
  }
  return offset
}

async function copyStream(copy: Copy, stream: string, size: number): Promise<number | undefined> {
  const from = await openStream(copy.source, stream, false)
  try {
    const to = await openStream(copy.target, stream, true)
    try {
      return await copyData(copy, from, to, size)
    } finally {
      await to.close()
    }
  } finally {
    await from.close()
  }
}

/**
 * As the account whose open it is, by the file's name, so it must still be that file.
 * @throws StorageError
 */
async function openStream(open: Open, stream: string, write: boolean): Promise<FileHandle> {
  const { share, admission } = open
  if (share.fileSystem === undefined) throw new Error('a pipe has no streams')
  const outcome = await share.fileSystem.open({
    path: await open.file.handle.path(),
    stream,
    identity: admission.identity,
    disposition: write ? 'open-if' : 'open',
    kind: 'file',
    followLinks: false,
    read: !write,
    write,
    create: { mode: 0, dosAttributes: 0 },
    wantPermissions: false,
  })
  if (!outcome.ok) throw new StorageError(outcome.error)
  if (outcome.stat.fileId === open.file.node.node.fileId) return outcome.handle
  await outcome.handle.close()
  throw new StorageError('not-found')
}
