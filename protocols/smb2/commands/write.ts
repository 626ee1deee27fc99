/** MS-SMB2 3.3.5.13: receiving a WRITE Request. */

import { type CommandContext, command } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import { CreateOption } from '../fscc/create-options.ts'
import { Command } from '../messages/commands.ts'
import {
  decodeWriteRequest,
  encodeWriteResponse,
  WriteFlag,
  type WriteRequest,
  type WriteResponse,
} from '../messages/write.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import { Status } from '../status.ts'
import { changing } from './caching.ts'
import { fitsInFile, isFileRange, isLockedForWrite } from './file-range.ts'
import { noteWrite } from './notes.ts'
import { writePipe } from './pipe-io.ts'

export const write = command<WriteResponse, WriteRequest>({
  code: Command.WRITE,
  name: 'WRITE',
  needs: 'open',
  modifies: true,
  decode: decodeWriteRequest,
  encode: encodeWriteResponse,
  fileId: (request) => request.fileId,
  payloadBytes: (request) => request.data.length,
  run: runWrite,
})

function runWrite(
  context: CommandContext,
  request: WriteRequest,
): Outcome<WriteResponse> | Promise<Outcome<WriteResponse>> {
  const { connection, open } = context
  if (request.data.length > connection.maxWriteSize) return fail(Status.INVALID_PARAMETER)
  if (open.isPipe) return writePipe(open, request)
  if (open.isDirectory) return fail(Status.INVALID_DEVICE_REQUEST)
  if (!open.grantsAny(FileAccess.WRITE_DATA | FileAccess.APPEND_DATA)) return fail(Status.ACCESS_DENIED)
  const { length } = request.data
  // A write of nothing may point anywhere (MS-FSA 2.1.5.4).
  const fits = length === 0 ? isFileRange(request.offset, 0) : fitsInFile(request.offset, length)
  if (!fits) return fail(Status.INVALID_PARAMETER)
  if (isLockedForWrite(open, request.offset, BigInt(request.data.length)))
    return fail(Status.FILE_LOCK_CONFLICT)
  return open.grants(FileAccess.WRITE_DATA) ? writeFile(context, request) : appendFile(context, request)
}

/** 3.3.5.13: without FILE_WRITE_DATA nothing "within the existing file size" is written. */
async function appendFile(context: CommandContext, request: WriteRequest): Promise<Outcome<WriteResponse>> {
  const { size } = await context.open.file.handle.stat()
  return request.offset < BigInt(size) ? fail(Status.ACCESS_DENIED) : writeFile(context, request)
}

/** The data is a view of the received frame, which stays until the response is made. */
async function writeFile(
  { open, server }: CommandContext,
  request: WriteRequest,
): Promise<Outcome<WriteResponse>> {
  const { handle } = open.file
  if (request.data.length > 0) {
    await changing(server, open, () => handle.write(request.data, Number(request.offset)))
    open.currentByteOffset = request.offset + BigInt(request.data.length)
    noteWrite(server, open)
  }
  const writeThrough =
    (request.flags & WriteFlag.WRITE_THROUGH) !== 0 || (open.createOptions & CreateOption.WRITE_THROUGH) !== 0
  // 3.3.5.13: "the server SHOULD indicate to the underlying object store that the write is to be write-through".
  if (writeThrough) await handle.flush()
  server.counters.bytesWritten += request.data.length
  return ok({ count: request.data.length })
}
