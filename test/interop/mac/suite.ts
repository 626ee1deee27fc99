/** The suite `mac`: a scripted Mac against the running server; each check is named after the point of macos.md that it holds. */

import { join } from 'node:path'
import { alice, isPrivate, makeAccounts, makeShareDirectory, mountImage } from '../environment.ts'
import { needs } from '../needs.ts'
import type { Report } from '../report.ts'
import { against, startServer } from '../server.ts'
import { lastLines, type Server, type Share } from '../server-process.ts'
import type { Suite } from '../suite.ts'
import { MacClient } from './client.ts'
import { files, fullDisk } from './files.ts'
import { backup, gate } from './gate.ts'
import { links } from './links.ts'
import { mounting } from './mounting.ts'
import type { Scene } from './scene.ts'

const shareName = 'backups'
const SMALL_BYTES = 320 << 20
const groups: readonly (readonly [string, (scene: Scene) => Promise<void>])[] = [
  ['mount', mounting],
  ['gate', gate],
  ['backup', backup],
  ['link', links],
  ['files', files],
  ['full disk', fullDisk],
]

export const macSuite: Suite = {
  name: 'mac',
  about: 'a scripted Mac: Time Machine byte for byte, checks named after the points of its reference',
  needs: [],
  limitSeconds: 90,
  run: mac,
}

const share = (name: string, path: string): Share => ({
  ...{ name, path, valid_users: [alice.name], time_machine: true },
})

/** A share's folder on an XFS of the smallest size that there is. */
async function smallDisk(
  directory: string,
  owner: Awaited<ReturnType<typeof makeAccounts>>,
): Promise<Scene['small']> {
  if (!isPrivate || !needs.xfs.present()) return undefined
  const disk = join(directory, 'small')
  await mountImage('xfs', SMALL_BYTES, disk)
  const path = join(disk, 'share')
  await makeShareDirectory(path, owner)
  return { share: 'small', path }
}

async function mac(report: Report, directory: string): Promise<void> {
  if (against !== 'poolhouse') {
    report.note('for this server alone')
    return
  }
  const owner = await makeAccounts(directory)
  const path = join(directory, shareName)
  await makeShareDirectory(path, owner)
  const small = await smallDisk(directory, owner)
  let server: Server | undefined
  await report.check('the server starts', async () => {
    server = await startServer({
      directory: join(directory, 'server'),
      accounts: [alice],
      shares: [share(shareName, path), ...(small === undefined ? [] : [share(small.share, small.path)])],
      smb: { signing: 'required' },
    })
  })
  if (server === undefined) return
  const running: Server = server
  const scene: Scene = {
    ...{ report, server: running, path, small },
    mount: (differs = {}) =>
      MacClient.connect({
        ...{ host: '127.0.0.1', port: running.port, share: shareName },
        ...{ user: alice.name, password: alice.password },
        ...differs,
      }),
  }
  for (const [name, run] of groups) await report.group(name, () => run(scene))
  await report.check('the server stops at SIGTERM', () => running.stop())
  if (report.failed > 0) report.note(`the server's log ends with:\n${lastLines(await running.log())}`)
}
