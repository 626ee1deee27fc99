/** Volumes: recorded output of OpenZFS 2.1 as it is read, the commands that are given, and what a failure costs. */

import t from 'tap'
import { parseConfiguration } from '../../../server/config/parse.ts'
import type { Configuration } from '../../../server/config/types.ts'
import { prepareVolumes } from '../../../server/zfs/volume-targets.ts'
import type { CommandResult, CommandRunner } from '../../../storage/zfs/command.ts'

function recorded(answers: Readonly<Record<string, Partial<CommandResult>>>) {
  const commands: string[] = []
  const run: CommandRunner = (program, args) => {
    const command = [program, ...args].join(' ')
    const [, answer] = Object.entries(answers).find(([piece]) => command.includes(piece)) ?? []
    if (answer === undefined) throw new Error(`no answer to: ${command}`)
    if (args[0] !== 'list') commands.push(command)
    return Promise.resolve({ code: 0, stdout: '', stderr: '', ...answer })
  }
  return { run, commands }
}

function configured(...luns: string[]): Configuration {
  const text = luns.map(
    (lun, index) => `[[target]]\nname = "iqn.2026-11.lan:${index}"\n[[target.lun]]\nid = 0\n${lun}\n`,
  )
  return parsed(text.join(''))
}

function parsed(text: string): Configuration {
  const parsed = parseConfiguration({ text, file: 'p.toml', source: 'p.toml', baseDirectory: '/' })
  if (!parsed.ok) throw new Error(parsed.problems.map(({ key, message }) => `${key}: ${message}`).join('\n'))
  return parsed.configuration
}

const missing = (name: string) => ({ code: 1, stderr: `cannot open '${name}': dataset does not exist\n` })

t.test('a missing volume is made sparse, of whole blocks', async (t) => {
  const { run, commands } = recorded({ '-t volume': missing('tank/mac0'), create: {} })
  const waited: string[] = []
  const { configuration, failures } = await prepareVolumes(
    configured(
      'zvol = "tank/mac0"\nsize = "1000001"\nvolblocksize = "64KiB"',
      'zvol = "tank/mac1"\nsize = "1MiB"',
    ),
    run,
    [],
    (path) => Promise.resolve(waited.push(path) > 0),
  )
  t.same(failures, [])
  t.equal(configuration.targets.length, 2)
  t.same(commands, [
    'zfs create -s -p -o compression=lz4 -o volblocksize=65536 -V 1048576 tank/mac0',
    'zfs create -s -p -o compression=lz4 -V 1048576 tank/mac1',
  ])
  t.same(waited, ['/dev/zvol/tank/mac0', '/dev/zvol/tank/mac1'])
})

t.test('a volume grows, and is never cut', async (t) => {
  const { run, commands } = recorded({
    '-t volume': { stdout: 'tank/mac0\t1048576\t16384\t-\n' },
    set: {},
  })
  const there = () => Promise.resolve(true)
  const prepare = (keys: string) => prepareVolumes(configured(`zvol = "tank/mac0"\n${keys}`), run, [], there)
  for (const keys of ['', 'size = "512KiB"', 'size = "1MiB"', 'size = "2MiB"\nread_only = true']) {
    t.same((await prepare(keys)).failures, [])
  }
  t.same(commands, [])
  await prepare('size = 1048577')
  t.same(commands, ['zfs set volsize=1064960 tank/mac0'])
})

t.test('a volume that cannot be had costs its own target alone', async (t) => {
  const { run, commands } = recorded({
    'tank/none': missing('tank/none'),
    'tank/locked': { stdout: 'tank/locked\t1048576\t16384\tunavailable\n' },
    'tank/hangs': { code: undefined as never },
    'tank/hidden': { stdout: 'tank/hidden\t1048576\t16384\t-\n' },
    'tank/good': { stdout: 'tank/good\t1048576\t16384\t-\n' },
  })
  const zvols = ['tank/none', 'tank/locked', 'tank/hangs', 'tank/hidden', 'tank/good']
  const { configuration, failures } = await prepareVolumes(
    configured(...zvols.map((name) => `zvol = "${name}"`)),
    run,
    [],
    (path) => Promise.resolve(!path.endsWith('hidden')),
  )
  t.same(
    configuration.targets.map(({ name }) => name),
    ['iqn.2026-11.lan:4'],
  )
  t.match(
    failures.map(({ message }) => message),
    [
      /no volume "tank\/none"; set size/,
      /locked; load its key/,
      /no answer; is the pool suspended/,
      /no disk at \/dev\/zvol\/tank\/hidden/,
    ],
  )
  t.same(commands, [])
  const before = configured('zvol = "tank/hangs"\nsize = "1MiB"')
  const reloaded = await prepareVolumes(
    configured('zvol = "tank/hangs"\nsize = "2MiB"'),
    run,
    before.targets,
    () => Promise.resolve(true),
  )
  t.same(reloaded.configuration.targets, before.targets, 'one that is served stays as it is')
  t.match(reloaded.failures, [{ isServed: true, message: /no answer/ }])
  const off = { ...before, iscsi: { ...before.iscsi, enabled: false } }
  t.same((await prepareVolumes(off, run, [])).failures, [], 'without iSCSI nothing is made')
})

t.test('volblocksize is for zvols, and a power of two', (t) => {
  t.throws(() => configured('zvol = "tank/a"\nvolblocksize = "12KiB"'), /12288 is not allowed/)
  t.throws(() => configured('zvol = "tank/a"\nvolblocksize = "256KiB"'), /262144 is not allowed/)
  t.throws(() => configured('path = "/a"\nvolblocksize = "16KiB"'), /is for a zvol/)
  t.end()
})
