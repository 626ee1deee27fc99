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

/** Of lists that were told before: clients ask twice, first how many there are, and the list stays the same for a while. */
const known = new WeakMap<readonly number[], readonly string[]>()

function tokensOf(moments: readonly number[]): readonly string[] {
  let tokens = known.get(moments)
  if (tokens === undefined) {
    tokens = moments.slice(0, MAX_SNAPSHOTS).map(snapshotTokenOf)
    known.set(moments, tokens)
  }
  return tokens
}

export const enumerateSnapshots: IoctlHandler = {
  on: 'file',
  async run({ open }, request) {
    if (request.maxOutputResponse < MIN_SNAPSHOT_OUTPUT_BYTES) return fail(Status.INVALID_PARAMETER)
    const writer = new Writer()
    // Explorer takes an empty list, not an error.
    const moments = (await open.share.previousVersions?.list()) ?? []
    encodeSrvSnapshotArray(writer, snapshotArrayFor(tokensOf(moments), request.maxOutputResponse))
    return done(writer.finish())
  },
}
