/** MS-SMB2 3.3.5.15.1: FSCTL_SRV_ENUMERATE_SNAPSHOTS. */

import { Writer } from '../../../wire/writer.ts'
import {
  encodeSrvSnapshotArray,
  MIN_SNAPSHOT_OUTPUT_BYTES,
  snapshotArrayFor,
} from '../../messages/ioctl/snapshots.ts'
import { fail } from '../../outcome.ts'
import { Status } from '../../status.ts'
import { done, type IoctlHandler } from './handler.ts'

export const enumerateSnapshots: IoctlHandler = {
  on: 'file',
  run(_context, request) {
    if (request.maxOutputResponse < MIN_SNAPSHOT_OUTPUT_BYTES) return fail(Status.INVALID_PARAMETER)
    const writer = new Writer()
    // A directory has no snapshots. windows.md section 4: Explorer takes an empty list, not an error.
    encodeSrvSnapshotArray(writer, snapshotArrayFor([], request.maxOutputResponse))
    return done(writer.finish())
  },
}
