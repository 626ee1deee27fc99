/** MS-SMB2 3.3.5.9: an open gets its FileId and its place in the session's and the server's tables. */

import type { CommandContext } from '../../context.ts'
import { Open, type OpenFields } from '../../state/open.ts'
import type { Server } from '../../state/server.ts'

const ID_BYTES = 8
const ALL_ONES = 0xffff_ffff_ffff_ffffn

/** A FileId half that is not in use: random, so that handles of an earlier run are not met again. */
function newVolatileId(server: Server): bigint {
  for (;;) {
    const id = server.environment.random(ID_BYTES).readBigUInt64LE()
    if (id !== 0n && id !== ALL_ONES && !server.globalOpenTable.has(id)) return id
  }
}

export function registerOpen(context: CommandContext, fields: OpenFields): Open {
  const { server, session, treeConnect, connection, tree, view } = context
  const id = newVolatileId(server)
  // The same number in both halves: opens that outlive their connection will be found by the persistent one.
  const creationTime = server.environment.now()
  const fileId = { persistent: id, volatile: id }
  const open = new Open(fields, { fileId, right: tree, isPrevious: view !== undefined, creationTime })
  open.attach({ session, treeConnect, connection })
  session.openTable.set(id, open)
  server.globalOpenTable.set(id, open)
  return open
}
