/** MS-FSA 2.1.5.5: what the end of an open means for its file: the last one carries out a deletion. */

import { StorageError } from '../../../storage/errors.ts'
import type { FileHandle } from '../../../storage/file-system.ts'
import { isResourceFork } from '../apple/resource-fork.ts'
import { NotifyAction, NotifyFilter } from '../fscc/notify.ts'
import { nameFilter } from '../state/change-bus.ts'
import type { OpenFile, Right, SharedFile } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { lookUp } from './look-up.ts'
import { loseName } from './node-claim.ts'
import { noteEntry, noteStream } from './notes.ts'
import { rememberName } from './tunnel.ts'

/** An open, or what would have become one. */
export interface Leaving extends Right {
  readonly file: OpenFile
}

/** Takes an open's place in the node table away. Its handle is still open, and the caller's to close. */
export async function leaveNode(server: Server, leaving: Leaving): Promise<void> {
  const { shared } = leaving.file
  const { removeFile, removeStream, removed } = server.nodes.detach(shared)
  const requester = removeFile ?? removeStream
  if (requester === undefined) return
  if (removeFile === undefined && isResourceFork(leaving.file.stream)) {
    removed?.()
    return
  }
  try {
    await remove(leaving, requester, removeFile !== undefined)
    if (removeFile !== undefined) {
      loseName(server, survivors(leaving, requester))
      rememberName(server, leaving.share, requester.path)
      const filter = nameFilter(leaving.file.type === 'directory')
      // Who closes last need not know that the entry was to go.
      if (requester !== shared) server.oplocks.entryChanged(requester)
      noteEntry(server, leaving, { path: requester.path, action: NotifyAction.REMOVED, filter })
    } else {
      const { stream } = leaving.file
      noteStream(server, leaving, stream, NotifyAction.REMOVED_STREAM, NotifyFilter.STREAM_NAME)
    }
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    // A directory that was filled in between stays, and so does a file that someone else removed or moved.
    server.log('debug', 'a file marked for deletion stays', { path: shared.path, code: error.code })
  } finally {
    removed?.()
  }
}

/** Opens that live on without the name, as POSIX has it. */
function survivors({ file }: Leaving, { path }: SharedFile): SharedFile[] {
  const streams = [...file.node.node.streams.values()]
  return streams.flatMap((stream) => [...stream.opens]).filter((other) => other.path === path)
}

/** Through the last open's own handle, unless that is another name of the file or one of its streams. */
async function remove(open: Leaving, requester: SharedFile, wholeFile: boolean): Promise<void> {
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
async function openEntry(open: Leaving, path: string): Promise<FileHandle | undefined> {
  const outcome = await lookUp(open, path)
  if (outcome === undefined) return undefined
  const { node } = open.file.node
  if (outcome.stat.fileId === node.fileId && outcome.stat.volumeId === node.volumeId) return outcome.handle
  await outcome.handle.close()
  return undefined
}
