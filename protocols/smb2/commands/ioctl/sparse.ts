/** MS-FSCC 2.3.53, 2.3.64, 2.3.67: FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA. */

import { type ByteRange, DosAttribute } from '../../../../storage/file-system.ts'
import { Reader } from '../../../wire/reader.ts'
import { Writer } from '../../../wire/writer.ts'
import { FileAccess } from '../../fscc/access.ts'
import { NotifyFilter } from '../../fscc/notify.ts'
import {
  decodeAllocatedRange,
  decodeSetSparse,
  decodeZeroData,
  encodeAllocatedRange,
} from '../../messages/ioctl/file-ranges.ts'
import { fail } from '../../outcome.ts'
import { Status } from '../../status.ts'
import { changing } from '../caching.ts'
import { fitsInFile, isLockedForWrite } from '../file-range.ts'
import { noteModified, noteWrite } from '../notes.ts'
import { done, type IoctlHandler, type IoctlOutcome } from './handler.ts'

const RANGE_BYTES = 16

export const setSparse: IoctlHandler = {
  on: 'file',
  async run({ open, server }, request) {
    const { WRITE_DATA, WRITE_ATTRIBUTES, APPEND_DATA } = FileAccess
    if (!open.grantsAny(WRITE_DATA | WRITE_ATTRIBUTES | APPEND_DATA)) return fail(Status.ACCESS_DENIED)
    if (open.isDirectory) return fail(Status.INVALID_PARAMETER)
    const sparse = decodeSetSparse(new Reader(request.input))
    // windows.md section 3: on a named stream it is accepted and means nothing.
    if (open.file.stream !== '') return done()
    const { dosAttributes } = await open.file.handle.stat()
    const wanted = sparse ? dosAttributes | DosAttribute.sparse : dosAttributes & ~DosAttribute.sparse
    if (wanted === dosAttributes) return done()
    await open.file.handle.change({ dosAttributes: wanted })
    noteModified(server, open, NotifyFilter.ATTRIBUTES)
    return done()
  },
}

export const setZeroData: IoctlHandler = {
  on: 'file',
  async run({ open, server }, request) {
    if (!open.grants(FileAccess.WRITE_DATA)) return fail(Status.ACCESS_DENIED)
    if (open.isDirectory) return fail(Status.INVALID_PARAMETER)
    const { fileOffset, beyondFinalZero } = decodeZeroData(new Reader(request.input))
    const length = beyondFinalZero - fileOffset
    if (fileOffset < 0n || length < 0n || !fitsInFile(beyondFinalZero, 0)) {
      return fail(Status.INVALID_PARAMETER)
    }
    if (isLockedForWrite(open, fileOffset, length)) return fail(Status.FILE_LOCK_CONFLICT)
    const range = { offset: Number(fileOffset), length: Number(length) }
    if (length === 0n) return done()
    await changing(server, open, () => open.file.handle.zeroRange(range))
    noteWrite(server, open)
    return done()
  },
}

export const queryAllocatedRanges: IoctlHandler = {
  on: 'file',
  async run({ open }, request) {
    if (!open.grants(FileAccess.READ_DATA)) return fail(Status.ACCESS_DENIED)
    if (open.isDirectory || request.input.length < RANGE_BYTES) return fail(Status.INVALID_PARAMETER)
    const asked = decodeAllocatedRange(new Reader(request.input))
    if (
      asked.fileOffset < 0n ||
      asked.length < 0n ||
      asked.fileOffset + asked.length > 0x7fff_ffff_ffff_ffffn
    ) {
      return fail(Status.INVALID_PARAMETER)
    }
    const { handle } = open.file
    const stat = await handle.stat()
    const end = asked.fileOffset + asked.length
    const beyond = end < BigInt(stat.size) ? end : BigInt(stat.size)
    if (beyond <= asked.fileOffset) return done()
    const range = { offset: Number(asked.fileOffset), length: Number(beyond - asked.fileOffset) }
    // windows.md section 3: holes are shown only in files that a client made sparse.
    const isSparse = (stat.dosAttributes & DosAttribute.sparse) !== 0
    const room = Math.floor(request.maxOutputResponse / RANGE_BYTES)
    const ranges = isSparse ? await handle.allocatedRanges(range, room + 1) : [range]
    return answer(ranges, room)
  },
}

/** As many ranges as there is room for, with BUFFER_OVERFLOW when some are left. */
function answer(ranges: readonly ByteRange[], room: number): IoctlOutcome {
  if (ranges.length > 0 && room === 0) return fail(Status.BUFFER_TOO_SMALL)
  const writer = new Writer()
  for (const { offset, length } of ranges.slice(0, room)) {
    encodeAllocatedRange(writer, { fileOffset: BigInt(offset), length: BigInt(length) })
  }
  return done(writer.finish(), ranges.length > room ? Status.BUFFER_OVERFLOW : Status.SUCCESS)
}
