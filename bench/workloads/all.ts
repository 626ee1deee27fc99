/** The rows, in the order of the table. */

import { listFolder } from './listing.ts'
import { readLargeFile, writeLargeFile } from './transfer.ts'
import type { Workload } from './workload.ts'

export const workloads: readonly Workload[] = [
  readLargeFile('read', 'off'),
  readLargeFile('read signed', 'sign'),
  readLargeFile('read encrypted', 'encrypt'),
  writeLargeFile('write', 'off'),
  writeLargeFile('write signed', 'sign'),
  writeLargeFile('write encrypted', 'encrypt'),
  listFolder('list'),
]
