/** MS-FSA 2.1.5.15.2: FileBasicInformation: attributes and the four times, set, frozen or thawed. */

import type { AttributeChanges, FileStat } from '../../../storage/file-system.ts'
import { type SetTimes, UserSetTime } from '../../../storage/sharing/file-times.ts'
import { fromFiletime } from '../../wire/filetime.ts'
import type { CommandContext } from '../context.ts'
import { FileAttribute, SETTABLE_FILE_ATTRIBUTES } from '../fscc/attributes.ts'
import { decodeSetBasic, type SetBasicInformation, SetTime } from '../fscc/file-information-set.ts'
import { NotifyFilter } from '../fscc/notify.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { Status } from '../status.ts'
import { shownStat } from './describe.ts'
import { noteModified, releaseTimes } from './notes.ts'

export async function setBasic(
  { server, connection }: CommandContext,
  open: Open,
  input: Buffer,
): Promise<Outcome<EmptyBody>> {
  const info = decodeSetBasic(input)
  const isDirectory = open.file.type === 'directory'
  // MS-FSA 2.1.5.15.2: a file does not become a directory, nor the other way round.
  if ((info.fileAttributes & FileAttribute.DIRECTORY) !== 0 && !isDirectory)
    return fail(Status.INVALID_PARAMETER)
  if ((info.fileAttributes & FileAttribute.TEMPORARY) !== 0 && isDirectory)
    return fail(Status.INVALID_PARAMETER)
  const { times } = open.file.node.node
  // As Windows does, a delayed write time is shown at once, even when all fields are 0.
  times.settle()
  const changes = await changesOf(open, info)
  if (Object.keys(changes).length > 0) {
    const stat = await open.file.handle.change(changes)
    times.changed(open.userSetTimes)
    if (connection.keepsSetTimes) keepSet(open, changes, stat)
    noteModified(server, open, filterOf(changes))
  }
  if (connection.keepsSetTimes) await freezeAndThaw(server, open, info)
  return ok({})
}

const isTime = (time: bigint): boolean => time > SetTime.UNCHANGED

async function changesOf(open: Open, info: SetBasicInformation): Promise<AttributeChanges> {
  const attributes =
    info.fileAttributes === 0 ? undefined : await settledAttributes(open, info.fileAttributes)
  return {
    ...(isTime(info.creationTime) ? { birthTime: fromFiletime(info.creationTime) } : {}),
    ...(isTime(info.lastAccessTime) ? { accessTime: fromFiletime(info.lastAccessTime) } : {}),
    ...(isTime(info.lastWriteTime) ? { writeTime: fromFiletime(info.lastWriteTime) } : {}),
    ...(isTime(info.changeTime) ? { changeTime: fromFiletime(info.changeTime) } : {}),
    ...(attributes === undefined ? {} : { dosAttributes: attributes }),
  }
}

/** SPARSE and COMPRESSED are changed by their FSCTLs alone; unknown bits are passed over (windows.md section 3). */
async function settledAttributes(open: Open, wanted: number): Promise<number> {
  const { dosAttributes } = await open.file.handle.stat()
  return (wanted & SETTABLE_FILE_ATTRIBUTES) | (dosAttributes & ~SETTABLE_FILE_ATTRIBUTES)
}

function filterOf({ dosAttributes, birthTime, accessTime, writeTime }: AttributeChanges): number {
  return (
    (dosAttributes === undefined ? 0 : NotifyFilter.ATTRIBUTES) |
    (birthTime === undefined ? 0 : NotifyFilter.CREATION) |
    (accessTime === undefined ? 0 : NotifyFilter.LAST_ACCESS) |
    (writeTime === undefined ? 0 : NotifyFilter.LAST_WRITE)
  )
}

/** "Set Open.UserSetModificationTime to TRUE" and so on: from now on this open's operations leave the time alone. */
function keepSet(open: Open, changes: AttributeChanges, stat: FileStat): void {
  // As storage rounds them, so that they stay the same when the open is gone.
  keep(open, {
    ...(changes.writeTime === undefined ? {} : { writeTime: stat.writeTime }),
    ...(changes.changeTime === undefined ? {} : { changeTime: stat.changeTime }),
    ...(changes.accessTime === undefined ? {} : { accessTime: stat.accessTime }),
  })
}

function keep(open: Open, times: SetTimes): void {
  const bits =
    (times.writeTime === undefined ? 0 : UserSetTime.write) |
    (times.changeTime === undefined ? 0 : UserSetTime.change) |
    (times.accessTime === undefined ? 0 : UserSetTime.access)
  if (bits === 0) return
  open.userSetTimes |= bits
  open.file.node.node.times.set(times)
}

/** MS-FSCC 2.4.7: -1 keeps what the time is now, -2 lets it change again. A creation time never changes by itself. */
async function freezeAndThaw(server: Server, open: Open, info: SetBasicInformation): Promise<void> {
  const { lastWriteTime, changeTime, lastAccessTime } = info
  const times = [lastWriteTime, changeTime, lastAccessTime]
  if (times.includes(SetTime.FREEZE)) {
    const stat = await shownStat(server, open)
    keep(open, {
      ...(lastWriteTime === SetTime.FREEZE ? { writeTime: stat.writeTime } : {}),
      ...(changeTime === SetTime.FREEZE ? { changeTime: stat.changeTime } : {}),
      ...(lastAccessTime === SetTime.FREEZE ? { accessTime: stat.accessTime } : {}),
    })
  }
  const thawed =
    (lastWriteTime === SetTime.THAW ? UserSetTime.write : 0) |
    (changeTime === SetTime.THAW ? UserSetTime.change : 0) |
    (lastAccessTime === SetTime.THAW ? UserSetTime.access : 0)
  await releaseTimes(server, open, thawed)
}
