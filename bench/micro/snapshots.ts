/** MS-SMB2 2.2.32.2: what a client is told of a share's snapshots, from the list that the server keeps. */

import {
  encodeSrvSnapshotArray,
  snapshotArrayBytes,
  snapshotArrayFor,
  snapshotTokenOf,
} from '../../protocols/smb2/messages/ioctl/snapshots.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { countLabel, type Micro, type MicroSubject, must } from './micro.ts'

const COUNTS = [50, 500, 5_000]
const HOUR_MILLISECONDS = 3_600_000
const NEWEST = Date.UTC(2026, 10, 1)
const HEADER_BYTES = 12

export const snapshotMicros: readonly Micro[] = [
  {
    name: 'list of previous versions',
    isFlat: false,
    sizes: COUNTS.map((count) => ({ label: countLabel(count), prepare: () => prepare(count) })),
  },
]

function prepare(count: number): MicroSubject {
  const tokens = Array.from({ length: count }, (_, index) =>
    snapshotTokenOf(NEWEST - index * HOUR_MILLISECONDS),
  )
  const bytes = HEADER_BYTES + snapshotArrayBytes(count)
  const answer = () => {
    const writer = new Writer()
    encodeSrvSnapshotArray(writer, snapshotArrayFor(tokens, bytes))
    return writer.finish()
  }
  return {
    check: () => must(answer().length === bytes, 'the answer lacks snapshots'),
    call: () => void answer(),
  }
}
