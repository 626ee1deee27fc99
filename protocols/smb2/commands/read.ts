/** MS-SMB2 3.3.5.12: receiving a READ Request. */

import { type CommandContext, command } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import { Command } from '../messages/commands.ts'
import {
  decodeReadRequest,
  encodeReadResponse,
  READ_DATA_OFFSET,
  type ReadRequest,
  type ReadResponse,
} from '../messages/read.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Connection } from '../state/connection.ts'
import type { Open } from '../state/open.ts'
import { Status } from '../status.ts'
import { fitsInFile, isFileRange, isLockedForRead } from './file-range.ts'
import { readPipe } from './pipe-io.ts'

export const read = command<ReadResponse, ReadRequest>({
  code: Command.READ,
  name: 'READ',
  needs: 'open',
  decode: decodeReadRequest,
  encode: encodeReadResponse,
  fileId: (request) => request.fileId,
  payloadBytes: (request) => request.length,
  run: runRead,
})

function runRead(
  context: CommandContext,
  request: ReadRequest,
): Outcome<ReadResponse> | Promise<Outcome<ReadResponse>> {
  const { connection, open } = context
  if (request.length > connection.maxReadSize) return fail(Status.INVALID_PARAMETER)
  if (open.isPipe) return readPipe(open, request)
  // MS-FSA 2.1.5.3: only data streams can be read.
  if (open.isDirectory) return fail(Status.INVALID_DEVICE_REQUEST)
  if (!open.grantsAny(FileAccess.READ_DATA | FileAccess.EXECUTE)) return fail(Status.ACCESS_DENIED)
  if (!isFileRange(request.offset, request.length)) return fail(Status.INVALID_PARAMETER)
  if (isLockedForRead(open, request.offset, BigInt(request.length))) return fail(Status.FILE_LOCK_CONFLICT)
  if (!fitsInFile(request.offset, request.length)) {
    return request.length === 0 ? ok(responseOf(connection, 0)) : fail(Status.END_OF_FILE)
  }
  return readFile(context, open, request)
}

function responseOf({ readPadding }: Connection, dataLength: number): ReadResponse {
  return { dataOffset: READ_DATA_OFFSET + readPadding, dataLength, dataRemaining: 0 }
}

async function readFile(
  context: CommandContext,
  open: Open,
  request: ReadRequest,
): Promise<Outcome<ReadResponse>> {
  const { server, connection } = context
  const { buffer, release } = server.payloads.acquire(request.length)
  connection.account(request.length)
  const done = () => {
    release()
    connection.account(-request.length)
  }
  let bytes: number
  try {
    bytes = await open.file.handle.read(buffer.subarray(0, request.length), Number(request.offset))
  } catch (error) {
    done()
    throw error
  }
  if ((bytes === 0 && request.length > 0) || bytes < request.minimumCount) {
    done()
    return fail(Status.END_OF_FILE)
  }
  open.currentByteOffset = request.offset + BigInt(bytes)
  server.counters.bytesRead += bytes
  return ok(responseOf(connection, bytes), Status.SUCCESS, { data: buffer.subarray(0, bytes), release: done })
}
