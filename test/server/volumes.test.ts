/** Volumes of shares: limits over reloads and restarts, what status and check say of them. */

import { mkdir, readdir, readFile, readlink, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import t, { type Test } from 'tap'
import { parseConfiguration } from '../../server/config/parse.ts'
import type { ShareConfiguration } from '../../server/config/types.ts'
import { limitFindings } from '../../server/probe/limits.ts'
import { ShareStorage } from '../../server/serve/share-storage.ts'
import { createMetrics } from '../../server/status/metrics.ts'
import { spaceOf } from '../../server/status/report.ts'
import { shareRow } from '../../server/status/share-lines.ts'
import { createWorkerPool } from '../../storage/posix/worker-pool.ts'
import { xml } from './backup-files.ts'
import { FAKE_USAGE } from './fake-status.ts'

const MIB = 1024 * 1024
const TIB = 1024 ** 4
const log = pino({ level: 'silent' })
const workers = createWorkerPool({ size: 1 })
t.teardown(() => workers.close())

type Served = ShareConfiguration & { readonly path: string }

function sharesOf(toml: string): Served[] {
  const text = `[server]\nname = "t"\nstate_dir = "/state"\n${toml}\n`
  const outcome = parseConfiguration({ text, file: 'test.toml', baseDirectory: '/', source: undefined })
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems))
  return outcome.configuration.shares.map((share) => ({ ...share, path: share.path ?? '' }))
}

function storageIn(stateDirectory: string): ShareStorage {
  const clock = { now: () => 0, after: () => () => undefined }
  return new ShareStorage({ workersFor: async () => workers, clock, stateDirectory, log })
}

async function folders(t: Test): Promise<{ state: string; data: string }> {
  const root = t.testdir({ state: {}, data: { users: { anna: {} } } })
  await writeFile(join(root, 'data', 'file'), Buffer.alloc(2 * MIB, 1))
  return { state: join(root, 'state'), data: join(root, 'data') }
}

t.test('limits are kept over reloads and restarts', async (t) => {
  const { state, data } = await folders(t)
  const toml = (first: string, second: string) =>
    sharesOf(
      `[[share]]\nname = "a"\npath = "${data}"\n${first}\n[[share]]\nname = "b"\npath = "${data}"\n${second}`,
    )
  const storage = storageIn(state)
  const shares = toml('max_size = "9M"', 'max_size = "8M"')
  const volumes = await Promise.all(shares.map((share) => storage.open(share)))
  t.equal(volumes[0], volumes[1], 'one folder, one volume')
  await storage.keepLimits(shares)
  t.match(await volumes[0]?.space(), { total: 8 * MIB }, 'the smallest counts')
  const used = (await volumes[0]?.use())?.used ?? 0
  t.ok(used >= 2 * MIB && used < 3 * MIB)
  await storage.keepLimits(toml('', ''))
  const disk = await statfs(data)
  t.equal((await volumes[0]?.space())?.total, disk.blocks * disk.bsize, 'without a limit')
  await storage.keepLimits(toml('max_size = "4M"', ''))
  t.match(await volumes[0]?.space(), { total: 4 * MIB })
  await storage.close()
  t.match(JSON.parse(await readFile(join(state, 'volume-use.json'), 'utf8')), { version: 1 })

  const again = storageIn(state)
  const [share] = toml('max_size = "4M"', '')
  if (share === undefined) throw new Error('no share')
  const volume = await again.open(share)
  t.equal(volume.counted, undefined)
  await writeFile(join(data, 'behind'), Buffer.alloc(MIB, 1))
  await again.keepLimits([share])
  t.equal(volume.counted, used + MIB)
  await again.close()

  await writeFile(join(state, 'volume-use.json'), 'torn')
  const third = storageIn(state)
  const counted = await third.open(share)
  await third.keepLimits([share])
  t.equal(counted.counted, used + MIB, 'counted anew')
  await third.close()
})

t.test('what bundles may grow to is known after a restart', async (t) => {
  const { state, data } = await folders(t)
  const bands = join(data, 'Mac.sparsebundle', 'bands')
  await mkdir(bands, { recursive: true })
  for (const band of ['0', '1', 'a']) await writeFile(join(bands, band), 'band')
  const info = xml(`<dict><key>band-size</key><integer>${MIB}</integer></dict>`)
  await writeFile(join(data, 'Mac.sparsebundle', 'Info.plist'), info)
  const [share] = sharesOf(`[[share]]\nname = "a"\npath = "${data}"\nmax_size = "8M"`)
  if (share === undefined) throw new Error('no share')
  const first = storageIn(state)
  const volume = await first.open(share)
  await first.keepLimits([share])
  t.match(await volume.space(), { total: 8 * MIB, available: 5 * MIB })
  await first.close()
  const file = join(state, 'volume-use.json')
  const kept = JSON.parse(await readFile(file, 'utf8')) as { bundles: object }
  t.same(Object.values(kept.bundles), [3 * MIB])

  const second = storageIn(state)
  t.equal((await second.open(share)).bundleBytes, 3 * MIB, 'before the tree was walked')
  await second.close()
  const { bundles: _, ...older } = kept
  await writeFile(file, JSON.stringify(older))
  const third = storageIn(state)
  const counted = await third.open(share)
  t.equal(counted.bundleBytes, 0, 'the file of an earlier version')
  await third.keepLimits([share])
  t.equal((await counted.space()).available, 5 * MIB)
  await third.close()
})

t.test('a folder that is let go of is closed, and counted anew when it comes back', async (t) => {
  const { state, data } = await folders(t)
  const descriptors = async (): Promise<number> => {
    const links = (await readdir('/proc/self/fd')).map((fd) =>
      readlink(`/proc/self/fd/${fd}`).catch(() => ''),
    )
    return (await Promise.all(links)).filter((path) => path.startsWith(data)).length
  }
  const [share] = sharesOf(`[[share]]\nname = "a"\npath = "${data}"\nmax_size = "9M"`)
  if (share === undefined) throw new Error('no share')
  const storage = storageIn(state)
  const before = await storage.open(share)
  await storage.keepLimits([share])
  const used = before.counted ?? 0
  t.ok((await descriptors()) > 0)
  await storage.release(['/elsewhere'])
  t.equal(await storage.open(share), before, 'others stay')
  await storage.release([data])
  t.equal(await descriptors(), 0, 'so that it can be unmounted')
  await writeFile(join(data, 'exchanged'), Buffer.alloc(MIB, 1))
  const after = await storage.open(share)
  t.not(after, before)
  t.equal(after.counted, undefined)
  await storage.keepLimits([share])
  t.equal(after.counted, used + MIB)
  await storage.close()
})

t.test('status and metrics tell of each user', async (t) => {
  const { state, data } = await folders(t)
  const path = join(data, 'users')
  await mkdir(join(path, 'bert'))
  const [share] = sharesOf(`[[share]]\nname = "tm"\npath = "${path}"\nper_user = true\nmax_size = "4M"`)
  if (share === undefined) throw new Error('no share')
  const storage = storageIn(state)
  await storage.open(share)
  for (const user of ['anna', 'bert']) await storage.open(share, user)
  await storage.keepLimits([share])
  const shares = () => [
    { name: 'tm', path, volumes: storage.volumesOf(share) },
    { name: 'gone', path: join(data, 'gone') },
  ]
  const spaces = await spaceOf({ shares })
  t.match(spaces, [
    { name: 'tm', user: 'anna', path: join(path, 'anna'), limitBytes: 4 * MIB, totalBytes: 4 * MIB },
    { name: 'tm', user: 'bert' },
    { name: 'gone', totalBytes: undefined },
  ])
  const [first] = spaces
  t.match(first && shareRow(first), ['tm (anna)', join(path, 'anna'), /B$/, '4 MiB', /MiB$/, '4 MiB'])
  const metrics = createMetrics({
    usage: () => FAKE_USAGE,
    space: async () => spaces,
    backups: () => [],
    pools: () => [],
  })
  const text = await metrics.metrics()
  t.match(text, `poolhouse_share_limit_bytes{share="tm",user="anna"} ${4 * MIB}\n`)
  t.match(text, `poolhouse_share_used_bytes{share="tm",user="bert"} ${spaces[1]?.usedBytes}\n`)
  await storage.close()
})

t.test('check tells of limits that will not hold', async (t) => {
  const path = t.testdir({})
  const messages = async (toml: string, users = 1): Promise<string[]> => {
    const shares = sharesOf(toml.replaceAll('HERE', `path = "${path}"`))
    const [share] = shares
    if (share === undefined) throw new Error('no share')
    return (await limitFindings(share, shares, users)).map(
      ({ severity, message }) => `${severity}: ${message}`,
    )
  }
  const share = (name: string, more: string) => `[[share]]\nname = "${name}"\nHERE\n${more}\n`
  const { blocks, bsize } = await statfs(path)
  const half = Math.floor((blocks * bsize) / 2)
  t.same(await messages(share('a', 'max_size = "1M"\ntime_machine = true')), [])
  t.same(await messages(share('a', '')), [])
  t.match(await messages(share('a', 'time_machine = true')), [
    /^note: no max_size: each Mac sees the whole pool/,
  ])
  t.match(await messages(share('a', `max_size = ${4096 * TIB}`)), [/^warning: .*full before the limit/])
  t.match(await messages(share('a', `max_size = ${half}\nper_user = true`), 3), [/^note: 3 users may take/])
  t.match(await messages(share('a', 'guest_ok = true\nper_user = true')), [/^warning: per_user: guests/])
  const twice = share('a', 'max_size = "1M"') + share('b', 'max_size = "2M"')
  t.match(await messages(twice), [/^warning: share "b" serves .* the smallest max_size counts/])
})
