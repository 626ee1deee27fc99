/** MS-SMB2 3.3.4.17, MS-FSA 2.1.5.5: closing an open, with what that brings about: locks, deletion, pending requests. */

import { StorageError } from '../../../storage/errors.ts'
import type { FileHandle } from '../../../storage/file-system.ts'
import { NotifyAction, NotifyFilter } from '../fscc/notify.ts'
import { nameFilter } from '../state/change-bus.ts'
import { endAbsence } from '../state/durable-handle.ts'
import type { Open, SharedFile } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { countLocks } from '../state/usage.ts'
import { noteClose, noteEntry, noteStream } from './notes.ts'
import { markForDeletion } from './set-disposition.ts'
import { rememberName } from './tunnel.ts'

/**
 * Closes an open; a second call waits for the first. No request finds it from now on.
 * @param heldByCaller requests of the caller's own that still hold the open
 * @param lastUse runs when no other request uses the handle any longer
 */
export function closeOpen(
  server: Server,
  open: Open,
  heldByCaller = 0,
  lastUse?: () => Promise<void>,
): Promise<unknown> {
  open.closed ??= finish(server, open, heldByCaller, lastUse)
  return open.closed
}

async function finish(
  server: Server,
  open: Open,
  heldByCaller: number,
  lastUse: (() => Promise<void>) | undefined,
): Promise<void> {
  open.closing = true
  endAbsence(server, open)
  server.replays.forgetOpen(open)
  open.session.openTable.delete(open.fileId.volatile)
  server.globalOpenTable.delete(open.fileId.volatile)
  countLocks(server, open, -open.lockCount)
  for (const end of open.onClose) end()
  open.onClose.clear()
  await open.drained(heldByCaller)
  try {
    if (!open.isPipe) await noteClose(server, open)
    await lastUse?.()
  } finally {
    await release(server, open)
  }
}

async function release(server: Server, open: Open): Promise<void> {
  if (open.isPipe) return
  try {
    await open.enumeration?.cursor.close()
    await leave(server, open)
  } finally {
    server.oplocks.closed(open)
  }
}

async function leave(server: Server, open: Open): Promise<void> {
  try {
    await detach(server, open)
  } finally {
    await open.file.handle.close()
  }
}

/** Leaves the node table; the last open carries out the deletion that one of them asked for. */
async function detach(server: Server, open: Open): Promise<void> {
  const { shared } = open.file
  if (open.deleteOnClose) {
    markForDeletion(server, open)
    // Those who keep the last handles for no one close them. A CLOSE waits for none of that.
    server.oplocks.breakHandles(open.file)?.cancel()
  }
  const { removeFile, removeStream } = server.nodes.detach(shared)
  const requester = removeFile ?? removeStream
  if (requester === undefined) return
  try {
    await remove(open, requester, removeFile !== undefined)
    if (removeFile !== undefined) {
      rememberName(server, open, requester.path)
      const change = {
        path: requester.path,
        action: NotifyAction.REMOVED,
        filter: nameFilter(open.isDirectory),
      }
      // Who closes last need not know that the entry was to go.
      if (requester !== shared) server.oplocks.entryChanged(requester)
      noteEntry(server, open, change)
    } else {
      noteStream(server, open, open.file.stream, NotifyAction.REMOVED_STREAM, NotifyFilter.STREAM_NAME)
    }
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    // A directory that was filled in between stays, and so does a file that someone else removed or moved.
    server.log('debug', 'a file marked for deletion stays', { path: open.pathName, code: error.code })
  }
}

/** Through the last open's own handle, unless that is another name of the file or one of its streams. */
async function remove(open: Open, requester: SharedFile, wholeFile: boolean): Promise<void> {
  const { handle, shared, stream } = open.file
  const isSameEntry = requester.path === shared.path && (!wholeFile || stream === '')
  if (isSameEntry) return handle.remove()
  const entry = await openEntry(open, requester.path)
  if (entry === undefined) return
  try {
    await entry.remove()
  } finally {
    await entry.close()
  }
}

/** The entry at a path, when it still is the open's file. */
async function openEntry(open: Open, path: string): Promise<FileHandle | undefined> {
  const { share, admission } = open.treeConnect
  const outcome = await share.fileSystem?.open({
    path,
    identity: admission.identity,
    disposition: 'open',
    kind: 'any',
    followLinks: false,
    read: false,
    write: false,
    create: { mode: 0, dosAttributes: 0 },
    wantPermissions: false,
  })
  if (outcome?.ok !== true) return undefined
  const { node } = open.file.node
  if (outcome.stat.fileId === node.fileId && outcome.stat.volumeId === node.volumeId) return outcome.handle
  await outcome.handle.close()
  return undefined
}
