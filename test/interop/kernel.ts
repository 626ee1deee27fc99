/** The Linux kernel's client, in the lab's virtual machine: each dialect it mounts with, plain, signed and sealed. */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { alice } from './environment.ts'
import { LineReader } from './lines.ts'
import { labCommand, needs } from './needs.ts'
import { interopFile } from './paths.ts'
import { describe, run } from './process.ts'
import { expect, type Report } from './report.ts'
import { type Ground, onGround, type Suite } from './suite.ts'
import { manyFiles } from './tree.ts'

/** A machine without KVM runs the client some 10 times slower than it is. */
const labSeconds = 1500

const fullModes = ['vers=2.1', 'vers=3.0', 'vers=3.1.1', 'vers=3.0,seal', 'vers=3.1.1,seal']
/** These differ from one of the others in the signature alone: a few small files are enough. */
const quickModes = ['vers=2.1,sign', 'vers=3.0,sign', 'vers=3.1.1,sign']

export const kernelSuite: Suite = {
  name: 'kernel',
  about: "the Linux kernel's client in the lab's virtual machine",
  needs: [needs.qemu, needs.lab],
  limitSeconds: labSeconds + 60,
  run: (report, directory) => onGround(report, directory, (ground) => inLab(report, ground)),
}

/** Runs the guest's script and takes over its checks, which it prints as the suites do. */
async function inLab(report: Report, ground: Ground): Promise<void> {
  const variables = {
    SMB_PORT: String(ground.server.port),
    SMB_SHARE: ground.share,
    SMB_USER: alice.name,
    SMB_PASS: alice.password,
    SMB_MODES: fullModes.join(' '),
    SMB_QUICK_MODES: quickModes.join(' '),
    SMB_SMALL: String(manyFiles),
  }
  const assignments = Object.entries(variables).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  const args = ['client', '-t', String(labSeconds - 60), ...assignments, interopFile('lab', 'client.sh')]
  const lines = new LineReader((line) => takeOver(report, line))
  const result = await run(labCommand, args, {
    seconds: labSeconds,
    env: { LAB_KEEP_RUNS: '50' },
    onOutput: (text) => lines.push(text),
  })
  lines.end()
  await report.check('the machine ran to its end', () => {
    expect(result.code === 0 || result.code === 1, describe(labCommand, args, result, labSeconds))
  })
  await report.check('nothing is left on the share', async () => {
    const left = await readdir(ground.sharePath)
    expect(left.length === 0, `left: ${left.map((name) => join(ground.sharePath, name)).join(', ')}`)
  })
}

function takeOver(report: Report, line: string): void {
  const [, verdict, title] = /^(ok {3}|FAIL )(.*)$/.exec(line) ?? []
  if (title === undefined) {
    process.stdout.write(`${line}\n`)
  } else if (verdict === 'FAIL ') {
    report.fail(title, '')
  } else {
    report.pass(title)
  }
}
