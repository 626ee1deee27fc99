/** MS-FSA 2.1.4.1, 2.1.5.4: what is noted when a command has changed a file: those who watch are told, and its times follow. */

import { StorageError } from '../../../storage/errors.ts'
import type { SetTimes } from '../../../storage/sharing/file-times.ts'
import { FileAccess } from '../fscc/access.ts'
import { NotifyAction, NotifyFilter } from '../fscc/notify.ts'
import type { Change } from '../state/change-bus.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'

/** Those who watch hear of the WRITEs of one open at most so often, and when it flushes or closes; milliseconds. */
const WRITE_NEWS_INTERVAL = 1000
const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** The open's file was modified. @param filter bits of NotifyFilter */
export function noteModified(server: Server, open: Open, filter: number): void {
  if (filter === 0) return
  tellDirectory(server, open)
  tellModified(server, open, filter)
}

/** Those who cache the directory: its entry shows something else. */
function tellDirectory(server: Server, open: Open): void {
  open.entryUntold = false
  server.oplocks.entryChanged(open.file.shared, open.file.shared)
}

function tellModified(server: Server, open: Open, filter: number): void {
  if (server.changes.size === 0) return
  const { root, path } = open.file.shared
  server.changes.publish(root, { path, action: NotifyAction.MODIFIED, filter })
}

/** A named stream came, went or was modified. @param action one of NotifyAction's for streams */
export function noteStream(
  server: Server,
  open: Pick<Open, 'file'>,
  stream: string,
  action: number,
  filter: number,
): void {
  if (server.changes.size === 0) return
  const { root, path } = open.file.shared
  // MS-FSCC 2.7.1: the name of a stream follows that of its file.
  server.changes.publish(root, { path: `${path}:${stream}`, action, filter })
}

/** Data of the open's stream was written. Called for every WRITE: no system call, no allocation when no one watches. */
export function noteWrite(server: Server, open: Open): void {
  const now = server.environment.now()
  open.file.node.node.times.wrote(open.userSetTimes, now)
  open.entryUntold = true
  if (server.changes.size === 0) return
  // Streams are attributes on the disk, which reports each change of them.
  if (open.file.stream !== '') server.changes.touched(open.file.shared.root, open.file.shared.path)
  open.writeUntold = now - open.writeToldAt < WRITE_NEWS_INTERVAL
  if (open.writeUntold) return
  open.writeToldAt = now
  tellWrite(server, open)
}

/** The stream's size was set. */
export function noteResize(server: Server, open: Open): void {
  const { times } = open.file.node.node
  times.wrote(open.userSetTimes, server.environment.now())
  times.settle()
  tellDirectory(server, open)
  tellWrite(server, open)
}

/** FLUSH: what was written is now seen by all. */
export function noteFlush(server: Server, open: Open): void {
  open.file.node.node.times.settle()
  tellUntold(server, open)
}

/** CLOSE: likewise; and times that the open kept from changing last. */
export async function noteClose(server: Server, open: Open): Promise<void> {
  if (open.hasWritten) {
    const now = server.environment.now()
    if (open.file.node.node.times.closed(open.userSetTimes, now)) {
      // Rounded up: not before the CLOSE was sent.
      await changeTimes(server, open, { writeTime: BigInt(now + 1) * NANOSECONDS_PER_MILLISECOND })
    }
    tellUntold(server, open)
  }
  if (open.entryUntold) tellDirectory(server, open)
  if (open.userSetTimes !== 0) await releaseTimes(server, open, open.userSetTimes)
  if (server.changes.size > 0 && open.grantsAny(FileAccess.WRITE_DATA | FileAccess.APPEND_DATA)) {
    server.changes.touched(open.file.shared.root, open.file.shared.path)
  }
}

function tellUntold(server: Server, open: Open): void {
  if (!open.writeUntold) return
  open.writeUntold = false
  tellWrite(server, open)
}

function tellWrite(server: Server, open: Open): void {
  const { stream } = open.file
  if (stream === '') {
    tellModified(server, open, NotifyFilter.SIZE | NotifyFilter.LAST_WRITE)
  } else {
    const filter = NotifyFilter.STREAM_SIZE | NotifyFilter.STREAM_WRITE
    noteStream(server, open, stream, NotifyAction.MODIFIED_STREAM, filter)
  }
}

/**
 * MS-FSA 2.1.5.15.2: the open no longer keeps times from changing; what it kept until now is made to last.
 * @param bits of UserSetTime
 */
export async function releaseTimes(server: Server, open: Open, bits: number): Promise<void> {
  const held = open.userSetTimes & bits
  if (held === 0) return
  open.userSetTimes &= ~bits
  const times = open.file.node.node.times.release(held)
  if (Object.keys(times).length > 0) await changeTimes(server, open, times)
}

async function changeTimes(server: Server, open: Open, times: SetTimes): Promise<void> {
  try {
    await open.file.handle.change(times)
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    server.log('debug', 'the times of a closed file stay as they are', {
      path: open.pathName,
      code: error.code,
    })
  }
}

/** An entry came, went or was renamed. */
export function noteEntry(server: Server, open: Pick<Open, 'file'>, ...changes: readonly Change[]): void {
  const { shared } = open.file
  const { root } = shared
  for (const { path } of changes) server.oplocks.entryChanged({ root, path }, shared)
  if (server.changes.size > 0) server.changes.publish(root, ...changes)
}
