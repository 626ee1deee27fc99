/** A target's LUNs: opened as configured, probed by check, with reservations that outlive the server. */

import {
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { TargetConfiguration } from '../../server/config/types.ts'
import { probeLun, probeNumbers } from '../../server/probe/lun-probe.ts'
import { openScsiTarget } from '../../server/serve/iscsi-luns.ts'
import { undoFile } from '../../server/state/undo-log.ts'
import { blockCdb, Initiator } from '../protocols/iscsi/scsi/lab.ts'
import { parsed } from './parsed.ts'

const folder = await mkdtemp(join(tmpdir(), 'poolhouse-luns-'))
t.teardown(() => rm(folder, { recursive: true }))

const settings = {
  stateDirectory: folder,
  environment: { now: () => 0, random: (count: number) => Buffer.alloc(count), after: () => () => undefined },
  log: () => undefined,
} as const

function configured(luns: string): TargetConfiguration {
  const text = `[[target]]\nname = "iqn.2026-11.lan.ocean:t"\n${luns}`
  return parsed(text, folder).targets[0] as TargetConfiguration
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

t.test('an atomic write that a power cut has torn is undone when the LUN is opened', async (t) => {
  const path = join(folder, 'g.img')
  const configuration = configured(lun('id = 0\npath = "g.img"\nsize = "1MiB"'))
  const log: string[] = []
  const logging = { ...settings, log: (_level: string, message: string) => void log.push(message) }
  const before = Buffer.alloc(8192, 1)
  const after = Buffer.alloc(8192, 2)
  const open = async () => {
    const target = await openScsiTarget(configuration, logging)
    return { target, alice: await new Initiator(target, 'alice').clear() }
  }
  const writeAtomic = '9c 00 0000000000000008 0000 0010 00 00'
  const one = await open()
  t.equal(await one.alice.outcome(writeAtomic, { out: before }), 'good')
  t.equal(await one.alice.outcome(writeAtomic, { out: after }), 'good')
  await one.target.close()
  const [name] = await readdir(join(folder, 'atomic-writes'))
  const file = join(folder, 'atomic-writes', String(name))
  const inFile = async () => (await readFile(path)).subarray(4096, 4096 + 8192)
  t.ok((await inFile()).equals(after))
  t.equal(
    await undoFile(folder, configuration.name, 0).load(),
    undefined,
    'a write that has ended is forgotten',
  )

  const cut = undoFile(folder, configuration.name, 0)
  const torn = Buffer.concat([before.subarray(0, 4096), after.subarray(4096)])
  const tear = async (found: Buffer) => {
    await cut.keep({ offset: 4096, before, after })
    const handle = await openFile(path, 'r+')
    await handle.write(found, 0, found.length, 4096)
    await handle.close()
    const { target, alice } = await open()
    const { data } = await alice.run(blockCdb(0x28, 8, 16))
    await target.close()
    t.equal(await undoFile(folder, configuration.name, 0).load(), undefined, 'once')
    return data
  }
  t.ok((await tear(torn)).equals(before))
  t.match(log.splice(0), [/torn an atomic write.*there again/])
  t.ok((await inFile()).equals(before))
  await cut.close()
  t.ok((await tear(after)).equals(after), 'all of it is there')
  t.same(log, [])
  await cut.close()
  const foreign = Buffer.concat([torn.subarray(0, 4096), Buffer.alloc(4096, 3)])
  t.ok((await tear(foreign)).equals(foreign), 'what others wrote is left alone')
  t.match(log.splice(0), [/did not end.*nothing was changed/])

  await cut.close()
  await cut.keep({ offset: 4096, before: Buffer.alloc(8192, 3), after })
  const whole = await readFile(file)
  for (const damaged of [
    whole.subarray(0, -1),
    Buffer.concat([whole.subarray(0, 60), whole.subarray(0, 9000)]),
  ]) {
    await writeFile(file, damaged)
    t.equal(await undoFile(folder, configuration.name, 0).load(), undefined, 'a note that is torn itself')
  }
  await cut.close()
})

t.test('zeros occupy nothing in the file of a thin LUN, and give back what was there', async (t) => {
  const path = join(folder, 'h.img')
  const target = await openScsiTarget(configured(lun('id = 0\npath = "h.img"\nsize = "64MiB"')), settings)
  const alice = await new Initiator(target, 'alice').clear()
  const zeros = Buffer.alloc(1024 * 1024)
  const occupied = async () => {
    t.equal(await alice.outcome('35 00 00000000 00 0000 00'), 'good')
    return (await stat(path)).blocks * 512
  }
  for (let lba = 0; lba < 131_072; lba += 2048) {
    t.equal(await alice.outcome(blockCdb(0x8a, lba, 2048), { out: zeros }), 'good')
  }
  t.equal(await occupied(), 0)
  const data = Buffer.alloc(4 * 1024 * 1024, 7)
  t.equal(await alice.outcome(blockCdb(0x8a, 0, 8192), { out: data }), 'good')
  t.ok((await occupied()) >= data.length)
  t.equal(await alice.outcome(blockCdb(0x8a, 2048, 2048), { out: zeros }), 'good')
  t.equal(await alice.outcome(blockCdb(0x93, 4096, 4096), { out: zeros.subarray(0, 512) }), 'good')
  t.ok((await occupied()) <= 1024 * 1024 + 65_536)
  t.ok((await alice.run(blockCdb(0x88, 2048, 6144))).data.every((byte) => byte === 0))
  t.ok((await alice.run(blockCdb(0x88, 0, 2048))).data.equals(data.subarray(0, 1024 * 1024)))
  await target.close()
  const thick = await openScsiTarget(
    configured(lun('id = 0\npath = "i.img"\nsize = "4MiB"\nthin = false')),
    settings,
  )
  const bob = await new Initiator(thick, 'bob').clear()
  t.equal(await bob.outcome(blockCdb(0x8a, 0, 2048), { out: zeros }), 'good')
  await thick.close()
  t.ok((await stat(join(folder, 'i.img'))).blocks * 512 >= zeros.length, 'a thick one stores them')
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
  const numbered = (...ids: number[]) =>
    probeNumbers(configured(ids.map((id) => lun(`id = ${id}\npath = "${id}.img"`)).join('')).lun)
  t.same(numbered(3, 0), [])
  t.match(numbered(1, 2), [{ severity: 'warning', message: /no LUN 0/ }])
  await target.close()
})
