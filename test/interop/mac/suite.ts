/** The suite `mac`: a scripted Mac against the running server; each check is named after the point of macos.md that it holds. */

import { join } from 'node:path'
import { alice, makeAccounts, makeShareDirectory } from '../environment.ts'
import { expect, type Report } from '../report.ts'
import { against, startServer } from '../server.ts'
import { lastLines, type Server } from '../server-process.ts'
import type { Suite } from '../suite.ts'
import { Disposition, MacClient } from './client.ts'

const shareName = 'backups'

export const macSuite: Suite = {
  name: 'mac',
  about: 'a scripted Mac: Time Machine byte for byte, checks named after the points of its reference',
  needs: [],
  limitSeconds: 90,
  run: mac,
}

async function mac(report: Report, directory: string): Promise<void> {
  if (against !== 'poolhouse') {
    report.note('for this server alone')
    return
  }
  const owner = await makeAccounts(directory)
  const path = join(directory, shareName)
  await makeShareDirectory(path, owner)
  let server: Server | undefined
  await report.check('the server starts', async () => {
    server = await startServer({
      directory: join(directory, 'server'),
      accounts: [alice],
      shares: [{ name: shareName, path, valid_users: [alice.name], time_machine: true }],
      smb: { signing: 'required' },
    })
  })
  if (server === undefined) return
  const running: Server = server
  await report.check('a Mac mounts, writes, syncs, renames, reads', async () => {
    const client = await MacClient.connect({
      ...{ host: '127.0.0.1', port: running.port, share: shareName },
      ...{ user: alice.name, password: alice.password },
    })
    const file = await client.create('file', Disposition.CREATE)
    const data = Buffer.alloc(1 << 20, 7)
    await Promise.all([0, 1, 2, 3].map((index) => client.write(file, index << 20, data)))
    await client.fullSync(file)
    expect((await client.read(file, 3 << 20, 1 << 20)).equals(data), 'other data')
    expect(file.timeout === 30_000, `${file.timeout}`)
    client.cut()
    const again = await client.reconnect()
    expect((await again.read(file, 0, 1 << 20)).equals(data), 'other data after the reconnect')
    await again.disconnect()
  })
  await report.check('the server stops at SIGTERM', () => running.stop())
  if (report.failed > 0) report.note(`the server's log ends with:\n${lastLines(await running.log())}`)
}
