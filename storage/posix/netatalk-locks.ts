/** Cross locks with netatalk (afpd): its marks are asked for before an open, and an open leaves its own on its descriptor. */

import { StorageError } from '../errors.ts'
import { marksOf, type OpenModes, obstaclesTo } from '../netatalk-marks.ts'
import { check, Errno } from './errno.ts'
import { lockHolder, lockShared } from './native.ts'

/** Of locks that belong to a descriptor and no process: our own, whose share modes are known already. */
const NO_PROCESS = -1

/**
 * The marks go with the descriptor. One that was not opened for reading cannot have any: of such an open netatalk does not learn.
 * @throws StorageError 'busy' when another program's open excludes this one
 */
export function leaveMarks(fd: number, modes: OpenModes): void {
  for (const byte of obstaclesTo(modes)) {
    const holder = lockHolder(fd, byte)
    if (holder !== undefined && holder !== NO_PROCESS) {
      throw new StorageError('busy', `process ${holder} has the file open`)
    }
  }
  if (!modes.reads) return
  for (const byte of marksOf(modes)) {
    const result = lockShared(fd, byte)
    if (result === -Errno.EACCES) throw new StorageError('busy', 'another program has the file open')
    check(result, 'F_OFD_SETLK')
  }
}
