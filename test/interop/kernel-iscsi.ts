/** The Linux kernel's initiator, in the lab's virtual machine: CHAP both ways, both digests, file systems, a killed server. */

import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runInLab } from './lab.ts'
import { needs } from './needs.ts'
import { freePort } from './ports.ts'
import { expect, type Report } from './report.ts'
import { startServer } from './server.ts'
import { lastLines, type Server } from './server-process.ts'
import type { Suite } from './suite.ts'

const labSeconds = 1500
const kills = 3
const name = 'iqn.2026-11.test.interop:kernel'
const luns = { large: 0, small: 1, added: 2 } as const
/** The small disk's. */
const sizes = { before: '4GiB', after: '5GiB' } as const
const MiB = 1024 ** 2
/** What a disk of 100 GiB may occupy that was formatted, filled with 64 MiB, and trimmed: the journal's zeros are a hole. */
const trimmedMebibytes = 200
/** stat(2): st_blocks is in these. */
const blockBytes = 512

const chap = {
  user: 'kernel',
  secret: 'initiator-scrt',
  mutualUser: 'interop',
  mutualSecret: 'target-secret1',
}

export const kernelIscsiSuite: Suite = {
  name: 'kernel-iscsi',
  about: "the Linux kernel's iSCSI initiator in the lab's virtual machine",
  needs: [needs.qemu, needs.lab],
  bearsCompany: true,
  limitSeconds: labSeconds + 60,
  run: kernelIscsi,
}

async function kernelIscsi(report: Report, directory: string): Promise<void> {
  const portal = await freePort()
  const disk = (lun: string) => join(directory, `${lun}.img`)
  const secret = async (file: string, text: string) => {
    await writeFile(join(directory, file), text, { mode: 0o600 })
    return join(directory, file)
  }
  const keys = {
    user: chap.user,
    secret_file: await secret('secret', chap.secret),
    mutual_user: chap.mutualUser,
    mutual_secret_file: await secret('mutual-secret', chap.mutualSecret),
  }
  const target = {
    keys: { name },
    chap: keys,
    luns: [
      { id: luns.large, path: disk('large'), size: '100GiB' },
      { id: luns.small, path: disk('small'), size: sizes.before },
    ],
  }
  const iscsi = { listen: [`127.0.0.1:${portal}`], targets: [target] }
  const start = () => startServer({ directory: join(directory, 'server'), accounts: [], shares: [], iscsi })
  let server = await start()
  const restarts: Promise<void>[] = []
  const changes: Promise<void>[] = []
  await runInLab(report, {
    script: 'iscsi.sh',
    seconds: labSeconds,
    variables: variables(portal),
    onLine: (line) => {
      if (line.trim() === 'kill the server') restarts.push(restart())
      if (line.trim() === 'change the disks') changes.push(change())
    },
  })
  async function restart(): Promise<void> {
    process.kill(server.pid, 'SIGKILL')
    server = await start()
  }
  /** The owner makes a disk larger, adds one, and sends SIGHUP. */
  async function change(): Promise<void> {
    const file = join(directory, 'server', 'poolhouse.toml')
    const added = `[[target.lun]]\nid = ${luns.added}\npath = "${disk('added')}"\nsize = "1GiB"\n`
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace(`"${sizes.before}"`, `"${sizes.after}"`) + added)
    process.kill(server.pid, 'SIGHUP')
  }
  await report.check('the disks were changed once', async () => {
    await Promise.all(changes)
    expect(changes.length === 1, `they were ${changes.length} times`)
  })
  await report.check(`the server was killed and started again ${kills} times`, async () => {
    await Promise.all(restarts)
    expect(restarts.length === kills, `it was ${restarts.length} times`)
  })
  await report.check(
    `the formatted and trimmed disk of 100 GiB occupies less than ${trimmedMebibytes} MiB`,
    async () => {
      const { blocks, size } = await stat(disk('large'))
      const occupied = blocks * blockBytes
      report.note(`${(occupied / MiB).toFixed(1)} MiB of ${size / MiB} MiB`)
      expect(occupied < trimmedMebibytes * MiB, `${occupied} bytes`)
    },
  )
  await endOf(report, server)
}

function variables(portal: number): Record<string, string> {
  return {
    ISCSI_PORT: String(portal),
    ISCSI_IQN: name,
    ISCSI_USER: chap.user,
    ISCSI_PASS: chap.secret,
    ISCSI_USER_IN: chap.mutualUser,
    ISCSI_PASS_IN: chap.mutualSecret,
    ISCSI_LARGE: String(luns.large),
    ISCSI_SMALL: String(luns.small),
    ISCSI_KILLS: String(kills),
    ISCSI_ADDED: String(luns.added),
  }
}

async function endOf(report: Report, server: Server): Promise<void> {
  await report.check('the server stops at SIGTERM', () => server.stop())
  if (report.failed > 0) report.note(`the server's log ends with:\n${lastLines(await server.log())}`)
}
