/** The Linux kernel's client, in the lab's virtual machine: each dialect it mounts with, plain, signed and sealed. */

import { readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alice } from './environment.ts'
import { prepareWorkload, shortWorkload } from './kernel-workload.ts'
import { runInLab } from './lab.ts'
import { needs } from './needs.ts'
import { expect, type Report } from './report.ts'
import { type Ground, onGround, type Suite } from './suite.ts'
import { manyFiles } from './tree.ts'

/** A machine without KVM runs the client some 10 times slower than it is. */
const labSeconds = 2100

/** Without them only the rest of the script runs: for whoever works on that. */
const skipsModes = process.env['POOLHOUSE_KERNEL_MODES'] === 'none'

const fullModes = skipsModes ? [] : ['vers=2.1', 'vers=3.1.1', 'vers=3.0,seal', 'vers=3.1.1,seal']
/** These differ from one of the others in the signature, or in the dialect, alone: a few small files are enough. */
const quickModes = skipsModes ? [] : ['vers=3.0', 'vers=2.1,sign', 'vers=3.0,sign', 'vers=3.1.1,sign']

/** On the share from the start, for what a client makes of a link. */
const link = 'posix-link'
const linkTarget = 'posix-target'

export const kernelSuite: Suite = {
  name: 'kernel',
  about: "the Linux kernel's client in the lab's virtual machine",
  needs: [needs.qemu, needs.lab],
  bearsCompany: true,
  limitSeconds: labSeconds + 60,
  run: (report, directory) => onGround(report, directory, (ground) => inLab(report, ground)),
}

/** Runs the guest's script and looks at what it left. */
async function inLab(report: Report, ground: Ground): Promise<void> {
  const load = prepareWorkload(ground, shortWorkload)
  await writeFile(join(ground.sharePath, linkTarget), 'behind the link\n')
  await symlink(linkTarget, join(ground.sharePath, link))
  await runInLab(report, {
    script: 'client.sh',
    seconds: labSeconds,
    out: load.out,
    variables: {
      SMB_PORT: String(ground.server.port),
      SMB_SHARE: ground.share,
      SMB_USER: alice.name,
      SMB_PASS: alice.password,
      SMB_MODES: fullModes.join(' '),
      SMB_QUICK_MODES: quickModes.join(' '),
      SMB_SMALL: String(manyFiles),
      ...load.variables,
    },
  })
  await load.check(report)
  await report.check('nothing is left on the share', async () => {
    const found = await readdir(ground.sharePath)
    const left = found.filter((name) => name !== link && name !== linkTarget)
    expect(left.length === 0, `left: ${left.map((name) => join(ground.sharePath, name)).join(', ')}`)
  })
}
