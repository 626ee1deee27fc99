/** MS-SMB2 3.3.5.15.1: FSCTL_SRV_ENUMERATE_SNAPSHOTS. */

import { Writer } from '../../../wire/writer.ts'
import {
  encodeSrvSnapshotArray,
  MAX_SNAPSHOTS,
  MIN_SNAPSHOT_OUTPUT_BYTES,
  snapshotArrayFor,
  snapshotTokenOf,
} from '../../messages/ioctl/snapshots.ts'
import { fail } from '../../outcome.ts'
import { Status } from '../../status.ts'
import { done, type IoctlHandler } from './handler.ts'

export const enumerateSnapshots: IoctlHandler = {
  on: 'file',
  async run({ open }, request) {
    if (request.maxOutputResponse < MIN_SNAPSHOT_OUTPUT_BYTES) return fail(Status.INVALID_PARAMETER)
    const writer = new Writer()
    // Explorer takes an empty list, not an error.
    const moments = (await open.share.previousVersions?.list()) ?? []
    const tokens = moments.slice(0, MAX_SNAPSHOTS).map(snapshotTokenOf)
    encodeSrvSnapshotArray(writer, snapshotArrayFor(tokens, request.maxOutputResponse))
    return done(writer.finish())
  },
}
