/** The contests: rows in the order of the table, and who runs them. */

import { comparisons as smbComparisons } from '../comparisons/all.ts'
import type { Comparison } from '../comparisons/comparison.ts'
import type { Peer } from '../peers/peer.ts'
import { poolhouse, poolhouseIscsi } from '../peers/poolhouse.ts'
import { smbd } from '../peers/smbd.ts'
import { tgt } from '../peers/tgt.ts'
import { iscsiWorkloads } from './iscsi.ts'
import { smbWorkloads } from './smb.ts'
import type { Workload } from './workload.ts'

/** Two servers of one protocol, on the same files. */
export interface Contest {
  readonly protocol: string
  readonly ours: Peer
  readonly peer: Peer
  /** Programs that the clients are. */
  readonly clients: readonly string[]
  readonly workloads: readonly Workload[]
  /** Two ways of one thing on our server. */
  readonly comparisons: readonly Comparison[]
}

export const contests: readonly Contest[] = [
  {
    protocol: 'smb',
    ours: poolhouse,
    peer: smbd,
    clients: ['smbclient'],
    workloads: smbWorkloads,
    comparisons: smbComparisons,
  },
  {
    protocol: 'iscsi',
    ours: poolhouseIscsi,
    peer: tgt,
    clients: ['iscsi-perf', 'qemu-img', 'qemu-io', 'qemu-storage-daemon', 'fio'],
    workloads: iscsiWorkloads,
    comparisons: [],
  },
]
