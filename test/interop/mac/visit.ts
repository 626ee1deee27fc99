/**
 * A Mac's visit as a program, for a machine in which no suite runs: Time Machine's gate, a first backup, and the history that says
 * that it was completed.
 *
 *     node visit.js PORT USER PASSWORD SHARE FOLDER
 */

import { Report } from '../report.ts'
import { Disposition, MacClient } from './client.ts'
import { backup, gate } from './gate.ts'
import type { Scene } from './scene.ts'

const BUNDLE = 'MacBook.sparsebundle'
const HISTORY = `${BUNDLE}/com.apple.TimeMachine.SnapshotHistory.plist`

function history(completed: Date): string {
  const date = completed.toISOString().replace(/\.\d+Z$/, 'Z')
  return `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>Snapshots</key><array><dict>
<key>com.apple.backupd.SnapshotCompletionDate</key><date>${date}</date>
</dict></array></dict></plist>
`
}

/** As Time Machine does at the end: beside the old one, which is deleted. */
async function complete(client: MacClient): Promise<void> {
  const next = await client.create(`${HISTORY}.tmp`, Disposition.CREATE)
  await client.write(next, 0, Buffer.from(history(new Date())))
  await client.fullSync(next)
  await client.close(next)
  await client.remove(HISTORY)
  await client.rename(`${HISTORY}.tmp`, HISTORY)
}

async function visit([
  port,
  user = '',
  password = '',
  share = '',
  path = '',
]: readonly string[]): Promise<number> {
  const report = new Report('mac', [])
  const mount = () => MacClient.connect({ host: '127.0.0.1', port: Number(port), share, user, password })
  // Neither of the two looks at the server's process, or at another share.
  const scene = { report, path, mount } as unknown as Scene
  await report.group('gate', () => gate(scene))
  await report.group('backup', () => backup(scene))
  await report.group('end', async () => {
    const client = await mount()
    await report.check('7 backup: the history says that it was completed', () => complete(client))
    await client.disconnect()
  })
  return report.failed
}

process.exitCode = (await visit(process.argv.slice(2))) === 0 ? 0 : 1
