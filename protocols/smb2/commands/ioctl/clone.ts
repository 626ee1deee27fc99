/** MS-FSCC 2.3.7: FSCTL_DUPLICATE_EXTENTS_TO_FILE: two files share blocks. */

import { DosAttribute, type FileStat } from '../../../../storage/file-system.ts'
import { Reader } from '../../../wire/reader.ts'
import { FileAccess } from '../../fscc/access.ts'
import { type DuplicateExtents, decodeDuplicateExtents } from '../../messages/ioctl/file-ranges.ts'
import { fail } from '../../outcome.ts'
import type { Open } from '../../state/open.ts'
import type { Server } from '../../state/server.ts'
import { Status } from '../../status.ts'
import { changing } from '../caching.ts'
import { fitsInFile } from '../file-range.ts'
import { noteWrite } from '../notes.ts'
import { done, type IoctlHandler, type IoctlOutcome } from './handler.ts'

export const duplicateExtents: IoctlHandler = {
  on: 'file',
  async run({ open, server, session, treeConnect }, request) {
    if (treeConnect.share.fileSystem?.features.clone !== true) return fail(Status.INVALID_DEVICE_REQUEST)
    const clone = decodeDuplicateExtents(new Reader(request.input))
    const source = session.openTable.get(clone.sourceFileId.volatile)
    const isKnown =
      source !== undefined &&
      !source.closing &&
      !source.isPipe &&
      source.fileId.persistent === clone.sourceFileId.persistent &&
      source.share.fileSystem === treeConnect.share.fileSystem
    // Windows' answer; the specification has INVALID_PARAMETER.
    if (!isKnown) return fail(Status.INVALID_HANDLE)
    if (!source.grants(FileAccess.READ_DATA) || !open.grants(FileAccess.WRITE_DATA)) {
      return fail(Status.ACCESS_DENIED)
    }
    source.hold()
    try {
      return await changing(server, open, () => shareBlocks(server, source, open, clone))
    } finally {
      source.letGo()
    }
  },
}

async function shareBlocks(
  server: Server,
  source: Open,
  target: Open,
  clone: DuplicateExtents,
): Promise<IoctlOutcome> {
  const from = await source.file.handle.stat()
  const to = await target.file.handle.stat()
  const refusal = check(from, to, clone)
  if (refusal !== undefined) return refusal
  // The target does not grow by this: what lies beyond its end is left out, as on Windows.
  const length = Math.min(Number(clone.byteCount), to.size - Number(clone.targetFileOffset))
  if (length <= 0) return done()
  const range = { offset: Number(clone.sourceFileOffset), length }
  await target.file.handle.cloneFrom(source.file.handle, range, Number(clone.targetFileOffset))
  noteWrite(server, target)
  return done()
}

function check(from: FileStat, to: FileStat, clone: DuplicateExtents): IoctlOutcome | undefined {
  const { sourceFileOffset, targetFileOffset, byteCount } = clone
  const inRange = (offset: bigint): boolean =>
    offset >= 0n && byteCount >= 0n && fitsInFile(offset + byteCount, 0)
  if (!inRange(sourceFileOffset) || !inRange(targetFileOffset)) return fail(Status.INVALID_PARAMETER)
  if (sourceFileOffset + byteCount > BigInt(from.size)) return fail(Status.NOT_SUPPORTED)
  const isSameFile = from.fileId === to.fileId && from.volumeId === to.volumeId
  const distance =
    sourceFileOffset > targetFileOffset
      ? sourceFileOffset - targetFileOffset
      : targetFileOffset - sourceFileOffset
  if (isSameFile && byteCount > 0n && distance < byteCount) return fail(Status.NOT_SUPPORTED)
  // What Windows does: a sparse source wants a sparse target, the other way round is fine.
  const isSparse = (stat: FileStat): boolean => (stat.dosAttributes & DosAttribute.sparse) !== 0
  return isSparse(from) && !isSparse(to) ? fail(Status.NOT_SUPPORTED) : undefined
}
