/** MS-SMB2 3.3.5.15.5 and 3.3.5.15.6: FSCTL_SRV_REQUEST_RESUME_KEY, FSCTL_SRV_COPYCHUNK and _WRITE: a copy on the server. */

import { Reader } from '../../../wire/reader.ts'
import { Writer } from '../../../wire/writer.ts'
import type { CommandContext } from '../../context.ts'
import { FileAccess } from '../../fscc/access.ts'
import {
  decodeSrvCopychunkCopy,
  encodeSrvCopychunkResponse,
  encodeSrvRequestResumeKeyResponse,
  RESUME_KEY_BYTES,
  type SrvCopychunk,
  type SrvCopychunkCopy,
} from '../../messages/ioctl/copychunk.ts'
import type { IoctlRequest } from '../../messages/ioctl.ts'
import { fail } from '../../outcome.ts'
import type { Open } from '../../state/open.ts'
import { type NtStatus, Status } from '../../status.ts'
import { changing } from '../caching.ts'
import { fitsInFile, isLockedForRead, isLockedForWrite } from '../file-range.ts'
import { noteWrite } from '../notes.ts'
import { copyWholeFile } from './copy-whole-file.ts'
import { done, type IoctlHandler, type IoctlOutcome } from './handler.ts'

/** 3.3.3: ServerSideCopyMaxNumberofChunks, -MaxChunkSize and -MaxDataSize, as Windows has them. */
const MAX_CHUNKS = 256
const MAX_CHUNK_BYTES = 1 << 20
const MAX_TOTAL_BYTES = 16 << 20
/** SRV_COPYCHUNK_RESPONSE */
const RESPONSE_BYTES = 12
const RESUME_KEY_RESPONSE_BYTES = 32

export const requestResumeKey: IoctlHandler = {
  on: 'file',
  run({ open, server }, request) {
    if (request.maxOutputResponse < RESUME_KEY_RESPONSE_BYTES) return fail(Status.INVALID_PARAMETER)
    open.resumeKey ??= newResumeKey(open, server.environment.random(8))
    const writer = new Writer()
    encodeSrvRequestResumeKeyResponse(writer, open.resumeKey)
    return done(writer.finish())
  },
}

/** The volatile id finds the open again; the rest cannot be guessed. */
function newResumeKey(open: Open, secret: Buffer): Buffer {
  const key = Buffer.alloc(RESUME_KEY_BYTES)
  key.writeBigUInt64LE(open.fileId.volatile, 0)
  key.writeBigUInt64LE(open.fileId.persistent, 8)
  secret.copy(key, 16)
  return key
}

export const copychunk: IoctlHandler = {
  on: 'file',
  run: (context, request) => runCopychunk(context, request, FileAccess.READ_DATA | FileAccess.WRITE_DATA),
}

/** As COPYCHUNK, but the target need not be readable. */
export const copychunkWrite: IoctlHandler = {
  on: 'file',
  run: (context, request) => runCopychunk(context, request, FileAccess.WRITE_DATA),
}

async function runCopychunk(
  context: CommandContext,
  request: IoctlRequest,
  targetAccess: number,
): Promise<IoctlOutcome> {
  const { open: target } = context
  if (request.maxOutputResponse < RESPONSE_BYTES) return fail(Status.INVALID_PARAMETER)
  const copy = decodeSrvCopychunkCopy(new Reader(request.input))
  if (exceedsLimits(copy)) {
    // 3.3.5.15.6.2: the response names the limits.
    return respond(MAX_CHUNKS, MAX_CHUNK_BYTES, MAX_TOTAL_BYTES, Status.INVALID_PARAMETER)
  }
  const source = findSource(context, copy.sourceKey)
  if (source === undefined) return fail(Status.OBJECT_NAME_NOT_FOUND)
  if (target.isDirectory || source.isDirectory) return fail(Status.INVALID_DEVICE_REQUEST)
  if (!target.grants(targetAccess) || !source.grantsAny(FileAccess.READ_DATA | FileAccess.EXECUTE)) {
    return fail(Status.ACCESS_DENIED)
  }
  // Without a chunk, a Mac that was told of it asks for all of the file; others for nothing.
  if (copy.chunks.length === 0 && context.connection.negotiatedAapl) {
    return copyWholeFile(context, source, (bytes) => respond(0, 0, bytes, Status.SUCCESS))
  }
  source.hold()
  try {
    return await changing(context.server, target, () => copyChunks(source, target, copy.chunks))
  } finally {
    noteWrite(context.server, target)
    source.letGo()
  }
}

function exceedsLimits({ chunks }: SrvCopychunkCopy): boolean {
  const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  return (
    chunks.length > MAX_CHUNKS ||
    total > MAX_TOTAL_BYTES ||
    chunks.some((chunk) => chunk.length === 0 || chunk.length > MAX_CHUNK_BYTES)
  )
}

/** 3.3.5.15.6: the key names an open of the same session. */
function findSource({ session }: CommandContext, sourceKey: Buffer): Open | undefined {
  const source = session.openTable.get(sourceKey.readBigUInt64LE(0))
  const matches = source?.resumeKey?.equals(sourceKey) === true && !source.closing
  return matches ? source : undefined
}

async function copyChunks(
  source: Open,
  target: Open,
  chunks: readonly SrvCopychunk[],
): Promise<IoctlOutcome> {
  const { size } = await source.file.handle.stat()
  let total = 0
  for (const [index, chunk] of chunks.entries()) {
    const refusal = checkChunk(source, target, chunk, size)
    // 3.3.5.15.6.2: the response says how far it came.
    if (refusal !== undefined) return respond(index, 0, total, refusal)
    const range = { offset: Number(chunk.sourceOffset), length: chunk.length }
    total += await target.file.handle.copyFrom(source.file.handle, range, Number(chunk.targetOffset))
  }
  return respond(chunks.length, 0, total, Status.SUCCESS)
}

function checkChunk(
  source: Open,
  target: Open,
  chunk: SrvCopychunk,
  sourceSize: number,
): NtStatus | undefined {
  const { sourceOffset, targetOffset, length } = chunk
  if (!fitsInFile(sourceOffset, length) || !fitsInFile(targetOffset, length)) return Status.INVALID_PARAMETER
  // 3.3.5.15.6: "the range ... exceeds the size of the source".
  if (sourceOffset + BigInt(length) > BigInt(sourceSize)) return Status.INVALID_VIEW_SIZE
  const isLocked =
    isLockedForRead(source, sourceOffset, BigInt(length)) ||
    isLockedForWrite(target, targetOffset, BigInt(length))
  return isLocked ? Status.FILE_LOCK_CONFLICT : undefined
}

function respond(
  chunksWritten: number,
  chunkBytesWritten: number,
  totalBytesWritten: number,
  status: NtStatus,
): IoctlOutcome {
  const writer = new Writer()
  encodeSrvCopychunkResponse(writer, { chunksWritten, chunkBytesWritten, totalBytesWritten })
  return done(writer.finish(), status)
}
