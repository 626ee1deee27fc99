/** MS-FSA 2.1.5.15.3, 2.1.5.15.4: FileDispositionInformation and its Ex form: marking a file for deletion. */

import type { FileHandle, FileStat } from '../../../storage/file-system.ts'
import { FileAttribute } from '../fscc/attributes.ts'
import { DispositionFlag } from '../fscc/file-information-set.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { Status } from '../status.ts'
import { whenBrokenOn } from './caching.ts'

/** '.', '..' and one more: not empty. */
const ENTRIES_TO_KNOW = 3

export function setDisposition(
  server: Server,
  open: Open,
  deletePending: boolean,
): Promise<Outcome<EmptyBody>> {
  return dispose(server, open, deletePending, false)
}

export function setDispositionEx(server: Server, open: Open, flags: number): Promise<Outcome<EmptyBody>> {
  const ignoresReadonly = (flags & DispositionFlag.IGNORE_READONLY_ATTRIBUTE) !== 0
  const deletes = (flags & DispositionFlag.DELETE) !== 0
  if ((flags & DispositionFlag.ON_CLOSE) !== 0) return disposeOnClose(server, open, deletes, ignoresReadonly)
  return dispose(server, open, deletes, ignoresReadonly)
}

async function disposeOnClose(
  server: Server,
  open: Open,
  deletes: boolean,
  ignoresReadonly: boolean,
): Promise<Outcome<EmptyBody>> {
  const stat = await open.file.handle.stat()
  if (deletes && !ignoresReadonly && isKept(open, stat)) return fail(Status.CANNOT_DELETE)
  open.deleteOnClose = deletes
  server.durables.changed(server, open)
  return ok({})
}

/** MS-FSA 2.1.5.15.3: what is read-only is not deleted, unless the share is set up for it. */
function isKept(open: Open, { dosAttributes }: FileStat): boolean {
  const isReadonly = (dosAttributes & FileAttribute.READONLY) !== 0
  return isReadonly && !open.share.deleteReadonly && !open.posix
}

async function dispose(
  server: Server,
  open: Open,
  deletes: boolean,
  ignoresReadonly: boolean,
): Promise<Outcome<EmptyBody>> {
  const { handle, shared, stream } = open.file
  if (!deletes) {
    server.nodes.setDeletePending(shared, false)
    dispositionChanged(server, open)
    return ok({})
  }
  const stat = await handle.stat()
  if (!ignoresReadonly && isKept(open, stat)) return fail(Status.CANNOT_DELETE)
  if (open.pathName === '') return fail(Status.CANNOT_DELETE)
  if (stat.type === 'directory' && stream === '' && !(await isEmpty(handle))) {
    return fail(Status.DIRECTORY_NOT_EMPTY)
  }
  // MS-FSA 2.1.5.15.3: whoever keeps a handle that no one uses closes it, lest the file stays.
  const wait = server.oplocks.breakHandles(open.file)
  if (wait !== undefined)
    return whenBrokenOn(open, wait, () => dispose(server, open, deletes, ignoresReadonly))
  markForDeletion(server, open)
  return ok({})
}

/** The file or stream goes at its last close; those who watch a directory of which that is so learn it now. */
export function markForDeletion(server: Server, open: Open): void {
  const { shared } = open.file
  server.nodes.setDeletePending(shared, true)
  dispositionChanged(server, open)
  if (!open.isDirectory) return
  for (const other of server.nodes.streamOf(shared).opens) server.changes.deleting(other.root, other.path)
}

/** What is true of a file after a restart is known from any of its opens. */
function dispositionChanged(server: Server, open: Open): void {
  const { node } = open.file
  if (node.opens.size === 1) return server.durables.changed(server, open)
  for (const other of server.globalOpenTable.values()) {
    if (!other.isPipe && other.file.node === node) server.durables.changed(server, other)
  }
}

async function isEmpty(handle: FileHandle): Promise<boolean> {
  const cursor = await handle.list({ pattern: '*', hideUnreadable: false })
  try {
    const entries = await cursor.next(ENTRIES_TO_KNOW)
    return entries.every((entry) => entry.name === '.' || entry.name === '..')
  } finally {
    await cursor.close()
  }
}
