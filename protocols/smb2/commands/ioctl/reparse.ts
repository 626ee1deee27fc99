/** MS-FSCC 2.3.25, 2.3.61: FSCTL_GET_REPARSE_POINT and FSCTL_SET_REPARSE_POINT, for symbolic links. */

import { FileAccess } from '../../fscc/access.ts'
import {
  decodeReparseDataBuffer,
  decodeSymbolicLink,
  encodeSymbolicLink,
  ReparseTag,
  SYMLINK_FLAG_RELATIVE,
} from '../../fscc/reparse.ts'
import { fail } from '../../outcome.ts'
import { Status } from '../../status.ts'
import { done, type IoctlHandler } from './handler.ts'

export const getReparsePoint: IoctlHandler = {
  on: 'file',
  async run({ open }, request) {
    if (open.file.type !== 'symlink') return fail(Status.NOT_A_REPARSE_POINT)
    const target = (await open.file.handle.readLink()).replaceAll('/', '\\')
    const flags = target.startsWith('\\') ? 0 : SYMLINK_FLAG_RELATIVE
    const output = encodeSymbolicLink({ substituteName: target, printName: target, flags })
    return output.length > request.maxOutputResponse ? fail(Status.BUFFER_TOO_SMALL) : done(output)
  },
}

export const setReparsePoint: IoctlHandler = {
  on: 'file',
  async run({ open, treeConnect }, request) {
    if (!open.grantsAny(FileAccess.WRITE_DATA | FileAccess.WRITE_ATTRIBUTES))
      return fail(Status.ACCESS_DENIED)
    const { reparseTag, data } = decodeReparseDataBuffer(request.input)
    if (reparseTag !== ReparseTag.SYMLINK) return fail(Status.IO_REPARSE_TAG_NOT_HANDLED)
    if (treeConnect.share.fileSystem?.features.symbolicLinks !== true) return fail(Status.NOT_SUPPORTED)
    const link = decodeSymbolicLink(data)
    // Links that lead out of the share would not be followed; so none is made.
    if ((link.flags & SYMLINK_FLAG_RELATIVE) === 0) return fail(Status.ACCESS_DENIED)
    await open.file.handle.makeLink(link.substituteName.replaceAll('\\', '/'))
    return done()
  },
}
