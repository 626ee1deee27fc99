/** MS-SMB2 3.3.5.10: receiving a CLOSE Request. */

import { StorageError } from '../../../storage/errors.ts'
import { type CommandContext, command } from '../context.ts'
import {
  CLOSE_FLAG_POSTQUERY_ATTRIB,
  type CloseRequest,
  type CloseResponse,
  decodeCloseRequest,
  encodeCloseResponse,
} from '../messages/close.ts'
import { Command } from '../messages/commands.ts'
import { type Outcome, ok } from '../outcome.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { closeOpen } from './close-open.ts'
import { attributeFieldsOf, baseNameOf, shownStat } from './describe.ts'

const NO_ATTRIBUTES: CloseResponse = {
  flags: 0,
  creationTime: 0n,
  lastAccessTime: 0n,
  lastWriteTime: 0n,
  changeTime: 0n,
  allocationSize: 0,
  endOfFile: 0,
  fileAttributes: 0,
}
/** The CLOSE itself holds the open. */
const HELD_BY_CLOSE = 1

export const close = command<CloseResponse, CloseRequest>({
  code: Command.CLOSE,
  name: 'CLOSE',
  needs: 'open',
  whenExpired: true,
  decode: decodeCloseRequest,
  encode: encodeCloseResponse,
  fileId: (request) => request.fileId,
  run: runClose,
})

async function runClose(context: CommandContext, request: CloseRequest): Promise<Outcome<CloseResponse>> {
  const { server, open } = context
  const wantsAttributes = (request.flags & CLOSE_FLAG_POSTQUERY_ATTRIB) !== 0 && !open.isPipe
  let attributes = NO_ATTRIBUTES
  // After the last WRITE under way, whose size the client wants to know.
  const query = async (): Promise<void> => {
    attributes = await attributesOf(server, open)
  }
  await closeOpen(server, open, HELD_BY_CLOSE, wantsAttributes ? query : undefined)
  return ok(attributes)
}

/** Those of the file; without them the open is closed all the same. */
async function attributesOf(server: Server, open: Open): Promise<CloseResponse> {
  try {
    const stat = await shownStat(server, open)
    const fields = attributeFieldsOf(stat, open.share, baseNameOf(open.pathName))
    return { flags: CLOSE_FLAG_POSTQUERY_ATTRIB, ...fields }
  } catch (error) {
    if (error instanceof StorageError) return NO_ATTRIBUTES
    throw error
  }
}
