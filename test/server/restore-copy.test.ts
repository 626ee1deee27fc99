/** Getting back by copying: what is kept, what is refused, how far it is. */

import { link, mkdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { RestoreOptions, RestoreTools } from '../../server/cli/restore.ts'
import { runCoreutils } from '../../server/restore/copy.ts'
import { configured, NOW, run } from './restore-frame.ts'

t.test('a copy beside it', async (t) => {
  const directory = await configured(t)
  const root = join(directory, 'folder', '.snapshots', '@GMT-2026.11.23-10.15.07')
  await mkdir(join(root, 'docs'), { recursive: true })
  await writeFile(join(root, 'docs', 'a'), 'then', { mode: 0o640 })
  await link(join(root, 'docs', 'a'), join(root, 'docs', 'b'))
  await writeFile(join(root, 'hole'), '')
  await truncate(join(root, 'hole'), 64 << 20)
  await symlink('/etc', join(root, 'out'))
  const copy = async (options: Partial<RestoreOptions>, tools = {}) => {
    const result = await run('folder', { snapshot: 'latest', yes: true, ...options }, { directory, tools })
    return `${result.code} ${result.stdout}${result.stderr}`
  }
  t.match(await copy({ to: 'all', dryRun: true }), /^0 .* is copied to .*all: /)
  await t.rejects(stat(join(directory, 'all')))
  t.match(await copy({ to: 'all' }), /^0 .*\nrestored to .*all\n/s)
  const file = await stat(join(directory, 'all', 'docs', 'a'))
  t.same([file.mode & 0o777, file.nlink], [0o640, 2])
  t.ok((await stat(join(directory, 'all', 'hole'))).blocks < 100)
  t.match(await copy({ to: 'all' }), /^1 .*not empty/s)
  t.match(await copy({ to: 'one', path: 'docs/a' }), /^0/)
  t.equal(await readFile(join(directory, 'one'), 'utf8'), 'then')
  t.match(await copy({ to: 'one' }), /exists and is no folder/)
  t.match(await copy({ to: 'x', path: '../..' }), /give a path from the share's root/)
  t.match(await copy({ to: 'x', path: 'out/passwd' }), /leads out of the snapshot/)
  t.match(await copy({ to: 'x', path: 'out' }), /is a link/)
  t.match(await copy({ to: 'x', path: 'nowhere' }), /has no "nowhere"/)
  t.match(await copy({ to: join(root, 'x') }), /in the snapshot itself/)
  const huge = async () => ({ code: 0, stdout: `${2 ** 60}\t/x\n`, stderr: '' })
  t.match(await copy({ to: 'x' }, { copy: huge }), /to be copied, and .* has room for/)
  const torn: RestoreTools['copy'] = async (program, args) =>
    program === 'du'
      ? runCoreutils(program, args)
      : { code: 1, stdout: '', stderr: 'cp: a: Input/output error\n' }
  t.match(await copy({ to: 'y' }, { copy: torn }), /^1 .*may be incomplete:\ncp: a: Input/s)
  let now = NOW
  const slow: RestoreTools['copy'] = async (program, args, written) => {
    if (program === 'du') return { code: 0, stdout: `${64 << 20}\t/x\n`, stderr: '' }
    for (const bytes of [16 << 20, 48 << 20]) {
      now += 2000
      written?.(bytes)
    }
    return await runCoreutils(program, args)
  }
  const shown = async (isTerminal: boolean, to: string) => {
    const tools = { copy: slow, now: () => now }
    const options = { snapshot: 'latest', yes: true, to }
    return (await run('folder', options, { directory, isTerminal, tools })).stdout
  }
  t.match(
    await shown(true, 'seen'),
    /\r\S*48 MiB of 64 MiB, 12 MiB\/s, 2 s left\r\S*restored to/,
    'it shows how far it is',
  )
  t.notMatch(await shown(false, 'unseen'), 'MiB/s', 'to people, not to files')
  t.match((await run('plain', { snapshot: 'x', to: 'z' }, { directory })).stderr, /"plain" has no snapshots/)
})
