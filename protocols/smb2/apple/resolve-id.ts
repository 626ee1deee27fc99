/** AAPL's RESOLVE_ID (MS-SMB2 2.2.13.2 "AAPL"): a Mac that keeps the id of a file asks where the file is now. */

import { lookUp } from '../commands/look-up.ts'
import type { CommandContext } from '../context.ts'
import { encodeAaplResolveIdReply } from '../messages/create-context-aapl.ts'
import { type CreateContext, CreateContextName } from '../messages/create-contexts.ts'
import { Status } from '../status.ts'

/**
 * Answers with the path of a file that a Mac has met since the server's start, in a listing or by opening it. It is looked at
 * with the account's rights: what was moved, or replaced by another file, is not found.
 */
export async function resolveId(context: CommandContext, fileId: bigint): Promise<CreateContext> {
  const path = await pathOf(context, fileId)
  const found = { ntStatus: Status.SUCCESS, path: path?.replaceAll('/', '\\') ?? '' }
  const reply = path === undefined ? { ...found, ntStatus: Status.OBJECT_NAME_NOT_FOUND } : found
  return { name: CreateContextName.AAPL, data: encodeAaplResolveIdReply(reply) }
}

async function pathOf({ server, treeConnect }: CommandContext, fileId: bigint): Promise<string | undefined> {
  const { fileSystem } = treeConnect.share
  const known = fileSystem && server.knownPaths.of(fileSystem, fileId)
  if (known === undefined) return undefined
  const found = await lookUp(treeConnect, known)
  if (found === undefined) return undefined
  await found.handle.close()
  return found.stat.fileId === fileId ? found.path : undefined
}
