/** zfs(8) as a program: what it says, and what becomes of a command that never ends. */

import { chmod, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { createCommandRunner } from '../../server/zfs/run-command.ts'

const SHORT_LIMIT = 200
const LONG_LIMIT = 60_000

t.test('commands', async (t) => {
  const directory = t.testdir()
  const path = process.env['PATH'] ?? ''
  t.teardown(() => {
    process.env['PATH'] = path
  })
  process.env['PATH'] = `${directory}${delimiter}${path}`
  const zfsIs = async (script: string) => {
    await writeFile(join(directory, 'zfs'), `#!/bin/sh\n${script}\n`)
    await chmod(join(directory, 'zfs'), 0o700)
  }

  await zfsIs('echo "$LC_ALL $*"; echo wrong >&2; exit 3')
  const failed = await createCommandRunner(LONG_LIMIT)('zfs', ['list', 'a b'])
  t.same(failed, { code: 3, stdout: 'C.UTF-8 list a b\n', stderr: 'wrong\n' })

  // Its child keeps the output open when it is killed: as little ends as with what waits in the kernel.
  await zfsIs(`sleep 600 & echo $! > ${join(directory, 'pid')}; wait`)
  const hanging = await createCommandRunner(SHORT_LIMIT)('zfs', ['get', 'all'])
  t.same(hanging, { code: undefined, stdout: '', stderr: '' })
  process.kill(Number(await readFile(join(directory, 'pid'), 'utf8')))

  process.env['PATH'] = join(directory, 'nothing')
  await t.rejects(createCommandRunner(LONG_LIMIT)('zpool', ['list']), { message: /install OpenZFS/ })
})
