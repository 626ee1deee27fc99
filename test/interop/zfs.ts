/** The server on a real pool, in the lab's virtual machine with OpenZFS: datasets as shares, limits, snapshots. */

import { runInLab } from './lab.ts'
import { needs } from './needs.ts'
import { projectRoot } from './paths.ts'
import type { Report } from './report.ts'
import { against } from './server.ts'
import type { Suite } from './suite.ts'

/** Each command of ours starts a program of Node in a machine without acceleration. */
const labSeconds = 2400

export const zfsSuite: Suite = {
  name: 'zfs',
  about: 'the server on a pool of OpenZFS, in the lab’s virtual machine',
  needs: [needs.qemu, needs.lab],
  bearsCompany: true,
  limitSeconds: labSeconds + 60,
  run: zfs,
}

async function zfs(report: Report): Promise<void> {
  if (against !== 'poolhouse') {
    report.note('for this server alone')
    return
  }
  await runInLab(report, {
    script: 'zfs.sh',
    machine: { kind: 'zfs', project: projectRoot },
    seconds: labSeconds,
    // Of `shares replication copies rollback clones`, with spaces between; all unless given.
    variables: { SECTIONS: process.env['POOLHOUSE_ZFS_SECTIONS'] ?? '' },
  })
}
