/** A target's LUNs: opened as configured, probed by check, with reservations that outlive the server. */

import { mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parseConfiguration } from '../../server/config/parse.ts'
import type { TargetConfiguration } from '../../server/config/types.ts'
import { probeLun } from '../../server/probe/lun-probe.ts'
import { openScsiTarget } from '../../server/serve/iscsi-luns.ts'
import { Initiator } from '../protocols/iscsi/scsi/lab.ts'

const folder = await mkdtemp(join(tmpdir(), 'poolhouse-luns-'))
t.teardown(() => rm(folder, { recursive: true }))

const settings = {
  stateDirectory: folder,
  environment: { now: () => 0, random: (count: number) => Buffer.alloc(count), after: () => () => undefined },
  log: () => undefined,
} as const

function configured(luns: string): TargetConfiguration {
  const text = `[[target]]\nname = "iqn.2026-11.lan.ocean:t"\n${luns}`
  const parsed = parseConfiguration({ text, file: 'p.toml', source: 'p.toml', baseDirectory: folder })
  if (!parsed.ok) throw new Error(parsed.problems.map((one) => `${one.key}: ${one.message}`).join('\n'))
  return parsed.configuration.targets[0] as TargetConfiguration
}

const lun = (keys: string): string => `[[target.lun]]\n${keys}\n`

t.test('LUNs are what the configuration says', async (t) => {
  const target = await openScsiTarget(await severalLuns(), settings)
  const alice = new Initiator(target, 'alice')
  const capacity = async (id: bigint) => {
    await alice.clear(id)
    const { data } = await alice.run('9e 10 0000000000000000 00000020 0000', { lun: id })
    return [Number(data.readBigUInt64BE(0)) + 1, data.readUInt32BE(8), data[13], data[14]]
  }
  t.same(await capacity(0n), [16_384, 512, 3, 0xc0])
  t.same(await capacity(1n), [2048, 4096, 0, 0])
  t.same(await capacity(7n), [4096, 512, 0, 0xc0])
  t.equal((await alice.run('12 00 00 00ff 00', { lun: 1n })).data[1], 0x80)
  t.equal(await alice.outcome('2a 00 00000000 00 0001 00', { lun: 7n, out: Buffer.alloc(512) }), '07/2700')
  t.equal(await alice.outcome('42 00 00000000 00 0000 00', { lun: 7n }), '07/2700')
  await target.close()
  t.equal((await stat(join(folder, 'a.img'))).size, 8 * 1024 * 1024)
})

async function severalLuns(): Promise<TargetConfiguration> {
  for (const name of ['c.img', 'd.img']) {
    await writeFile(join(folder, name), '')
    await truncate(join(folder, name), 2 * 1024 * 1024)
  }
  return configured(
    lun('id = 0\npath = "a.img"\nsize = "8MiB"') +
      lun('id = 1\npath = "b.img"\nsize = "8MiB"\nblock_size = 4096\nremovable = true\nthin = false') +
      lun(
        'id = 7\nextents = [{ path = "c.img", length = "1MiB" }, { path = "d.img", start = "1MiB", length = "1MiB" }]\nread_only = true\nphysical_block_size = 512',
      ),
  )
}

t.test('a LUN that cannot be opened says which, and leaves none open', async (t) => {
  const good = lun('id = 0\npath = "e.img"\nsize = "1MiB"')
  const bad = lun('id = 1\npath = "missing.img"')
  await t.rejects(openScsiTarget(configured(good + bad), settings), {
    message: /target "iqn\.2026-11\.lan\.ocean:t", LUN 1: .*missing\.img does not exist; set size/,
  })
  const target = await openScsiTarget(configured(good), settings)
  await t.rejects(openScsiTarget(configured(good), settings), { message: /LUN 0: .*in use by another LUN/ })
  await target.close()
})

t.test('persistent reservations outlive the server', async (t) => {
  const configuration = configured(lun('id = 0\npath = "f.img"\nsize = "1MiB"'))
  const first = await openScsiTarget(configuration, settings)
  const alice = await new Initiator(first, 'alice').clear()
  const list = Buffer.alloc(24)
  list.writeBigUInt64BE(0xabcn, 8)
  list[20] = 1
  t.equal(await alice.outcome('5f 00 00 0000 00000018 00', { out: list }), 'good')
  await first.close()
  const second = await openScsiTarget(configuration, settings)
  const bob = await new Initiator(second, 'bob').clear()
  const { data } = await bob.run('5e 00 0000000000 0100 00')
  t.same([data.readUInt32BE(4), data.readBigUInt64BE(8)], [8, 0xabcn])
  await second.close()
  const [file] = await readdir(join(folder, 'reservations'))
  await writeFile(join(folder, 'reservations', String(file)), '{ "0": 1 }')
  await t.rejects(openScsiTarget(configuration, settings), { message: /is damaged.*remove it/ })
  await rm(join(folder, 'reservations', String(file)))
})

t.test('check probes LUNs and leaves nothing behind', async (t) => {
  const place = join(folder, 'probed')
  await mkdir(place)
  const probe = async (keys: string) => {
    const found = await probeLun(
      configured(lun(`id = 0\n${keys}`)).lun[0] as TargetConfiguration['lun'][number],
    )
    return found.map(({ severity, message }) => `${severity}: ${message}`)
  }
  t.same(await probe('path = "probed/new.img"\nsize = "1MiB"'), [])
  t.match(await probe('path = "probed/new.img"\nsize = "900TiB"'), [/^note: .*new\.img is to have 900/])
  t.match(await probe('path = "nowhere/new.img"\nsize = "1MiB"'), [
    /^error: .*nowhere does not exist; make it/,
  ])
  t.match(await probe('path = "probed/new.img"'), [/^error: .*does not exist; set size/])
  t.match(await probe('zvol = "nopool/vol"'), [/^error: .*nopool\/vol does not exist/])
  t.same(await readdir(place), [])
  await writeFile(join(place, 'old.img'), Buffer.alloc(5000))
  t.match(await probe('path = "probed/old.img"\nsize = "1KiB"'), [
    /^note: it has .* more than size says/,
    /^note: its end is no multiple of block_size/,
  ])
  t.equal((await stat(join(place, 'old.img'))).size, 5000)
  const target = await openScsiTarget(configured(lun('id = 0\npath = "probed/old.img"')), settings)
  t.match(await probe('path = "probed/old.img"'), [/^note: .*in use/])
  await target.close()
})
