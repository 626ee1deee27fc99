/** The server on a real pool, in the lab's virtual machine with OpenZFS: datasets as shares, limits, snapshots. */

import { runInLab } from './lab.ts'
import { needs } from './needs.ts'
import { projectRoot } from './paths.ts'
import type { Report } from './report.ts'
import { against } from './server.ts'
import type { Suite } from './suite.ts'

/** Each command of ours starts a program of Node in a machine without acceleration. */
const labSeconds = 1500
/** Sections of the script, those of a line in a machine of its own: what one does to pools and clocks is nothing to the next. */
const machines = [
  'shares',
  'replication',
  'copies rollback clones',
  'vanishing contracts zvol',
  'users suspended',
]
const chosen = process.env['POOLHOUSE_ZFS_SECTIONS']

export const zfsSuite: Suite = {
  name: 'zfs',
  about: 'the server on a pool of OpenZFS, in the lab’s virtual machine',
  needs: [needs.qemu, needs.lab],
  bearsCompany: true,
  limitSeconds: machines.length * (labSeconds + 60),
  run: zfs,
}

async function zfs(report: Report): Promise<void> {
  if (against !== 'poolhouse') {
    report.note('for this server alone')
    return
  }
  for (const sections of chosen === undefined ? machines : [chosen]) {
    await runInLab(report, {
      script: 'zfs.sh',
      machine: { kind: 'zfs', project: projectRoot },
      seconds: labSeconds,
      variables: { SECTIONS: sections },
    })
  }
}
