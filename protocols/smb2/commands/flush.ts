/** MS-SMB2 3.3.5.11: receiving a FLUSH Request: answered when the data is on the disk. */

import { command } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import { Command } from '../messages/commands.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import { decodeFlushRequest, encodeFlushResponse, type FlushRequest, FULL_SYNC } from '../messages/flush.ts'
import { fail, ok } from '../outcome.ts'
import { Status } from '../status.ts'
import { noteFlush } from './notes.ts'

export const flush = command<EmptyBody, FlushRequest>({
  code: Command.FLUSH,
  name: 'FLUSH',
  needs: 'open',
  decode: decodeFlushRequest,
  encode: encodeFlushResponse,
  fileId: (request) => request.fileId,
  async run({ open, server, connection }, { reserved1 }) {
    if (open.isPipe) return ok({})
    // 3.3.5.11: "FILE_WRITE_DATA or FILE_APPEND_DATA", which directories call ADD_FILE and ADD_SUBDIRECTORY.
    if (!open.grantsAny(FileAccess.WRITE_DATA | FileAccess.APPEND_DATA)) return fail(Status.ACCESS_DENIED)
    await open.file.handle.flush()
    // F_FULLFSYNC of a Mac: the file must also be found after a power cut.
    if (connection.negotiatedAapl && reserved1 === FULL_SYNC) await open.file.handle.flushEntry()
    noteFlush(server, open)
    return ok({})
  },
})
